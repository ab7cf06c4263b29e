//! Scaled dot-product self-attention within samples, with softmax in `f32`. Of a training step's memory the scores would be
//! the most: the backward pass computes them again.

use std::ops::Range;

use burn::backend::autodiff::{
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind},
};
use burn::backend::{Autodiff, Backend, Dispatch, TensorMetadata, tensor::FloatTensor};
use burn::tensor::{Shape, Slice, Tensor};

use super::Sequences;
use super::product::ProductOps;
use super::softmax::SoftmaxOps;
use crate::base::numeric::Factors;

/// Self-attention in `heads` heads (paper eq. A9) within each sample of `groups`: `(tokens of all groups, 3 * width)`, which
/// holds queries, keys and values side by side, to `(tokens of all groups, width)`. A CPU multiplies such `factors`.
pub fn self_attention(
    qkv: Tensor<2>,
    groups: &[Sequences],
    heads: usize,
    factors: Factors,
) -> Tensor<2> {
    let qkv = qkv.into_dispatch();
    let output = Dispatch::self_attention_forward(qkv, groups.to_vec(), heads, factors);
    Tensor::from_dispatch(output)
}

extension! {
    /// [`self_attention`] on a backend's tensors.
    pub trait AttentionOps: SoftmaxOps + ProductOps {
        /// The output.
        #[fusion(dtype = qkv, shape = { let mut shape = qkv.clone(); shape[1] /= 3; shape })]
        fn self_attention_forward(
            qkv: FloatTensor<Self>,
            groups: Vec<Sequences>,
            heads: usize,
            factors: Factors,
        ) -> FloatTensor<Self> {
            Self::self_attention_recorded(qkv, groups, heads, factors).0
        }

        /// The output, and what the backward pass is given beside the input: the logs of the softmax's sums,
        /// `(samples, heads, tokens)` of each group after the other, or, where it computes them again, the input once
        /// more, which takes no memory.
        #[fusion(meta = |qkv, _groups, _heads, _factors| {
            let mut output = qkv.clone();
            output.shape[1] /= 3;
            (output, qkv.clone())
        })]
        fn self_attention_recorded(
            qkv: FloatTensor<Self>,
            groups: Vec<Sequences>,
            heads: usize,
            factors: Factors,
        ) -> (FloatTensor<Self>, FloatTensor<Self>) {
            let _ = factors;
            composed::<Self>(qkv, &groups, heads)
        }

        /// The gradient of queries, keys and values, given that of the output.
        #[fusion(dtype = qkv, shape = qkv)]
        fn self_attention_gradient(
            qkv: FloatTensor<Self>,
            kept: FloatTensor<Self>,
            grad: FloatTensor<Self>,
            groups: Vec<Sequences>,
            heads: usize,
            factors: Factors,
        ) -> FloatTensor<Self> {
            let _ = (kept, factors);
            composed_gradient::<Self>(qkv, grad, &groups, heads)
        }
    }
}

impl<B: AttentionOps, C: CheckpointStrategy> AttentionOps for Autodiff<B, C> {
    fn self_attention_forward(
        qkv: FloatTensor<Self>,
        groups: Vec<Sequences>,
        heads: usize,
        factors: Factors,
    ) -> FloatTensor<Self> {
        let (qkv, node) = qkv.into_parts();
        match Attention.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let (output, kept) =
                    B::self_attention_recorded(qkv.clone(), groups.clone(), heads, factors);
                prep.finish((qkv, kept, groups, heads, factors), output)
            }
            OpsKind::UnTracked(prep) => {
                prep.finish(B::self_attention_forward(qkv, groups, heads, factors))
            }
        }
    }
}

#[derive(Debug)]
struct Attention;

impl<B: AttentionOps> Backward<B, 1> for Attention {
    /// Queries, keys and values; what the forward pass wants kept; groups of samples; heads; what is multiplied.
    type State = (
        FloatTensor<B>,
        FloatTensor<B>,
        Vec<Sequences>,
        usize,
        Factors,
    );

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let [Some(node)] = ops.parents else { return };
        let (qkv, kept, groups, heads, factors) = ops.state;
        let qkv_grad = B::self_attention_gradient(qkv, kept, grad, groups, heads, factors);
        grads.register::<B>(node.id, qkv_grad);
    }
}

/// [`AttentionOps::self_attention_recorded`] from a backend's own operations.
pub(super) fn composed<B: AttentionOps>(
    qkv: FloatTensor<B>,
    groups: &[Sequences],
    heads: usize,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let outputs = Sequences::ranges(groups).map(|(rows, group)| {
        let parts = Parts::<B>::of(&qkv, (rows, group), heads);
        let shares = B::scaled_softmax(parts.scores(), parts.scale);
        parts.side_by_side([B::product(shares, parts.value.clone())])
    });
    (one_below_the_other::<B>(outputs.collect()), qkv)
}

