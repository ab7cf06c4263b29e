//! A pretrained transformer trained on with a small head, for those who have labels.

mod folds;
mod start;

use std::path::{Path, PathBuf};
use std::time::Instant;

use burn::tensor::Device;
use ndarray::Array2;
use serde::Serialize;

use folds::{FoldPredictions, median};
use start::Start;

use super::replay::{self, Replay, ReplayOptions};
use super::run::StageRun;
use super::supervised::{PREDICTIONS_FILE, TargetScore, fit, replay_step, score, write};
use super::{RunOptions, StageSummary};
use crate::base::error::{Error, Kind, Result};
use crate::base::shell::resuming;
use crate::evaluation::eval::Labels;
use crate::files::data::SurveyFiles;
use crate::network::encoder::Encoder;
use crate::network::model::{Backbone, FineTuned};
use crate::network::nn::Initializer;
use crate::survey::{Modality, Role};
use crate::training::config::{FineTuneRun, StageConfig};
use crate::training::run_folder;

/// What fine-tuning leaves behind.
#[derive(Debug, Clone, Serialize)]
pub struct FineTuneSummary {
    /// The training run; with folds that of the model that is left.
    #[serde(flatten)]
    pub stage: StageSummary,
    /// What became of it; none while the run is not finished.
    #[serde(flatten)]
    pub outcome: Option<FineTuneOutcome>,
}

/// The weights that were kept and what was predicted.
#[derive(Debug, Clone, Serialize)]
pub struct FineTuneOutcome {
    /// What the model was trained on.
    pub source: Modality,
    /// Steps that the model has been trained for: those after which the validation loss was lowest; with folds the median
    /// of them.
    pub best_step: u64,
    /// The validation loss then, in units of the targets' variance; with folds none, see there.
    pub validation_loss: Option<f64>,
    /// Galaxies that decided which weights were kept.
    pub n_validation: usize,
    /// The models of the folds, where there are any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub folds: Vec<Fold>,
    /// Predictions for all galaxies of the files: with folds those of their models.
    pub predictions: PathBuf,
    /// How good they are, on the test galaxies; one per target.
    pub results: Vec<TargetScore>,
}

/// The model of a fold.
#[derive(Debug, Clone, Serialize)]
pub struct Fold {
    /// Its run folder.
    pub run: PathBuf,
    /// Steps after which its validation loss was lowest.
    pub best_step: u64,
    /// The validation loss then.
    pub validation_loss: Option<f64>,
    /// Galaxies that validated it.
    pub n_validation: usize,
}

/// Trains a model on with a head that predicts what labels say, and predicts for all galaxies. With folds a model is
/// trained for each; the last one is fitted to all labelled galaxies of the training split.
///
/// # Errors
///
/// A model, data, labels or settings that do not go together, a run folder in use, a loss that turns non-finite.
pub fn finetune(
    config: &FineTuneRun,
    weights: &Path,
    labels: Option<&Labels>,
    options: &RunOptions,
    device: &Device,
) -> Result<FineTuneSummary> {
    let training = device.clone().autodiff();
    let start = Start::open(config, weights, labels, &options.data, &training)?;
    let run = Run {
        start: &start,
        weights,
        device,
    };
    match (config.validation.folds, config.validation.fold) {
        (Some(folds), None) => run.all_folds(config, folds, options),
        _ => Ok(run.one(config, options)?.0),
    }
}

/// Takes a step of a run of [`finetune`] again.
///
/// # Errors
///
/// As [`finetune`], and where the record is damaged.
pub fn replay_finetune(
    config: &FineTuneRun,
    weights: &Path,
    labels: Option<&Labels>,
    files: &SurveyFiles,
    options: &ReplayOptions,
) -> Result<Replay> {
    let start = Start::open(config, weights, labels, files, &replay::device())?;
    let recipe = start.recipe(config, config.train.steps);
    let network = start.network(config, &replay::device());
    replay_step(&recipe, start.inputs(config), network, options, 1)
}

/// What all models of a run share.
struct Run<'a> {
    start: &'a Start,
    weights: &'a Path,
    device: &'a Device,
}

