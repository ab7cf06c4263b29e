//! Self-attention and layer normalization from a backend's own operations, with backward passes that compute again what
//! the forward pass went through. So nothing has to be kept but the input: of attention not the scores, which are most of
//! the memory of a training step, of a norm not the widened and normalized values.
//!
//! Softmax and norm are in `f32`, matrix products in the type of the input.

use std::ops::Range;

use burn::backend::{Backend, TensorMetadata, tensor::FloatTensor};
use burn::tensor::{DType, FloatDType, Shape, Slice};

use super::Sequences;

/// Self-attention within the samples of each group of `qkv` `(tokens, 3 * width)`: `(tokens, width)`.
pub(super) fn self_attention<B: ScaledSoftmax>(
    qkv: FloatTensor<B>,
    groups: &[Sequences],
    heads: usize,
) -> FloatTensor<B> {
    let outputs = rows_of(groups).map(|(first, group)| {
        let parts = Parts::<B>::of(&qkv, (first, group), heads);
        let shares = B::scaled_softmax(parts.scores(), parts.scale);
        parts.side_by_side([B::float_matmul(shares, parts.value.clone())])
    });
    one_below_the_other::<B>(outputs.collect())
}

/// The gradient of `qkv`, given that of the output.
pub(super) fn self_attention_backward<B: ScaledSoftmax>(
    qkv: FloatTensor<B>,
    groups: &[Sequences],
    heads: usize,
    grad: FloatTensor<B>,
) -> FloatTensor<B> {
    let grads = rows_of(groups).map(|(first, group)| {
        let parts = Parts::<B>::of(&qkv, (first, group), heads);
        let grad = rows::<B>(&grad, first..first + group.rows());
        group_backward(&parts, parts.by_head(grad))
    });
    one_below_the_other::<B>(grads.collect())
}

/// First row of each group.
fn rows_of(groups: &[Sequences]) -> impl Iterator<Item = (usize, Sequences)> {
    groups.iter().scan(0, |next, group| {
        let first = *next;
        *next += group.rows();
        Some((first, *group))
    })
}

fn one_below_the_other<B: Backend>(mut tensors: Vec<FloatTensor<B>>) -> FloatTensor<B> {
    match tensors.len() {
        1 => tensors.remove(0),
        _ => B::float_cat(tensors, 0),
    }
}

/// Some of the entries along the first axis.
fn rows<B: Backend>(tensor: &FloatTensor<B>, rows: Range<usize>) -> FloatTensor<B> {
    let shape = tensor.shape();
    if rows.len() == shape[0] {
        return tensor.clone();
    }
    let others = (1..shape.num_dims()).map(|axis| 0..shape[axis]);
    let slices: Vec<Slice> = [rows].into_iter().chain(others).map(Slice::from).collect();
    B::float_slice(tensor.clone(), &slices)
}

/// The gradient of a group's queries, keys and values, given that of its output by head.
fn group_backward<B: ScaledSoftmax>(parts: &Parts<B>, grad: FloatTensor<B>) -> FloatTensor<B> {
    let shares_grad = B::float_matmul(grad.clone(), B::float_transpose(parts.value.clone()));
    let (shares, scores_grad) =
        B::scaled_softmax_backward(parts.scores(), shares_grad, parts.scale);
    let value_grad = B::float_matmul(B::float_transpose(shares), grad);
    let query_grad = B::float_matmul(scores_grad.clone(), parts.key.clone());
    let key_grad = B::float_matmul(B::float_transpose(scores_grad), parts.query.clone());
    parts.side_by_side([query_grad, key_grad, value_grad])
}

/// Softmax over the last of four axes, in `f32`, of what is in any type; from a backend's own operations where it has
/// nothing better.
pub(super) trait ScaledSoftmax: Backend {
    /// Softmax of `scale` times the scores.
    fn scaled_softmax(scores: FloatTensor<Self>, scale: f64) -> FloatTensor<Self> {
        let dtype = type_of(&scores);
        Self::float_cast(wide_softmax::<Self>(scores, scale), dtype)
    }

