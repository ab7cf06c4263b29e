//! What the supervised networks on images and spectra share.

use std::sync::Arc;
use std::time::Instant;

use burn::tensor::{Device, TensorData};
use ndarray::{Array2, ArrayView1, Axis};
use serde::Serialize;

use super::data::SupervisedData;
use super::predictions::{PREDICTIONS_FILE, score, write};
use super::{BaselineOutcome, BaselineSummary};
use crate::base::error::{Error, Result};
use crate::base::progress::Progress;
use crate::evaluation::eval::Target;
use crate::files::data::loader::Prefetcher;
use crate::files::data::{BatchReader, Galaxies, RowSet, TrainingData};
use crate::network::model::{Pass, Regressor};
use crate::network::weights::{
    ModelFile, ModelKind, host_values, named_parameters, trainable_parameters,
};
use crate::training::config::{StageConfig, ValidationSection};
use crate::training::objective::{
    RegressionConfig, RegressionObjective, RegressionOptimizerConfig, ValidationBatches,
};
use crate::training::stages::RunOptions;
use crate::training::stages::replay::{self, Replay, ReplayOptions};
use crate::training::stages::run::{Batches, StageRun, batch_galaxies, compute};
use crate::training::train::RunConfig;
use crate::views::batch::{RegressionBatch, TargetScaling};

/// From galaxies as they are read to what a network sees.
pub(super) trait Inputs: Send + Sync + 'static {
    /// Inputs `(galaxies, ...)` for training, augmented; the first of them is at `place` in the run.
    fn augmented(&self, galaxies: Galaxies, place: u64) -> TensorData;

    /// Inputs `(galaxies, ...)` as they are.
    fn plain(&self, galaxies: Galaxies) -> TensorData;
}

/// What all networks share.
pub(super) struct Recipe<'a> {
    pub data: &'a SupervisedData,
    pub kind: ModelKind,
    pub targets: &'a [Target],
    pub train: &'a RunConfig,
    pub validation: &'a ValidationSection,
    pub optimizer: &'a RegressionOptimizerConfig,
}

/// Trains a network, exports the best weights, predicts for all galaxies and scores the test galaxies.
///
/// `build` makes the network on a device; `architecture` describes it with its preprocessing.
///
/// # Errors
///
/// Bad data, a run folder in use, a loss that turns non-finite.
pub(super) fn fit<C: StageConfig, M: Regressor, A: Serialize>(
    config: &C,
    recipe: &Recipe<'_>,
    inputs: impl Inputs,
    build: impl FnOnce(&Device) -> M,
    architecture: impl FnOnce(TargetScaling) -> A,
    options: &RunOptions,
    device: &Device,
) -> Result<BaselineSummary> {
    let data = recipe.data;
    let run = StageRun::begin(config, recipe.train, options, &[], device, Instant::now())?;
    let (loader, fitted, validation) = recipe.loader(inputs)?;
    let (n_validation, roles) = (validation.len(), data.roles(&validation));
    tracing::info!(
        "{} training galaxies are fitted to, {n_validation} decide which weights are kept",
        fitted.len(),
    );

    let model = build(&device.clone().autodiff());
    let parameters = trainable_parameters(&model);
    let scaling = loader.scaling.clone();
    let compute = compute(recipe.train, device);
    let validation = loader.validation(validation);
    let mut objective =
        RegressionObjective::new(model, recipe.objective(&scaling), validation, compute);
    let mut outcome = None;
    let reader = loader.reader(fitted, recipe.train)?;
    let batches = Batches {
        from: |start| Ok(loader.training(reader.clone(), recipe.train, start)),
        galaxies: &|step| batch_galaxies(&reader, step),
    };
    let stage = run.train_on(
        &data.files,
        data.train.len(),
        parameters,
        &mut objective,
        batches,
        |objective, path, resolved| {
            let best = objective.best()?;
            let (model, validation_mse, best_step) =
                best.ok_or_else(|| Error::run("the last step has not been validated"))?;
            ModelFile::new(recipe.kind, &architecture(scaling), best_step, resolved)
                .write(path, &named_parameters(&model))?;
            let predicted = loader.predict(&model, device)?;
            let predictions = options.out.join(PREDICTIONS_FILE);
            write(&predictions, &data.own, &roles, recipe.targets, &predicted)?;
            outcome = Some(BaselineOutcome {
                best_step,
                validation_mse,
                n_validation,
                predictions,
                results: score(&data.split, recipe.targets, &data.targets, &predicted),
            });
            Ok(())
        },
    )?;
    Ok(BaselineSummary { stage, outcome })
}

/// Takes a step of a run of [`fit`] again.
///
/// # Errors
///
/// Bad data, a damaged record.
pub(super) fn replay_step<M: Regressor>(
    recipe: &Recipe<'_>,
    inputs: impl Inputs,
    build: impl FnOnce(&Device) -> M,
    options: &ReplayOptions,
    fewest: usize,
) -> Result<Replay> {
    let (loader, fitted, validation) = recipe.loader(inputs)?;
    let objective = recipe.objective(&loader.scaling);
    let validation = loader.validation(validation);
    let compute = replay::compute(recipe.train);
    let model = build(&replay::device());
    let mut objective = RegressionObjective::new(model, objective, validation, compute);
    let reader = loader.reader(fitted, recipe.train)?;
    let prepare = |step, galaxies: Galaxies| loader.augmented(step, galaxies);
    replay::replay(options, &reader, &mut objective, prepare, fewest)
}

