//! The supervised baselines of the paper (sect. 6.2 and 6.3, appendices B4 and B5): trained end to end on images,
//! spectra or magnitudes.

mod data;
mod image;
mod photometry;
mod predictions;
mod spectrum;
mod supervised;

use std::path::PathBuf;

use serde::Serialize;

pub use image::{baseline_image, replay_baseline_image};
pub use photometry::{PhotometryOptions, baseline_photometry};
pub use predictions::{BaselineResult, PREDICTIONS_FILE};
pub use spectrum::{baseline_spectrum, replay_baseline_spectrum};

use super::StageSummary;

/// What a baseline leaves behind.
#[derive(Debug, Clone, Serialize)]
pub struct BaselineSummary {
    /// The training run.
    #[serde(flatten)]
    pub stage: StageSummary,
    /// What became of it; none while the run is not finished.
    #[serde(flatten)]
    pub outcome: Option<BaselineOutcome>,
}

/// The weights that were kept and what they predict.
#[derive(Debug, Clone, Serialize)]
pub struct BaselineOutcome {
    /// Steps after which the validation loss was lowest.
    pub best_step: u64,
    /// The validation loss then, in units of the targets' variance.
    pub validation_mse: f64,
    /// Galaxies that decided which weights were kept.
    pub n_validation: usize,
    /// Predictions for all galaxies of the files.
    pub predictions: PathBuf,
    /// How good they are, on the test galaxies; one per target.
    pub results: Vec<BaselineResult>,
}
