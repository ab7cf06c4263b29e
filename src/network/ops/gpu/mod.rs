//! Kernels for GPUs, in CubeCL, for what the backend's own operations need many of. Softmax and norms give a row to some
//! units (threads), in `f32` whatever the tensors hold; they read a row again rather than keep it: it is in the cache.
//!
//! Matrix products are NVIDIA's own on CUDA, and the backend's elsewhere.
//!
//! One source of kernels serves CUDA, Vulkan and Metal, and planes (warps, subgroups) of any size.

mod adamw;
#[cfg(feature = "cuda")]
mod aside;
mod attention;
mod column_sums;
#[cfg(feature = "cuda")]
mod cublas;
mod layer_norm;
#[cfg(feature = "nccl")]
pub(super) mod nccl;
mod parameters;
mod plain;
mod product;
mod residual;
mod rows;
mod softmax;
#[cfg(test)]
mod tests;

use burn::backend::TensorMetadata;
use burn::backend::ops::{FloatTensorOps, IntTensorOps};
use burn::tensor::{DType, IntDType, Shape};
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl::ir::features::Plane;
use burn_cubecl::cubecl::ir::{ElemType, FloatKind};
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::cubecl::{self, client::Client};
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::tensor::CubeTensor;

use column_sums::ColumnSums;

/// Units of a cube.
const CUBE: u32 = 256;
/// Bytes that a unit reads at once.
const LOAD: usize = 16;

/// The units that share a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct RowUnits {
    count: u32,
    /// Whether they are a plane, and can add up what they have without shared memory.
    plane: bool,
}

impl RowUnits {
    /// A plane, where the device has planes of one size alone; else a number that suits most.
    fn on(client: &Client) -> Self {
        let properties = client.properties();
        let hardware = &properties.hardware;
        let size = hardware.plane_size_min;
        let plane = properties.features.plane.contains(Plane::Ops)
            && size == hardware.plane_size_max
            && CUBE.is_multiple_of(size);
        Self {
            count: if plane { size } else { 32 },
            plane,
        }
    }

    /// Cubes for so many rows, and the units of a cube: along x those of a row.
    fn launch(self, client: &Client, rows: usize) -> (CubeCount, CubeDim) {
        let dim = CubeDim::new_2d(self.count, CUBE / self.count);
        let units = rows * self.count as usize;
        let count = cubecl::calculate_cube_count_elemwise(client, units, dim);
        (count, dim)
    }
}

/// Cubes with a unit for each vector of `tensor`, of which none waits for another, and the units of a cube.
fn unit_per_vector(tensor: &CubeTensor, vector: usize) -> (CubeCount, CubeDim) {
    let client = &tensor.client;
    let units = tensor.meta.num_elements() / vector;
    let dim = CubeDim::new(client, units);
    let count = cubecl::calculate_cube_count_elemwise(client, units, dim);
    (count, dim)
}

/// The row of this unit. Units beyond the last row do that one again, so that all of a cube wait for each other.
#[cube]
fn own_row(rows: usize) -> usize {
    let row = CUBE_POS * CUBE_DIM_Y as usize + UNIT_POS_Y as usize;
    min(row, rows - 1)
}

/// The sum of what the units of a row have.
#[cube]
fn sum_of_row(value: f32, #[comptime] units: RowUnits) -> f32 {
    if comptime!(units.plane) {
        plane_sum(value)
    } else {
        let values = exchange(value);
        let first = (UNIT_POS_Y * CUBE_DIM_X) as usize;
        let mut sum = 0.0f32;
        for unit in 0..comptime!(units.count as usize) {
            sum += values[first + unit];
        }
        sync_cube();
        sum
    }
}

/// The largest of what the units of a row have.
#[cube]
fn largest_of_row(value: f32, #[comptime] units: RowUnits) -> f32 {
    if comptime!(units.plane) {
        plane_max(value)
    } else {
        let values = exchange(value);
        let first = (UNIT_POS_Y * CUBE_DIM_X) as usize;
        let mut largest = value;
        for unit in 0..comptime!(units.count as usize) {
            largest = max(largest, values[first + unit]);
        }
        sync_cube();
        largest
    }
}

/// What all units of the cube have.
#[cube]
fn exchange(value: f32) -> Shared<[f32]> {
    let mut values = Shared::<[f32]>::new_slice(CUBE as usize);
    values[UNIT_POS as usize] = value;
    sync_cube();
    values
}

fn rows_and_columns(tensor: &CubeTensor) -> (usize, usize) {
    let shape = tensor.shape();
    let columns = shape[shape.num_dims() - 1];
    (shape.num_elements() / columns, columns)
}

/// Numbers that a unit reads at once of rows of `width`.
fn vector(tensor: &CubeTensor, width: usize) -> usize {
    let most = tensor.client.properties().hardware.max_vector_size;
    let mut vector = LOAD / tensor.dtype.size();
    while vector > most || !width.is_multiple_of(vector) {
        vector /= 2;
    }
    vector
}

/// Memory for a tensor like another.
fn like(tensor: &CubeTensor) -> CubeTensor {
    unwritten(tensor, tensor.shape(), tensor.dtype)
}

/// Memory for an `f32` tensor on the device of another.
fn new<const D: usize>(other: &CubeTensor, shape: [usize; D]) -> CubeTensor {
    unwritten(other, Shape::from(shape), DType::F32)
}

/// Memory for a result on the device of another tensor. In tests it holds NaN, so that what no kernel writes is seen.
fn unwritten(other: &CubeTensor, shape: Shape, dtype: DType) -> CubeTensor {
    let (client, device) = (other.client.clone(), other.device.clone());
    let memory = empty_device_contiguous_dtype(client, device, shape, dtype);
    #[cfg(test)]
    let memory = tests::poisoned(memory);
    memory
}

/// `tensor` in this type; itself if it is.
fn of_type(tensor: CubeTensor, dtype: DType) -> CubeTensor {
    match tensor.dtype == dtype {
        true => tensor,
        false => CubeBackend::float_cast(tensor, dtype.into()),
    }
}

/// Whole numbers as kernels read them.
fn as_i32(numbers: CubeTensor) -> CubeTensor {
    let numbers = into_contiguous(numbers);
    match numbers.dtype == DType::I32 {
        true => numbers,
        false => CubeBackend::int_cast(numbers, IntDType::I32),
    }
}

fn element(tensor: &CubeTensor) -> ElemType {
    ElemType::Float(match tensor.dtype {
        DType::BF16 => FloatKind::BF16,
        DType::F16 => FloatKind::F16,
        DType::F32 => FloatKind::F32,
        other => unreachable!("layers compute in no {other:?}"),
    })
}
