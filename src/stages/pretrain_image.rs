use std::time::Instant;

use burn::module::Module;
use burn::tensor::Device;
use ndarray::Axis;
use rayon::prelude::*;

use super::{
    BatchReader, MODEL_FILE, PREFETCH, RunOptions, StageSummary, TrainingData, loader_threads,
    precision, report_skipped, run_folder, step_of,
};
use crate::augment::{MultiCrop, block_masks, multi_crop};
use crate::batch::{CropBatch, stack_images};
use crate::config::ImageRun;
use crate::data::loader::Prefetcher;
use crate::encoder::ImageEncoder;
use crate::error::Result;
use crate::objective::DinoObjective;
use crate::random::{Purpose, generator};
use crate::survey::Modality;
use crate::train::{TrainOutcome, train};

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
    run_folder::prepare(&options.out, config, &options.inputs(&[])?, options.resume)?;

    let mut objective = DinoObjective::new(config.objective(), &device.clone().autodiff())
        .in_micro_batches(config.train.micro_batch_size)
        .in_precision(precision(&config.train, device));
    let parameters = objective.encoder().num_params();
    tracing::info!(
        "image transformer of {:.1} M parameters",
        parameters as f64 / 1e6
    );
    let (galaxies, skipped) = (data.galaxies(), data.skipped());
    let outcome = train(
        "pretrain-image",
        &mut objective,
        &config.train,
        &options.out,
        options.stop_after,
        |start| batches(config, data, start),
    )?;

    let model = match outcome {
        TrainOutcome::Stopped { .. } => None,
        TrainOutcome::Finished => {
            let path = options.out.join(MODEL_FILE);
            let encoder = ImageEncoder {
                vit: objective.encoder().clone(),
                pixels: config.images.pixels.clone(),
                survey: config.survey.clone(),
            };
            let resolved = serde_json::to_value(config).expect("run files are plain JSON");
            encoder.save(&path, config.train.steps, resolved)?;
            Some(path)
        }
    };
    Ok(StageSummary {
        run: options.out.clone(),
        model,
        step: step_of(outcome, config.train.steps),
        steps: config.train.steps,
        parameters,
        galaxies,
        skipped: report_skipped(skipped.as_deref()),
        seconds: started.elapsed().as_secs_f64(),
    })
}

/// Crops and masks of all steps from `start` on, prepared in the background.
fn batches(config: &ImageRun, data: TrainingData, start: u64) -> Result<Prefetcher<CropBatch>> {
    let config = config.clone();
    let batches = data.into_batches(config.train.seed, config.train.batch_size)?;
    Ok(Prefetcher::new(
        start..config.train.steps,
        PREFETCH,
        loader_threads(),
        move |step| batch(&config, &batches, step),
    ))
}

fn batch(config: &ImageRun, batches: &BatchReader, step: u64) -> Result<CropBatch> {
    let (seed, samples) = (config.train.seed, batches.samples());
    let images = batches.read(step)?.images.expect("asked for");
    let section = &config.images;
    let crops: Vec<MultiCrop> = images
        .axis_iter(Axis(0))
        .into_par_iter()
        .enumerate()
        .map(|(index, image)| {
            let place = step * samples as u64 + index as u64;
            let mut rng = generator(seed, Purpose::Augmentation, place);
            multi_crop(image, &section.crops, &section.pixels, &mut rng)
        })
        .collect();
    let globals = crops.first().map_or(0, |crop| crop.global.len());
    let grid = section.crops.global_size / config.model.patch_size;
    let mut rng = generator(seed, Purpose::Masks, step);
    let crops = &crops;
    Ok(CropBatch {
        samples,
        global: stack_images(
            (0..globals).flat_map(|i| crops.iter().map(move |crop| &crop.global[i])),
        ),
        local: stack_images(
            (0..section.crops.local_count)
                .flat_map(|i| crops.iter().map(move |crop| &crop.local[i])),
        ),
        masks: block_masks(globals * samples, [grid, grid], &section.masks, &mut rng),
    })
}
