//! The operations of [`lean`](super::lean) on GPUs: rows by kernels of our own, matrix products by the backend's.

use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, TensorMetadata};
use burn_cubecl::tensor::CubeTensor;
use burn_cubecl::{Cube, CubeBackend};

use super::composed::ScaledSoftmax;
use super::lean::{LeanGradients, LeanOps, composed_layer_norm, composed_self_attention};
use super::{Sequences, composed, cube};

impl<C: CheckpointStrategy> LeanOps for Autodiff<Cube, C> {
    fn lean_layer_norm(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self> {
        composed_layer_norm::<_, C>(input, weight, bias, epsilon)
    }

    fn lean_self_attention(
        qkv: FloatTensor<Self>,
        groups: Vec<Sequences>,
        heads: usize,
    ) -> FloatTensor<Self> {
        composed_self_attention::<_, C>(qkv, groups, heads)
    }
}

impl LeanOps for CubeBackend {
    fn lean_layer_norm(
        input: CubeTensor,
        weight: CubeTensor,
        bias: CubeTensor,
        epsilon: f64,
    ) -> CubeTensor {
        cube::layer_norm(input, weight, bias, epsilon)
    }

    fn lean_self_attention(qkv: CubeTensor, groups: Vec<Sequences>, heads: usize) -> CubeTensor {
        composed::self_attention::<Self>(qkv, &groups, heads)
    }
}

impl LeanGradients for CubeBackend {
    fn layer_norm_gradients(
        input: CubeTensor,
        weight: CubeTensor,
        grad: CubeTensor,
        epsilon: f64,
    ) -> (CubeTensor, CubeTensor, CubeTensor) {
        let width = weight.shape();
        let (input_grad, sums) = cube::layer_norm_backward(input, weight, grad, epsilon);
        let total = |parts| Self::float_reshape(Self::float_sum_dim(parts, 0), width.clone());
        (input_grad, total(sums.weight), total(sums.bias))
    }

    fn self_attention_gradient(
        qkv: CubeTensor,
        grad: CubeTensor,
        groups: Vec<Sequences>,
        heads: usize,
    ) -> CubeTensor {
        composed::self_attention_backward::<Self>(qkv, &groups, heads, grad)
    }
}

impl ScaledSoftmax for CubeBackend {
    fn scaled_softmax(scores: CubeTensor, scale: f64) -> CubeTensor {
        cube::softmax(scores, scale)
    }

    fn scaled_softmax_backward(
        scores: CubeTensor,
        grad: CubeTensor,
        scale: f64,
    ) -> (CubeTensor, CubeTensor) {
        cube::softmax_backward(scores, grad, scale)
    }
}
