//! Supervised regression, for the baselines and for fine-tuning.

use burn::tensor::{Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::FineTuneOptimizerConfig;
use super::buffers::Buffers;
use super::optimizer::Shared;
use super::trained::{Clip, Compute, Sums, Trained};
use crate::base::error::{Error, Result};
use crate::base::random::{Purpose, generator};
use crate::network::loss::{masked_huber, masked_mse};
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

/// How the parameters of a network follow the schedules.
#[derive(Debug, Clone, PartialEq)]
pub enum RegressionOptimizer {
    /// All alike.
    Uniform(RegressionOptimizerConfig),
    /// As those of a pretrained transformer of so many blocks, with a head.
    FineTuning(FineTuneOptimizerConfig, usize),
}

impl RegressionOptimizer {
    fn adamw(&self) -> &AdamWConfig {
        match self {
            Self::Uniform(config) => &config.adamw,
            Self::FineTuning(config, _) => &config.adamw,
        }
    }

    fn clip_norm(&self) -> f64 {
        match self {
            Self::Uniform(config) => config.clip_norm.unwrap_or(f64::INFINITY),
            Self::FineTuning(config, _) => config.clip_norm,
        }
    }

    /// Steps in which the head alone learns.
    fn frozen_steps(&self) -> u64 {
        match self {
            Self::Uniform(_) => 0,
            Self::FineTuning(config, _) => config.frozen_steps,
        }
    }

    /// The rate that stands for all, at `step` of `total`.
    fn learning_rate(&self, step: u64, total: u64) -> f64 {
        match self {
            Self::Uniform(config) => cosine_with_warmup(
                step,
                (config.lr, config.min_lr.unwrap_or(config.lr)),
                config.warmup_steps,
                total,
            ),
            Self::FineTuning(config, _) => config.learning_rate(step, total),
        }
    }

    fn rule(&self, name: &str, step: u64, total: u64) -> ParameterRule {
        match self {
            Self::Uniform(config) => ParameterRule {
                learning_rate: self.learning_rate(step, total),
                weight_decay: config.weight_decay,
            },
            Self::FineTuning(config, depth) => config.rule(name, *depth, step, total),
        }
    }
}

/// What regression needs beside the model.
#[derive(Debug, Clone, PartialEq)]
pub struct RegressionConfig {
    /// Optimisation.
    pub optimizer: RegressionOptimizer,
    /// Distance in standard deviations of a target beyond which an error counts by its size (Huber); where it is not given,
    /// all count by their squares.
    pub huber_delta: Option<f64>,
    /// Scaling of the targets.
    pub scaling: TargetScaling,
    /// Steps of the whole run: the last one is validated.
    pub steps: u64,
    /// Steps over which the schedule goes; later ones have its last value.
    pub schedule_steps: u64,
    /// Steps between two looks at the validation galaxies.
    pub validate_every: u64,
    /// Looks without a lower validation loss after which the run ends, those before all layers learn not counted; never
    /// where it is not given.
    pub patience: Option<u64>,
    /// Seed of dropout.
    pub seed: u64,
}

/// The batches of all validation galaxies, as often as they are asked for.
pub type ValidationBatches = Box<dyn Fn() -> Box<dyn Iterator<Item = Result<RegressionBatch>>>>;

/// Supervised regression with the loss of the known targets. The weights with the lowest validation loss are kept (paper
/// appendices B4 and B5), the last where nothing validates.
pub struct RegressionObjective<M> {
    trained: Trained<M>,
    config: RegressionConfig,
    validation: Option<ValidationBatches>,
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

/// A network whose weights are kept.
#[derive(Debug)]
pub struct Kept<M> {
    /// The network, without automatic differentiation.
    pub model: M,
    /// Steps that it has been trained for.
    pub step: u64,
    /// Its loss for the validation galaxies, in units of the targets' variance; none where nothing validates.
    pub validation_loss: Option<f64>,
}

impl<M: Regressor> RegressionObjective<M> {
    /// Trains `model`, which lives on the device of `compute`.
    pub fn new(
        model: M,
        config: RegressionConfig,
        validation: Option<ValidationBatches>,
        compute: Compute,
    ) -> Self {
        Self {
            trained: Trained::new(model, config.optimizer.adamw(), compute),
            config,
            validation,
            best: None,
            before: Buffers::default(),
        }
    }

    /// The network as it is to be kept after all steps; none where galaxies validate and have not been looked at.
    ///
    /// # Errors
    ///
    /// When a checkpoint held weights of another model.
    pub fn kept(&self) -> Result<Option<Kept<M>>> {
        let model = self.trained.model.valid();
        match (&self.best, &self.validation) {
            (Some(best), _) => Ok(Some(Kept {
                model: assign(model, best.parameters.clone())?,
                step: best.step,
                validation_loss: Some(f64::from(best.loss)),
            })),
            (None, None) => Ok(Some(Kept {
                model,
                step: self.config.steps,
                validation_loss: None,
            })),
            (None, Some(_)) => Ok(None),
        }
    }

    fn learning_rate(&self, step: u64) -> f64 {
        let total = self.config.schedule_steps;
        self.config.optimizer.learning_rate(step, total)
    }

    /// The loss of predictions, given targets and where they are known.
    fn loss(&self, predicted: Tensor<2>, (target, known): (TensorData, TensorData)) -> Tensor<1> {
        let device = predicted.device();
        let target = Tensor::<2>::from_data(target, &device);
        let known = Tensor::<2>::from_data(known, &device);
        match self.config.huber_delta {
            Some(delta) => masked_huber(predicted, target, known, delta),
            None => masked_mse(predicted, target, known),
        }
    }

    /// What the loss is called, of training and of validation galaxies.
    fn names(&self) -> (&'static str, &'static str) {
        match self.config.huber_delta {
            Some(_) => ("huber", "validation_huber"),
            None => ("mse", "validation_mse"),
        }
    }

    /// Looks at the validation galaxies after `step`, where it is time.
    fn measure(&mut self, step: u64) -> Result<StepUpdate> {
        let done = step + 1;
        let mut measured = Vec::new();
        let is_time = done.is_multiple_of(self.config.validate_every) || done == self.config.steps;
        if let Some(validation) = self.validation.as_ref().filter(|_| is_time) {
            let loss = self.validation_loss(validation)?;
            measured.push((self.names().1, f64::from(loss)));
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

    fn validation_loss(&self, validation: &ValidationBatches) -> Result<f32> {
        let (model, device) = (self.trained.model.valid(), self.trained.compute.inner());
        let (mut sum, mut known) = (0.0, 0.0);
        for batch in validation() {
            let batch = batch?;
            let count = batch.known_targets();
            if count == 0.0 {
                continue;
            }
            let predicted = model.predict(batch.inputs, &device, Pass::Inference);
            let loss = self.loss(predicted, (batch.targets, batch.known));
            sum += f64::from(loss.into_scalar::<f32>()) * count;
            known += count;
        }
        Ok((sum / known) as f32)
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
        let pass = match step < self.config.optimizer.frozen_steps() {
            true => Pass::HeadTraining(&mut rng),
            false => Pass::Training(&mut rng),
        };
        let (model, device) = (&self.trained.model, &self.trained.compute.device);
        self.before = Buffers::of(model);
        probe::galaxies(0..samples);
        let predicted = model.predict(batch.inputs, device, pass);
        let loss = self.loss(predicted, (batch.targets, batch.known));
        let mut sums = Sums::default();
        sums.add(model, vec![(self.names().0, loss)], 1.0);
        let limit = self.config.optimizer.clip_norm();
        let computed = sums.into_parts();
        Ok(self.trained.clipped(computed, &Clip::ALL, limit, samples))
    }

    fn update(&mut self, step: u64, gradients: Gradients) -> Result<StepUpdate> {
        self.before = Buffers::default();
        let (optimizer, total) = (&self.config.optimizer, self.config.schedule_steps);
        self.trained
            .update(gradients, |name| optimizer.rule(name, step, total));
        self.measure(step)
    }

    fn skip(&mut self, step: u64) -> Result<StepUpdate> {
        let model = self.trained.model.clone();
        self.trained.model = std::mem::take(&mut self.before).restore(model);
        self.measure(step)
    }

    fn is_complete(&self, done: u64) -> bool {
        let RegressionConfig {
            optimizer,
            steps,
            validate_every,
            patience,
            ..
        } = &self.config;
        let without_gain = self.best.as_ref().map(|best| {
            let since = best.step.max(optimizer.frozen_steps());
            done.saturating_sub(since) / validate_every
        });
        let out_of_patience = without_gain
            .zip(*patience)
            .is_some_and(|(looks, patience)| looks >= patience);
        done >= *steps || out_of_patience
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
