//! Affine maps of the last axis.

use burn::backend::autodiff::{
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind},
};
use burn::backend::{Autodiff, Backend, Dispatch, TensorMetadata, tensor::FloatTensor};
use burn::tensor::{DType, Tensor};

use crate::base::numeric::Factors;

/// `(..., inputs)` times `weight` `(inputs, outputs)` plus `bias` `(outputs,)`: `(..., outputs)`, in the type of the input.
///
/// A CPU multiplies such `factors`, also for the gradients; an input in `f32` may then meet a weight in bf16, which has no
/// gradient. On a GPU weight and bias may be of another type than the input, and are rounded to it; their gradients are of
/// their own.
pub fn linear<const D: usize>(
    input: Tensor<D>,
    weight: Tensor<2>,
    bias: Tensor<1>,
    factors: Factors,
) -> Tensor<D> {
    Tensor::from_dispatch(Dispatch::linear_forward(
        input.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
        factors,
    ))
}

extension! {
    /// [`linear`] on a backend's tensors.
    pub trait LinearOps: Backend {
        /// The output.
        #[fusion(dtype = input, shape = {
            let mut shape = input.clone();
            let last = shape.num_dims() - 1;
            shape[last] = weight[1];
            shape
        })]
        fn linear_forward(
            input: FloatTensor<Self>,
            weight: FloatTensor<Self>,
            bias: FloatTensor<Self>,
            factors: Factors,
        ) -> FloatTensor<Self> {
            let _ = factors;
            Self::linear(input, weight, Some(bias))
        }

        /// The input as it is to be kept for the backward pass: of a view that is copied to be read, the copy, so that the
        /// whole behind the view is not kept for it.
        #[fusion(default)]
        fn linear_kept(input: FloatTensor<Self>) -> FloatTensor<Self> {
            input
        }

        /// The gradient of the input, given that of the output.
        #[fusion(dtype = grad, shape = {
            let mut shape = grad.clone();
            let last = shape.num_dims() - 1;
            shape[last] = weight[0];
            shape
        })]
        fn linear_input_gradient(
            weight: FloatTensor<Self>,
            grad: FloatTensor<Self>,
            factors: Factors,
        ) -> FloatTensor<Self> {
            let _ = factors;
            Self::linear_x_backward(weight, grad)
        }

        /// The gradient of the weight, which is of this type, given that of the output.
        #[fusion(dtype = *dtype, shape = {
            let (inputs, outputs) = (input.num_dims() - 1, grad.num_dims() - 1);
            burn::tensor::Shape::from([input[inputs], grad[outputs]])
        })]
        fn linear_weight_gradient(
            input: FloatTensor<Self>,
            grad: FloatTensor<Self>,
            factors: Factors,
            dtype: DType,
        ) -> FloatTensor<Self> {
            let _ = factors;
            Self::float_cast(Self::linear_weight_backward(input, grad), dtype.into())
        }

        /// The gradient of the bias, which is of this type, given that of the output.
        #[fusion(dtype = *dtype, shape = burn::tensor::Shape::from([grad[grad.num_dims() - 1]]))]
        fn linear_bias_gradient(grad: FloatTensor<Self>, dtype: DType) -> FloatTensor<Self> {
            let sum = Self::linear_bias_backward(grad);
            if sum.dtype() == dtype { sum } else { Self::float_cast(sum, dtype.into()) }
        }
    }
}

impl<B: LinearOps, C: CheckpointStrategy> LinearOps for Autodiff<B, C> {
    fn linear_forward(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        factors: Factors,
    ) -> FloatTensor<Self> {
        let ((input, x), (weight, w), (bias, b)) =
            (input.into_parts(), weight.into_parts(), bias.into_parts());
        match Linear.prepare::<C>([x, w, b]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let input = B::linear_kept(input);
                let state = (input.clone(), weight.clone(), bias.dtype(), factors);
                prep.finish(state, B::linear_forward(input, weight, bias, factors))
            }
            OpsKind::UnTracked(prep) => {
                prep.finish(B::linear_forward(input, weight, bias, factors))
            }
        }
    }
}

#[derive(Debug)]
struct Linear;

impl<B: LinearOps> Backward<B, 3> for Linear {
    /// Input, weight, type of the bias, what is multiplied.
    type State = (FloatTensor<B>, FloatTensor<B>, DType, Factors);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let (input, weight, bias_dtype, factors) = ops.state;
        let weight_dtype = weight.dtype();
        let [input_node, weight_node, bias_node] = ops.parents;
        if let Some(node) = input_node {
            let gradient = B::linear_input_gradient(weight, grad.clone(), factors);
            grads.register::<B>(node.id, gradient);
        }
        if let Some(node) = weight_node {
            let gradient = B::linear_weight_gradient(input, grad.clone(), factors, weight_dtype);
            grads.register::<B>(node.id, gradient);
        }
        if let Some(node) = bias_node {
            grads.register::<B>(node.id, B::linear_bias_gradient(grad, bias_dtype));
        }
    }
}
