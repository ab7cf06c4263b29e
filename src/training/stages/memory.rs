//! Runs that can never fit into the memory of this machine, refused before anything is built or written.
//!
//! What is counted is held by the host whatever the device: weights and moments, which a checkpoint gathers, and the
//! batch, which is made whole. A run takes more than that.

use crate::base::error::Result;
use crate::base::memory;
use crate::network::nn::PrototypeHeadConfig;
use crate::training::config::ImageRun;
use crate::training::train::RunConfig;

/// Bytes of a number.
const NUMBER: f64 = 4.0;
/// Weights and both moments of the optimiser.
pub(super) const WITH_MOMENTS: f64 = 3.0;

/// Refuses a run that holds so many numbers for its model, and so many for a galaxy of a batch, where that cannot be.
///
/// # Errors
///
/// Names what takes the most.
pub(super) fn check(run: &RunConfig, model: f64, galaxy: f64) -> Result<()> {
    let batch = run.batch_size as f64 * galaxy;
    let (what, remedy) = match batch > model {
        true => (
            format!(
                "`train.batch_size` is {}; batch and model take",
                run.batch_size
            ),
            "lower it, or the sizes of what is in a batch",
        ),
        false => (
            "`model` and its heads, with what training keeps of them, take".to_owned(),
            "lower their sizes",
        ),
    };
    memory::require(NUMBER * (model + batch), &what, remedy)
}

/// Numbers that pretraining of images holds for student and teacher, each with its heads, and for the moments of the
/// transformer.
pub(super) fn of_image_model(config: &ImageRun) -> f64 {
    let head = |head: &PrototypeHeadConfig| head.parameters(config.model.width);
    let heads = if config.separate_heads { 2.0 } else { 1.0 };
    let transformer = config.model.parameters();
    2.0 * (transformer + heads * head(&config.head)) + 2.0 * transformer
}

/// Numbers of a galaxy's crops.
pub(super) fn of_crops(config: &ImageRun) -> f64 {
    let crops = &config.images.crops;
    let square = |side: usize| (side as f64).powi(2);
    let pixels =
        2.0 * square(crops.global_size) + crops.local_count as f64 * square(crops.local_size);
    config.survey.bands.len() as f64 * pixels
}
