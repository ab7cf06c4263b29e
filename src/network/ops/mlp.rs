//! Two linear layers with a GELU between, as one operation where the hidden values fit into the cache.

use burn::backend::autodiff::{
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind},
};
use burn::backend::{Autodiff, Dispatch, TensorMetadata, tensor::FloatTensor};
use burn::tensor::{Device, Tensor};

use super::gelu::{GeluOps, gelu};
use super::linear::{LinearOps, linear};
use crate::base::numeric::Factors;

/// Largest weight of a layer that is computed in one go, in numbers: bigger ones do not stay in the cache, and are better
/// read once for all rows.
const MAX_WEIGHT: usize = 1 << 18;

/// `(..., width)` to `(..., width)`, with `weight1` `(width, hidden)`, `bias1` `(hidden,)`, `weight2` `(hidden, width)` and
/// `bias2` `(width,)`. A CPU multiplies such `factors`, as in [`linear`].
pub fn mlp<const D: usize>(
    input: Tensor<D>,
    (weight1, bias1): (Tensor<2>, Tensor<1>),
    (weight2, bias2): (Tensor<2>, Tensor<1>),
    factors: Factors,
) -> Tensor<D> {
    let [width, hidden] = weight1.dims();
    // Devices compare by hardware: one with automatic differentiation equals the plain one. On a GPU the hidden values go
    // through memory, and to compute them again costs more than to keep them.
    if input.device() != Device::flex() || width * hidden > MAX_WEIGHT {
        let hidden = gelu(linear(input, weight1, bias1, factors));
        return linear(hidden, weight2, bias2, factors);
    }
    Tensor::from_dispatch(Dispatch::mlp_forward(
        input.into_dispatch(),
        weight1.into_dispatch(),
        bias1.into_dispatch(),
        weight2.into_dispatch(),
        bias2.into_dispatch(),
        factors,
    ))
}

extension! {
    /// [`mlp`] on a backend's tensors. Its backward pass computes the hidden values again.
    pub trait MlpOps: GeluOps + LinearOps {
        /// The output.
        #[fusion(default)]
        fn mlp_forward(
            input: FloatTensor<Self>,
            weight1: FloatTensor<Self>,
            bias1: FloatTensor<Self>,
            weight2: FloatTensor<Self>,
            bias2: FloatTensor<Self>,
            factors: Factors,
        ) -> FloatTensor<Self> {
            composed::<Self>(input, [weight1, bias1, weight2, bias2], factors)
        }

        /// The gradients of the inputs, in their order, given that of the output.
        #[fusion(default)]
        fn mlp_gradients(
            input: FloatTensor<Self>,
            weight1: FloatTensor<Self>,
            bias1: FloatTensor<Self>,
            weight2: FloatTensor<Self>,
            bias2: FloatTensor<Self>,
            grad: FloatTensor<Self>,
            factors: Factors,
        ) -> Vec<FloatTensor<Self>> {
            composed_gradients::<Self>(input, [weight1, bias1, weight2, bias2], grad, factors)
        }
    }
}

/// [`MlpOps::mlp_forward`] from a backend's own operations.
pub(super) fn composed<B: MlpOps>(
    input: FloatTensor<B>,
    [weight1, bias1, weight2, bias2]: [FloatTensor<B>; 4],
    factors: Factors,
) -> FloatTensor<B> {
    let hidden = B::gelu_forward(B::linear_forward(input, weight1, bias1, factors));
    B::linear_forward(hidden, weight2, bias2, factors)
}

/// [`MlpOps::mlp_gradients`] from a backend's own operations.
pub(super) fn composed_gradients<B: MlpOps>(
    input: FloatTensor<B>,
    [weight1, bias1, weight2, bias2]: [FloatTensor<B>; 4],
    grad: FloatTensor<B>,
    factors: Factors,
) -> Vec<FloatTensor<B>> {
    let types = [&weight1, &bias1, &weight2, &bias2].map(|tensor| tensor.dtype());
    let hidden = B::linear_forward(input.clone(), weight1.clone(), bias1, factors);
    let hidden_grad = B::linear_input_gradient(weight2, grad.clone(), factors);
    let weight2_grad = B::linear_weight_gradient(
        B::gelu_forward(hidden.clone()),
        grad.clone(),
        factors,
        types[2],
    );
    let hidden_grad = B::gelu_gradient(hidden, hidden_grad);
    vec![
        B::linear_input_gradient(weight1, hidden_grad.clone(), factors),
        B::linear_weight_gradient(input, hidden_grad.clone(), factors, types[0]),
        B::linear_bias_gradient(hidden_grad, types[1]),
        weight2_grad,
        B::linear_bias_gradient(grad, types[3]),
    ]
}

#[cfg(any(feature = "cuda", feature = "wgpu"))]
impl MlpOps for burn_cubecl::CubeBackend {}

impl<B: MlpOps, C: CheckpointStrategy> MlpOps for Autodiff<B, C> {
    fn mlp_forward(
        input: FloatTensor<Self>,
        weight1: FloatTensor<Self>,
        bias1: FloatTensor<Self>,
        weight2: FloatTensor<Self>,
        bias2: FloatTensor<Self>,
        factors: Factors,
    ) -> FloatTensor<Self> {
        let ((x, x_node), (w1, w1_node), (b1, b1_node)) =
            (input.into_parts(), weight1.into_parts(), bias1.into_parts());
        let ((w2, w2_node), (b2, b2_node)) = (weight2.into_parts(), bias2.into_parts());
        let nodes = [x_node, w1_node, b1_node, w2_node, b2_node];
        match Mlp.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let inputs = [&x, &w1, &b1, &w2, &b2].map(Clone::clone);
                let output = B::mlp_forward(x, w1, b1, w2, b2, factors);
                prep.finish((inputs, factors), output)
            }
            OpsKind::UnTracked(prep) => prep.finish(B::mlp_forward(x, w1, b1, w2, b2, factors)),
        }
    }
}

#[derive(Debug)]
struct Mlp;

impl<B: MlpOps> Backward<B, 5> for Mlp {
    /// The inputs, and what is multiplied.
    type State = ([FloatTensor<B>; 5], Factors);

    fn backward(self, ops: Ops<Self::State, 5>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let ([x, w1, b1, w2, b2], factors) = ops.state;
        let gradients = B::mlp_gradients(x, w1, b1, w2, b2, grad, factors);
        for (node, gradient) in ops.parents.into_iter().zip(gradients) {
            if let Some(node) = node {
                grads.register::<B>(node.id, gradient);
            }
        }
    }
}