impl Recipe<'_> {
    /// Makes batches; the galaxies that are fitted to, and those that validate.
    fn loader(&self, inputs: impl Inputs) -> Result<(Loader, Vec<usize>, Vec<usize>)> {
        let data = self.data;
        let (fitted, validation) =
            data.set_aside(self.validation.fraction, self.train.seed, |_| true)?;
        let loader = Loader {
            files: data.files.clone(),
            targets: Arc::clone(&data.targets),
            inputs: Arc::new(inputs),
            scaling: TargetScaling::fit(data.targets.select(Axis(0), &fitted).view()),
            batch_size: self.train.batch_size,
        };
        Ok((loader, fitted, validation))
    }

    fn objective(&self, scaling: &TargetScaling) -> RegressionConfig {
        RegressionConfig {
            optimizer: self.optimizer.clone(),
            scaling: scaling.clone(),
            steps: self.train.steps,
            schedule_steps: self.train.schedule(),
            validate_every: self.validation.every,
            seed: self.train.seed,
        }
    }
}

/// Makes batches of galaxies in the background.
#[derive(Clone)]
struct Loader {
    files: TrainingData,
    targets: Arc<Array2<f64>>,
    inputs: Arc<dyn Inputs>,
    scaling: TargetScaling,
    batch_size: usize,
}

impl Loader {
    /// Galaxies of these rows with their targets.
    fn batch(&self, rows: &[usize], inputs: TensorData) -> RegressionBatch {
        let targets = self.targets.select(Axis(0), rows);
        self.scaling.batch(inputs, targets.view())
    }

    /// Reads the galaxies of every step among these rows.
    fn reader(&self, rows: Vec<usize>, run: &RunConfig) -> Result<BatchReader> {
        let rows = RowSet::new(rows.into_iter().map(|row| row..row + 1));
        let files = self.files.clone();
        files.into_batches_of(rows, run.seed, self.batch_size)
    }

    /// What the network sees of the galaxies of step `step`.
    fn augmented(&self, step: u64, galaxies: Galaxies) -> RegressionBatch {
        let rows = galaxies.rows.clone();
        let sample = step * self.batch_size as u64;
        self.batch(&rows, self.inputs.augmented(galaxies, sample))
    }

    /// Batches of all steps from `start` on.
    fn training(
        &self,
        reader: BatchReader,
        run: &RunConfig,
        start: u64,
    ) -> Prefetcher<RegressionBatch> {
        let loader = self.clone();
        reader.prefetch(start..run.steps, move |step, galaxies| {
            loader.augmented(step, galaxies)
        })
    }

    /// These galaxies as they are, in order, with their rows: those that can be used.
    fn plain(&self, rows: Arc<[usize]>) -> Prefetcher<(Vec<usize>, RegressionBatch)> {
        let loader = self.clone();
        let batches = rows.len().div_ceil(loader.batch_size) as u64;
        let make = move |batch: u64| {
            let start = batch as usize * loader.batch_size;
            let rows = &rows[start..(start + loader.batch_size).min(rows.len())];
            let galaxies = loader.files.read(rows)?;
            let rows = galaxies.rows.clone();
            let batch = loader.batch(&rows, loader.inputs.plain(galaxies));
            Ok((rows, batch))
        };
        Prefetcher::start(0..batches, make)
    }

    fn validation(&self, rows: Vec<usize>) -> ValidationBatches {
        let (loader, rows): (_, Arc<[usize]>) = (self.clone(), rows.into());
        Box::new(move || {
            let batches = loader.plain(Arc::clone(&rows));
            Box::new(batches.map(|batch| batch.map(|(_, batch)| batch)))
        })
    }

    /// Predictions `(galaxies, targets)` for all galaxies, in the targets' units; NaN for those that cannot be
    /// used.
    fn predict<M: Regressor>(&self, model: &M, device: &Device) -> Result<Array2<f64>> {
        let galaxies = self.files.dataset.len();
        let mut progress = Progress::new("predict", "galaxies", 0, galaxies as u64);
        let mut predicted = Array2::from_elem(self.targets.dim(), f32::NAN);
        for batch in self.plain((0..galaxies).collect()) {
            let (rows, batch) = batch?;
            if rows.is_empty() {
                continue;
            }
            let values = host_values(model.predict(batch.inputs, device, Pass::Inference));
            for (&row, values) in rows.iter().zip(values.chunks_exact(predicted.ncols())) {
                predicted.row_mut(row).assign(&ArrayView1::from(values));
            }
            progress.set(rows[rows.len() - 1] as u64 + 1, "");
        }
        progress.finish("");
        Ok(self.scaling.undo(predicted.view()))
    }
}
