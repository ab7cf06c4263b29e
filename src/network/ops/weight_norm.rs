//! Weights of given directions and lengths (Salimans & Kingma 2016).

use burn::backend::autodiff::{
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind},
};
use burn::backend::{Autodiff, Backend, Dispatch, tensor::FloatTensor};
use burn::tensor::Tensor;

/// Rows `gain · direction / ‖direction‖`, of `directions` `(rows, width)` and `gains` `(rows, 1)` in `f32`.
pub fn weight_norm(directions: Tensor<2>, gains: Tensor<2>) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::weight_norm_forward(
        directions.into_dispatch(),
        gains.into_dispatch(),
    ))
}

extension! {
    /// [`weight_norm`] on a backend's tensors.
    pub trait WeightNormOps: Backend {
        /// The weights.
        #[fusion(default)]
        fn weight_norm_forward(
            directions: FloatTensor<Self>,
            gains: FloatTensor<Self>,
        ) -> FloatTensor<Self> {
            composed::<Self>(directions, gains)
        }

        /// The gradients of directions and gains, given that of the weights.
        #[fusion(default)]
        fn weight_norm_gradients(
            directions: FloatTensor<Self>,
            gains: FloatTensor<Self>,
            grad: FloatTensor<Self>,
        ) -> Vec<FloatTensor<Self>> {
            composed_gradients::<Self>(directions, gains, grad)
        }
    }
}

fn norms<B: Backend>(directions: FloatTensor<B>) -> FloatTensor<B> {
    let squares = B::float_mul(directions.clone(), directions);
    B::float_sqrt(B::float_sum_dim(squares, 1))
}

/// [`WeightNormOps::weight_norm_forward`] from a backend's own operations.
pub(super) fn composed<B: Backend>(
    directions: FloatTensor<B>,
    gains: FloatTensor<B>,
) -> FloatTensor<B> {
    let factors = B::float_div(gains, norms::<B>(directions.clone()));
    B::float_mul(directions, factors)
}

/// [`WeightNormOps::weight_norm_gradients`] from a backend's own operations.
pub(super) fn composed_gradients<B: Backend>(
    directions: FloatTensor<B>,
    gains: FloatTensor<B>,
    grad: FloatTensor<B>,
) -> Vec<FloatTensor<B>> {
    let norms = norms::<B>(directions.clone());
    let units = B::float_div(directions, norms.clone());
    let along = B::float_sum_dim(B::float_mul(grad.clone(), units.clone()), 1);
    let across = B::float_sub(grad, B::float_mul(units, along.clone()));
    vec![B::float_mul(across, B::float_div(gains, norms)), along]
}

#[cfg(any(feature = "cuda", feature = "wgpu"))]
impl WeightNormOps for burn_cubecl::CubeBackend {}

impl<B: WeightNormOps, C: CheckpointStrategy> WeightNormOps for Autodiff<B, C> {
    fn weight_norm_forward(
        directions: FloatTensor<Self>,
        gains: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let ((directions, d), (gains, g)) = (directions.into_parts(), gains.into_parts());
        match WeightNorm.prepare::<C>([d, g]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let state = (directions.clone(), gains.clone());
                prep.finish(state, B::weight_norm_forward(directions, gains))
            }
            OpsKind::UnTracked(prep) => prep.finish(B::weight_norm_forward(directions, gains)),
        }
    }
}

#[derive(Debug)]
struct WeightNorm;

impl<B: WeightNormOps> Backward<B, 2> for WeightNorm {
    /// Directions and gains.
    type State = (FloatTensor<B>, FloatTensor<B>);

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let (directions, gains) = ops.state;
        let gradients = B::weight_norm_gradients(directions, gains, grad);
        for (node, gradient) in ops.parents.into_iter().zip(gradients) {
            if let Some(node) = node {
                grads.register::<B>(node.id, gradient);
            }
        }
    }
}
