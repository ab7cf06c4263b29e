//! Cross entropy of softmaxes of scores with wanted distributions, row by row: what DINO and iBOT minimize (Caron et al. 2021,
//! eq. 1; Zhou et al. 2022, eq. 2). Rows have tens of thousands of scores, of which a CPU makes one pass each way.

use burn::backend::autodiff::{
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind},
};
use burn::backend::{Autodiff, Backend, Dispatch, tensor::FloatTensor};
use burn::tensor::Tensor;

/// −Σ wanted · log softmax(scores / temperature) of each row: `(rows, 1)`, of `wanted`, which is not differentiated, and
/// `scores`, both `(rows, classes)` in `f32`.
pub fn cross_entropy(wanted: Tensor<2>, scores: Tensor<2>, temperature: f64) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::cross_entropy_forward(
        wanted.into_dispatch(),
        scores.into_dispatch(),
        temperature,
    ))
}

extension! {
    /// [`cross_entropy`] on a backend's tensors.
    pub trait CrossEntropyOps: Backend {
        /// The cross entropies.
        #[fusion(default)]
        fn cross_entropy_forward(
            wanted: FloatTensor<Self>,
            scores: FloatTensor<Self>,
            temperature: f64,
        ) -> FloatTensor<Self> {
            let normalizers = Self::cross_entropy_normalizers(scores.clone(), temperature);
            Self::cross_entropy_recorded(wanted, scores, normalizers, temperature)
        }

        /// The log of each softmax's sum, `(rows, 1)`, for the backward pass too.
        #[fusion(default)]
        fn cross_entropy_normalizers(scores: FloatTensor<Self>, temperature: f64) -> FloatTensor<Self> {
            composed_normalizers::<Self>(scores, temperature)
        }

        /// The cross entropies, given the normalizers.
        #[fusion(default)]
        fn cross_entropy_recorded(
            wanted: FloatTensor<Self>,
            scores: FloatTensor<Self>,
            normalizers: FloatTensor<Self>,
            temperature: f64,
        ) -> FloatTensor<Self> {
            composed::<Self>(wanted, scores, normalizers, temperature)
        }

        /// The gradient of the scores, given that of the cross entropies.
        #[fusion(default)]
        fn cross_entropy_gradient(
            wanted: FloatTensor<Self>,
            scores: FloatTensor<Self>,
            normalizers: FloatTensor<Self>,
            grad: FloatTensor<Self>,
            temperature: f64,
        ) -> FloatTensor<Self> {
            composed_gradient::<Self>([wanted, scores, normalizers, grad], temperature)
        }
    }
}

/// [`CrossEntropyOps::cross_entropy_normalizers`] from a backend's own operations.
pub(super) fn composed_normalizers<B: Backend>(
    scores: FloatTensor<B>,
    temperature: f64,
) -> FloatTensor<B> {
    let scores = B::float_mul_scalar(scores, temperature.recip().into());
    let largest = B::float_max_dim(scores.clone(), 1);
    let shares = B::float_exp(B::float_sub(scores, largest.clone()));
    B::float_add(B::float_log(B::float_sum_dim(shares, 1)), largest)
}

/// [`CrossEntropyOps::cross_entropy_recorded`] from a backend's own operations.
pub(super) fn composed<B: Backend>(
    wanted: FloatTensor<B>,
    scores: FloatTensor<B>,
    normalizers: FloatTensor<B>,
    temperature: f64,
) -> FloatTensor<B> {
    let scores = B::float_mul_scalar(scores, temperature.recip().into());
    let below = B::float_sub(normalizers, scores);
    B::float_sum_dim(B::float_mul(wanted, below), 1)
}

/// [`CrossEntropyOps::cross_entropy_gradient`] from a backend's own operations.
pub(super) fn composed_gradient<B: Backend>(
    [wanted, scores, normalizers, grad]: [FloatTensor<B>; 4],
    temperature: f64,
) -> FloatTensor<B> {
    let scores = B::float_mul_scalar(scores, temperature.recip().into());
    let softmax = B::float_exp(B::float_sub(scores, normalizers));
    let total = B::float_sum_dim(wanted.clone(), 1);
    let slope = B::float_sub(B::float_mul(softmax, total), wanted);
    B::float_mul(slope, B::float_mul_scalar(grad, temperature.recip().into()))
}

#[cfg(any(feature = "cuda", feature = "wgpu"))]
impl CrossEntropyOps for burn_cubecl::CubeBackend {}

impl<B: CrossEntropyOps, C: CheckpointStrategy> CrossEntropyOps for Autodiff<B, C> {
    fn cross_entropy_forward(
        wanted: FloatTensor<Self>,
        scores: FloatTensor<Self>,
        temperature: f64,
    ) -> FloatTensor<Self> {
        let ((wanted, _), (scores, node)) = (wanted.into_parts(), scores.into_parts());
        match CrossEntropy.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let normalizers = B::cross_entropy_normalizers(scores.clone(), temperature);
                let output = B::cross_entropy_recorded(
                    wanted.clone(),
                    scores.clone(),
                    normalizers.clone(),
                    temperature,
                );
                prep.finish(([wanted, scores, normalizers], temperature), output)
            }
            OpsKind::UnTracked(prep) => {
                prep.finish(B::cross_entropy_forward(wanted, scores, temperature))
            }
        }
    }
}

#[derive(Debug)]
struct CrossEntropy;

impl<B: CrossEntropyOps> Backward<B, 1> for CrossEntropy {
    /// Wanted distributions, scores and normalizers; the temperature.
    type State = ([FloatTensor<B>; 3], f64);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let [Some(node)] = ops.parents else { return };
        let ([wanted, scores, normalizers], temperature) = ops.state;
        let gradient = B::cross_entropy_gradient(wanted, scores, normalizers, grad, temperature);
        grads.register::<B>(node.id, gradient);
    }
}
