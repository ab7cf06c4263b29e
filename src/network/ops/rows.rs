//! A residual branch on some rows of a tensor alone. Rows that are put back into the whole are gathered from the part, in
//! both directions: no row is in it twice, and to gather takes one pass where to scatter takes a loop over all of them.

use burn::backend::autodiff::{
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind},
};
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Autodiff, Backend, Dispatch, Flex};
use burn::tensor::{Int, Tensor};

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
    let present = subset.present.clone().cast(whole.dtype());
    Tensor::from_dispatch(Dispatch::take_rows(
        whole.into_dispatch(),
        subset.rows.clone().into_dispatch(),
        subset.places.clone().into_dispatch(),
        present.into_dispatch(),
    ))
}

/// `whole` `(all, width)` with `part` `(part, width)`, scaled, added to the rows that are in `subset`.
pub fn add_rows(whole: Tensor<2>, part: Tensor<2>, subset: &RowSubset) -> Tensor<2> {
    let scales = subset.scales.clone().cast(whole.dtype());
    Tensor::from_dispatch(Dispatch::add_rows(
        whole.into_dispatch(),
        part.into_dispatch(),
        subset.rows.clone().into_dispatch(),
        subset.places.clone().into_dispatch(),
        scales.into_dispatch(),
    ))
}

extension! {
    /// [`take_rows`] and [`add_rows`] on a backend's tensors.
    pub trait RowOps: Backend {
        /// The rows that are in a part.
        #[fusion(default)]
        fn take_rows(
            whole: FloatTensor<Self>,
            rows: IntTensor<Self>,
            places: IntTensor<Self>,
            present: FloatTensor<Self>,
        ) -> FloatTensor<Self> {
            let _ = (places, present);
            Self::float_select(whole, 0, rows)
        }

        /// A part, scaled, added to its rows.
        #[fusion(default)]
        fn add_rows(
            whole: FloatTensor<Self>,
            part: FloatTensor<Self>,
            rows: IntTensor<Self>,
            places: IntTensor<Self>,
            scales: FloatTensor<Self>,
        ) -> FloatTensor<Self> {
            let _ = rows;
            let spread = Self::float_select(part, 0, places);
            Self::float_add(whole, Self::float_mul(spread, scales))
        }
    }
}

impl RowOps for Flex {}

#[cfg(any(feature = "cuda", feature = "wgpu"))]
impl RowOps for burn_cubecl::CubeBackend {}

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

    fn add_rows(
        whole: FloatTensor<Self>,
        part: FloatTensor<Self>,
        rows: IntTensor<Self>,
        places: IntTensor<Self>,
        scales: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let ((whole, w), (part, p), (scales, _)) =
            (whole.into_parts(), part.into_parts(), scales.into_parts());
        let sum = B::add_rows(whole, part, rows.clone(), places, scales.clone());
        match AddRows.prepare::<C>([w, p]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((rows, scales), sum),
            OpsKind::UnTracked(prep) => prep.finish(sum),
        }
    }
}

#[derive(Debug)]
struct TakeRows;

impl<B: Backend> Backward<B, 1> for TakeRows {
    /// Places, and whether a row is present.
    type State = (IntTensor<B>, FloatTensor<B>);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let [Some(node)] = ops.parents else { return };
        let (places, present) = ops.state;
        let spread = B::float_mul(B::float_select(grad, 0, places), present);
        grads.register::<B>(node.id, spread);
    }
}

#[derive(Debug)]
struct AddRows;

impl<B: Backend> Backward<B, 2> for AddRows {
    /// Rows, and their factors.
    type State = (IntTensor<B>, FloatTensor<B>);

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let (rows, scales) = ops.state;
        let [whole, part] = ops.parents;
        if let Some(node) = part {
            let scales = B::float_select(scales, 0, rows.clone());
            let part = B::float_select(grad.clone(), 0, rows);
            grads.register::<B>(node.id, B::float_mul(part, scales));
        }
        if let Some(node) = whole {
            grads.register::<B>(node.id, grad);
        }
    }
}
