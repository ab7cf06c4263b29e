//! Self-attention, a sample a task: the scores of a block of queries stay in the cache and are never all in memory.

use burn::backend::{Flex, TensorMetadata};
use burn::tensor::Shape;
use burn_flex::FlexTensor;
use ndarray::{ArrayView2, ArrayViewMut2};
use rayon::prelude::*;

use super::room::zeros;
use super::{has_kernels, new_tensor, values};
use crate::base::numeric::{
    Factors, Product, exp_negative, largest, strided, strided_mut, sum_of, vectorized,
};
use crate::network::ops::Sequences;
use crate::network::ops::attention::{AttentionOps, composed, composed_gradient};

/// Queries whose scores are held at a time, so that they stay in the cache.
const QUERIES: usize = 128;
/// Rows of scores begin at multiples of this, so that they are whole vectors.
const ALIGNMENT: usize = 32;

impl AttentionOps for Flex {
    fn self_attention_recorded(
        qkv: FlexTensor,
        groups: Vec<Sequences>,
        heads: usize,
        factors: Factors,
    ) -> (FlexTensor, FlexTensor) {
        if !has_kernels(&qkv) {
            return composed::<Self>(qkv, &groups, heads);
        }
        let qkv = qkv.to_contiguous();
        let (all, width) = (qkv.shape()[0], qkv.shape()[1] / 3);
        let mut output = zeros(all * width);
        let mut normalizers = vec![0.0; all * heads];
        for (rows, group) in Sequences::ranges(&groups) {
            let of = |width: usize| rows.start * width..rows.end * width;
            forward(
                &values(&qkv)[of(3 * width)],
                AttentionShape {
                    group,
                    width,
                    heads,
                    factors,
                },
                &mut output[of(width)],
                &mut normalizers[of(heads)],
            );
        }
        let normalizers = new_tensor(normalizers, Shape::from([all * heads]));
        (new_tensor(output, Shape::from([all, width])), normalizers)
    }

    fn self_attention_gradient(
        qkv: FlexTensor,
        normalizers: FlexTensor,
        grad: FlexTensor,
        groups: Vec<Sequences>,
        heads: usize,
        factors: Factors,
    ) -> FlexTensor {
        if !has_kernels(&qkv) {
            return composed_gradient::<Self>(qkv, grad, &groups, heads);
        }
        let [qkv, grad] = [qkv, grad].map(|tensor| tensor.to_contiguous());
        let width = qkv.shape()[1] / 3;
        let mut result = zeros(qkv.shape().num_elements());
        for (rows, group) in Sequences::ranges(&groups) {
            let of = |width: usize| rows.start * width..rows.end * width;
            backward(
                &values(&qkv)[of(3 * width)],
                &values(&normalizers)[of(heads)],
                &values(&grad)[of(width)],
                AttentionShape {
                    group,
                    width,
                    heads,
                    factors,
                },
                &mut result[of(3 * width)],
            );
        }
        new_tensor(result, qkv.shape())
    }
}

/// Sizes of a self-attention.
#[derive(Clone, Copy)]
struct AttentionShape {
    group: Sequences,
    /// Width of queries, keys and values, all heads together.
    width: usize,
    /// Heads; `width` is a multiple.
    heads: usize,
    factors: Factors,
}

impl AttentionShape {
    fn product<'a>(&self, left: ArrayView2<'a, f32>, right: ArrayView2<'a, f32>) -> Product<'a> {
        Product::of(left, right).with(self.factors)
    }

    fn depth(&self) -> usize {
        self.width / self.heads
    }

    fn scale(&self) -> f32 {
        (self.depth() as f32).powf(-0.5)
    }

    /// Length of a row of scores in memory.
    fn stride(&self) -> usize {
        self.group.tokens.next_multiple_of(ALIGNMENT)
    }

    /// Room for the scores of a block of queries. The numbers after the last key never reach a result.
    fn scores(&self) -> Vec<f32> {
        vec![0.0; QUERIES.min(self.group.tokens) * self.stride()]
    }

    /// First query and number of queries of each block.
    fn blocks(&self) -> impl Iterator<Item = (usize, usize)> {
        let tokens = self.group.tokens;
        (0..tokens)
            .step_by(QUERIES)
            .map(move |first| (first, QUERIES.min(tokens - first)))
    }

    /// Part 0 (query), 1 (key) or 2 (value) of a head for `rows` tokens from `first`.
    fn part<'a>(
        &self,
        qkv: &'a [f32],
        (part, head): (usize, usize),
        (first, rows): (usize, usize),
    ) -> ArrayView2<'a, f32> {
        let start = first * 3 * self.width + part * self.width + head * self.depth();
        strided(&qkv[start..], (rows, self.depth()), 3 * self.width)
    }

    fn part_mut<'a>(
        &self,
        qkv: &'a mut [f32],
        (part, head): (usize, usize),
        (first, rows): (usize, usize),
    ) -> ArrayViewMut2<'a, f32> {
        let start = first * 3 * self.width + part * self.width + head * self.depth();
        strided_mut(&mut qkv[start..], (rows, self.depth()), 3 * self.width)
    }
}

/// Writes the `output` `(samples, tokens, width)`, which is zero before, and the log of each softmax's sum, `(samples, heads,
/// tokens)`.
fn forward(qkv: &[f32], shape: AttentionShape, output: &mut [f32], normalizers: &mut [f32]) {
    let AttentionShape {
        group: Sequences { tokens, .. },
        width,
        heads,
        ..
    } = shape;
    output
        .par_chunks_mut(tokens * width)
        .zip(normalizers.par_chunks_mut(heads * tokens))
        .zip(qkv.par_chunks(tokens * 3 * width))
        .for_each_init(
            || shape.scores(),
            |scores, ((output, normalizers), qkv)| {
                for (head, normalizers) in normalizers.chunks_exact_mut(tokens).enumerate() {
                    let output = &mut output[head * shape.depth()..];
                    forward_head(qkv, shape, head, scores, output, normalizers);
                }
            },
        );
}

