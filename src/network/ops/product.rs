//! Matrix products, by the best kernels that there are for a device.

use burn::backend::autodiff::{
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind},
};
use burn::backend::{Autodiff, Backend, Dispatch, tensor::FloatTensor};
use burn::tensor::Tensor;

/// `(..., rows, inner)` times `(..., inner, columns)`: `(..., rows, columns)`. The axes before the last two are the same.
pub fn product<const D: usize>(lhs: Tensor<D>, rhs: Tensor<D>) -> Tensor<D> {
    let (batch, other) = (&lhs.dims()[..D - 2], &rhs.dims()[..D - 2]);
    assert_eq!(batch, other, "products of as many matrices");
    Tensor::from_dispatch(Dispatch::product(lhs.into_dispatch(), rhs.into_dispatch()))
}

extension! {
    /// [`product`] on a backend's tensors.
    pub trait ProductOps: Backend {
        /// The products.
        #[fusion(dtype = lhs, shape = {
            let mut shape = lhs.clone();
            let last = shape.num_dims() - 1;
            shape[last] = rhs[last];
            shape
        })]
        fn product(lhs: FloatTensor<Self>, rhs: FloatTensor<Self>) -> FloatTensor<Self> {
            Self::float_matmul(lhs, rhs)
        }

        /// The gradient of the right factor, given the left one and the gradient of the product.
        #[fusion(default)]
        fn product_rhs_gradient(
            lhs: FloatTensor<Self>,
            rhs: FloatTensor<Self>,
            grad: FloatTensor<Self>,
        ) -> FloatTensor<Self> {
            let _ = rhs;
            Self::product(Self::float_transpose(lhs), grad)
        }
    }
}

impl<B: ProductOps, C: CheckpointStrategy> ProductOps for Autodiff<B, C> {
    fn product(lhs: FloatTensor<Self>, rhs: FloatTensor<Self>) -> FloatTensor<Self> {
        let ((lhs, l), (rhs, r)) = (lhs.into_parts(), rhs.into_parts());
        match Product.prepare::<C>([l, r]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let state = (lhs.clone(), rhs.clone());
                prep.finish(state, B::product(lhs, rhs))
            }
            OpsKind::UnTracked(prep) => prep.finish(B::product(lhs, rhs)),
        }
    }
}

#[derive(Debug)]
struct Product;

impl<B: ProductOps> Backward<B, 2> for Product {
    /// Both factors.
    type State = (FloatTensor<B>, FloatTensor<B>);

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let (lhs, rhs) = ops.state;
        let [lhs_node, rhs_node] = ops.parents;
        if let Some(node) = lhs_node {
            let gradient = B::product(grad.clone(), B::float_transpose(rhs.clone()));
            grads.register::<B>(node.id, gradient);
        }
        if let Some(node) = rhs_node {
            let gradient = B::product_rhs_gradient(lhs, rhs, grad);
            grads.register::<B>(node.id, gradient);
        }
    }
}
