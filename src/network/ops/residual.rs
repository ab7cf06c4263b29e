//! What a residual branch gives, times a factor for each channel (LayerScale, Touvron et al. 2021), added to the rows that it
//! has seen.

#![allow(
    clippy::large_enum_variant,
    reason = "tensors of a GPU are large to clippy, also in what `ExtensionType` writes; one is made for each branch"
)]

use burn::backend::autodiff::{
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind},
};
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Autodiff, Backend, Dispatch, ExtensionType, TensorMetadata};
use burn::tensor::{DType, Shape, Tensor};

use super::{RowSubset, of_type};

/// `whole` `(all, width)` plus `branch` times `gamma` `(width,)`, of 1 where there is none. A branch has seen all rows, or
/// those of a subset, whose factors then go on top: `(all, width)` or `(part, width)`.
pub fn add_branch(
    whole: Tensor<2>,
    branch: Tensor<2>,
    gamma: Option<Tensor<1>>,
    seen: Option<&RowSubset>,
) -> Tensor<2> {
    if gamma.is_none() && seen.is_none() {
        return whole + branch;
    }
    let gamma =
        gamma.unwrap_or_else(|| Tensor::ones([branch.dims()[1]], (&branch.device(), DType::F32)));
    let seen = match seen {
        Some(subset) => Seen::Some {
            rows: subset.rows.clone().into_dispatch(),
            places: subset.places.clone().into_dispatch(),
            scales: subset.scales.clone().into_dispatch(),
        },
        None => Seen::All,
    };
    let [whole, branch] = [whole, branch].map(Tensor::into_dispatch);
    Tensor::from_dispatch(Dispatch::add_branch(
        whole,
        branch,
        gamma.into_dispatch(),
        seen,
    ))
}

/// The rows that a branch has seen.
#[derive(Debug, Clone, ExtensionType)]
#[extension_type(fusion: cfg(any(feature = "cuda", feature = "wgpu")))]
#[allow(missing_docs)]
pub enum Seen<B: Backend> {
    All,
    /// As in [`RowSubset`].
    Some {
        rows: IntTensor<B>,
        places: IntTensor<B>,
        scales: FloatTensor<B>,
    },
}

extension! {
    /// [`add_branch`] on a backend's tensors.
    pub trait ResidualOps: Backend {
        /// The sum.
        #[fusion(dtype = whole, shape = whole)]
        fn add_branch(
            whole: FloatTensor<Self>,
            branch: FloatTensor<Self>,
            gamma: FloatTensor<Self>,
            #[extension_type] seen: Seen<Self>,
        ) -> FloatTensor<Self> {
            composed::<Self>(whole, branch, gamma, seen)
        }

        /// The gradients of the branch and of its factors, given that of the sum; the whole's is the same.
        #[fusion(meta = |branch, gamma, _grad, _seen| (branch.clone(), gamma.clone()))]
        fn add_branch_gradients(
            branch: FloatTensor<Self>,
            gamma: FloatTensor<Self>,
            grad: FloatTensor<Self>,
            #[extension_type] seen: Seen<Self>,
        ) -> (FloatTensor<Self>, FloatTensor<Self>) {
            composed_gradients::<Self>(branch, gamma, grad, seen)
        }
    }
}

/// [`ResidualOps::add_branch`] from a backend's own operations.
pub(super) fn composed<B: Backend>(
    whole: FloatTensor<B>,
    branch: FloatTensor<B>,
    gamma: FloatTensor<B>,
    seen: Seen<B>,
) -> FloatTensor<B> {
    let dtype = whole.dtype();
    let scaled = B::float_mul(branch, as_row::<B>(gamma, dtype));
    match seen {
        Seen::All => B::float_add(whole, scaled),
        Seen::Some { places, scales, .. } => {
            let spread = B::float_select(scaled, 0, places);
            let scales = of_type::<B>(scales, dtype);
            B::float_add(whole, B::float_mul(spread, scales))
        }
    }
}

/// [`ResidualOps::add_branch_gradients`] from a backend's own operations.
pub(super) fn composed_gradients<B: Backend>(
    branch: FloatTensor<B>,
    gamma: FloatTensor<B>,
    grad: FloatTensor<B>,
    seen: Seen<B>,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let (shape, dtype) = (gamma.shape(), gamma.dtype());
    let grad = match seen {
        Seen::All => grad,
        Seen::Some { rows, scales, .. } => {
            let scales = of_type::<B>(scales, grad.dtype());
            let scales = B::float_select(scales, 0, rows.clone());
            B::float_mul(B::float_select(grad, 0, rows), scales)
        }
    };
    let gamma = as_row::<B>(gamma, grad.dtype());
    let branch_grad = B::float_mul(grad.clone(), gamma);
    let sum = B::float_sum_dim(B::float_mul(grad, branch), 0);
    (
        branch_grad,
        of_type::<B>(B::float_reshape(sum, shape), dtype),
    )
}

fn as_row<B: Backend>(gamma: FloatTensor<B>, dtype: DType) -> FloatTensor<B> {
    let width = gamma.shape().num_elements();
    B::float_reshape(of_type::<B>(gamma, dtype), Shape::from([1, width]))
}

impl<B: ResidualOps, C: CheckpointStrategy> ResidualOps for Autodiff<B, C> {
    fn add_branch(
        whole: FloatTensor<Self>,
        branch: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        seen: Seen<Self>,
    ) -> FloatTensor<Self> {
        let ((whole, w), (branch, b), (gamma, g)) =
            (whole.into_parts(), branch.into_parts(), gamma.into_parts());
        let seen = match seen {
            Seen::All => Seen::All,
            Seen::Some {
                rows,
                places,
                scales,
            } => Seen::Some {
                rows,
                places,
                scales: scales.into_parts().0,
            },
        };
        match AddBranch.prepare::<C>([w, b, g]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let state = (branch.clone(), gamma.clone(), seen.clone());
                prep.finish(state, B::add_branch(whole, branch, gamma, seen))
            }
            OpsKind::UnTracked(prep) => prep.finish(B::add_branch(whole, branch, gamma, seen)),
        }
    }
}

#[derive(Debug)]
struct AddBranch;

impl<B: ResidualOps> Backward<B, 3> for AddBranch {
    /// The branch's output, its factors, the rows that it has seen.
    type State = (FloatTensor<B>, FloatTensor<B>, Seen<B>);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let (branch, gamma, seen) = ops.state;
        let [whole_node, branch_node, gamma_node] = ops.parents;
        if branch_node.is_some() || gamma_node.is_some() {
            let (branch, gamma) = B::add_branch_gradients(branch, gamma, grad.clone(), seen);
            for (node, gradient) in [(branch_node, branch), (gamma_node, gamma)] {
                if let Some(node) = node {
                    grads.register::<B>(node.id, gradient);
                }
            }
        }
        if let Some(node) = whole_node {
            grads.register::<B>(node.id, grad);
        }
    }
}
