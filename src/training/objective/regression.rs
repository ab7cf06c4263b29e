//! Supervised regression, for the baselines.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::buffers::Buffers;
use super::optimizer::Shared;
use super::trained::{Clip, Compute, Sums, Trained};
use crate::base::error::{Error, Result};
use crate::base::random::{Purpose, generator};
use crate::network::loss::masked_mse;
use crate::network::model::{Pass, Regressor};
use crate::network::nn::probe;
use crate::network::weights::{NamedTensor, TensorMap, assign, named_parameters};
use crate::training::train::{
    AdamWConfig, Checkpoint, Gradients, Objective, ParameterRule, StepGradients, StepUpdate,
    cosine_with_warmup,
};
use crate::views::batch::{RegressionBatch, TargetScaling};

/// Optimisation of a supervised network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegressionOptimizerConfig {
    /// Peak learning rate, 0 or more.
    pub lr: f64,
    /// Learning rate at the end of the cosine, 0 to `lr`; that of the peak where it is not given, which is then
    /// constant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_lr: Option<f64>,
    /// Steps of linear warm-up, at most those of the run.
    #[serde(default)]
    pub warmup_steps: u64,
    /// Weight decay of all parameters, 0 or more; 0 makes AdamW Adam.
    #[serde(default)]
    pub weight_decay: f64,
    /// Largest gradient norm, above 0, larger ones are scaled down; no limit where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip_norm: Option<f64>,
    /// Constants of AdamW.
    #[serde(default)]
    pub adamw: AdamWConfig,
}

impl RegressionOptimizerConfig {
    /// Checks all values, for a run of so many steps; `path` stands in front of the fields' names.
    ///
    /// # Errors
    ///
    /// Names the first field that is out of range.
    pub fn check(&self, path: &str, steps: u64) -> Result<()> {
        Shared {
            lr: self.lr,
            min_lr: self.min_lr.unwrap_or(self.lr),
            warmup_steps: self.warmup_steps,
            weight_decay: self.weight_decay,
            clip_norm: self.clip_norm,
            adamw: &self.adamw,
        }
        .check(path, steps)
    }
}

/// What regression needs beside the model.
#[derive(Debug, Clone, PartialEq)]
pub struct RegressionConfig {
    /// Optimisation.
    pub optimizer: RegressionOptimizerConfig,
    /// Scaling of the targets.
    pub scaling: TargetScaling,
    /// Steps of the whole run: the last one is validated.
    pub steps: u64,
    /// Steps over which the schedule goes; later ones have its last value.
    pub schedule_steps: u64,
    /// Steps between two looks at the validation galaxies.
    pub validate_every: u64,
    /// Seed of dropout.
    pub seed: u64,
}

/// The batches of all validation galaxies, as often as they are asked for.
pub type ValidationBatches = Box<dyn Fn() -> Box<dyn Iterator<Item = Result<RegressionBatch>>>>;

/// Supervised regression with the mean squared error of the known targets; the weights with the lowest
/// validation loss are kept (paper appendices B4 and B5).
pub struct RegressionObjective<M> {
    trained: Trained<M>,
    config: RegressionConfig,
    validation: ValidationBatches,
    best: Option<Best>,
    /// Running statistics before the step.
    before: Buffers,
}

/// The weights with the lowest validation loss so far.
struct Best {
    loss: f32,
    step: u64,
    parameters: TensorMap,
}

impl<M: Regressor> RegressionObjective<M> {
    /// Trains `model`, which lives on the device of `compute`.
    pub fn new(
        model: M,
        config: RegressionConfig,
        validation: ValidationBatches,
        compute: Compute,
    ) -> Self {
        Self {
            trained: Trained::new(model, &config.optimizer.adamw, compute),
            config,
            validation,
            best: None,
            before: Buffers::default(),
        }
    }

    /// The model with the lowest validation loss so far, without automatic differentiation; its loss, in units
    /// of the targets' variance; and the steps that it had been trained for. None before the first look at
    /// the validation galaxies.
    ///
    /// # Errors
    ///
    /// When a checkpoint held weights of another model.
    pub fn best(&self) -> Result<Option<(M, f64, u64)>> {
        let Some(best) = &self.best else {
            return Ok(None);
        };
        let model = assign(self.trained.model.valid(), best.parameters.clone())?;
        Ok(Some((model, f64::from(best.loss), best.step)))
    }

    fn learning_rate(&self, step: u64) -> f64 {
        let optimizer = &self.config.optimizer;
        cosine_with_warmup(
            step,
            (optimizer.lr, optimizer.min_lr.unwrap_or(optimizer.lr)),
            optimizer.warmup_steps,
            self.config.schedule_steps,
        )
    }

