//! The step of one parameter under AdamW (Loshchilov & Hutter 2019).

use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::{Autodiff, Backend, Flex, tensor::FloatTensor};
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

extension! {
    /// A step on a backend's tensors.
    pub trait AdamWOps: Backend {
        /// Weight `(count,)`, first and second moment after a step with `gradient` `(count,)` times `factor` `(1,)`; all are
        /// `f32`.
        #[fusion(meta = |weight, _gradient, _factor, first, second, _constants| (weight.clone(), first.clone(), second.clone()))]
        fn adamw_step(
            weight: FloatTensor<Self>,
            gradient: FloatTensor<Self>,
            factor: FloatTensor<Self>,
            first: FloatTensor<Self>,
            second: FloatTensor<Self>,
            constants: AdamWConstants,
        ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
            let AdamWConstants {
                beta1,
                beta2,
                epsilon,
                rate,
                root_correction,
                kept,
            } = constants;
            let scaled = |tensor, factor: f64| Self::float_mul_scalar(tensor, factor.into());
            let gradient = Self::float_mul(gradient, factor);
            let square = Self::float_mul(gradient.clone(), gradient.clone());
            let first = Self::float_add(scaled(first, beta1), scaled(gradient, 1.0 - beta1));
            let second = Self::float_add(scaled(second, beta2), scaled(square, 1.0 - beta2));
            let root = scaled(Self::float_sqrt(second.clone()), root_correction.recip());
            let denominator = Self::float_add_scalar(root, epsilon.into());
            let change = scaled(Self::float_div(first.clone(), denominator), rate);
            let weight = Self::float_sub(scaled(weight, kept), change);
            (weight, first, second)
        }
    }
}

impl AdamWOps for Flex {}

/// Never differentiated: composed of what could be.
impl<B: AdamWOps, C: CheckpointStrategy> AdamWOps for Autodiff<B, C> {}
