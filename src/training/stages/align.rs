//! Alignment of two pretrained encoders.

use std::path::PathBuf;
use std::time::Instant;

use burn::module::Module;
use burn::tensor::Device;

use super::run::{StageRun, compute};
use super::{RunOptions, StageSummary, memory};
use crate::base::error::Result;
use crate::files::data::TrainingData;
use crate::network::encoder::{AlignedEncoder, ImageEncoder, SpectrumEncoder};
use crate::network::model::AstroClip;
use crate::network::nn::Initializer;
use crate::survey::{Modality, Survey};
use crate::training::config::AlignRun;
use crate::training::objective::AlignObjective;
use crate::views::batch::PairRecipe;

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
    let training = device.clone().autodiff();
    let image = ImageEncoder::load(&encoders.image, &training)?;
    let spectrum = SpectrumEncoder::load(&encoders.spectrum, &training)?;
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
    let (vit, specformer) = (image.vit.config(), spectrum.specformer.config());
    let heads = config.align.image_head.parameters(vit.width)
        + config.align.spectrum_head.parameters(specformer.width);
    let galaxy = vit.channels * side * side + specformer.token_width;
    memory::check(&config.train, memory::WITH_MOMENTS * heads, galaxy as f64)?;
    let models = [encoders.image.clone(), encoders.spectrum.clone()];
    let run = StageRun::begin(config, &config.train, options, &models, started)?;

    let mut init = Initializer::new(config.train.seed, &training);
    let model = AstroClip::join(image.vit, spectrum.specformer, config.heads(), &mut init);
    let parameters = model.num_params();
    let compute = compute(&config.train, device);
    let mut objective = AlignObjective::new(model, config.objective(), compute);
    let recipe = PairRecipe {
        view: config.view(side),
        pixels: image.pixels.clone(),
        tokenizer: spectrum.tokenizer.clone(),
        seed: config.train.seed,
    };
    run.train(
        data,
        parameters,
        &mut objective,
        move |step, galaxies| {
            recipe.prepare(galaxies.asked_images(), galaxies.asked_spectra(), step)
        },
        |objective, path, resolved| {
            let encoder = AlignedEncoder {
                model: objective.model().valid(),
                pixels: image.pixels,
                tokenizer: spectrum.tokenizer,
                survey,
            };
            encoder.save(path, config.train.steps, resolved)
        },
    )
}
