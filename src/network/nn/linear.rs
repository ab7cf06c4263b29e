//! The affine layer.

use burn::module::{Module, Param};
use burn::tensor::{DType, Device, Tensor};

use super::Initializer;
use super::precision::to_type_of;
use crate::network::ops::{Factors, linear};

/// Affine map of the last axis.
#[derive(Module, Debug)]
pub struct Linear {
    /// `(inputs, outputs)`; files hold it as `(outputs, inputs)`, as PyTorch does.
    pub weight: Param<Tensor<2>>,
    /// `(outputs,)`.
    pub bias: Param<Tensor<1>>,
}

impl Linear {
    /// Truncated-normal weights of standard deviation `std`, zero bias.
    pub fn new(inputs: usize, outputs: usize, std: f32, init: &mut Initializer) -> Self {
        Self {
            weight: init.truncated_normal([inputs, outputs], std),
            bias: init.constant([outputs], 0.0),
        }
    }

    /// PyTorch's default: weights and bias uniform in ±1/√inputs.
    pub fn new_uniform(inputs: usize, outputs: usize, init: &mut Initializer) -> Self {
        let bound = (inputs as f32).sqrt().recip();
        Self {
            weight: init.uniform([inputs, outputs], bound),
            bias: init.uniform([outputs], bound),
        }
    }

    /// `(..., inputs)` to `(..., outputs)`.
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        self.multiply(input, Factors::AsGiven)
    }

    /// [`Linear::forward`] with such factors.
    pub fn multiply<const D: usize>(&self, input: Tensor<D>, factors: Factors) -> Tensor<D> {
        let (weight, bias) = self.like(&input, factors);
        linear(input, weight, bias, factors)
    }

    /// Weight and bias in the type of `input`; a weight in bf16 stays so where that is what is multiplied. A GPU rounds them
    /// as it multiplies: two operations less for each, and gradients that never were bf16.
    pub(super) fn like<const D: usize>(
        &self,
        input: &Tensor<D>,
        factors: Factors,
    ) -> (Tensor<2>, Tensor<1>) {
        let (weight, bias) = (self.weight.val(), self.bias.val());
        if input.device() != Device::flex() {
            return (weight, bias);
        }
        let weight = match factors == Factors::Bf16 && weight.dtype() == DType::BF16 {
            true => weight,
            false => to_type_of(weight, input),
        };
        (weight, to_type_of(bias, input))
    }
}
