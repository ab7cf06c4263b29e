//! The supervised baselines of the paper (sect. 6.2 and 6.3, appendices B4 and B5): trained end to end on images,
//! spectra or magnitudes.

mod components;
mod image;
mod perceptrons;
mod photometry;
mod spectra;
mod spectrum;
mod templates;

use std::path::PathBuf;
use std::time::Instant;

use burn::tensor::Device;
use serde::Serialize;

pub use components::baseline_components;
pub use image::{baseline_image, replay_baseline_image};
pub use photometry::baseline_photometry;
pub use spectrum::{baseline_spectrum, replay_baseline_spectrum};
pub use templates::baseline_templates;

use super::run::StageRun;
use super::supervised::{
    Fitted, Holdout, Inputs, PREDICTIONS_FILE, Recipe, SupervisedData, TargetScore, fit, score,
    write,
};
use super::{RunOptions, StageSummary};
use crate::base::error::Result;
use crate::evaluation::eval::Target;
use crate::files::data::SurveyFiles;
use crate::network::model::Regressor;
use crate::network::weights::{ModelFile, ModelKind, named_parameters, trainable_parameters};
use crate::training::config::{StageConfig, ValidationSection};
use crate::training::objective::{RegressionOptimizer, RegressionOptimizerConfig};
use crate::training::train::RunConfig;
use crate::views::batch::TargetScaling;

/// What a baseline leaves behind.
#[derive(Debug, Clone, Serialize)]
pub struct BaselineSummary {
    /// The training run.
    #[serde(flatten)]
    pub stage: StageSummary,
    /// What became of it; none while the run is not finished.
    #[serde(flatten)]
    pub outcome: Option<BaselineOutcome>,
}

/// The weights that were kept and what they predict.
#[derive(Debug, Clone, Serialize)]
pub struct BaselineOutcome {
    /// Steps after which the validation loss was lowest.
    pub best_step: u64,
    /// The validation loss then, in units of the targets' variance.
    pub validation_mse: f64,
    /// Galaxies that decided which weights were kept.
    pub n_validation: usize,
    /// Predictions for all galaxies of the files.
    pub predictions: PathBuf,
    /// How good they are, on the test galaxies; one per target.
    pub results: Vec<TargetScore>,
}

/// Where a baseline that takes no steps reads and writes.
#[derive(Debug, Clone)]
pub struct BaselineFiles {
    /// Survey files: identifiers, redshifts, the split, and spectra.
    pub data: SurveyFiles,
    /// Tables of labels, which the run folder keeps in mind.
    pub labels: Vec<PathBuf>,
    /// Run folder.
    pub out: PathBuf,
}

/// What a baseline that takes no steps leaves behind.
#[derive(Debug, Clone, Serialize)]
pub struct FittedSummary {
    /// Run folder.
    pub run: PathBuf,
    /// What was fitted.
    pub model: PathBuf,
    /// Predictions for all galaxies of which what they are made from is known.
    pub predictions: PathBuf,
    /// How good they are, on the test galaxies; one per target.
    pub results: Vec<TargetScore>,
    /// Duration, seconds.
    pub seconds: f64,
}

/// What the networks on images and spectra share.
struct Network<'a> {
    data: &'a SupervisedData,
    kind: ModelKind,
    targets: &'a [Target],
    train: &'a RunConfig,
    validation: &'a ValidationSection,
    optimizer: &'a RegressionOptimizerConfig,
}

impl<'a> Network<'a> {
    fn recipe(&self) -> Recipe<'a> {
        Recipe {
            data: self.data,
            train: self.train,
            holdout: Holdout::Fraction(self.validation.fraction),
            optimizer: RegressionOptimizer::Uniform(self.optimizer.clone()),
            huber_delta: None,
            validate_every: self.validation.every,
            patience: None,
            steps: self.train.steps,
        }
    }

    /// Trains a network, exports the best weights, predicts for all galaxies and scores the test galaxies.
    ///
    /// `build` makes the network on a device; `architecture` describes it with its preprocessing.
    fn train<C: StageConfig, M: Regressor, A: Serialize>(
        &self,
        config: &C,
        inputs: impl Inputs,
        build: impl FnOnce(&Device) -> M,
        architecture: impl FnOnce(TargetScaling) -> A,
        options: &RunOptions,
        device: &Device,
    ) -> Result<BaselineSummary> {
        let recipe = self.recipe();
        recipe.check()?;
        let run = StageRun::begin(config, self.train, options, &[], device, Instant::now())?;
        let network = build(&device.clone().autodiff());
        let parameters = trainable_parameters(&network);
        let mut outcome = None;
        let stage = fit(
            run,
            &recipe,
            inputs,
            (network, parameters),
            device,
            |fitted, path, resolved| {
                let Fitted {
                    network,
                    scaling,
                    n_validation,
                    roles,
                    predicted,
                } = fitted;
                ModelFile::new(self.kind, &architecture(scaling), network.step, resolved)
                    .write(path, &named_parameters(&network.model))?;
                let predictions = options.out.join(PREDICTIONS_FILE);
                let data = self.data;
                write(&predictions, &data.own, &roles, self.targets, &predicted)?;
                outcome = Some(BaselineOutcome {
                    best_step: network.step,
                    validation_mse: network.validation_loss.unwrap_or(f64::NAN),
                    n_validation,
                    predictions,
                    results: score(&data.split, self.targets, &data.targets, &predicted),
                });
                Ok(())
            },
        )?;
        Ok(BaselineSummary { stage, outcome })
    }
}
