//! Attention from matrix products and softmax, with kernels that move rows of queries, keys and values to matrices of a head
//! and back: in one pass over memory, and straight to where they belong.

use burn::backend::TensorMetadata;
use burn::backend::ops::FloatTensorOps;
use burn::tensor::{Shape, Slice};
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::ir::ElemType;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

use super::{element, unit_per_vector, unwritten, vector};
use crate::base::numeric::Factors;
use crate::network::ops::Sequences;
use crate::network::ops::attention::AttentionOps;
use crate::network::ops::product::ProductOps;
use crate::network::ops::softmax::SoftmaxOps;

impl AttentionOps for CubeBackend {
    fn self_attention_recorded(
        qkv: CubeTensor,
        groups: Vec<Sequences>,
        heads: usize,
        _: Factors,
    ) -> (CubeTensor, CubeTensor) {
        let qkv = into_contiguous(qkv);
        let [rows, columns] = [qkv.shape()[0], qkv.shape()[1]];
        let output = unwritten(&qkv, Shape::from([rows, columns / 3]), qkv.dtype);
        for (rows, group) in Sequences::ranges(&groups) {
            let place = Place {
                first: rows.start,
                group,
                heads,
            };
            let [query, key, value] = place.parts(&qkv);
            let scores = Self::product(query, Self::float_transpose(key));
            let shares = Self::scaled_softmax(scores, scale(&value));
            place.put(Self::product(shares, value), &output, 0);
        }
        (output, qkv)
    }

    fn self_attention_gradient(
        qkv: CubeTensor,
        _kept: CubeTensor,
        grad: CubeTensor,
        groups: Vec<Sequences>,
        heads: usize,
        _: Factors,
    ) -> CubeTensor {
        let (qkv, grad) = (into_contiguous(qkv), into_contiguous(grad));
        let width = grad.shape()[1];
        let qkv_grad = unwritten(&qkv, qkv.shape(), qkv.dtype);
        for (rows, group) in Sequences::ranges(&groups) {
            let place = Place {
                first: rows.start,
                group,
                heads,
            };
            let [query, key, value] = place.parts(&qkv);
            let grad = place.taken(&grad, 1);
            let scores = Self::product(query.clone(), Self::float_transpose(key.clone()));
            let scale = scale(&value);
            let shares_grad = Self::product(grad.clone(), Self::float_transpose(value));
            let (shares, scores_grad) = Self::scaled_softmax_gradient(scores, shares_grad, scale);
            let value_grad = Self::product(Self::float_transpose(shares), grad);
            place.put(value_grad, &qkv_grad, 2 * width);
            let query_grad = Self::product(scores_grad.clone(), key);
            place.put(query_grad, &qkv_grad, 0);
            let key_grad = Self::product(Self::float_transpose(scores_grad), query);
            place.put(key_grad, &qkv_grad, width);
        }
        qkv_grad
    }
}

/// Of scores, by the numbers of a head.
fn scale(value: &CubeTensor) -> f64 {
    (value.shape()[3] as f64).powf(-0.5)
}

/// Where a group of samples stands among the rows.
struct Place {
    first: usize,
    group: Sequences,
    heads: usize,
}

impl Place {
    /// Queries, keys and values, `(samples, heads, tokens, depth)` each.
    fn parts(&self, qkv: &CubeTensor) -> [CubeTensor; 3] {
        let all = self.taken(qkv, 3);
        let samples = self.group.samples;
        [0, 1, 2].map(|part| {
            let shape = all.shape();
            let own = Slice::from(part * samples..(part + 1) * samples);
            let others = (1..4).map(|axis| Slice::from(0..shape[axis]));
            let slices: Vec<Slice> = std::iter::once(own).chain(others).collect();
            CubeBackend::float_slice(all.clone(), &slices)
        })
    }

    /// The rows of the group, which hold so many parts side by side, as `(parts * samples, heads, tokens, depth)`.
    fn taken(&self, rows: &CubeTensor, parts: usize) -> CubeTensor {
        let Sequences { samples, tokens } = self.group;
        let columns = rows.shape()[1];
        let depth = columns / parts / self.heads;
        let shape = Shape::from([parts * samples, self.heads, tokens, depth]);
        let matrices = unwritten(rows, shape, rows.dtype);
        let vector = vector(rows, depth);
        let client = rows.client.clone();
        let (count, dim) = unit_per_vector(&matrices, vector);
        take_kernel::launch(
            &client,
            count,
            dim,
            vector,
            rows.clone().into_tensor_arg(),
            matrices.clone().into_tensor_arg(),
            self.first,
            samples,
            tokens,
            self.heads,
            depth / vector,
            columns / vector,
            element(rows),
        );
        matrices
    }

    /// Writes `(samples, heads, tokens, depth)` into the group's rows, from this column on.
    fn put(&self, matrices: CubeTensor, rows: &CubeTensor, column: usize) {
        let matrices = into_contiguous(matrices);
        let tokens = self.group.tokens;
        let depth = matrices.shape()[3];
        let vector = vector(rows, depth);
        let client = rows.client.clone();
        let (count, dim) = unit_per_vector(&matrices, vector);
        put_kernel::launch(
            &client,
            count,
            dim,
            vector,
            matrices.into_tensor_arg(),
            rows.clone().into_tensor_arg(),
            self.first,
            column / vector,
            tokens,
            self.heads,
            depth / vector,
            rows.shape()[1] / vector,
            element(rows),
        );
    }
}

/// From `(rows, columns)` to `(parts, samples, heads, tokens, depth)`; depth and columns are counted in vectors.
#[cube(launch)]
#[allow(clippy::too_many_arguments)]
fn take_kernel<F: Float, N: Size>(
    rows: &Tensor<Vector<F, N>>,
    matrices: &mut Tensor<Vector<F, N>>,
    first: usize,
    samples: usize,
    tokens: usize,
    heads: usize,
    depth: usize,
    columns: usize,
    #[define(F)] _dtype: ElemType,
) {
    let place = ABSOLUTE_POS;
    if place >= matrices.len() {
        terminate!();
    }
    let line = place / depth;
    let matrix = line / tokens;
    let sample = matrix / heads;
    let part = sample / samples;
    let row = first + (sample % samples) * tokens + line % tokens;
    let column = (part * heads + matrix % heads) * depth + place % depth;
    matrices[place] = rows[row * columns + column];
}

/// From `(samples, heads, tokens, depth)` to some columns of `(rows, columns)`.
#[cube(launch)]
#[allow(clippy::too_many_arguments)]
fn put_kernel<F: Float, N: Size>(
    matrices: &Tensor<Vector<F, N>>,
    rows: &mut Tensor<Vector<F, N>>,
    first: usize,
    first_column: usize,
    tokens: usize,
    heads: usize,
    depth: usize,
    columns: usize,
    #[define(F)] _dtype: ElemType,
) {
    let place = ABSOLUTE_POS;
    if place >= matrices.len() {
        terminate!();
    }
    let line = place / depth;
    let matrix = line / tokens;
    let row = first + (matrix / heads) * tokens + line % tokens;
    let column = first_column + (matrix % heads) * depth + place % depth;
    rows[row * columns + column] = matrices[place];
}
