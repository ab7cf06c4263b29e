//! The rectifier with a learned slope.

use burn::module::{Module, Param};
use burn::tensor::{Tensor, activation};

use super::Initializer;

/// max(0, x) + slope · min(0, x) with a learned slope per channel, the second axis (He et al. 2015).
#[derive(Module, Debug)]
pub struct PRelu {
    /// Slopes, `(channels,)`.
    pub weight: Param<Tensor<1>>,
}

impl PRelu {
    /// All slopes 0.25, as in PyTorch.
    pub fn new(channels: usize, init: &mut Initializer) -> Self {
        Self {
            weight: init.constant([channels], 0.25),
        }
    }

    /// `(batch, channels, ...)` to the same.
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        activation::prelu(input, self.weight.val())
    }
}
