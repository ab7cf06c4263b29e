//! GELU with the exact error function.

use std::f64::consts::{FRAC_1_SQRT_2, PI};

use burn::backend::autodiff::{
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind},
};
use burn::backend::{Autodiff, Backend, Dispatch, TensorMetadata, tensor::FloatTensor};
use burn::tensor::{DType, Tensor};

use super::of_type;

/// x Φ(x) of every number.
pub fn gelu<const D: usize>(input: Tensor<D>) -> Tensor<D> {
    Tensor::from_dispatch(Dispatch::gelu_forward(input.into_dispatch()))
}

extension! {
    /// [`gelu`] on a backend's tensors.
    pub trait GeluOps: Backend {
        /// The output. Sums of numbers near 1 and -1 take more than the 8 bits of bf16; kernel fusion makes one pass of it all.
        #[fusion(default)]
        fn gelu_forward(input: FloatTensor<Self>) -> FloatTensor<Self> {
            let dtype = input.dtype();
            of_type::<Self>(Self::gelu(of_type::<Self>(input, DType::F32)), dtype)
        }

        /// The gradient of the input, given that of the output. A backend's own is that of an approximation by tanh, off by
        /// up to 1e-3.
        #[fusion(default)]
        fn gelu_gradient(input: FloatTensor<Self>, grad: FloatTensor<Self>) -> FloatTensor<Self> {
            let dtype = input.dtype();
            let [x, grad] = [input, grad].map(|tensor| of_type::<Self>(tensor, DType::F32));
            let scaled = |tensor, factor: f64| Self::float_mul_scalar(tensor, factor.into());
            let erf = Self::float_erf(scaled(x.clone(), FRAC_1_SQRT_2));
            let below = scaled(Self::float_add_scalar(erf, 1.0.into()), 0.5);
            let square = Self::float_mul(x.clone(), x.clone());
            let density = scaled(Self::float_exp(scaled(square, -0.5)), (2.0 * PI).sqrt().recip());
            let slope = Self::float_add(below, Self::float_mul(x, density));
            of_type::<Self>(Self::float_mul(slope, grad), dtype)
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
