//! Kernels for GPUs: a row each for 32 units (threads), in `f32` whatever the tensors hold. They read a row again rather
//! than keep it: it is in the cache.

use burn::backend::TensorMetadata;
use burn::tensor::{DType, Shape};
use burn_cubecl::cubecl::ir::features::Plane;
use burn_cubecl::cubecl::ir::{ElemType, FloatKind};
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::cubecl::{self, client::Client};
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::tensor::CubeTensor;

/// Units of a row: a plane of an NVIDIA GPU.
const UNITS: u32 = 32;
/// Rows of a cube.
const ROWS: u32 = 8;
/// Bytes that a unit reads at once.
const LOAD: usize = 16;
/// Rows that a cube sums up for the gradients of a norm's weight and bias.
const SUMMED: usize = 64;
/// Units of such a cube.
const SUMMING: u32 = 128;

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

/// Softmax of `scale * scores` over the last axis.
pub(super) fn softmax(scores: CubeTensor, scale: f64) -> CubeTensor {
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

/// The softmax of `scale * scores`, and the gradient of `scores`, given that of the softmax.
pub(super) fn softmax_backward(
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

/// Layer normalization of the last axis; `weight` and `bias` are `f32`.
pub(super) fn layer_norm(
    input: CubeTensor,
    weight: CubeTensor,
    bias: CubeTensor,
    epsilon: f64,
) -> CubeTensor {
    let [input, weight, bias] = [input, weight, bias].map(into_contiguous);
    let (rows, width) = rows_and_columns(&input);
    let launch = RowLaunch::new(&input.client, rows);
    let output = like(&input);
    layer_norm_kernel::launch(
        &input.client.clone(),
        launch.count,
        launch.dim,
        vector(&input, width),
        input.clone().into_tensor_arg(),
        weight.into_tensor_arg(),
        bias.into_tensor_arg(),
        output.clone().into_tensor_arg(),
        rows,
        width as f32,
        epsilon as f32,
        launch.planes,
        element(&input),
    );
    output
}

#[cube(launch)]
#[allow(clippy::too_many_arguments)]
fn layer_norm_kernel<F: Float, N: Size>(
    input: &Tensor<Vector<F, N>>,
    weight: &Tensor<Vector<f32, N>>,
    bias: &Tensor<Vector<f32, N>>,
    output: &mut Tensor<Vector<F, N>>,
    rows: usize,
    width: f32,
    epsilon: f32,
    #[comptime] planes: bool,
    #[define(F)] _dtype: ElemType,
) {
    let row = own_row(rows);
    let columns = weight.len();
    let (mean, inverse) =
        moments_of_row::<F, N>(input, row * columns, columns, width, epsilon, planes);
    let mut column = UNIT_POS_X as usize;
    while column < columns {
        let place = row * columns + column;
        let centred = Vector::<f32, N>::cast_from(input[place]) - Vector::new(mean);
        let value = centred * Vector::new(inverse) * weight[column] + bias[column];
        output[place] = Vector::cast_from(value);
        column += UNITS as usize;
    }
}

/// Mean and inverse deviation of the row that begins at `first`.
#[cube]
fn moments_of_row<F: Float, N: Size>(
    input: &Tensor<Vector<F, N>>,
    first: usize,
    columns: usize,
    width: f32,
    epsilon: f32,
    #[comptime] planes: bool,
) -> (f32, f32) {
    let mut sum = Vector::<f32, N>::zero();
    let mut column = UNIT_POS_X as usize;
    while column < columns {
        sum += Vector::cast_from(input[first + column]);
        column += UNITS as usize;
    }
    let mean = sum_of_row(Vector::vector_sum(sum), planes) / width;
    let mut squares = Vector::<f32, N>::zero();
    column = UNIT_POS_X as usize;
    while column < columns {
        let centred = Vector::<f32, N>::cast_from(input[first + column]) - Vector::new(mean);
        squares += centred * centred;
        column += UNITS as usize;
    }
    let variance = sum_of_row(Vector::vector_sum(squares), planes) / width;
    (mean, 1.0f32 / f32::sqrt(variance + epsilon))
}

/// The gradients of input, weight and bias of a layer normalization, given that of its output.
pub(super) fn layer_norm_backward(
    input: CubeTensor,
    weight: CubeTensor,
    grad: CubeTensor,
    epsilon: f64,
) -> (CubeTensor, LayerNormSums) {
    let [input, weight, grad] = [input, weight, grad].map(into_contiguous);
    let (rows, width) = rows_and_columns(&input);
    let launch = RowLaunch::new(&input.client, rows);
    let client = input.client.clone();
    let input_grad = like(&input);
    let moments = new(&input, [rows, 2]);
    let vector = vector(&input, width);
    layer_norm_backward_kernel::launch(
        &client,
        launch.count,
        launch.dim,
        vector,
        input.clone().into_tensor_arg(),
        weight.into_tensor_arg(),
        grad.clone().into_tensor_arg(),
        input_grad.clone().into_tensor_arg(),
        moments.clone().into_tensor_arg(),
        rows,
        width as f32,
        epsilon as f32,
        launch.planes,
        element(&input),
    );
    let parts = rows.div_ceil(SUMMED);
    let sums = LayerNormSums {
        weight: new(&input, [parts, width]),
        bias: new(&input, [parts, width]),
    };
    let cubes = (width / vector).div_ceil(SUMMING as usize);
    layer_norm_sums_kernel::launch(
        &client,
        CubeCount::Static(cubes as u32, parts as u32, 1),
        CubeDim::new_1d(SUMMING),
        vector,
        input.clone().into_tensor_arg(),
        grad.into_tensor_arg(),
        moments.into_tensor_arg(),
        sums.weight.clone().into_tensor_arg(),
        sums.bias.clone().into_tensor_arg(),
        rows,
        width / vector,
        element(&input),
    );
    (input_grad, sums)
}

/// Gradients of weight and bias, `(parts, width)` each, that are still to be summed over the parts.
pub(super) struct LayerNormSums {
    pub(super) weight: CubeTensor,
    pub(super) bias: CubeTensor,
}

#[cube(launch)]
#[allow(clippy::too_many_arguments)]
fn layer_norm_backward_kernel<F: Float, N: Size>(
    input: &Tensor<Vector<F, N>>,
    weight: &Tensor<Vector<f32, N>>,
    grad: &Tensor<Vector<F, N>>,
    input_grad: &mut Tensor<Vector<F, N>>,
    moments: &mut Tensor<f32>,
    rows: usize,
    width: f32,
    epsilon: f32,
    #[comptime] planes: bool,
    #[define(F)] _dtype: ElemType,
) {
    let row = own_row(rows);
    let columns = weight.len();
    let first = row * columns;
    let (mean, inverse) = moments_of_row::<F, N>(input, first, columns, width, epsilon, planes);
    let mut inner_sum = Vector::<f32, N>::zero();
    let mut slope_sum = Vector::<f32, N>::zero();
    let mut column = UNIT_POS_X as usize;
    while column < columns {
        let normalized = (Vector::<f32, N>::cast_from(input[first + column]) - Vector::new(mean))
            * Vector::new(inverse);
        let inner = Vector::<f32, N>::cast_from(grad[first + column]) * weight[column];
        inner_sum += inner;
        slope_sum += inner * normalized;
        column += UNITS as usize;
    }
    let inner_mean = sum_of_row(Vector::vector_sum(inner_sum), planes) / width;
    let slope = sum_of_row(Vector::vector_sum(slope_sum), planes) / width;
    column = UNIT_POS_X as usize;
    while column < columns {
        let normalized = (Vector::<f32, N>::cast_from(input[first + column]) - Vector::new(mean))
            * Vector::new(inverse);
        let inner = Vector::<f32, N>::cast_from(grad[first + column]) * weight[column];
        let along = Vector::new(inner_mean) + normalized * Vector::new(slope);
        input_grad[first + column] = Vector::cast_from((inner - along) * Vector::new(inverse));
        column += UNITS as usize;
    }
    if UNIT_POS_X == 0 {
        moments[2 * row] = mean;
        moments[2 * row + 1] = inverse;
    }
}

/// Sums over [`SUMMED`] rows a cube; a unit has a column.
#[cube(launch)]
#[allow(clippy::too_many_arguments)]
fn layer_norm_sums_kernel<F: Float, N: Size>(
    input: &Tensor<Vector<F, N>>,
    grad: &Tensor<Vector<F, N>>,
    moments: &Tensor<f32>,
    weight_sums: &mut Tensor<Vector<f32, N>>,
    bias_sums: &mut Tensor<Vector<f32, N>>,
    rows: usize,
    columns: usize,
    #[define(F)] _dtype: ElemType,
) {
    let column = CUBE_POS_X as usize * CUBE_DIM_X as usize + UNIT_POS_X as usize;
    if column >= columns {
        terminate!();
    }
    let part = CUBE_POS_Y as usize;
    let mut weight_sum = Vector::<f32, N>::zero();
    let mut bias_sum = Vector::<f32, N>::zero();
    let mut row = part * SUMMED;
    let end = min(row + SUMMED, rows);
    while row < end {
        let place = row * columns + column;
        let slope = Vector::<f32, N>::cast_from(grad[place]);
        let centred = Vector::<f32, N>::cast_from(input[place]) - Vector::new(moments[2 * row]);
        weight_sum += slope * centred * Vector::new(moments[2 * row + 1]);
        bias_sum += slope;
        row += 1;
    }
    weight_sums[part * columns + column] = weight_sum;
    bias_sums[part * columns + column] = bias_sum;
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

/// Numbers that a unit reads at once of rows of `width`.
fn vector(tensor: &CubeTensor, width: usize) -> usize {
    let mut vector = LOAD / tensor.dtype.size();
    while !width.is_multiple_of(vector) {
        vector /= 2;
    }
    vector
}

fn element(tensor: &CubeTensor) -> ElemType {
    ElemType::Float(match tensor.dtype {
        DType::BF16 => FloatKind::BF16,
        DType::F16 => FloatKind::F16,
        DType::F32 => FloatKind::F32,
        other => unreachable!("layers compute in no {other:?}"),
    })
}
