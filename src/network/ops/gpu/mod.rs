//! Kernels for GPUs, in CubeCL, for what the backend's own operations need many of. Softmax and norms give a row to 32 units
//! (threads), in `f32` whatever the tensors hold; they read a row again rather than keep it: it is in the cache.

mod adamw;
mod layer_norm;
mod softmax;

use burn::backend::TensorMetadata;
use burn::tensor::{DType, Shape};
use burn_cubecl::cubecl::ir::features::Plane;
use burn_cubecl::cubecl::ir::{ElemType, FloatKind};
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::cubecl::{self, client::Client};
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::tensor::CubeTensor;

/// Units of a row: a plane of an NVIDIA GPU.
const UNITS: u32 = 32;
/// Rows of a cube.
const ROWS: u32 = 8;

/// How a kernel that gives each row [`UNITS`] units is launched.
struct RowLaunch {
    count: CubeCount,
    dim: CubeDim,
    /// Whether the units of a row are a plane, and can add up what they have without shared memory.
    planes: bool,
}

impl RowLaunch {
    fn new(client: &Client, rows: usize) -> Self {
        let properties = client.properties();
        let hardware = &properties.hardware;
        let dim = CubeDim::new_2d(UNITS, ROWS);
        Self {
            count: cubecl::calculate_cube_count_elemwise(client, rows * UNITS as usize, dim),
            dim,
            planes: properties.features.plane.contains(Plane::Ops)
                && (hardware.plane_size_min, hardware.plane_size_max) == (UNITS, UNITS),
        }
    }
}

/// The row of this unit. Units beyond the last row do that one again, so that all of a cube wait for each other.
#[cube]
fn own_row(rows: usize) -> usize {
    let row = CUBE_POS as usize * CUBE_DIM_Y as usize + UNIT_POS_Y as usize;
    min(row, rows - 1)
}

/// The sum of what the units of a row have.
#[cube]
fn sum_of_row(value: f32, #[comptime] planes: bool) -> f32 {
    if planes {
        plane_sum(value)
    } else {
        let values = exchange(value);
        let first = (UNIT_POS_Y * UNITS) as usize;
        let mut sum = 0.0f32;
        for unit in 0..UNITS as usize {
            sum += values[first + unit];
        }
        sync_cube();
        sum
    }
}

/// The largest of what the units of a row have.
#[cube]
fn largest_of_row(value: f32, #[comptime] planes: bool) -> f32 {
    if planes {
        plane_max(value)
    } else {
        let values = exchange(value);
        let first = (UNIT_POS_Y * UNITS) as usize;
        let mut largest = value;
        for unit in 0..UNITS as usize {
            largest = max(largest, values[first + unit]);
        }
        sync_cube();
        largest
    }
}

/// What all units of the cube have.
#[cube]
fn exchange(value: f32) -> Shared<[f32]> {
    let mut values = Shared::<[f32]>::new_slice((UNITS * ROWS) as usize);
    values[UNIT_POS as usize] = value;
    sync_cube();
    values
}

fn rows_and_columns(tensor: &CubeTensor) -> (usize, usize) {
    let shape = tensor.shape();
    let columns = shape[shape.num_dims() - 1];
    (shape.num_elements() / columns, columns)
}

fn like(tensor: &CubeTensor) -> CubeTensor {
    empty_device_contiguous_dtype(
        tensor.client.clone(),
        tensor.device.clone(),
        tensor.shape(),
        tensor.dtype,
    )
}

/// An `f32` tensor on the device of another.
fn new<const D: usize>(other: &CubeTensor, shape: [usize; D]) -> CubeTensor {
    empty_device_contiguous_dtype(
        other.client.clone(),
        other.device.clone(),
        Shape::from(shape),
        DType::F32,
    )
}

fn element(tensor: &CubeTensor) -> ElemType {
    ElemType::Float(match tensor.dtype {
        DType::BF16 => FloatKind::BF16,
        DType::F16 => FloatKind::F16,
        DType::F32 => FloatKind::F32,
        other => unreachable!("layers compute in no {other:?}"),
    })
}
