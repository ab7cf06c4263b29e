//! An index over embedding files: finds nearly all of the nearest galaxies by looking at a few hundredths of them.
//!
//! Vectors lie in lists, each around a centre, as eight bits per number (see [`InvertedFile`](crate::evaluation::knn)). What
//! a search hands on from there is ranked by the embeddings themselves, which are read from the embedding files: an index is
//! of use only beside them, and says so where they have changed.

mod build;
#[cfg(feature = "qdrant")]
mod collect;
mod format;
mod measure;
mod open;

pub use build::{BuildOptions, build};
pub use format::{GalleryHead, Head, Measured, is_index, read_head};
pub use open::{Galleries, Index};