fn forward_head(
    qkv: &[f32],
    shape: AttentionShape,
    head: usize,
    scores: &mut [f32],
    output: &mut [f32],
    normalizers: &mut [f32],
) {
    let (tokens, stride) = (shape.group.tokens, shape.stride());
    let all = (0, tokens);
    for (first, rows) in shape.blocks() {
        let normalizers = &mut normalizers[first..first + rows];
        score(qkv, shape, head, (first, rows), scores);
        softmax(scores, tokens, stride, normalizers);
        let weights = strided(scores, (rows, tokens), stride);
        let output = &mut output[first * shape.width..];
        shape
            .product(weights, shape.part(qkv, (2, head), all))
            .write_to(strided_mut(output, (rows, shape.depth()), shape.width));
    }
}

/// Writes the gradient of queries, keys and values into `result`, which is zero before, given that of the output.
fn backward(
    qkv: &[f32],
    normalizers: &[f32],
    gradient: &[f32],
    shape: AttentionShape,
    result: &mut [f32],
) {
    let AttentionShape {
        group: Sequences { tokens, .. },
        width,
        heads,
        ..
    } = shape;
    result
        .par_chunks_mut(tokens * 3 * width)
        .zip(qkv.par_chunks(tokens * 3 * width))
        .zip(normalizers.par_chunks(heads * tokens))
        .zip(gradient.par_chunks(tokens * width))
        .for_each_init(
            || (shape.scores(), shape.scores()),
            |scores, (((result, qkv), normalizers), gradient)| {
                for (head, normalizers) in normalizers.chunks_exact(tokens).enumerate() {
                    let gradient = &gradient[head * shape.depth()..];
                    backward_head(qkv, shape, head, scores, normalizers, gradient, result);
                }
            },
        );
}

fn backward_head(
    qkv: &[f32],
    shape: AttentionShape,
    head: usize,
    (weights, slopes): &mut (Vec<f32>, Vec<f32>),
    normalizers: &[f32],
    gradient: &[f32],
    result: &mut [f32],
) {
    let (tokens, stride) = (shape.group.tokens, shape.stride());
    let all = (0, tokens);
    for block @ (first, rows) in shape.blocks() {
        let gradient = &gradient[first * shape.width..];
        let gradient = strided(gradient, (rows, shape.depth()), shape.width);
        score(qkv, shape, head, block, weights);
        shape
            .product(gradient, shape.part(qkv, (2, head), all).t())
            .write_to(strided_mut(slopes, (rows, tokens), stride));
        let normalizers = &normalizers[first..first + rows];
        softmax_backward(weights, slopes, tokens, stride, normalizers);
        let weights = strided(weights, (rows, tokens), stride);
        let slopes = strided(slopes, (rows, tokens), stride);
        shape
            .product(slopes, shape.part(qkv, (1, head), all))
            .times(shape.scale())
            .write_to(shape.part_mut(result, (0, head), block));
        // The result starts at zero, and every block of queries adds to all keys and values.
        shape
            .product(slopes.t(), shape.part(qkv, (0, head), block))
            .times(shape.scale())
            .add_to(shape.part_mut(result, (1, head), all));
        shape
            .product(weights.t(), gradient)
            .add_to(shape.part_mut(result, (2, head), all));
    }
}

/// Scaled products of a block of queries with all keys.
fn score(
    qkv: &[f32],
    shape: AttentionShape,
    head: usize,
    block: (usize, usize),
    scores: &mut [f32],
) {
    let (query, key) = (
        shape.part(qkv, (0, head), block),
        shape.part(qkv, (1, head), (0, shape.group.tokens)),
    );
    shape
        .product(query, key.t())
        .times(shape.scale())
        .write_to(strided_mut(
            scores,
            (block.1, shape.group.tokens),
            shape.stride(),
        ));
}

vectorized! {
    /// Softmax of each row of scores, and the logs of the rows' sums of exponentials.
    fn softmax<'a>(scores: &'a mut [f32], tokens: usize, stride: usize, normalizers: &'a mut [f32]) {
        for (row, normalizer) in scores.chunks_exact_mut(stride).zip(normalizers) {
            row[tokens..].fill(f32::NEG_INFINITY);
            let largest = largest(row);
            for score in row.iter_mut() {
                *score = exp_negative(*score - largest);
            }
            let sum = sum_of(row, row, |weight, _| weight);
            let inverse = 1.0 / sum;
            for weight in row.iter_mut() {
                *weight *= inverse;
            }
            *normalizer = largest + sum.ln();
        }
    }
}

vectorized! {
    /// Scores become weights; gradients with respect to weights become those with respect to scores.
    fn softmax_backward<'a>(
        scores: &'a mut [f32],
        slopes: &'a mut [f32],
        tokens: usize,
        stride: usize,
        normalizers: &'a [f32],
    ) {
        let rows = scores
            .chunks_exact_mut(stride)
            .zip(slopes.chunks_exact_mut(stride));
        for ((weights, slopes), &normalizer) in rows.zip(normalizers) {
            weights[tokens..].fill(f32::NEG_INFINITY);
            slopes[tokens..].fill(0.0);
            for weight in weights.iter_mut() {
                *weight = exp_negative(*weight - normalizer);
            }
            let mean = sum_of(weights, slopes, |weight, slope| weight * slope);
            for (slope, &weight) in slopes.iter_mut().zip(weights.iter()) {
                *slope = weight * (*slope - mean);
            }
        }
    }
}
