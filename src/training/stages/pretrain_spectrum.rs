//! Pretraining of a spectrum transformer.

use std::time::Instant;

use burn::module::Module;
use burn::tensor::Device;

use super::run::{StageRun, compute};
use super::{RunOptions, StageSummary, memory};
use crate::base::error::Result;
use crate::files::data::TrainingData;
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
    let data = TrainingData::open(&options.data, &config.survey, &[Modality::Spectrum])?;
    let tokens = &config.spectra.tokens;
    let galaxy = tokens.tokens(config.survey.wavelengths.len) * tokens.width();
    let numbers = memory::WITH_MOMENTS * config.model.parameters();
    memory::check(&config.train, numbers, galaxy as f64)?;
    let run = StageRun::begin(config, &config.train, options, &[], started)?;
    let mut init = Initializer::new(config.train.seed, &device.clone().autodiff());
    let model = SpecFormer::new(&config.model, &mut init);
    let parameters = model.num_params();
    let compute = compute(&config.train, device);
    let mut objective = MaskedModellingObjective::new(model, config.objective(), compute);
    let recipe = TokenRecipe {
        tokenizer: config.spectra.tokens.clone(),
        masks: config.spectra.masks.clone(),
        seed: config.train.seed,
    };
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
