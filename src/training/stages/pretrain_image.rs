//! Pretraining of an image transformer.

use std::time::Instant;

use burn::module::Module;
use burn::tensor::Device;

use super::run::{StageRun, compute};
use super::{RunOptions, StageSummary, memory};
use crate::base::error::Result;
use crate::files::data::TrainingData;
use crate::network::encoder::ImageEncoder;
use crate::survey::Modality;
use crate::training::config::ImageRun;
use crate::training::objective::DinoObjective;
use crate::views::batch::CropRecipe;

/// Pretrains an image transformer by DINOv2 on the training galaxies of the files (paper sect. 5.1).
///
/// # Errors
///
/// Bad data or configuration, a run folder in use, a loss that turns non-finite.
pub fn pretrain_image(
    config: &ImageRun,
    options: &RunOptions,
    device: &Device,
) -> Result<StageSummary> {
    let started = Instant::now();
    let data = TrainingData::open(&options.data, &config.survey, &[Modality::Image])?;
    if let Some(size) = data.dataset.image_size() {
        config.images.crops.check_fit("images.crops", size)?;
    }
    let model = memory::of_image_model(config);
    memory::check(&config.train, model, memory::of_crops(config))?;
    let run = StageRun::begin(config, &config.train, options, &[], started)?;
    let mut objective = DinoObjective::new(config.objective(), compute(&config.train, device));
    // Else a healthy run looks like one that fails.
    tracing::info!(
        "the loss compares a student with a teacher that learns too and sharpens: it may rise for thousands of steps while \
         the embeddings get better; judge them by `astroclip eval`"
    );
    let parameters = objective.encoder().num_params();
    let recipe = CropRecipe {
        crops: config.images.crops.clone(),
        pixels: config.images.pixels.clone(),
        masks: config.images.masks.clone(),
        patch_size: config.model.patch_size,
        seed: config.train.seed,
    };
    run.train(
        data,
        parameters,
        &mut objective,
        move |step, galaxies| recipe.prepare(galaxies.asked_images(), step),
        |objective, path, resolved| {
            let encoder = ImageEncoder {
                vit: objective.encoder().clone(),
                pixels: config.images.pixels.clone(),
                survey: config.survey.clone(),
            };
            encoder.save(path, config.train.steps, resolved)
        },
    )
}
