//! From arrays on the host to what the models take: batches of a step, whole, as the workers that read galaxies
//! prepare them.

mod crops;
mod micro;
mod pairs;
mod regression;
mod tokens;

pub use crops::{CropBatch, CropRecipe, MaskedPatches, stack_images};
pub use micro::{micro_batches, take_rows};
pub use pairs::{OfTeacher, PairBatch, PairRecipe, rows_of};
pub use regression::{RegressionBatch, TargetScaling};
pub use tokens::{MaskedTokens, SpectrumTokenizer, TokenRecipe};
