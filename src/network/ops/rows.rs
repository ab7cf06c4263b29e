//! Some rows of a tensor. In the backward pass too they are gathered: no row is taken twice, and to gather takes one pass
//! where to scatter takes a loop over all of them.

use burn::backend::autodiff::{
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind},
};
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Autodiff, Backend, Dispatch, TensorMetadata};
use burn::tensor::{Int, Tensor};

use super::of_type;

/// Some rows of a tensor.
#[derive(Debug)]
pub struct RowSubset {
    /// The rows that are in it, `(part,)`, none twice.
    pub rows: Tensor<1, Int>,
    /// Where each row of the whole is in the part, `(all,)`; anywhere if it is not.
    pub places: Tensor<1, Int>,
    /// 1 where a row is in the part, else 0, `(all, 1)`.
    pub present: Tensor<2>,
    /// Factors on what is added to rows, `(all, 1)`; 0 for those that are not in the part.
    pub scales: Tensor<2>,
}

/// The rows of `whole` `(all, width)` that are in `subset`, `(part, width)`.
pub fn take_rows(whole: Tensor<2>, subset: &RowSubset) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::take_rows(
        whole.into_dispatch(),
        subset.rows.clone().into_dispatch(),
        subset.places.clone().into_dispatch(),
        subset.present.clone().into_dispatch(),
    ))
}

extension! {
    /// [`take_rows`] on a backend's tensors.
    pub trait RowOps: Backend {
        /// The rows that are in a part.
        #[fusion(dtype = whole, shape = burn::tensor::Shape::from([rows[0], whole[1]]))]
        fn take_rows(
            whole: FloatTensor<Self>,
            rows: IntTensor<Self>,
            places: IntTensor<Self>,
            present: FloatTensor<Self>,
        ) -> FloatTensor<Self> {
            let _ = (places, present);
            Self::float_select(whole, 0, rows)
        }

        /// The gradient of the whole, given that of the part.
        #[fusion(default)]
        fn take_rows_gradient(
            grad: FloatTensor<Self>,
            places: IntTensor<Self>,
            present: FloatTensor<Self>,
        ) -> FloatTensor<Self> {
            spread::<Self>(grad, places, present)
        }
    }
}

/// [`RowOps::take_rows_gradient`] from a backend's own operations.
pub(super) fn spread<B: Backend>(
    grad: FloatTensor<B>,
    places: IntTensor<B>,
    present: FloatTensor<B>,
) -> FloatTensor<B> {
    let present = of_type::<B>(present, grad.dtype());
    B::float_mul(B::float_select(grad, 0, places), present)
}

impl<B: RowOps, C: CheckpointStrategy> RowOps for Autodiff<B, C> {
    fn take_rows(
        whole: FloatTensor<Self>,
        rows: IntTensor<Self>,
        places: IntTensor<Self>,
        present: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let ((whole, node), (present, _)) = (whole.into_parts(), present.into_parts());
        let part = B::take_rows(whole, rows, places.clone(), present.clone());
        match TakeRows.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((places, present), part),
            OpsKind::UnTracked(prep) => prep.finish(part),
        }
    }
}

#[derive(Debug)]
struct TakeRows;

impl<B: RowOps> Backward<B, 1> for TakeRows {
    /// Places, and whether a row is present.
    type State = (IntTensor<B>, FloatTensor<B>);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let [Some(node)] = ops.parents else { return };
        let (places, present) = ops.state;
        grads.register::<B>(node.id, B::take_rows_gradient(grad, places, present));
    }
}
