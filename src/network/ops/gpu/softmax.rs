//! Softmax of a row, and its backward pass, as one kernel each.

use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::ir::ElemType;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

use super::{RowUnits, element, largest_of_row, like, own_row, rows_and_columns, sum_of_row};
use crate::network::ops::softmax::SoftmaxOps;

impl SoftmaxOps for CubeBackend {
    fn scaled_softmax(scores: CubeTensor, scale: f64) -> CubeTensor {
        let units = RowUnits::on(&scores.client);
        scaled_softmax(scores, scale, units)
    }

    fn scaled_softmax_gradient(
        scores: CubeTensor,
        grad: CubeTensor,
        scale: f64,
    ) -> (CubeTensor, CubeTensor) {
        let units = RowUnits::on(&scores.client);
        scaled_softmax_gradient(scores, grad, scale, units)
    }
}

pub(super) fn scaled_softmax(scores: CubeTensor, scale: f64, units: RowUnits) -> CubeTensor {
    let scores = into_contiguous(scores);
    let client = scores.client.clone();
    let (rows, columns) = rows_and_columns(&scores);
    let (count, dim) = units.launch(&client, rows);
    let shares = like(&scores);
    softmax_kernel::launch(
        &client,
        count,
        dim,
        scores.clone().into_tensor_arg(),
        shares.clone().into_tensor_arg(),
        rows,
        columns,
        scale as f32,
        units,
        element(&scores),
    );
    shares
}

pub(super) fn scaled_softmax_gradient(
    scores: CubeTensor,
    grad: CubeTensor,
    scale: f64,
    units: RowUnits,
) -> (CubeTensor, CubeTensor) {
    let (scores, grad) = (into_contiguous(scores), into_contiguous(grad));
    let client = scores.client.clone();
    let (rows, columns) = rows_and_columns(&scores);
    let (count, dim) = units.launch(&client, rows);
    let (shares, scores_grad) = (like(&scores), like(&scores));
    softmax_backward_kernel::launch(
        &client,
        count,
        dim,
        scores.clone().into_tensor_arg(),
        grad.into_tensor_arg(),
        shares.clone().into_tensor_arg(),
        scores_grad.clone().into_tensor_arg(),
        rows,
        columns,
        scale as f32,
        units,
        element(&scores),
    );
    (shares, scores_grad)
}

#[cube(launch)]
fn softmax_kernel<F: Float>(
    scores: &Tensor<F>,
    shares: &mut Tensor<F>,
    rows: usize,
    columns: usize,
    scale: f32,
    #[comptime] units: RowUnits,
    #[define(F)] _dtype: ElemType,
) {
    let row = own_row(rows);
    let (start, end) = (row * columns + UNIT_POS_X as usize, (row + 1) * columns);
    let largest = largest_score::<F>(scores, start, end, scale, units);
    let mut sum = 0.0f32;
    let mut place = start;
    while place < end {
        sum += f32::exp(f32::cast_from(scores[place]) * scale - largest);
        place += CUBE_DIM_X as usize;
    }
    let inverse = 1.0f32 / sum_of_row(sum, units);
    place = start;
    while place < end {
        let share = f32::exp(f32::cast_from(scores[place]) * scale - largest) * inverse;
        shares[place] = F::cast_from(share);
        place += CUBE_DIM_X as usize;
    }
}

/// The largest of a row's scores, times `scale`.
#[cube]
fn largest_score<F: Float>(
    scores: &Tensor<F>,
    start: usize,
    end: usize,
    scale: f32,
    #[comptime] units: RowUnits,
) -> f32 {
    let mut largest = f32::new(-3.0e38);
    let mut place = start;
    while place < end {
        largest = max(largest, f32::cast_from(scores[place]) * scale);
        place += CUBE_DIM_X as usize;
    }
    largest_of_row(largest, units)
}

#[cube(launch)]
#[allow(clippy::too_many_arguments)]
fn softmax_backward_kernel<F: Float>(
    scores: &Tensor<F>,
    grad: &Tensor<F>,
    shares: &mut Tensor<F>,
    scores_grad: &mut Tensor<F>,
    rows: usize,
    columns: usize,
    scale: f32,
    #[comptime] units: RowUnits,
    #[define(F)] _dtype: ElemType,
) {
    let row = own_row(rows);
    let (start, end) = (row * columns + UNIT_POS_X as usize, (row + 1) * columns);
    let largest = largest_score::<F>(scores, start, end, scale, units);
    let mut sum = 0.0f32;
    let mut weighted = 0.0f32;
    let mut place = start;
    while place < end {
        let weight = f32::exp(f32::cast_from(scores[place]) * scale - largest);
        sum += weight;
        weighted += weight * f32::cast_from(grad[place]);
        place += CUBE_DIM_X as usize;
    }
    let inverse = 1.0f32 / sum_of_row(sum, units);
    let mean = sum_of_row(weighted, units) * inverse;
    place = start;
    while place < end {
        let share = f32::exp(f32::cast_from(scores[place]) * scale - largest) * inverse;
        shares[place] = F::cast_from(share);
        let slope = f32::cast_from(grad[place]) - mean;
        scores_grad[place] = F::cast_from(share * slope * scale);
        place += CUBE_DIM_X as usize;
    }
}
