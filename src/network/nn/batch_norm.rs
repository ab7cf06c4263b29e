//! Batch normalization of images.

use burn::module::{Module, Param, RunningState};
use burn::tensor::{Tensor, module};

use super::Initializer;

/// PyTorch's default.
const EPSILON: f64 = 1e-5;
/// Weight of the newest batch in the running statistics; PyTorch's default.
const MOMENTUM: f64 = 0.1;

/// Which mean and variance normalize.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Statistics {
    /// Those of the batch; the running ones follow them.
    Batch,
    /// The running ones.
    Running,
}

/// Batch normalization of images (Ioffe & Szegedy 2015), named as in PyTorch.
#[derive(Module, Debug)]
pub struct BatchNorm {
    /// Scale, `(channels,)`.
    pub weight: Param<Tensor<1>>,
    /// Shift, `(channels,)`.
    pub bias: Param<Tensor<1>>,
    /// Running mean, `(channels,)`.
    pub running_mean: RunningState<Tensor<1>>,
    /// Running variance, unbiased, `(channels,)`.
    pub running_var: RunningState<Tensor<1>>,
}

impl BatchNorm {
    /// Scale one, shift zero; running mean zero and variance one.
    pub fn new(channels: usize, init: &mut Initializer) -> Self {
        let device = init.device().clone();
        Self {
            weight: init.constant([channels], 1.0),
            bias: init.constant([channels], 0.0),
            running_mean: RunningState::new(Tensor::zeros([channels], &device)),
            running_var: RunningState::new(Tensor::ones([channels], &device)),
        }
    }

    /// Normalizes `(batch, channels, y, x)` per channel.
    pub fn forward(&self, input: Tensor<4>, statistics: Statistics) -> Tensor<4> {
        let (weight, bias) = (self.weight.val(), self.bias.val());
        let [batch, channels, height, width] = input.dims();
        match statistics {
            Statistics::Batch => {
                let normalized = module::batch_norm_train(input, weight, bias, EPSILON);
                let count = (batch * height * width) as f64;
                follow(&self.running_mean, normalized.mean);
                follow(
                    &self.running_var,
                    normalized.variance * (count / (count - 1.0)),
                );
                normalized.output
            }
            Statistics::Running => {
                let scale = weight / (self.running_var.value() + EPSILON).sqrt();
                let shift = bias - self.running_mean.value() * scale.clone();
                let per_channel = [1, channels, 1, 1];
                input * scale.reshape(per_channel) + shift.reshape(per_channel)
            }
        }
    }
}

/// Moves running statistics towards those of a batch.
fn follow(running: &RunningState<Tensor<1>>, batch: Tensor<1>) {
    running.update(running.value() * (1.0 - MOMENTUM) + batch.detach() * MOMENTUM);
    // Otherwise the value would lag one batch behind, and so would a checkpoint.
    running.value_sync();
}