impl Run<'_> {
    fn begin<'a>(
        &self,
        config: &'a FineTuneRun,
        options: &'a RunOptions,
    ) -> Result<StageRun<'a, FineTuneRun>> {
        self.start.recipe(config, config.train.steps).check()?;
        let models = [self.weights.to_owned()];
        let started = Instant::now();
        StageRun::begin(
            config,
            &config.train,
            options,
            &models,
            self.device,
            started,
        )
    }

    /// Trains one model; says what it predicts where it is finished.
    fn one(
        &self,
        config: &FineTuneRun,
        options: &RunOptions,
    ) -> Result<(FineTuneSummary, Option<FoldPredictions>)> {
        let run = self.begin(config, options)?;
        let mut predictions = None;
        let steps = config.train.steps;
        let summary = self.train(run, config, steps, options, |roles, predicted| {
            predictions = Some(FoldPredictions {
                roles: roles.clone(),
                predicted: predicted.clone(),
            });
            (roles, predicted, Vec::new())
        })?;
        Ok((summary, predictions))
    }

    /// Trains a model for each fold, then one on all galaxies for the median of their best steps.
    fn all_folds(
        &self,
        config: &FineTuneRun,
        folds: usize,
        options: &RunOptions,
    ) -> Result<FineTuneSummary> {
        self.start
            .recipe(&config.of_fold(0), config.train.steps)
            .check()?;
        let run = self.begin(config, options)?;
        let (mut models, mut predictions) = (Vec::new(), Vec::new());
        for fold in 0..folds {
            tracing::info!("fold {} of {folds}", fold + 1);
            let out = options.out.join(format!("fold-{fold}"));
            let options = RunOptions {
                resume: run_folder::config_file(&out).exists(),
                out,
                ..options.clone()
            };
            let (summary, predicted) = self
                .one(&config.of_fold(fold), &options)
                .map_err(|error| of_fold(error, fold, &options))?;
            let (Some(outcome), Some(predicted)) = (&summary.outcome, predicted) else {
                return Ok(summary);
            };
            models.push(Fold {
                run: options.out,
                best_step: outcome.best_step,
                validation_loss: outcome.validation_loss,
                n_validation: outcome.n_validation,
            });
            predictions.push(predicted);
        }
        let steps = median(models.iter().map(|model| model.best_step));
        tracing::info!("all labelled galaxies, {steps} steps: the median of the folds' best");
        self.train(run, config, steps, options, |_, _| {
            let (roles, predicted) = folds::join(&predictions);
            (roles, predicted, models)
        })
    }

    /// Trains a model for at most so many steps and writes it; `publish` says what is written as predictions, given its
    /// own, and which models of folds they are from.
    fn train(
        &self,
        run: StageRun<'_, FineTuneRun>,
        config: &FineTuneRun,
        steps: u64,
        options: &RunOptions,
        publish: impl FnOnce(Vec<Role>, Array2<f64>) -> (Vec<Role>, Array2<f64>, Vec<Fold>),
    ) -> Result<FineTuneSummary> {
        let Start {
            encoder,
            source,
            data,
            ..
        } = self.start;
        let network = self.start.network(config, &self.device.clone().autodiff());
        let parameters = network.trained_parameters();
        let mut outcome = None;
        let stage = fit(
            run,
            &self.start.recipe(config, steps),
            self.start.inputs(config),
            (network, parameters),
            self.device,
            |fitted, path, resolved| {
                let network = fitted.network;
                if network.step <= config.optimizer.frozen_steps {
                    tracing::warn!(
                        "the weights that are kept are those of step {}, when the head still learned alone: the model is the \
                         one that was given; a lower optimizer.frozen_steps or backbone_lr_factor may help",
                        network.step
                    );
                }
                let backbone = network.model.backbone;
                if let Backbone::Aligned(_) = backbone {
                    tracing::warn!(
                        "the {source} transformer was trained on without the other: images and spectra no longer lie in one \
                         space; search among embeddings of the {source}, or align anew"
                    );
                }
                encoder
                    .clone()
                    .with_backbone(backbone)
                    .save(path, network.step, resolved)?;
                let (roles, predicted, folds) = publish(fitted.roles, fitted.predicted);
                let predictions = options.out.join(PREDICTIONS_FILE);
                write(&predictions, &data.own, &roles, &config.targets, &predicted)?;
                outcome = Some(FineTuneOutcome {
                    source: *source,
                    best_step: network.step,
                    validation_loss: network.validation_loss,
                    n_validation: fitted.n_validation
                        + folds.iter().map(|fold| fold.n_validation).sum::<usize>(),
                    folds,
                    predictions,
                    results: score(&data.split, &config.targets, &data.targets, &predicted),
                });
                Ok(())
            },
        )?;
        Ok(FineTuneSummary { stage, outcome })
    }
}

/// An error in a fold: one that ended it early says how the whole goes on.
fn of_fold(error: Error, fold: usize, options: &RunOptions) -> Error {
    let error = error.about(format!("fold {fold}"));
    match (error.kind(), options.out.parent()) {
        (Kind::Interrupted, Some(run)) => error.and(format!(
            ", and with the others by `{}`",
            resuming(FineTuneRun::STAGE, run)
        )),
        _ => error,
    }
}
