//! Alignment of two pretrained encoders.

mod features;
mod teacher;

use std::path::PathBuf;
use std::time::Instant;

use burn::module::Module;
use burn::tensor::Device;

use super::replay::{self, Replay, ReplayOptions};
use super::run::{StageRun, compute};
use super::{RunOptions, StageSummary, memory};
use crate::base::error::Result;
use crate::base::ranks::Seat;
use crate::files::data::{Galaxies, SurveyFiles, TrainingData};
use crate::network::encoder::{AlignedEncoder, ImageEncoder, SpectrumEncoder};
use crate::network::model::{AstroClip, SpecFormer, Vit};
use crate::network::nn::Initializer;
use crate::survey::{Modality, Survey};
use crate::training::config::AlignRun;
use crate::training::objective::AlignObjective;
use crate::views::augment::{Photometer, Spectrophotometer};
use crate::views::batch::{PairBatch, PairRecipe};
use features::{image_features, photometer, spectrophotometer, spectrum_features};
use teacher::Teacher;

/// The pretrained encoders that are aligned.
#[derive(Debug, Clone)]
pub struct EncoderPaths {
    /// Exported image encoder.
    pub image: PathBuf,
    /// Exported spectrum encoder.
    pub spectrum: PathBuf,
    /// Embeddings of the same galaxies by another model, which those of this one shall come near to (distillation).
    pub teacher: Option<PathBuf>,
}

impl EncoderPaths {
    /// Of the files that a run began with, in the order in which it has noted them.
    ///
    /// # Panics
    ///
    /// Where there are fewer than two.
    pub fn of(models: Vec<PathBuf>) -> Self {
        let mut models = models.into_iter();
        let mut encoder = || models.next().expect("two encoders");
        Self {
            image: encoder(),
            spectrum: encoder(),
            teacher: models.next(),
        }
    }

    /// All files.
    fn all(&self) -> Vec<PathBuf> {
        let Self {
            image,
            spectrum,
            teacher,
        } = self.clone();
        [Some(image), Some(spectrum), teacher]
            .into_iter()
            .flatten()
            .collect()
    }
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
    let models = encoders.all();
    let run = StageRun::begin(config, &config.train, options, &models, device, started)?;

    let prepare = start.prepare(config, options.ranks.seat());
    let Start {
        image,
        spectrum,
        teacher: _,
        photometer,
        spectrophotometer,
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
        prepare,
        |objective, path, resolved| {
            let mut encoder = AlignedEncoder {
                model: objective.model().valid(),
                pixels: image.pixels,
                photometer,
                spectrophotometer,
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
    let prepare = start.prepare(config, Seat::default());
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
    // A pair is told apart from others.
    replay::replay(options, &reader, &mut objective, prepare, 2)
}

/// What an alignment begins with.
struct Start {
    image: ImageEncoder,
    spectrum: SpectrumEncoder,
    teacher: Option<Teacher>,
    photometer: Option<Photometer>,
    spectrophotometer: Option<Spectrophotometer>,
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
        let (teacher, data) = match &encoders.teacher {
            Some(path) => {
                let teacher = Teacher::open(path, config, &data)?;
                let data = teacher.known(data);
                (Some(teacher), data)
            }
            None => (None, data),
        };
        if let Some(size) = data.dataset.image_size() {
            let view = config.view(image.vit.config().image_size);
            view.check_fit("model", size)?;
        }
        let (vit, specformer) = (image.vit.config(), spectrum.specformer.config());
        let of_heads = config.heads(survey.bands.len());
        let heads = of_heads.image.parameters(vit.width)
            + of_heads.spectrum.parameters(specformer.width)
            + [of_heads.photometry, of_heads.spectrum_photometry]
                .into_iter()
                .flatten()
                .map(|head| head.parameters(of_heads.image.embedding))
                .sum::<f64>();
        let galaxy = vit.channels * vit.image_size.pow(2) + specformer.token_width;
        memory::check(&config.train, memory::WITH_MOMENTS * heads, galaxy as f64)?;
        let photometer = (config.align.image_photometry.as_ref())
            .map(|of| photometer(of, (&survey, vit.image_size), &data, config.train.seed));
        let photometer = photometer.transpose()?;
        let spectrophotometer = config.spectrum_photometry().map(|of| {
            of.check_fit("align.spectrum_photometry", survey.wavelengths.len)?;
            spectrophotometer(of, &data, config.train.seed)
        });
        let spectrophotometer = spectrophotometer.transpose()?;
        Ok(Self {
            image,
            spectrum,
            teacher,
            photometer,
            spectrophotometer,
            survey,
            data,
            device: device.clone(),
        })
    }

    /// What makes the batch of a step.
    fn prepare(
        &self,
        config: &AlignRun,
        seat: Seat,
    ) -> impl Fn(u64, Galaxies) -> PairBatch + Send + Sync + use<> {
        let (recipe, teacher) = (self.recipe(config, seat), self.teacher.clone());
        move |step, galaxies| {
            let (images, spectra) = (galaxies.asked_images(), galaxies.asked_spectra());
            PairBatch {
                teacher: (teacher.as_ref()).map(|teacher| teacher.of(&galaxies.rows)),
                ..recipe.prepare(images, spectra, step)
            }
        }
    }

    fn recipe(&self, config: &AlignRun, seat: Seat) -> PairRecipe {
        PairRecipe {
            view: config.view(self.image.vit.config().image_size),
            extra_seeing: config.align.extra_seeing / self.survey.pixel_scale,
            pixels: self.image.pixels.clone(),
            photometer: (self.photometer.clone())
                .filter(|_| config.heads(self.survey.bands.len()).photometry.is_some()),
            spectrophotometer: self.spectrophotometer.clone(),
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
