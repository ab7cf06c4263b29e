//! AstroCLIP: galaxy images and spectra in one embedding space (Parker et al. 2024, MNRAS 531, 4990).

pub mod embeddings;
pub mod error;
pub mod eval;
pub mod knn;
pub mod search;
pub mod survey;