    /// Looks at the validation galaxies after `step`, where it is time.
    fn measure(&mut self, step: u64) -> Result<StepUpdate> {
        let done = step + 1;
        let mut measured = Vec::new();
        if done.is_multiple_of(self.config.validate_every) || done == self.config.steps {
            let loss = self.validation_loss()?;
            measured.push(("validation_mse", f64::from(loss)));
            let is_best = self.best.as_ref().is_none_or(|best| loss < best.loss);
            if is_best && loss.is_finite() {
                self.best = Some(Best {
                    loss,
                    step: done,
                    parameters: named_parameters(&self.trained.model),
                });
            }
        }
        Ok(StepUpdate {
            learning_rate: self.learning_rate(step),
            measured,
        })
    }

    fn validation_loss(&self) -> Result<f32> {
        let (model, device) = (self.trained.model.valid(), self.trained.compute.inner());
        let (mut squares, mut known) = (0.0, 0.0);
        for batch in (self.validation)() {
            let batch = batch?;
            let count = batch.known_targets();
            if count == 0.0 {
                continue;
            }
            let predicted = model.predict(batch.inputs, &device, Pass::Inference);
            let target = Tensor::<2>::from_data(batch.targets, &device);
            let mask = Tensor::<2>::from_data(batch.known, &device);
            let loss = masked_mse(predicted, target, mask);
            squares += f64::from(loss.into_scalar::<f32>()) * count;
            known += count;
        }
        Ok((squares / known) as f32)
    }

    /// Mean and deviation of the targets, by which a checkpoint knows its galaxies.
    fn scaling(&self) -> TensorMap {
        let TargetScaling { mean, std } = &self.config.scaling;
        let tensor = |values: &[f64]| NamedTensor {
            shape: vec![values.len()],
            values: values.iter().map(|&value| value as f32).collect(),
        };
        TensorMap::from([("mean".into(), tensor(mean)), ("std".into(), tensor(std))])
    }
}

impl<M: Regressor> Objective for RegressionObjective<M> {
    type Batch = RegressionBatch;

    fn gradients(&mut self, step: u64, batch: RegressionBatch) -> Result<StepGradients> {
        let samples = batch.targets.shape()[0];
        let mut rng = generator(self.config.seed, Purpose::Dropout, step);
        let pass = Pass::Training(&mut rng);
        let (model, device) = (&self.trained.model, &self.trained.compute.device);
        self.before = Buffers::of(model);
        probe::galaxies(0..samples);
        let predicted = model.predict(batch.inputs, device, pass);
        let target = Tensor::<2>::from_data(batch.targets, device);
        let mask = Tensor::<2>::from_data(batch.known, device);
        let mut sums = Sums::default();
        let loss = masked_mse(predicted, target, mask);
        sums.add(model, vec![("mse", loss)], 1.0);
        let limit = self.config.optimizer.clip_norm.unwrap_or(f64::INFINITY);
        let computed = sums.into_parts();
        Ok(self.trained.clipped(computed, &Clip::ALL, limit, samples))
    }

    fn update(&mut self, step: u64, gradients: Gradients) -> Result<StepUpdate> {
        let rule = ParameterRule {
            learning_rate: self.learning_rate(step),
            weight_decay: self.config.optimizer.weight_decay,
        };
        self.before = Buffers::default();
        self.trained.update(gradients, |_| rule);
        self.measure(step)
    }

    fn skip(&mut self, step: u64) -> Result<StepUpdate> {
        let model = self.trained.model.clone();
        self.trained.model = std::mem::take(&mut self.before).restore(model);
        self.measure(step)
    }

    fn checkpoint(&self, step: u64) -> Checkpoint {
        let mut checkpoint = self.trained.checkpoint("model", step);
        checkpoint.insert("targets", self.scaling());
        if let Some(best) = &self.best {
            // Steps are exact in f32 up to 16 million.
            let numbers = NamedTensor {
                shape: vec![2],
                values: vec![best.loss, best.step as f32],
            };
            checkpoint.insert("best", best.parameters.clone());
            let numbers = TensorMap::from([("loss_and_step".into(), numbers)]);
            checkpoint.insert("validation", numbers);
        }
        checkpoint
    }

    fn restore(&mut self, mut checkpoint: Checkpoint) -> Result<()> {
        if checkpoint.take("targets") != self.scaling() {
            return Err(Error::input(
                "resuming with other labels or training galaxies would make it another run; give the same \
                 --data, --labels and --targets, or start a run in another folder",
            ));
        }
        let numbers = checkpoint.take("validation").remove("loss_and_step");
        self.best = match numbers.as_ref().map(|numbers| &numbers.values[..]) {
            Some(&[loss, step]) => Some(Best {
                loss,
                step: step as u64,
                parameters: checkpoint.take("best"),
            }),
            _ => None,
        };
        self.trained.restore("model", &mut checkpoint)
    }
}
