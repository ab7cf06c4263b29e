//! What all supervised networks share, trained from scratch or fine-tuned: galaxies with what is to be predicted of them,
//! batches, the run, predictions and their scores.

mod data;
mod fit;
mod inputs;
mod loader;
mod predictions;

pub(super) use data::{Holdout, LabelsLimit, SupervisedData};
pub(super) use fit::{Fitted, Recipe, fit, replay_step};
pub(super) use inputs::{FluxInputs, ImageInputs, Inputs, TokenInputs};
pub use predictions::{PREDICTIONS_FILE, TargetScore};
pub(super) use predictions::{score, write};
