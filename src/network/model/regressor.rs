//! What all supervised networks are to those who train them.

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use rand_chacha::ChaCha8Rng;

use crate::network::nn::Linear;

/// What a forward pass is for.
#[derive(Debug)]
pub enum Pass<'a> {
    /// Training: batch statistics, and dropout drawn from the generator.
    Training(&'a mut ChaCha8Rng),
    /// Training of the head of a pretrained model alone: what lies before it computes as in use, without a tape. A network
    /// that is trained from scratch is all head.
    HeadTraining(&'a mut ChaCha8Rng),
    /// Use of the trained model: running statistics, no dropout.
    Inference,
}

/// A network that predicts a few numbers for every galaxy of a batch.
pub trait Regressor: Module {
    /// Predictions `(batch, outputs)` of inputs `(batch, ...)`, which go to the model's `device`.
    fn predict(&self, inputs: TensorData, device: &Device, pass: Pass<'_>) -> Tensor<2>;
}

/// The last layer of a regressor: features `(batch, width)` to `(batch, outputs)`.
///
/// One output is a product and a sum, not a matrix product: those with a single column are wrong in burn's
/// fused GPU kernels (tracel-ai/burn issue 5122).
pub(super) fn regress(layer: &Linear, features: Tensor<2>) -> Tensor<2> {
    match layer.bias.dims() {
        [1] => {
            let weight = layer.weight.val().transpose();
            (features * weight).sum_dim(1) + layer.bias.val().unsqueeze()
        }
        _ => layer.forward(features),
    }
}
