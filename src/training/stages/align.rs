//! Alignment of two pretrained encoders.

use std::path::PathBuf;
use std::time::Instant;

use burn::module::Module;
use burn::tensor::Device;
use ndarray::{Array2, ArrayView2, Axis, concatenate};
use rand::RngExt;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::replay::{self, Replay, ReplayOptions};
use super::run::{StageRun, compute};
use super::{RunOptions, StageSummary, memory};
use crate::base::error::{Error, Result};
use crate::base::random::{Purpose, generator};
use crate::base::ranks::Seat;
use crate::files::data::{Galaxies, SurveyFiles, TrainingData};
use crate::network::encoder::{
    AlignedEncoder, ImageEncoder, ImageFeatures, SpectrumEncoder, SpectrumFeatures,
};
use crate::network::model::{
    AstroClip, ImageFeaturesConfig, SpecFormer, SpectrumFeaturesConfig, Vit,
};
use crate::network::nn::Initializer;
use crate::survey::{Modality, Survey};
use crate::training::config::AlignRun;
use crate::training::objective::AlignObjective;
use crate::views::augment::{Photometer, PhotometryConfig};
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
    let start = Start::open(config, encoders, &options.data, &device.clone().autodiff())?;
    let models = [encoders.image.clone(), encoders.spectrum.clone()];
    let run = StageRun::begin(config, &config.train, options, &models, device, started)?;

    let recipe = start.recipe(config, options.ranks.seat());
    let Start {
        image,
        spectrum,
        photometer,
        survey,
        data,
        device: training,
    } = start;
    let bands = survey.bands.len();
    let model = join((config, bands), image.vit, spectrum.specformer, &training);
    let parameters = model.num_params();
    let compute = compute(&config.train, device, &options.ranks);
    let mut objective = AlignObjective::new(model, config.objective(), compute);
    let of_features = data.clone();
    run.train(
        data,
        parameters,
        &mut objective,
        move |step, galaxies| {
            recipe.prepare(galaxies.asked_images(), galaxies.asked_spectra(), step)
        },
        |objective, path, resolved| {
            let mut encoder = AlignedEncoder {
                model: objective.model().valid(),
                pixels: image.pixels,
                photometer,
                tokenizer: spectrum.tokenizer,
                survey,
                image_features: None,
                spectrum_features: None,
            };
            if let Some(features) = &config.align.image_features {
                let seed = config.train.seed;
                let found = image_features(&encoder, &of_features, features, seed)?;
                encoder.image_features = Some(found);
            }
            if let Some(features) = &config.align.spectrum_features {
                let seed = config.train.seed;
                let found = spectrum_features(&encoder, &of_features, features, seed)?;
                encoder.spectrum_features = Some(found);
            }
            encoder.save(path, config.train.steps, resolved)
        },
    )
}

/// Galaxies of a sample that are read at once.
const BATCH: usize = 64;

/// Batches of so many training galaxies at most, in the order of the files.
fn sample<'a>(
    data: &'a TrainingData,
    galaxies: usize,
    rng: &mut ChaCha8Rng,
) -> impl Iterator<Item = Result<Galaxies>> + use<'a> {
    let mut rows: Vec<usize> = data.dataset.train_rows().iter().collect();
    rows.shuffle(rng);
    rows.truncate(galaxies);
    rows.sort_unstable();
    let batches: Vec<Vec<usize>> = rows.chunks(BATCH).map(<[usize]>::to_vec).collect();
    batches.into_iter().filter_map(move |rows| {
        let read = data.read(&rows);
        read.map(|of| (!of.rows.is_empty()).then_some(of))
            .transpose()
    })
}

/// What measures the fluxes of images, of which the encoder sees `size` pixels a side.
fn photometer(
    config: &PhotometryConfig,
    (survey, size): (&Survey, usize),
    data: &TrainingData,
    seed: u64,
) -> Result<Photometer> {
    let mut rng = generator(seed, Purpose::Components, 1);
    let batches = sample(data, config.images, &mut rng)
        .map(|galaxies| galaxies.map(|of| of.asked_images().to_owned()));
    let view = (size, survey.pixel_scale);
    Photometer::fit(config, view, survey.bands.len(), batches)
}

/// What `embed` keeps of images from before the head, of some training galaxies.
fn image_features(
    encoder: &AlignedEncoder,
    data: &TrainingData,
    config: &ImageFeaturesConfig,
    seed: u64,
) -> Result<ImageFeatures> {
    let mut rng = generator(seed, Purpose::Components, 2);
    let (mut colours, mut tokens) = (Vec::new(), Vec::new());
    for galaxies in sample(data, config.images, &mut rng) {
        let images = galaxies?;
        let (of_fluxes, of_tokens) = encoder.image_feature_inputs(images.asked_images())?;
        colours.push(of_fluxes);
        tokens.push(of_tokens);
    }
    let (colours, tokens) = (joined(&colours, "an image")?, joined(&tokens, "an image")?);
    let draw = || rng.random_range(-1.0_f32..1.0);
    Ok(ImageFeatures::fit(config, (&colours, &tokens), draw))
}

