//! GELU with the exact error function.

use burn::backend::autodiff::{
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind},
};
use burn::backend::{Autodiff, Backend, Dispatch, tensor::FloatTensor};
use burn::tensor::Tensor;

/// x Φ(x) of every number.
pub fn gelu<const D: usize>(input: Tensor<D>) -> Tensor<D> {
    Tensor::from_dispatch(Dispatch::gelu_forward(input.into_dispatch()))
}

extension! {
    /// [`gelu`] on a backend's tensors.
    pub trait GeluOps: Backend {
        /// The output.
        #[fusion(default)]
        fn gelu_forward(input: FloatTensor<Self>) -> FloatTensor<Self> {
            Self::gelu(input)
        }

        /// The gradient of the input, given that of the output.
        #[fusion(default)]
        fn gelu_gradient(input: FloatTensor<Self>, grad: FloatTensor<Self>) -> FloatTensor<Self> {
            Self::gelu_backward(input, grad)
        }
    }
}

#[cfg(any(feature = "cuda", feature = "wgpu"))]
impl GeluOps for burn_cubecl::CubeBackend {}

impl<B: GeluOps, C: CheckpointStrategy> GeluOps for Autodiff<B, C> {
    fn gelu_forward(input: FloatTensor<Self>) -> FloatTensor<Self> {
        let (input, node) = input.into_parts();
        match Gelu.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(input.clone(), B::gelu_forward(input)),
            OpsKind::UnTracked(prep) => prep.finish(B::gelu_forward(input)),
        }
    }
}

#[derive(Debug)]
struct Gelu;

impl<B: GeluOps> Backward<B, 1> for Gelu {
    /// The input.
    type State = FloatTensor<B>;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let [Some(node)] = ops.parents else { return };
        grads.register::<B>(node.id, B::gelu_gradient(ops.state, grad));
    }
}
