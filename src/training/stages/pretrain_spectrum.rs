//! Pretraining of a spectrum transformer.

use std::time::Instant;

use burn::module::Module;
use burn::tensor::Device;

use super::replay::{self, Replay, ReplayOptions};
use super::run::{StageRun, compute};
use super::{RunOptions, StageSummary, memory};
use crate::base::error::Result;
use crate::base::ranks::Seat;
use crate::files::data::{Galaxies, SurveyFiles, TrainingData};
use crate::network::encoder::SpectrumEncoder;
use crate::network::model::SpecFormer;
use crate::network::nn::Initializer;
use crate::survey::Modality;
use crate::training::config::SpectrumRun;
use crate::training::objective::MaskedModellingObjective;
use crate::views::batch::TokenRecipe;

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
    let data = open(config, &options.data)?;
    let run = StageRun::begin(config, &config.train, options, &[], device, started)?;
    let model = model(config, &device.clone().autodiff());
    let parameters = model.num_params();
    let compute = compute(&config.train, device, &options.ranks);
    let mut objective = MaskedModellingObjective::new(model, config.objective(), compute);
    let recipe = recipe(config, options.ranks.seat());
    run.train(
        data,
        parameters,
        &mut objective,
        move |step, galaxies| recipe.prepare(galaxies.asked_spectra(), step),
        |objective, path, resolved| {
            let encoder = SpectrumEncoder {
                specformer: objective.model().valid(),
                tokenizer: config.spectra.tokens.clone(),
                survey: config.survey.clone(),
            };
            encoder.save(path, config.train.steps, resolved)
        },
    )
}

/// Takes a step of a run of [`pretrain_spectrum`] again.
///
/// # Errors
///
/// As [`pretrain_spectrum`], and where the record is damaged.
pub fn replay_pretrain_spectrum(
    config: &SpectrumRun,
    files: &SurveyFiles,
    options: &ReplayOptions,
) -> Result<Replay> {
    let reader = open(config, files)?.into_batches(config.train.seed, config.train.batch_size)?;
    let compute = replay::compute(&config.train);
    let model = model(config, &replay::device());
    let mut objective = MaskedModellingObjective::new(model, config.objective(), compute);
    let recipe = recipe(config, Seat::default());
    let prepare = |step, galaxies: Galaxies| recipe.prepare(galaxies.asked_spectra(), step);
    replay::replay(options, &reader, &mut objective, prepare, 1)
}

fn open(config: &SpectrumRun, files: &SurveyFiles) -> Result<TrainingData> {
    let data = TrainingData::open(files, &config.survey, &[Modality::Spectrum])?;
    let tokens = &config.spectra.tokens;
    let galaxy = tokens.tokens(config.survey.wavelengths.len) * tokens.width();
    let model = memory::WITH_MOMENTS * config.model.parameters();
    memory::check(&config.train, model, galaxy as f64)?;
    Ok(data)
}

fn model(config: &SpectrumRun, device: &Device) -> SpecFormer {
    SpecFormer::new(
        &config.model,
        &mut Initializer::new(config.train.seed, device),
    )
}

fn recipe(config: &SpectrumRun, seat: Seat) -> TokenRecipe {
    TokenRecipe {
        tokenizer: config.spectra.tokens.clone(),
        masks: config.spectra.masks.clone(),
        seed: config.train.seed,
        seat,
    }
}
