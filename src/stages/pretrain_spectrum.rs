use std::time::Instant;

use burn::module::Module;
use burn::tensor::Device;

use super::{
    MODEL_FILE, PREFETCH, RunOptions, StageSummary, TrainingData, loader_threads, precision,
    report_skipped, run_folder, step_of,
};
use crate::augment::segment_mask;
use crate::batch::MaskedTokens;
use crate::config::SpectrumRun;
use crate::data::loader::Prefetcher;
use crate::encoder::SpectrumEncoder;
use crate::error::Result;
use crate::model::SpecFormer;
use crate::nn::Initializer;
use crate::objective::MaskedModellingObjective;
use crate::random::{Purpose, generator};
use crate::survey::Modality;
use crate::train::{TrainOutcome, train};

/// Pretrains a spectrum transformer by masked modelling on the training galaxies of the files (paper
/// sect. 5.2).
///
/// # Errors
///
/// Bad data or configuration, a run folder in use, a loss that turns non-finite.
pub fn pretrain_spectrum(
    config: &SpectrumRun,
    options: &RunOptions,
    device: &Device,
) -> Result<StageSummary> {
    let started = Instant::now();
    let data = TrainingData::open(&options.data, &config.survey, &[Modality::Spectrum])?;
    run_folder::prepare(&options.out, config, &options.inputs(&[])?, options.resume)?;

    let device = device.clone().autodiff();
    let model = SpecFormer::new(
        &config.model,
        &mut Initializer::new(config.train.seed, &device),
    );
    let parameters = model.num_params();
    tracing::info!(
        "spectrum transformer of {:.1} M parameters",
        parameters as f64 / 1e6
    );
    let mut objective = MaskedModellingObjective::new(model, config.objective(), &device)
        .in_micro_batches(config.train.micro_batch_size)
        .in_precision(precision(&config.train, &device));
    let (galaxies, skipped) = (data.galaxies(), data.skipped());
    let outcome = train(
        "pretrain-spectrum",
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
            let encoder = SpectrumEncoder {
                specformer: objective.model().valid(),
                tokenizer: config.spectra.tokens.clone(),
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

/// Tokens and masks of all steps from `start` on, prepared in the background.
fn batches(
    config: &SpectrumRun,
    data: TrainingData,
    start: u64,
) -> Result<Prefetcher<MaskedTokens>> {
    let config = config.clone();
    let batches = data.into_batches(config.train.seed, config.train.batch_size)?;
    Ok(Prefetcher::new(
        start..config.train.steps,
        PREFETCH,
        loader_threads(),
        move |step| {
            let samples = batches.samples();
            let spectra = batches.read(step)?.spectra.expect("asked for");
            let tokenizer = &config.spectra.tokens;
            let target = tokenizer.tokenize(spectra.view());
            let tokens = tokenizer.tokens(spectra.ncols());
            let mut rng = generator(config.train.seed, Purpose::Masks, step);
            let hidden: Vec<Vec<bool>> = (0..samples)
                .map(|_| segment_mask(tokens, &config.spectra.masks, &mut rng))
                .collect();
            Ok(MaskedTokens::new(target, &hidden))
        },
    ))
}
