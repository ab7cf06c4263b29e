//! Layer normalization of the last axis, in `f32` whatever enters.

use burn::backend::autodiff::{
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind},
};
use burn::backend::{Autodiff, Backend, Dispatch, TensorMetadata, tensor::FloatTensor};
use burn::tensor::{DType, FloatDType, Shape, Tensor};

/// Normalizes the rows of `(..., width)` with `weight` and `bias`, both `(width,)` and `f32`, to the type of the input.
pub fn layer_norm<const D: usize>(
    input: Tensor<D>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    epsilon: f64,
) -> Tensor<D> {
    Tensor::from_dispatch(Dispatch::layer_norm_forward(
        input.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
        epsilon,
    ))
}

extension! {
    /// [`layer_norm`] on a backend's tensors.
    pub trait LayerNormOps: Backend {
        /// The output.
        #[fusion(dtype = input, shape = input)]
        fn layer_norm_forward(
            input: FloatTensor<Self>,
            weight: FloatTensor<Self>,
            bias: FloatTensor<Self>,
            epsilon: f64,
        ) -> FloatTensor<Self> {
            Self::layer_norm_recorded(input, weight, bias, epsilon).0
        }

        /// The output, and what the backward pass is given beside the input: the mean and the inverse deviation of each
        /// row, `(rows, 2)`, or, where it computes them again, the input once more, which takes no memory.
        #[fusion(meta = |input, _weight, _bias, _epsilon| (input.clone(), input.clone()))]
        fn layer_norm_recorded(
            input: FloatTensor<Self>,
            weight: FloatTensor<Self>,
            bias: FloatTensor<Self>,
            epsilon: f64,
        ) -> (FloatTensor<Self>, FloatTensor<Self>) {
            composed::<Self>(input, weight, bias, epsilon)
        }

        /// The gradients of input, weight and bias, given that of the output.
        #[fusion(meta = |input, weight, _kept, _grad, _epsilon| (input.clone(), weight.clone(), weight.clone()))]
        fn layer_norm_gradients(
            input: FloatTensor<Self>,
            weight: FloatTensor<Self>,
            kept: FloatTensor<Self>,
            grad: FloatTensor<Self>,
            epsilon: f64,
        ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
            let _ = kept;
            composed_gradients::<Self>(input, weight, grad, epsilon)
        }
    }
}

/// [`LayerNormOps::layer_norm_recorded`] from a backend's own operations.
pub(super) fn composed<B: Backend>(
    input: FloatTensor<B>,
    weight: FloatTensor<B>,
    bias: FloatTensor<B>,
    epsilon: f64,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let wide = B::float_cast(input.clone(), FloatDType::F32);
    let output = B::layer_norm(wide, weight, Some(bias), epsilon);
    (B::float_cast(output, DType::into(input.dtype())), input)
}

/// [`LayerNormOps::layer_norm_gradients`] from a backend's own operations: what the forward pass went through is computed
/// again, so that neither the widened nor the normalized values are kept.
pub(super) fn composed_gradients<B: Backend>(
    input: FloatTensor<B>,
    weight: FloatTensor<B>,
    grad: FloatTensor<B>,
    epsilon: f64,
) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
    let (shape, dtype) = (input.shape(), DType::into(input.dtype()));
    let [width] = weight.shape().dims();
    let rows = shape.num_elements() / width;
    let [input, grad] = [input, grad].map(|tensor| {
        let rows = B::float_reshape(tensor, Shape::from([rows, width]));
        B::float_cast(rows, FloatDType::F32)
    });
    let centred = B::float_sub(input.clone(), B::float_mean_dim(input, 1));
    let variance = B::float_mean_dim(B::float_mul(centred.clone(), centred.clone()), 1);
    let deviation = B::float_sqrt(B::float_add_scalar(variance, epsilon.into()));
    let normalized = B::float_div(centred, deviation.clone());

    let weight = B::float_reshape(weight, Shape::from([1, width]));
    let inner = B::float_mul(grad.clone(), weight);
    let weighted = B::float_mul(grad.clone(), normalized.clone());
    let mean = B::float_mean_dim(inner.clone(), 1);
    let slope = B::float_mean_dim(B::float_mul(inner.clone(), normalized.clone()), 1);
    let along = B::float_add(mean, B::float_mul(normalized, slope));
    let input_grad = B::float_div(B::float_sub(inner, along), deviation);
    let input_grad = B::float_reshape(B::float_cast(input_grad, dtype), shape);
    let over_rows = |tensor| B::float_reshape(B::float_sum_dim(tensor, 0), Shape::from([width]));
    (input_grad, over_rows(weighted), over_rows(grad))
}

impl<B: LayerNormOps, C: CheckpointStrategy> LayerNormOps for Autodiff<B, C> {
    fn layer_norm_forward(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self> {
        let ((input, x), (weight, w), (bias, b)) =
            (input.into_parts(), weight.into_parts(), bias.into_parts());
        match LayerNorm.prepare::<C>([x, w, b]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let (output, kept) =
                    B::layer_norm_recorded(input.clone(), weight.clone(), bias, epsilon);
                prep.finish((input, weight, kept, epsilon), output)
            }
            OpsKind::UnTracked(prep) => {
                prep.finish(B::layer_norm_forward(input, weight, bias, epsilon))
            }
        }
    }
}

#[derive(Debug)]
struct LayerNorm;

impl<B: LayerNormOps> Backward<B, 3> for LayerNorm {
    /// Input, weight, what the forward pass wants kept, epsilon.
    type State = (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>, f64);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let (input, weight, kept, epsilon) = ops.state;
        let (input, weight, bias) = B::layer_norm_gradients(input, weight, kept, grad, epsilon);
        for (node, gradient) in ops.parents.into_iter().zip([input, weight, bias]) {
            if let Some(node) = node {
                grads.register::<B>(node.id, gradient);
            }
        }
    }
}