    /// The same, and the gradient of the scores, given that of the softmax.
    fn scaled_softmax_backward(
        scores: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        scale: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let dtype = type_of(&scores);
        let shares = wide_softmax::<Self>(scores, scale);
        let weighted = Self::float_mul(shares.clone(), Self::float_cast(grad, FloatDType::F32));
        let total = Self::float_sum_dim(weighted.clone(), 3);
        let slope = Self::float_sub(weighted, Self::float_mul(shares.clone(), total));
        let scores_grad = Self::float_mul_scalar(slope, scale.into());
        (
            Self::float_cast(shares, dtype),
            Self::float_cast(scores_grad, dtype),
        )
    }
}

fn wide_softmax<B: Backend>(scores: FloatTensor<B>, scale: f64) -> FloatTensor<B> {
    let scores = B::float_cast(scores, FloatDType::F32);
    B::softmax(B::float_mul_scalar(scores, scale.into()), 3)
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

impl<B: Backend> Parts<B> {
    /// Of the `group` that begins in row `first` of `qkv`.
    fn of(qkv: &FloatTensor<B>, (first, group): (usize, Sequences), heads: usize) -> Self {
        let Sequences { samples, tokens } = group;
        let width = qkv.shape()[1] / 3;
        let depth = width / heads;
        let own = rows::<B>(qkv, first..first + group.rows());
        let split = B::float_reshape(own, Shape::from([samples, tokens, 3, heads, depth]));
        // Put in order once for all three, of which each then lies in one piece.
        let ordered = B::float_permute(split, &[2, 0, 3, 1, 4]);
        let ordered = B::float_reshape(ordered, Shape::from([3 * samples, heads, tokens, depth]));
        let part = |index: usize| rows::<B>(&ordered, index * samples..(index + 1) * samples);
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
        B::float_matmul(self.query.clone(), key)
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

/// Layer normalization of the last axis of `(..., width)` with `weight` and `bias`, `f32` and `(width,)`, in the type
/// of the input.
pub(super) fn layer_norm<B: Backend>(
    input: FloatTensor<B>,
    weight: FloatTensor<B>,
    bias: FloatTensor<B>,
    epsilon: f64,
) -> FloatTensor<B> {
    let dtype = type_of(&input);
    let input = B::float_cast(input, FloatDType::F32);
    B::float_cast(B::layer_norm(input, weight, Some(bias), epsilon), dtype)
}

/// The gradients of input, weight and bias, given that of the output.
pub(super) fn layer_norm_backward<B: Backend>(
    input: FloatTensor<B>,
    weight: FloatTensor<B>,
    grad: FloatTensor<B>,
    epsilon: f64,
) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
    let (shape, dtype) = (input.shape(), type_of(&input));
    let last = shape.num_dims() - 1;
    let width = shape[last];
    let rows = shape.num_elements() / width;
    let [input, grad] = [input, grad].map(|tensor| {
        let rows = B::float_reshape(tensor, Shape::from([rows, width]));
        B::float_cast(rows, FloatDType::F32)
    });
    let centred = B::float_sub(input.clone(), B::float_mean_dim(input, 1));
    let variance = B::float_mean_dim(B::float_mul(centred.clone(), centred.clone()), 1);
    let deviation = B::float_sqrt(B::float_add_scalar(variance, epsilon.into()));
    let normalized = B::float_div(centred, deviation.clone());

    let weight = B::float_reshape(weight, Shape::from([1, width]));
    let inner = B::float_mul(grad.clone(), weight);
    let weighted = B::float_mul(grad.clone(), normalized.clone());
    let mean = B::float_mean_dim(inner.clone(), 1);
    let slope = B::float_mean_dim(B::float_mul(inner.clone(), normalized.clone()), 1);
    let along = B::float_add(mean, B::float_mul(normalized, slope));
    let input_grad = B::float_div(B::float_sub(inner, along), deviation);
    let input_grad = B::float_reshape(B::float_cast(input_grad, dtype), shape);
    let over_rows = |tensor| B::float_reshape(B::float_sum_dim(tensor, 0), Shape::from([width]));
    (input_grad, over_rows(weighted), over_rows(grad))
}

fn type_of(tensor: &impl TensorMetadata) -> FloatDType {
    DType::into(tensor.dtype())
}
