//! Masked modelling of spectra.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use tracing::debug_span;

use super::optimizer::Shared;
use super::trained::{Clip, Compute, Sums, Trained};
use crate::base::error::Result;
use crate::network::loss::masked_mse;
use crate::network::model::SpecFormer;
use crate::network::nn::{probe, widen};
use crate::training::train::{
    AdamWConfig, Checkpoint, Gradients, Objective, ParameterRule, StepGradients, StepUpdate,
    cosine_with_warmup,
};
use crate::views::batch::MaskedTokens;

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
    /// Steps over which the schedule goes; later ones have its last value.
    pub steps: u64,
}

/// Masked modelling of spectra (paper sect. 5.2, eq. A1).
#[derive(Debug)]
pub struct MaskedModellingObjective {
    trained: Trained<SpecFormer>,
    config: MaskedModellingConfig,
}

impl MaskedModellingObjective {
    /// Trains `model`, which lives on the device of `compute`.
    pub fn new(model: SpecFormer, config: MaskedModellingConfig, compute: Compute) -> Self {
        Self {
            trained: Trained::new(model, &config.optimizer.adamw, compute),
            config,
        }
    }

    /// The model as trained so far.
    pub fn model(&self) -> &SpecFormer {
        &self.trained.model
    }

    fn learning_rate(&self, step: u64) -> f64 {
        let optimizer = &self.config.optimizer;
        cosine_with_warmup(
            step,
            (optimizer.lr, optimizer.min_lr),
            optimizer.warmup_steps,
            self.config.steps,
        )
    }
}

impl Objective for MaskedModellingObjective {
    type Batch = MaskedTokens;

    fn gradients(&mut self, _step: u64, batch: MaskedTokens) -> Result<StepGradients> {
        let Compute {
            device,
            precision,
            micro_batch,
            ranks,
            ..
        } = self.trained.compute.clone();
        let samples = batch.target.shape()[0];
        let masked: f64 = ranks.numbers(batch.masked()).iter().sum();
        let masked = masked.max(1.0);
        let mut sums = Sums::default();
        let mut first = ranks.seat().place(samples).start;
        for part in batch.into_parts(micro_batch) {
            // Each masked value counts alike, in whatever part it is.
            let weight = part.masked() / masked;
            let spectra = part.target.shape()[0];
            probe::galaxies(first..first + spectra);
            first += spectra;
            let model = &self.trained.model;
            let target = Tensor::<3>::from_data(part.target, &device);
            let mask = Tensor::<3>::from_data(part.mask, &device);
            let visible = target.clone() * (mask.ones_like() - mask.clone());
            let loss = debug_span!("forward").in_scope(|| {
                let predicted = model.reconstruct(precision.of(visible));
                masked_mse(widen(predicted), target, mask)
            });
            sums.add(model, vec![("masked_mse", loss)], weight);
        }
        let limit = self.config.optimizer.clip_norm;
        let computed = sums.into_parts();
        Ok(self.trained.clipped(computed, &Clip::ALL, limit, samples))
    }

    fn update(&mut self, step: u64, gradients: Gradients) -> Result<StepUpdate> {
        let rule = ParameterRule {
            learning_rate: self.learning_rate(step),
            weight_decay: self.config.optimizer.weight_decay,
        };
        self.trained.update(gradients, |_| rule);
        self.skip(step)
    }

    fn skip(&mut self, step: u64) -> Result<StepUpdate> {
        Ok(StepUpdate {
            learning_rate: self.learning_rate(step),
            measured: Vec::new(),
        })
    }

    fn lend(&self) {
        self.trained.lend();
    }

    fn checkpoint(&self, step: u64) -> Checkpoint {
        self.trained.checkpoint("model", step)
    }

    fn restore(&mut self, mut checkpoint: Checkpoint) -> Result<()> {
        self.trained.restore("model", &mut checkpoint)
    }
}
