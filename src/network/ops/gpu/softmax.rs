//! Softmax of a row, and its backward pass, as one kernel each.

use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::ir::ElemType;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

use super::{
    RowLaunch, UNITS, element, largest_of_row, like, own_row, rows_and_columns, sum_of_row,
};
use crate::network::ops::softmax::SoftmaxOps;

impl SoftmaxOps for CubeBackend {
    fn scaled_softmax(scores: CubeTensor, scale: f64) -> CubeTensor {
        let scores = into_contiguous(scores);
        let (rows, columns) = rows_and_columns(&scores);
        let launch = RowLaunch::new(&scores.client, rows);
        let shares = like(&scores);
        softmax_kernel::launch(
            &scores.client.clone(),
            launch.count,
            launch.dim,
            scores.clone().into_tensor_arg(),
            shares.clone().into_tensor_arg(),
            rows,
            columns,
            scale as f32,
            launch.planes,
            element(&scores),
        );
        shares
    }

    fn scaled_softmax_gradient(
        scores: CubeTensor,
        grad: CubeTensor,
        scale: f64,
    ) -> (CubeTensor, CubeTensor) {
        let (scores, grad) = (into_contiguous(scores), into_contiguous(grad));
        let (rows, columns) = rows_and_columns(&scores);
        let launch = RowLaunch::new(&scores.client, rows);
        let (shares, scores_grad) = (like(&scores), like(&scores));
        softmax_backward_kernel::launch(
            &scores.client.clone(),
            launch.count,
            launch.dim,
            scores.clone().into_tensor_arg(),
            grad.into_tensor_arg(),
            shares.clone().into_tensor_arg(),
            scores_grad.clone().into_tensor_arg(),
            rows,
            columns,
            scale as f32,
            launch.planes,
            element(&scores),
        );
        (shares, scores_grad)
    }
}

#[cube(launch)]
fn softmax_kernel<F: Float>(
    scores: &Tensor<F>,
    shares: &mut Tensor<F>,
    rows: usize,
    columns: usize,
    scale: f32,
    #[comptime] planes: bool,
    #[define(F)] _dtype: ElemType,
) {
    let row = own_row(rows);
    let (start, end) = (row * columns + UNIT_POS_X as usize, (row + 1) * columns);
    let largest = largest_score::<F>(scores, start, end, scale, planes);
    let mut sum = 0.0f32;
    let mut place = start;
    while place < end {
        sum += f32::exp(f32::cast_from(scores[place]) * scale - largest);
        place += UNITS as usize;
    }
    let inverse = 1.0f32 / sum_of_row(sum, planes);
    place = start;
    while place < end {
        let share = f32::exp(f32::cast_from(scores[place]) * scale - largest) * inverse;
        shares[place] = F::cast_from(share);
        place += UNITS as usize;
    }
}

/// The largest of a row's scores, times `scale`.
#[cube]
fn largest_score<F: Float>(
    scores: &Tensor<F>,
    start: usize,
    end: usize,
    scale: f32,
    #[comptime] planes: bool,
) -> f32 {
    let mut largest = f32::new(-3.0e38);
    let mut place = start;
    while place < end {
        largest = max(largest, f32::cast_from(scores[place]) * scale);
        place += UNITS as usize;
    }
    largest_of_row(largest, planes)
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
    #[comptime] planes: bool,
    #[define(F)] _dtype: ElemType,
) {
    let row = own_row(rows);
    let (start, end) = (row * columns + UNIT_POS_X as usize, (row + 1) * columns);
    let largest = largest_score::<F>(scores, start, end, scale, planes);
    let mut sum = 0.0f32;
    let mut weighted = 0.0f32;
    let mut place = start;
    while place < end {
        let weight = f32::exp(f32::cast_from(scores[place]) * scale - largest);
        sum += weight;
        weighted += weight * f32::cast_from(grad[place]);
        place += UNITS as usize;
    }
    let inverse = 1.0f32 / sum_of_row(sum, planes);
    let mean = sum_of_row(weighted, planes) * inverse;
    place = start;
    while place < end {
        let share = f32::exp(f32::cast_from(scores[place]) * scale - largest) * inverse;
        shares[place] = F::cast_from(share);
        let slope = f32::cast_from(grad[place]) - mean;
        scores_grad[place] = F::cast_from(share * slope * scale);
        place += UNITS as usize;
    }
}