/// [`AttentionOps::self_attention_gradient`] from a backend's own operations.
pub(super) fn composed_gradient<B: AttentionOps>(
    qkv: FloatTensor<B>,
    grad: FloatTensor<B>,
    groups: &[Sequences],
    heads: usize,
) -> FloatTensor<B> {
    let grads = Sequences::ranges(groups).map(|(rows, group)| {
        let parts = Parts::<B>::of(&qkv, (rows.clone(), group), heads);
        let grad = parts.by_head(rows_of::<B>(&grad, rows));
        let shares_grad = B::product(grad.clone(), B::float_transpose(parts.value.clone()));
        let (shares, scores_grad) =
            B::scaled_softmax_gradient(parts.scores(), shares_grad, parts.scale);
        let value_grad = B::product(B::float_transpose(shares), grad);
        let query_grad = B::product(scores_grad.clone(), parts.key.clone());
        let key_grad = B::product(B::float_transpose(scores_grad), parts.query.clone());
        parts.side_by_side([query_grad, key_grad, value_grad])
    });
    one_below_the_other::<B>(grads.collect())
}

fn one_below_the_other<B: Backend>(mut tensors: Vec<FloatTensor<B>>) -> FloatTensor<B> {
    match tensors.len() {
        1 => tensors.remove(0),
        _ => B::float_cat(tensors, 0),
    }
}

/// Some of the entries along the first axis.
fn rows_of<B: Backend>(tensor: &FloatTensor<B>, rows: Range<usize>) -> FloatTensor<B> {
    let shape = tensor.shape();
    if rows.len() == shape[0] {
        return tensor.clone();
    }
    let others = (1..shape.num_dims()).map(|axis| 0..shape[axis]);
    let slices: Vec<Slice> = [rows].into_iter().chain(others).map(Slice::from).collect();
    B::float_slice(tensor.clone(), &slices)
}

/// Queries, keys and values of every head, `(samples, heads, tokens, depth)`, of a group of samples.
struct Parts<B: Backend> {
    query: FloatTensor<B>,
    key: FloatTensor<B>,
    value: FloatTensor<B>,
    scale: f64,
    group: Sequences,
    heads: usize,
}

impl<B: ProductOps> Parts<B> {
    /// Of the `group` in these `rows` of `qkv`.
    fn of(qkv: &FloatTensor<B>, (rows, group): (Range<usize>, Sequences), heads: usize) -> Self {
        let Sequences { samples, tokens } = group;
        let width = qkv.shape()[1] / 3;
        let depth = width / heads;
        let own = rows_of::<B>(qkv, rows);
        let split = B::float_reshape(own, Shape::from([samples, tokens, 3, heads, depth]));
        // Put in order once for all three, of which each then lies in one piece.
        let ordered = B::float_permute(split, &[2, 0, 3, 1, 4]);
        let ordered = B::float_reshape(ordered, Shape::from([3 * samples, heads, tokens, depth]));
        let part = |index: usize| rows_of::<B>(&ordered, index * samples..(index + 1) * samples);
        Self {
            query: part(0),
            key: part(1),
            value: part(2),
            scale: (depth as f64).powf(-0.5),
            group,
            heads,
        }
    }

    /// Products of queries and keys, `(samples, heads, tokens, tokens)`.
    fn scores(&self) -> FloatTensor<B> {
        let key = B::float_transpose(self.key.clone());
        B::product(self.query.clone(), key)
    }

    /// Rows `(samples * tokens, width)` as `(samples, heads, tokens, depth)`.
    fn by_head(&self, tensor: FloatTensor<B>) -> FloatTensor<B> {
        let Sequences { samples, tokens } = self.group;
        let depth = tensor.shape()[1] / self.heads;
        let split = Shape::from([samples, tokens, self.heads, depth]);
        B::float_swap_dims(B::float_reshape(tensor, split), 1, 2)
    }

    /// As many tensors `(samples, heads, tokens, depth)` as rows `(samples * tokens, width)` of all, side by side.
    fn side_by_side<const N: usize>(&self, tensors: [FloatTensor<B>; N]) -> FloatTensor<B> {
        let shape = tensors[0].shape();
        let (heads, depth) = (shape[1], shape[3]);
        let Sequences { samples, tokens } = self.group;
        let all = one_below_the_other::<B>(tensors.into());
        let all = B::float_reshape(all, Shape::from([N, samples, heads, tokens, depth]));
        let all = B::float_permute(all, &[1, 3, 0, 2, 4]);
        B::float_reshape(all, Shape::from([samples * tokens, N * heads * depth]))
    }
}
