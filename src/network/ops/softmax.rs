//! Softmax of scaled scores, in `f32` whatever enters: what attention is composed of, beside matrix products.

use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::{Autodiff, Backend, Flex, TensorMetadata, tensor::FloatTensor};
use burn::tensor::{DType, FloatDType};

extension! {
    /// Softmax over the last of four axes.
    pub trait SoftmaxOps: Backend {
        /// Softmax of `scale` times the scores.
        #[fusion(dtype = scores, shape = scores)]
        fn scaled_softmax(scores: FloatTensor<Self>, scale: f64) -> FloatTensor<Self> {
            let dtype = DType::into(scores.dtype());
            Self::float_cast(wide_softmax::<Self>(scores, scale), dtype)
        }

        /// The same, and the gradient of the scores, given that of the softmax.
        #[fusion(meta = |scores, _grad, _scale| (scores.clone(), scores.clone()))]
        fn scaled_softmax_gradient(
            scores: FloatTensor<Self>,
            grad: FloatTensor<Self>,
            scale: f64,
        ) -> (FloatTensor<Self>, FloatTensor<Self>) {
            let dtype = DType::into(scores.dtype());
            let shares = wide_softmax::<Self>(scores, scale);
            let weighted = Self::float_mul(shares.clone(), Self::float_cast(grad, FloatDType::F32));
            let total = Self::float_sum_dim(weighted.clone(), 3);
            let slope = Self::float_sub(weighted, Self::float_mul(shares.clone(), total));
            let scores_grad = Self::float_mul_scalar(slope, scale.into());
            (Self::float_cast(shares, dtype), Self::float_cast(scores_grad, dtype))
        }
    }
}

fn wide_softmax<B: Backend>(scores: FloatTensor<B>, scale: f64) -> FloatTensor<B> {
    let scores = B::float_cast(scores, FloatDType::F32);
    B::softmax(B::float_mul_scalar(scores, scale.into()), 3)
}

impl SoftmaxOps for Flex {}

/// Composed of differentiable operations: attention, which alone uses it, has a backward pass of its own.
impl<B: SoftmaxOps, C: CheckpointStrategy> SoftmaxOps for Autodiff<B, C> {}
