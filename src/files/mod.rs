//! All that is read and written: file formats, catalogues, the galaxies of a survey, their identifiers, embedding files, and
//! the record of what a result was made from.

pub(crate) mod catalog;
pub(crate) mod container;
pub mod data;
pub mod embeddings;
mod identifiers;
pub mod inputs;
