//! A run of a supervised network, from its galaxies to what it predicts.

use std::path::Path;
use std::sync::Arc;

use burn::tensor::Device;
use ndarray::{Array2, Axis};
use serde_json::Value;

use super::data::{Holdout, SupervisedData};
use super::inputs::Inputs;
use super::loader::Loader;
use crate::base::error::{Error, Result};
use crate::base::ranks::Ranks;
use crate::files::data::Galaxies;
use crate::network::model::Regressor;
use crate::survey::Role;
use crate::training::config::StageConfig;
use crate::training::objective::{
    Kept, RegressionConfig, RegressionObjective, RegressionOptimizer,
};
use crate::training::stages::StageSummary;
use crate::training::stages::replay::{self, Replay, ReplayOptions};
use crate::training::stages::run::{Batches, StageRun, batch_galaxies, compute};
use crate::training::train::RunConfig;
use crate::views::batch::TargetScaling;

/// How a network is trained.
pub(in crate::training::stages) struct Recipe<'a> {
    pub data: &'a SupervisedData,
    pub train: &'a RunConfig,
    /// The training galaxies that validate.
    pub holdout: Holdout,
    pub optimizer: RegressionOptimizer,
    /// As [`RegressionConfig::huber_delta`].
    pub huber_delta: Option<f64>,
    /// Steps between two looks at the validation galaxies.
    pub validate_every: u64,
    /// As [`RegressionConfig::patience`].
    pub patience: Option<u64>,
    /// Steps after which the run ends, at most those that `train` gives it.
    pub steps: u64,
}

/// A network that has been trained, and what it predicts.
pub(in crate::training::stages) struct Fitted<M> {
    pub network: Kept<M>,
    /// From its predictions to the targets' units.
    pub scaling: TargetScaling,
    /// Galaxies that decided which weights were kept.
    pub n_validation: usize,
    /// What each galaxy of the files is to it.
    pub roles: Vec<Role>,
    /// Predictions `(galaxies, targets)` for all galaxies, in the targets' units.
    pub predicted: Array2<f64>,
}

/// Trains `network`, predicts for all galaxies, and lets `export` write both.
///
/// # Errors
///
/// Bad data, a loss that turns non-finite, a full disk.
pub(in crate::training::stages) fn fit<C: StageConfig, M: Regressor>(
    run: StageRun<'_, C>,
    recipe: &Recipe<'_>,
    inputs: impl Inputs,
    (network, parameters): (M, usize),
    device: &Device,
    export: impl FnOnce(Fitted<M>, &Path, Value) -> Result<()>,
) -> Result<StageSummary> {
    let data = recipe.data;
    let (loader, fitted, validation) = recipe.loader(inputs)?;
    let (n_validation, roles) = (validation.len(), data.roles(&validation));
    tracing::info!(
        "{} training galaxies are fitted to, {n_validation} decide which weights are kept",
        fitted.len(),
    );

    let compute = compute(recipe.train, device, &Ranks::alone());
    let objective = recipe.objective(&loader.scaling);
    let validation = (n_validation > 0).then(|| loader.validation(validation));
    let mut objective = RegressionObjective::new(network, objective, validation, compute);
    let reader = loader.reader(fitted, recipe.train)?;
    let batches = Batches {
        from: |start| Ok(loader.training(reader.clone(), recipe.train, start)),
        galaxies: &|step| batch_galaxies(&reader, step),
    };
    run.train_on(
        &data.files,
        data.train.len(),
        parameters,
        &mut objective,
        batches,
        |objective, path, resolved| {
            let network = objective.kept()?;
            let network =
                network.ok_or_else(|| Error::run("the last step has not been validated"))?;
            let predicted = loader.predict(&network.model, device)?;
            let fitted = Fitted {
                network,
                scaling: loader.scaling.clone(),
                n_validation,
                roles,
                predicted,
            };
            export(fitted, path, resolved)
        },
    )
}

/// Takes a step of a run of [`fit`] again.
///
/// # Errors
///
/// Bad data, a damaged record.
pub(in crate::training::stages) fn replay_step<M: Regressor>(
    recipe: &Recipe<'_>,
    inputs: impl Inputs,
    network: M,
    options: &ReplayOptions,
    fewest: usize,
) -> Result<Replay> {
    let (loader, fitted, validation) = recipe.loader(inputs)?;
    let objective = recipe.objective(&loader.scaling);
    let validation = (!validation.is_empty()).then(|| loader.validation(validation));
    let compute = replay::compute(recipe.train);
    let mut objective = RegressionObjective::new(network, objective, validation, compute);
    let reader = loader.reader(fitted, recipe.train)?;
    let prepare = |step, galaxies: Galaxies| loader.augmented(step, galaxies);
    replay::replay(options, &reader, &mut objective, prepare, fewest)
}

impl Recipe<'_> {
    /// Says before a run begins whether there are galaxies enough.
    ///
    /// # Errors
    ///
    /// As [`SupervisedData::set_aside`].
    pub(in crate::training::stages) fn check(&self) -> Result<()> {
        let parts = self
            .data
            .set_aside(&self.holdout, self.train.seed, |_| true);
        parts.map(|_| ())
    }

    /// Makes batches; the galaxies that are fitted to, and those that validate.
    fn loader(&self, inputs: impl Inputs) -> Result<(Loader, Vec<usize>, Vec<usize>)> {
        let data = self.data;
        let (fitted, validation) = data.set_aside(&self.holdout, self.train.seed, |_| true)?;
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
            huber_delta: self.huber_delta,
            scaling: scaling.clone(),
            steps: self.steps,
            schedule_steps: self.train.schedule(),
            validate_every: self.validate_every,
            patience: self.patience,
            seed: self.train.seed,
        }
    }
}
