//! Sums of squares and running means, a kernel for each tensor.

use burn::backend::ops::FloatTensorOps;
use burn::tensor::Shape;
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

use super::{RowUnits, like, new, sum_of_row, unit_per_vector, vector};
use crate::network::ops::eight::Eight;
use crate::network::ops::parameters::ParameterOps;

/// Rows of units that add up squares of one tensor.
const ROWS: usize = 1024;

impl ParameterOps for CubeBackend {
    fn sums_of_squares(tensors: Eight<Self>) -> CubeTensor {
        let units = RowUnits::on(&tensors.t0.client);
        let tensors = tensors.into_array();
        let parts = new(&tensors[0], [8, ROWS]);
        for (place, tensor) in tensors.into_iter().enumerate() {
            squares(tensor, &parts, place, units);
        }
        let sums = Self::float_sum_dim(parts, 1);
        Self::float_reshape(sums, Shape::from([8]))
    }

    fn moved_means(means: Eight<Self>, latest: Eight<Self>, momentum: f64) -> Eight<Self> {
        let mut latest = latest.into_array().into_iter();
        let moved = means.into_array().map(|mean| {
            let latest = latest.next().expect("eight of both");
            moved_mean(mean, latest, momentum)
        });
        Eight::from(moved)
    }
}

/// Writes sums of squares of parts of a tensor into a row of `parts`.
pub(super) fn squares(tensor: CubeTensor, parts: &CubeTensor, place: usize, units: RowUnits) {
    let tensor = into_contiguous(tensor);
    let client = tensor.client.clone();
    let (count, dim) = units.launch(&client, ROWS);
    squares_kernel::launch(
        &client,
        count,
        dim,
        tensor.into_tensor_arg(),
        parts.clone().into_tensor_arg(),
        place * ROWS,
        units,
    );
}

pub(super) fn moved_mean(mean: CubeTensor, latest: CubeTensor, momentum: f64) -> CubeTensor {
    let (mean, latest) = (into_contiguous(mean), into_contiguous(latest));
    let moved = like(&mean);
    let client = mean.client.clone();
    let vector = vector(&mean, mean.meta.num_elements());
    let (count, dim) = unit_per_vector(&mean, vector);
    moved_mean_kernel::launch(
        &client,
        count,
        dim,
        vector,
        mean.into_tensor_arg(),
        latest.into_tensor_arg(),
        moved.clone().into_tensor_arg(),
        momentum as f32,
        (1.0 - momentum) as f32,
    );
    moved
}

/// A row of units takes every [`ROWS`]th piece of as many numbers as it has units.
#[cube(launch)]
fn squares_kernel(
    tensor: &Tensor<f32>,
    parts: &mut Tensor<f32>,
    first: usize,
    #[comptime] units: RowUnits,
) {
    let row = CUBE_POS * CUBE_DIM_Y as usize + UNIT_POS_Y as usize;
    let rows = comptime!(ROWS);
    let width = comptime!(units.count as usize);
    let mut sum = 0.0f32;
    let mut at = row * width + UNIT_POS_X as usize;
    // Rows beyond the last are there so that all units of a cube meet.
    let end = select(row < rows, tensor.len(), 0);
    while at < end {
        let value = tensor[at];
        sum += value * value;
        at += rows * width;
    }
    let sum = sum_of_row(sum, units);
    if UNIT_POS_X == 0 && row < rows {
        parts[first + row] = sum;
    }
}

#[cube(launch)]
fn moved_mean_kernel<N: Size>(
    mean: &Tensor<Vector<f32, N>>,
    latest: &Tensor<Vector<f32, N>>,
    moved: &mut Tensor<Vector<f32, N>>,
    kept: f32,
    taken: f32,
) {
    let place = ABSOLUTE_POS;
    if place >= moved.len() {
        terminate!();
    }
    moved[place] = mean[place] * Vector::new(kept) + latest[place] * Vector::new(taken);
}
