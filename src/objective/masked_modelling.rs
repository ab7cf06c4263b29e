use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};
use tracing::debug_span;

use super::add;
use super::optimizer::Shared;
use crate::batch::{MaskedTokens, micro_batches};
use crate::error::Result;
use crate::loss::masked_mse;
use crate::model::SpecFormer;
use crate::nn::{Precision, widen};
use crate::train::{
    AdamW, AdamWConfig, Checkpoint, Gradients, Objective, ParameterRule, StepOutcome,
    cosine_with_warmup,
};
use crate::weights::{assign, named_parameters};

/// Optimisation of the spectrum transformer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpectrumOptimizerConfig {
    /// Peak learning rate, 0 or more.
    pub lr: f64,
    /// Learning rate at the end of the cosine, 0 to `lr`.
    #[serde(default)]
    pub min_lr: f64,
    /// Steps of linear warm-up, at most those of the run.
    pub warmup_steps: u64,
    /// Weight decay of all parameters, 0 or more.
    pub weight_decay: f64,
    /// Largest gradient norm, above 0; larger ones are scaled down.
    pub clip_norm: f64,
    /// Constants of AdamW.
    #[serde(default)]
    pub adamw: AdamWConfig,
}

impl SpectrumOptimizerConfig {
    /// Checks all values, for a run of so many steps; `path` stands in front of the fields' names.
    ///
    /// # Errors
    ///
    /// Names the first field that is out of range.
    pub fn check(&self, path: &str, steps: u64) -> Result<()> {
        Shared {
            lr: self.lr,
            min_lr: self.min_lr,
            warmup_steps: self.warmup_steps,
            weight_decay: self.weight_decay,
            clip_norm: Some(self.clip_norm),
            adamw: &self.adamw,
        }
        .check(path, steps)
    }
}

/// What masked modelling needs beside the model.
#[derive(Debug, Clone, PartialEq)]
pub struct MaskedModellingConfig {
    /// Optimisation.
    pub optimizer: SpectrumOptimizerConfig,
    /// Steps of the whole run, for the schedule.
    pub steps: u64,
}

/// Masked modelling of spectra (paper sect. 5.2, eq. A1).
#[derive(Debug)]
pub struct MaskedModellingObjective {
    model: SpecFormer,
    optimizer: AdamW,
    config: MaskedModellingConfig,
    micro_batch: Option<usize>,
    precision: Precision,
    device: Device,
}

impl MaskedModellingObjective {
    /// Trains `model`, which lives on `device` with automatic differentiation.
    pub fn new(model: SpecFormer, config: MaskedModellingConfig, device: &Device) -> Self {
        Self {
            optimizer: AdamW::new(config.optimizer.adamw.clone(), device),
            model,
            config,
            micro_batch: None,
            precision: Precision::F32,
            device: device.clone(),
        }
    }

    /// Lets at most so many spectra go through the model at once. Loss and gradients are those
    /// of the whole batch, up to rounding.
    pub fn in_micro_batches(self, size: Option<usize>) -> Self {
        Self {
            micro_batch: size,
            ..self
        }
    }

    /// Lets the transformers compute in `precision`.
    pub fn in_precision(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }

    /// The model as trained so far.
    pub fn model(&self) -> &SpecFormer {
        &self.model
    }
}

impl Objective for MaskedModellingObjective {
    type Batch = MaskedTokens;

    fn step(&mut self, step: u64, batch: MaskedTokens) -> Result<StepOutcome> {
        let samples = batch.target.shape()[0];
        let masked = batch.masked();
        let mut loss = None;
        let mut gradients = Gradients::default();
        for spectra in micro_batches(samples, self.micro_batch) {
            let part = batch.part(&spectra);
            // Each masked place counts alike, in whatever part it is.
            let share = part.masked() / masked;
            let target = Tensor::<3>::from_data(part.target, &self.device);
            let mask = Tensor::<3>::from_data(part.mask, &self.device);
            let visible = target.clone() * (mask.ones_like() - mask.clone());
            let term = debug_span!("forward").in_scope(|| {
                let predicted = self.model.reconstruct(self.precision.of(visible));
                masked_mse(widen(predicted), target, mask) * share
            });
            debug_span!("backward").in_scope(|| {
                let mut tape = term.backward();
                gradients.add(Gradients::collect(&self.model, &mut tape));
            });
            loss = add(loss, term.without_autodiff());
        }

        let optimizer = &self.config.optimizer;
        let norm =
            debug_span!("clip").in_scope(|| gradients.clip("", optimizer.clip_norm, &self.device));
        let learning_rate = cosine_with_warmup(
            step,
            (optimizer.lr, optimizer.min_lr),
            optimizer.warmup_steps,
            self.config.steps,
        );
        let rule = ParameterRule {
            learning_rate,
            weight_decay: optimizer.weight_decay,
        };
        self.model = debug_span!("optimizer")
            .in_scope(|| self.optimizer.step(self.model.clone(), gradients, |_| rule));
        Ok(StepOutcome {
            terms: loss.into_iter().map(|loss| ("masked_mse", loss)).collect(),
            norms: vec![("all", norm)],
            learning_rate,
            measured: Vec::new(),
            samples,
        })
    }

    fn checkpoint(&self, step: u64) -> Checkpoint {
        let (optimizer_steps, moments) = self.optimizer.state();
        let mut checkpoint = Checkpoint {
            step,
            optimizer_steps,
            ..Checkpoint::default()
        };
        checkpoint.insert("model", named_parameters(&self.model));
        checkpoint.insert("optimizer", moments);
        checkpoint
    }

    fn restore(&mut self, mut checkpoint: Checkpoint) -> Result<()> {
        self.model = assign(self.model.clone(), checkpoint.take("model"))?;
        self.optimizer
            .restore(checkpoint.optimizer_steps, checkpoint.take("optimizer"))
    }
}
