//! Normalization of tokens, of vectors and of channels.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::{Initializer, widen};
use crate::network::ops::layer_norm;

/// Layer normalization of the last axis, with scale and shift.
#[derive(Module, Debug)]
pub struct LayerNorm {
    /// Scale, `(width,)`.
    pub weight: Param<Tensor<1>>,
    /// Shift, `(width,)`.
    pub bias: Param<Tensor<1>>,
    #[module(skip)]
    epsilon: f64,
}

impl LayerNorm {
    /// Scale one, shift zero.
    pub fn new(width: usize, epsilon: f64, init: &mut Initializer) -> Self {
        Self {
            weight: init.constant([width], 1.0),
            bias: init.constant([width], 0.0),
            epsilon,
        }
    }

    /// Normalizes `(..., width)`.
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        let (weight, bias) = (widen(self.weight.val()), widen(self.bias.val()));
        layer_norm(input, weight, bias, self.epsilon)
    }
}

/// Scales rows of `(rows, width)` to unit length; rows shorter than `epsilon` are divided by it
/// (PyTorch's `F.normalize`).
pub fn l2_normalize(input: Tensor<2>, epsilon: f64) -> Tensor<2> {
    // Below the root: the gradient of a root of zero is none.
    let square = input.clone().square().sum_dim(1);
    input / square.clamp_min(epsilon * epsilon).sqrt()
}

/// Shifts and scales every channel of every sample of `(batch, channels, length)` to mean zero and variance
/// one (Ulyanov et al. 2016), without weights.
pub fn instance_norm(input: Tensor<3>, epsilon: f64) -> Tensor<3> {
    let ([.., length], device) = (input.dims(), input.device());
    let (scale, shift) = (
        Tensor::ones([length], &device),
        Tensor::zeros([length], &device),
    );
    layer_norm(input, scale, shift, epsilon)
}
