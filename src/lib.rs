//! AstroCLIP: galaxy images and spectra in one embedding space (Parker et al. 2024, MNRAS 531, 4990).

pub mod augment;
pub mod data;
pub mod error;
pub mod survey;
