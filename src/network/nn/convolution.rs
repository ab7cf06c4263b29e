//! Convolutions of images and of sequences.

use burn::module::{Module, Param};
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Tensor, module};

use super::Initializer;

/// Convolution of images without bias, padded with zeros by half the kernel.
#[derive(Module, Debug)]
pub struct Conv2d {
    /// `(outputs, inputs, side, side)`.
    pub weight: Param<Tensor<4>>,
    #[module(skip)]
    stride: usize,
}

impl Conv2d {
    /// A square kernel of `side` pixels; weights normal with variance 2 / (outputs · side²) (He et al. 2015,
    /// by fan-out as torchvision's ResNet).
    pub fn new(
        (inputs, outputs): (usize, usize),
        side: usize,
        stride: usize,
        init: &mut Initializer,
    ) -> Self {
        let std = (2.0 / (outputs * side * side) as f32).sqrt();
        Self {
            weight: init.truncated_normal([outputs, inputs, side, side], std),
            stride,
        }
    }

    /// `(batch, inputs, y, x)` to `(batch, outputs, y / stride, x / stride)`, rounded up.
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let [.., side] = self.weight.dims();
        let options = ConvOptions::new([self.stride; 2], [side / 2; 2], [1; 2], 1);
        module::conv2d(input, self.weight.val(), None, options)
    }
}

/// Convolution of sequences, padded with zeros by half the kernel.
#[derive(Module, Debug)]
pub struct Conv1d {
    /// `(outputs, inputs, length)`.
    pub weight: Param<Tensor<3>>,
    /// `(outputs,)`.
    pub bias: Param<Tensor<1>>,
}

impl Conv1d {
    /// PyTorch's default: weights and biases uniform in ±1/√(inputs · length).
    pub fn new(inputs: usize, outputs: usize, length: usize, init: &mut Initializer) -> Self {
        let bound = ((inputs * length) as f32).sqrt().recip();
        Self {
            weight: init.uniform([outputs, inputs, length], bound),
            bias: init.uniform([outputs], bound),
        }
    }

    /// `(batch, inputs, length)` to `(batch, outputs, length)`, one longer where the kernel is even.
    pub fn forward(&self, input: Tensor<3>) -> Tensor<3> {
        let [.., length] = self.weight.dims();
        let options = ConvOptions::new([1], [length / 2], [1], 1);
        module::conv1d(input, self.weight.val(), Some(self.bias.val()), options)
    }
}
