//! Pretraining of an image transformer.

use std::path::{Path, PathBuf};
use std::time::Instant;

use burn::module::Module;
use burn::tensor::Device;

use super::initial_weights::initial_weights;
use super::replay::{self, Replay, ReplayOptions};
use super::run::{StageRun, compute};
use super::{RunOptions, StageSummary, memory};
use crate::base::error::Result;
use crate::base::ranks::Seat;
use crate::files::data::{Galaxies, SurveyFiles, TrainingData};
use crate::network::encoder::ImageEncoder;
use crate::survey::Modality;
use crate::training::config::ImageRun;
use crate::training::objective::DinoObjective;
use crate::training::run_folder;
use crate::views::batch::CropRecipe;

/// Pretrains an image transformer by DINOv2 on the training galaxies of the files (paper sect. 5.1). Student and teacher
/// begin with the transformer in the file `init`, else with fresh weights; a run that goes on from a checkpoint does not
/// open it.
///
/// # Errors
///
/// Bad data or configuration, a file `init` that does not fit, a run folder in use, a loss that turns non-finite.
pub fn pretrain_image(
    config: &ImageRun,
    init: Option<&Path>,
    options: &RunOptions,
    device: &Device,
) -> Result<StageSummary> {
    let started = Instant::now();
    let data = open(config, &options.data)?;
    let goes_on = options.resume && run_folder::has_checkpoint(&options.out)?;
    let weights = init
        .filter(|_| !goes_on)
        .map(|path| initial_weights(config, path))
        .transpose()?;
    let models: Vec<PathBuf> = init.map(PathBuf::from).into_iter().collect();
    let run = StageRun::begin(config, &config.train, options, &models, device, started)?;
    let mut objective = DinoObjective::new(
        config.objective(),
        compute(&config.train, device, &options.ranks),
    );
    if let Some(weights) = weights {
        objective.set_backbone(weights)?;
    }
    // Else a healthy run looks like one that fails.
    tracing::info!(
        "the loss compares a student with a teacher that learns too and sharpens: it may rise for thousands of steps while \
         the embeddings get better; judge them by `astroclip eval`"
    );
    let parameters = objective.encoder().num_params();
    let recipe = recipe(config, options.ranks.seat());
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

/// Takes a step of a run of [`pretrain_image`] again.
///
/// # Errors
///
/// As [`pretrain_image`], and where the record is damaged.
pub fn replay_pretrain_image(
    config: &ImageRun,
    init: Option<&Path>,
    files: &SurveyFiles,
    options: &ReplayOptions,
) -> Result<Replay> {
    let reader = open(config, files)?.into_batches(config.train.seed, config.train.batch_size)?;
    let mut objective = DinoObjective::new(config.objective(), replay::compute(&config.train));
    if let Some(path) = init {
        objective.set_backbone(initial_weights(config, path)?)?;
    }
    let recipe = recipe(config, Seat::default());
    let prepare = |step, galaxies: Galaxies| recipe.prepare(galaxies.asked_images(), step);
    replay::replay(options, &reader, &mut objective, prepare, 1)
}

fn open(config: &ImageRun, files: &SurveyFiles) -> Result<TrainingData> {
    let data = TrainingData::open(files, &config.survey, &[Modality::Image])?;
    if let Some(size) = data.dataset.image_size() {
        config.images.crops.check_fit("images.crops", size)?;
    }
    let model = memory::of_image_model(config);
    memory::check(&config.train, model, memory::of_crops(config))?;
    Ok(data)
}

fn recipe(config: &ImageRun, seat: Seat) -> CropRecipe {
    CropRecipe {
        crops: config.images.crops.clone(),
        pixels: config.images.pixels.clone(),
        masks: config.images.masks.clone(),
        patch_size: config.model.patch_size,
        seed: config.train.seed,
        seat,
    }
}
