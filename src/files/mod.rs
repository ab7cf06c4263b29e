//! All that is read and written: file formats, folders of the sky, catalogues, the galaxies of a survey, their identifiers,
//! embedding files, and the record of what a result was made from.

pub mod catalog;
pub(crate) mod container;
pub mod data;
pub mod embeddings;
pub(crate) mod hats;
mod identifiers;
pub mod inputs;
