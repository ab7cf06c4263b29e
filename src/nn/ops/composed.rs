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
        parts.side_by_side(B::float_matmul(shares, parts.value.clone()))
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
        let width = grad.shape()[1];
        let grad = slice::<B>(&grad, first..first + group.rows(), 0..width);
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

fn slice<B: Backend>(
    tensor: &FloatTensor<B>,
    rows: Range<usize>,
    columns: Range<usize>,
) -> FloatTensor<B> {
    let shape = tensor.shape();
    if (rows.len(), columns.len()) == (shape[0], shape[1]) {
        return tensor.clone();
    }
    B::float_slice(tensor.clone(), &[Slice::from(rows), Slice::from(columns)])
}

/// The gradient of a group's queries, keys and values, given that of its output by head.
fn group_backward<B: ScaledSoftmax>(parts: &Parts<B>, grad: FloatTensor<B>) -> FloatTensor<B> {
    let shares_grad = B::float_matmul(grad.clone(), B::float_transpose(parts.value.clone()));
    let (shares, scores_grad) =
        B::scaled_softmax_backward(parts.scores(), shares_grad, parts.scale);
    let value_grad = B::float_matmul(B::float_transpose(shares), grad);
    let query_grad = B::float_matmul(scores_grad.clone(), parts.key.clone());
    let key_grad = B::float_matmul(B::float_transpose(scores_grad), parts.query.clone());
    let grads = [query_grad, key_grad, value_grad].map(|grad| parts.side_by_side(grad));
    B::float_cat(grads.into(), 1)
}

/// Softmax over the last of four axes, in `f32`, of what is in any type.
pub(super) trait ScaledSoftmax: Backend {
    /// Softmax of `scale` times the scores.
    fn scaled_softmax(scores: FloatTensor<Self>, scale: f64) -> FloatTensor<Self> {
        scaled_softmax::<Self>(scores, scale)
    }

    /// The same, and the gradient of the scores, given that of the softmax.
    fn scaled_softmax_backward(
        scores: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        scale: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        scaled_softmax_backward::<Self>(scores, grad, scale)
    }
}

/// [`ScaledSoftmax::scaled_softmax`] from a backend's own operations.
pub(super) fn scaled_softmax<B: Backend>(scores: FloatTensor<B>, scale: f64) -> FloatTensor<B> {
    let dtype = type_of(&scores);
    B::float_cast(wide_softmax::<B>(scores, scale), dtype)
}

/// [`ScaledSoftmax::scaled_softmax_backward`] from a backend's own operations.
pub(super) fn scaled_softmax_backward<B: Backend>(
    scores: FloatTensor<B>,
    grad: FloatTensor<B>,
    scale: f64,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let dtype = type_of(&scores);
    let shares = wide_softmax::<B>(scores, scale);
    let weighted = B::float_mul(shares.clone(), B::float_cast(grad, FloatDType::F32));
    let total = B::float_sum_dim(weighted.clone(), 3);
    let slope = B::float_sub(weighted, B::float_mul(shares.clone(), total));
    let scores_grad = B::float_mul_scalar(slope, scale.into());
    (
        B::float_cast(shares, dtype),
        B::float_cast(scores_grad, dtype),
    )
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
        let width = qkv.shape()[1] / 3;
        let [query, key, value] = [0, 1, 2].map(|index| {
            let (rows, own) = (
                first..first + group.rows(),
                index * width..(index + 1) * width,
            );
            by_head::<B>(slice::<B>(qkv, rows, own), group, heads)
        });
        Self {
            query,
            key,
            value,
            scale: ((width / heads) as f64).powf(-0.5),
            group,
            heads,
        }
    }

    /// Products of queries and keys, `(samples, heads, tokens, tokens)`.
    fn scores(&self) -> FloatTensor<B> {
        let key = B::float_transpose(self.key.clone());
        B::float_matmul(self.query.clone(), key)
    }

    fn by_head(&self, tensor: FloatTensor<B>) -> FloatTensor<B> {
        by_head::<B>(tensor, self.group, self.heads)
    }

    /// The inverse of [`by_head`](Self::by_head).
    fn side_by_side(&self, tensor: FloatTensor<B>) -> FloatTensor<B> {
        let shape = tensor.shape();
        let merged = Shape::from([shape[0] * shape[2], shape[1] * shape[3]]);
        B::float_reshape(B::float_swap_dims(tensor, 1, 2), merged)
    }
}

/// The rows `(samples * tokens, width)` of a group as `(samples, heads, tokens, depth)`.
fn by_head<B: Backend>(tensor: FloatTensor<B>, group: Sequences, heads: usize) -> FloatTensor<B> {
    let width = tensor.shape()[1];
    let split = Shape::from([group.samples, group.tokens, heads, width / heads]);
    B::float_swap_dims(B::float_reshape(tensor, split), 1, 2)
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