/// Rows of batches, one batch behind the other.
fn joined(batches: &[Array2<f32>], of: &str) -> Result<Array2<f32>> {
    let batches: Vec<ArrayView2<'_, f32>> = batches.iter().map(|batch| batch.view()).collect();
    concatenate(Axis(0), &batches)
        .map_err(|_| Error::run(format!("no training galaxy has {of} that can be used")))
}

/// What `embed` keeps of spectra from before the head, of some training galaxies.
fn spectrum_features(
    encoder: &AlignedEncoder,
    data: &TrainingData,
    config: &SpectrumFeaturesConfig,
    seed: u64,
) -> Result<SpectrumFeatures> {
    let mut rng = generator(seed, Purpose::Components, 0);
    let mut bins = 0;
    let mut inputs: Vec<Array2<f32>> = Vec::new();
    for galaxies in sample(data, config.spectra, &mut rng) {
        let spectra = galaxies?;
        let (of_batch, columns) = encoder.feature_inputs(spectra.asked_spectra(), config)?;
        inputs.push(of_batch);
        bins = columns;
    }
    let inputs = joined(&inputs, "a spectrum")?;
    let draw = || rng.random_range(-1.0_f32..1.0);
    Ok(SpectrumFeatures::fit(config, inputs, bins, draw))
}

/// Takes a step of a run of [`align`] again.
///
/// # Errors
///
/// As [`align`], and where the record is damaged.
pub fn replay_align(
    config: &AlignRun,
    encoders: &EncoderPaths,
    files: &SurveyFiles,
    options: &ReplayOptions,
) -> Result<Replay> {
    let start = Start::open(config, encoders, files, &replay::device())?;
    let recipe = start.recipe(config, Seat::default());
    let model = join(
        (config, start.survey.bands.len()),
        start.image.vit,
        start.spectrum.specformer,
        &start.device,
    );
    let compute = replay::compute(&config.train);
    let mut objective = AlignObjective::new(model, config.objective(), compute);
    let reader = start
        .data
        .into_batches(config.train.seed, config.train.batch_size)?;
    let prepare = |step, galaxies: Galaxies| {
        recipe.prepare(galaxies.asked_images(), galaxies.asked_spectra(), step)
    };
    // A pair is told apart from others.
    replay::replay(options, &reader, &mut objective, prepare, 2)
}

/// What an alignment begins with.
struct Start {
    image: ImageEncoder,
    spectrum: SpectrumEncoder,
    photometer: Option<Photometer>,
    survey: Survey,
    data: TrainingData,
    device: Device,
}

impl Start {
    /// Encoders on `device`, and files that hold what they see.
    fn open(
        config: &AlignRun,
        encoders: &EncoderPaths,
        files: &SurveyFiles,
        device: &Device,
    ) -> Result<Self> {
        let image = ImageEncoder::load(&encoders.image, device)?;
        let spectrum = SpectrumEncoder::load(&encoders.spectrum, device)?;
        // Each encoder knows what it sees.
        let survey = Survey {
            wavelengths: spectrum.survey.wavelengths,
            ..image.survey.clone()
        };
        let data = TrainingData::open(files, &survey, &Modality::ALL)?;
        if let Some(size) = data.dataset.image_size() {
            let view = config.view(image.vit.config().image_size);
            view.check_fit("model", size)?;
        }
        let (vit, specformer) = (image.vit.config(), spectrum.specformer.config());
        let of_heads = config.heads(survey.bands.len());
        let heads = of_heads.image.parameters(vit.width)
            + of_heads.spectrum.parameters(specformer.width)
            + (of_heads.photometry).map_or(0.0, |head| head.parameters(of_heads.image.embedding));
        let galaxy = vit.channels * vit.image_size.pow(2) + specformer.token_width;
        memory::check(&config.train, memory::WITH_MOMENTS * heads, galaxy as f64)?;
        let photometer = (config.align.image_photometry.as_ref())
            .map(|of| photometer(of, (&survey, vit.image_size), &data, config.train.seed));
        let photometer = photometer.transpose()?;
        Ok(Self {
            image,
            spectrum,
            photometer,
            survey,
            data,
            device: device.clone(),
        })
    }

    fn recipe(&self, config: &AlignRun, seat: Seat) -> PairRecipe {
        PairRecipe {
            view: config.view(self.image.vit.config().image_size),
            pixels: self.image.pixels.clone(),
            photometer: (self.photometer.clone())
                .filter(|_| config.heads(self.survey.bands.len()).photometry.is_some()),
            tokenizer: self.spectrum.tokenizer.clone(),
            seed: config.train.seed,
            seat,
        }
    }
}

/// Both transformers with fresh heads.
fn join(
    (config, bands): (&AlignRun, usize),
    image: Vit,
    spectrum: SpecFormer,
    device: &Device,
) -> AstroClip {
    let mut init = Initializer::new(config.train.seed, device);
    AstroClip::join(image, spectrum, config.heads(bands), &mut init)
}
