//! The step of one parameter under AdamW (Loshchilov & Hutter 2019).

use burn::backend::{Backend, tensor::FloatTensor};
use burn::tensor::Tensor;

/// The numbers of one parameter's step.
#[derive(Debug, Clone, Copy)]
pub struct AdamWConstants {
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Learning rate over the correction of the first moment's bias.
    pub rate: f64,
    /// Root of the correction of the second moment's bias.
    pub root_correction: f64,
    /// What is left of the weight: one minus learning rate times weight decay.
    pub kept: f64,
}

/// Running moments of a parameter's gradient.
#[derive(Debug, Clone)]
pub struct Moments {
    /// Of the gradient, `(count,)`.
    pub first: Tensor<1>,
    /// Of its square, `(count,)`.
    pub second: Tensor<1>,
}

/// Weight `(count,)`, first and second moment after a step with `gradient` `(count,)` times `factor` `(1,)`; all are `f32`.
pub(super) fn step<B: Backend>(
    weight: FloatTensor<B>,
    gradient: FloatTensor<B>,
    factor: FloatTensor<B>,
    [first, second]: [FloatTensor<B>; 2],
    constants: AdamWConstants,
) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
    let AdamWConstants {
        beta1,
        beta2,
        epsilon,
        rate,
        root_correction,
        kept,
    } = constants;
    let scaled = |tensor, factor: f64| B::float_mul_scalar(tensor, factor.into());
    let gradient = B::float_mul(gradient, factor);
    let square = B::float_mul(gradient.clone(), gradient.clone());
    let first = B::float_add(scaled(first, beta1), scaled(gradient, 1.0 - beta1));
    let second = B::float_add(scaled(second, beta2), scaled(square, 1.0 - beta2));
    let root = scaled(B::float_sqrt(second.clone()), root_correction.recip());
    let denominator = B::float_add_scalar(root, epsilon.into());
    let change = scaled(B::float_div(first.clone(), denominator), rate);
    let weight = B::float_sub(scaled(weight, kept), change);
    (weight, first, second)
}
