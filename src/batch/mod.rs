//! From arrays on the host to what the models take.

mod images;
mod micro;
mod regression;
mod spectra;

pub use images::{CropBatch, stack_images};
pub use micro::{micro_batches, take_rows};
pub use regression::{RegressionBatch, TargetScaling};
pub use spectra::{MaskedTokens, SpectrumTokenizer};
