//! What fine-tuning begins with: a model, galaxies with labels, and what the model is shown of them.

use std::path::Path;

use burn::tensor::{Device, TensorData};
use ndarray::Array2;

use super::{Encoder, FineTuned, Initializer};
use crate::base::error::{Error, Result};
use crate::evaluation::eval::Labels;
use crate::files::data::{Galaxies, SurveyFiles};
use crate::network::model::Tower;
use crate::survey::Modality;
use crate::training::config::FineTuneRun;
use crate::training::objective::RegressionOptimizer;
use crate::training::stages::memory;
use crate::training::stages::supervised::{
    Holdout, ImageInputs, Inputs, LabelsLimit, Recipe, SupervisedData, TokenInputs,
};

/// A model and galaxies of which labels say what it is to predict.
pub(super) struct Start {
    pub encoder: Encoder,
    /// What of the galaxies it is trained on.
    pub source: Modality,
    pub data: SupervisedData,
}

impl Start {
    /// The model on `device`, and files that hold what it sees.
    pub fn open(
        config: &FineTuneRun,
        weights: &Path,
        labels: Option<&Labels>,
        files: &SurveyFiles,
        device: &Device,
    ) -> Result<Self> {
        let (encoder, _) = Encoder::load(weights, device)?;
        let source = source(config.source, &encoder).map_err(|error| error.in_file(weights))?;
        let limit = LabelsLimit::of(config.labels_limit, &config.train);
        let modalities: &[Modality] = match source {
            Modality::Image => &[Modality::Image],
            Modality::Spectrum => &[Modality::Spectrum],
        };
        let (survey, targets) = (encoder.survey(), &config.targets);
        let data = SupervisedData::open(files, survey, modalities, targets, labels, limit)?;
        let galaxy = match encoder.image_view() {
            Some((size, _)) if source == Modality::Image => {
                if let Some(found) = data.files.dataset.image_size() {
                    config.view(size).check_fit("model", found)?;
                }
                (survey.bands.len() * size * size) as f64
            }
            _ => {
                let length = survey.wavelengths.len;
                // Says so where they have more tokens than the model has positions.
                let spectrum = Array2::zeros((1, length));
                encoder.preparation().prepare(None, Some(spectrum.view()))?;
                length as f64
            }
        };
        // The best weights so far are kept beside those that are trained.
        let numbers = encoder.backbone().parameters(source) as f64;
        memory::check(
            &config.train,
            (memory::WITH_MOMENTS + 1.0) * numbers,
            galaxy,
        )?;
        Ok(Self {
            encoder,
            source,
            data,
        })
    }

    /// The model with a fresh head.
    pub fn network(&self, config: &FineTuneRun, device: &Device) -> FineTuned {
        let mut init = Initializer::new(config.train.seed, device);
        let tower = Tower {
            source: self.source,
            drop_path: config.images.drop_path,
            precision: config.train.precision,
        };
        let targets = config.targets.len();
        FineTuned::new(
            self.encoder.backbone(),
            tower,
            targets,
            &config.head,
            &mut init,
        )
    }

    /// What it is shown.
    pub fn inputs(&self, config: &FineTuneRun) -> EncoderInputs {
        match (
            self.source,
            self.encoder.image_view(),
            self.encoder.tokenizer(),
        ) {
            (Modality::Image, Some((size, pixels)), _) => EncoderInputs::Image(ImageInputs {
                view: config.view(size),
                pixels: pixels.clone(),
                seed: config.train.seed,
            }),
            (_, _, Some(tokenizer)) => EncoderInputs::Spectrum(TokenInputs {
                tokenizer: tokenizer.clone(),
            }),
            _ => unreachable!("a model takes what it was opened for"),
        }
    }

    /// How a model is trained for at most so many steps.
    pub fn recipe<'a>(&'a self, config: &'a FineTuneRun, steps: u64) -> Recipe<'a> {
        let validation = &config.validation;
        let holdout = match (validation.folds, validation.fold) {
            (None, _) => Holdout::Fraction(validation.fraction),
            (Some(of), Some(index)) => Holdout::Fold { index, of },
            (Some(_), None) => Holdout::Nobody,
        };
        let depth = self.encoder.backbone().depth(self.source);
        Recipe {
            data: &self.data,
            train: &config.train,
            holdout,
            optimizer: RegressionOptimizer::FineTuning(config.optimizer.clone(), depth),
            huber_delta: config.huber_delta,
            validate_every: validation.every,
            patience: validation.patience,
            steps,
        }
    }
}

/// What a model is shown of galaxies.
pub(super) enum EncoderInputs {
    Image(ImageInputs),
    Spectrum(TokenInputs),
}

impl Inputs for EncoderInputs {
    fn augmented(&self, galaxies: Galaxies, place: u64) -> TensorData {
        match self {
            Self::Image(inputs) => inputs.augmented(galaxies, place),
            Self::Spectrum(inputs) => inputs.augmented(galaxies, place),
        }
    }

    fn plain(&self, galaxies: Galaxies) -> TensorData {
        match self {
            Self::Image(inputs) => inputs.plain(galaxies),
            Self::Spectrum(inputs) => inputs.plain(galaxies),
        }
    }
}

/// What the model is trained on: as the settings say, or the only kind that it takes.
fn source(named: Option<Modality>, encoder: &Encoder) -> Result<Modality> {
    match (named, encoder.modalities()) {
        (None, [only]) => Ok(*only),
        (Some(named), known) if known.contains(&named) => Ok(named),
        (Some(named), known) => Err(Error::input(format!(
            "it takes {} data, and `source` is {named}; leave --source out, or give another model",
            known[0]
        ))),
        (None, _) => Err(Error::input(
            "it takes images and spectra; say by --source image or --source spectrum which of its transformers is to be \
             trained on",
        )),
    }
}
