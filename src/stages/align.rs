use std::path::PathBuf;
use std::time::Instant;

use burn::module::Module;
use burn::tensor::Device;
use ndarray::Axis;
use rayon::prelude::*;

use super::{
    MODEL_FILE, PREFETCH, RunOptions, StageSummary, TrainingData, loader_threads, precision,
    report_skipped, run_folder, step_of,
};
use crate::augment::{PixelConfig, align_view};
use crate::batch::{SpectrumTokenizer, stack_images};
use crate::config::AlignRun;
use crate::data::loader::Prefetcher;
use crate::encoder::{AlignedEncoder, ImageEncoder, SpectrumEncoder};
use crate::error::Result;
use crate::model::AstroClip;
use crate::nn::Initializer;
use crate::objective::{AlignBatch, AlignObjective};
use crate::random::{Purpose, generator};
use crate::survey::{Modality, Survey};
use crate::train::{TrainOutcome, train};

/// The pretrained encoders that are aligned.
#[derive(Debug, Clone)]
pub struct EncoderPaths {
    /// Exported image encoder.
    pub image: PathBuf,
    /// Exported spectrum encoder.
    pub spectrum: PathBuf,
}

/// Aligns two pretrained encoders on the training pairs of the files (paper sect. 5.3).
///
/// # Errors
///
/// Bad data or configuration, encoders of another kind, a run folder in use, a loss that turns
/// non-finite.
pub fn align(
    config: &AlignRun,
    encoders: &EncoderPaths,
    options: &RunOptions,
    device: &Device,
) -> Result<StageSummary> {
    let started = Instant::now();
    let device = device.clone().autodiff();
    let image = ImageEncoder::load(&encoders.image, &device)?;
    let spectrum = SpectrumEncoder::load(&encoders.spectrum, &device)?;
    // Each encoder knows what it sees.
    let survey = Survey {
        wavelengths: spectrum.survey.wavelengths,
        ..image.survey
    };
    let data = TrainingData::open(&options.data, &survey, &Modality::ALL)?;
    let side = image.vit.config().image_size;
    if let Some(size) = data.dataset.image_size() {
        config.view(side).check_fit("model", size)?;
    }
    let models = [encoders.image.clone(), encoders.spectrum.clone()];
    run_folder::prepare(
        &options.out,
        config,
        &options.inputs(&models)?,
        options.resume,
    )?;

    let mut init = Initializer::new(config.train.seed, &device);
    let model = AstroClip::join(image.vit, spectrum.specformer, config.heads(), &mut init);
    let parameters = model.num_params();
    tracing::info!(
        "aligned model of {:.1} M parameters",
        parameters as f64 / 1e6
    );
    let input = PairInput {
        side,
        pixels: image.pixels,
        tokenizer: spectrum.tokenizer,
    };
    let mut objective = AlignObjective::new(model, config.objective(), &device)
        .in_micro_batches(config.train.micro_batch_size)
        .in_precision(precision(&config.train, &device));
    let (galaxies, skipped) = (data.galaxies(), data.skipped());
    let outcome = train(
        "align",
        &mut objective,
        &config.train,
        &options.out,
        options.stop_after,
        |start| batches(config, input.clone(), data, start),
    )?;

    let model = match outcome {
        TrainOutcome::Stopped { .. } => None,
        TrainOutcome::Finished => {
            let path = options.out.join(MODEL_FILE);
            let encoder = AlignedEncoder {
                model: objective.model().valid(),
                pixels: input.pixels,
                tokenizer: input.tokenizer,
                survey,
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

/// What the encoders expect of a pair.
#[derive(Debug, Clone)]
struct PairInput {
    side: usize,
    pixels: PixelConfig,
    tokenizer: SpectrumTokenizer,
}

/// Pairs of all steps from `start` on, prepared in the background.
fn batches(
    config: &AlignRun,
    input: PairInput,
    data: TrainingData,
    start: u64,
) -> Result<Prefetcher<AlignBatch>> {
    let config = config.clone();
    let batches = data.into_batches(config.train.seed, config.train.batch_size)?;
    let view = config.view(input.side);
    Ok(Prefetcher::new(
        start..config.train.steps,
        PREFETCH,
        loader_threads(),
        move |step| {
            let samples = batches.samples();
            let galaxies = batches.read(step)?;
            let images = galaxies.images.expect("asked for");
            let spectra = galaxies.spectra.expect("asked for");
            let views: Vec<_> = images
                .axis_iter(Axis(0))
                .into_par_iter()
                .enumerate()
                .map(|(index, image)| {
                    let place = step * samples as u64 + index as u64;
                    let mut rng = generator(config.train.seed, Purpose::Augmentation, place);
                    align_view(image, &view, &input.pixels, &mut rng)
                })
                .collect();
            Ok(AlignBatch {
                images: stack_images(&views),
                tokens: input.tokenizer.tokenize(spectra.view()),
            })
        },
    ))
}
