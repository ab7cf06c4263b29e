//! The token-wise perceptron of a transformer block.

use burn::module::Module;
use burn::tensor::Tensor;

use super::{Initializer, Linear};
use crate::network::ops::{Factors, mlp};

/// Two linear layers with an exact GELU between.
#[derive(Module, Debug)]
pub struct Mlp {
    /// Input to hidden.
    pub fc1: Linear,
    /// Hidden to output.
    pub fc2: Linear,
}

impl Mlp {
    /// `width` to `hidden` to `width`; `std_in` and `std_out` are the initial weights' deviations.
    pub fn new(
        width: usize,
        hidden: usize,
        (std_in, std_out): (f32, f32),
        init: &mut Initializer,
    ) -> Self {
        Self {
            fc1: Linear::new(width, hidden, std_in, init),
            fc2: Linear::new(hidden, width, std_out, init),
        }
    }

    /// `(..., width)` to `(..., width)`.
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        self.multiply(input, Factors::AsGiven)
    }

    /// [`Mlp::forward`] with such factors.
    pub fn multiply<const D: usize>(&self, input: Tensor<D>, factors: Factors) -> Tensor<D> {
        let like = |layer: &Linear| layer.like(&input, factors);
        let (first, second) = (like(&self.fc1), like(&self.fc2));
        mlp(input, first, second, factors)
    }
}
