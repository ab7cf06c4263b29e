//! From arrays on the host to what the models take.

mod images;
mod spectra;

pub use images::{CropBatch, stack_images};
pub use spectra::{MaskedTokens, SpectrumTokenizer};
