//! Kernels for GPUs: a row each for a plane of units (32 threads of an NVIDIA GPU), in `f32` whatever the tensors hold.
//! They read a row again rather than keep it: it is in the cache.

use burn::backend::TensorMetadata;
use burn::tensor::{DType, Shape};
use burn_cubecl::cubecl::ir::features::Plane;
use burn_cubecl::cubecl::ir::{ElemType, FloatKind};
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::cubecl::{self, client::Client};
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::tensor::CubeTensor;

/// Planes of a cube.
const PLANES: u32 = 8;
/// Bytes that a unit reads at once.
const LOAD: usize = 16;
/// Rows that a cube sums up for the gradients of a norm's weight and bias.
const SUMMED: usize = 64;
/// Units of such a cube.
const SUMMING: u32 = 128;

/// How a kernel of a plane per row is launched.
struct RowLaunch {
    count: CubeCount,
    dim: CubeDim,
}

impl RowLaunch {
    /// `None` where planes cannot sum, or are of several sizes.
    fn new(client: &Client, rows: usize) -> Option<Self> {
        let properties = client.properties();
        let size = properties.hardware.plane_size_max;
        let fit = properties.features.plane.contains(Plane::Ops)
            && properties.hardware.plane_size_min == size;
        fit.then(|| Self {
            count: cubecl::calculate_cube_count_elemwise(
                client,
                rows * size as usize,
                CubeDim::new_2d(size, PLANES),
            ),
            dim: CubeDim::new_2d(size, PLANES),
        })
    }
}

/// The row of this plane.
#[cube]
fn row_of_plane() -> usize {
    CUBE_POS as usize * CUBE_DIM_Y as usize + UNIT_POS_Y as usize
}

/// Softmax of `scale * scores` over the last axis.
pub(super) fn softmax(scores: CubeTensor, scale: f64) -> Option<CubeTensor> {
    let scores = into_contiguous(scores);
    let (rows, columns) = rows_and_columns(&scores);
    let launch = RowLaunch::new(&scores.client, rows)?;
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
        element(&scores),
    );
    Some(shares)
}

#[cube(launch)]
fn softmax_kernel<F: Float>(
    scores: &Tensor<F>,
    shares: &mut Tensor<F>,
    rows: usize,
    columns: usize,
    scale: f32,
    #[define(F)] _dtype: ElemType,
) {
    let row = row_of_plane();
    if row >= rows {
        terminate!();
    }
    let (start, end) = (row * columns + UNIT_POS_X as usize, (row + 1) * columns);
    let step = CUBE_DIM_X as usize;
    let largest = largest_of_row::<F>(scores, start, end, step, scale);
    let mut sum = 0.0f32;
    let mut place = start;
    while place < end {
        sum += f32::exp(f32::cast_from(scores[place]) * scale - largest);
        place += step;
    }
    let inverse = 1.0f32 / plane_sum(sum);
    place = start;
    while place < end {
        let share = f32::exp(f32::cast_from(scores[place]) * scale - largest) * inverse;
        shares[place] = F::cast_from(share);
        place += step;
    }
}

#[cube]
fn largest_of_row<F: Float>(
    scores: &Tensor<F>,
    start: usize,
    end: usize,
    step: usize,
    scale: f32,
) -> f32 {
    let mut largest = f32::new(-3.0e38);
    let mut place = start;
    while place < end {
        largest = max(largest, f32::cast_from(scores[place]) * scale);
        place += step;
    }
    plane_max(largest)
}

/// The softmax of `scale * scores`, and the gradient of `scores`, given that of the softmax.
pub(super) fn softmax_backward(
    scores: CubeTensor,
    grad: CubeTensor,
    scale: f64,
) -> Option<(CubeTensor, CubeTensor)> {
    let (scores, grad) = (into_contiguous(scores), into_contiguous(grad));
    let (rows, columns) = rows_and_columns(&scores);
    let launch = RowLaunch::new(&scores.client, rows)?;
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
        element(&scores),
    );
    Some((shares, scores_grad))
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
    #[define(F)] _dtype: ElemType,
) {
    let row = row_of_plane();
    if row >= rows {
        terminate!();
    }
    let (start, end) = (row * columns + UNIT_POS_X as usize, (row + 1) * columns);
    let step = CUBE_DIM_X as usize;
    let largest = largest_of_row::<F>(scores, start, end, step, scale);
    let mut sum = 0.0f32;
    let mut weighted = 0.0f32;
    let mut place = start;
    while place < end {
        let weight = f32::exp(f32::cast_from(scores[place]) * scale - largest);
        sum += weight;
        weighted += weight * f32::cast_from(grad[place]);
        place += step;
    }
    let inverse = 1.0f32 / plane_sum(sum);
    let mean = plane_sum(weighted) * inverse;
    place = start;
    while place < end {
        let share = f32::exp(f32::cast_from(scores[place]) * scale - largest) * inverse;
        shares[place] = F::cast_from(share);
        let slope = f32::cast_from(grad[place]) - mean;
        scores_grad[place] = F::cast_from(share * slope * scale);
        place += step;
    }
}

/// Layer normalization of the last axis; `weight` and `bias` are `f32`.
pub(super) fn layer_norm(
    input: CubeTensor,
    weight: CubeTensor,
    bias: CubeTensor,
    epsilon: f64,
) -> Option<CubeTensor> {
    let [input, weight, bias] = [input, weight, bias].map(into_contiguous);
    let (rows, width) = rows_and_columns(&input);
    let launch = RowLaunch::new(&input.client, rows)?;
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
        element(&input),
    );
    Some(output)
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
    #[define(F)] _dtype: ElemType,
) {
    let row = row_of_plane();
    if row >= rows {
        terminate!();
    }
    let columns = weight.len();
    let (mean, inverse) = moments_of_row::<F, N>(input, row * columns, columns, width, epsilon);
    let mut column = UNIT_POS_X as usize;
    while column < columns {
        let place = row * columns + column;
        let centred = Vector::<f32, N>::cast_from(input[place]) - Vector::new(mean);
        let value = centred * Vector::new(inverse) * weight[column] + bias[column];
        output[place] = Vector::cast_from(value);
        column += CUBE_DIM_X as usize;
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
) -> (f32, f32) {
    let mut sum = Vector::<f32, N>::zero();
    let mut column = UNIT_POS_X as usize;
    while column < columns {
        sum += Vector::cast_from(input[first + column]);
        column += CUBE_DIM_X as usize;
    }
    let mean = plane_sum(Vector::vector_sum(sum)) / width;
    let mut squares = Vector::<f32, N>::zero();
    column = UNIT_POS_X as usize;
    while column < columns {
        let centred = Vector::<f32, N>::cast_from(input[first + column]) - Vector::new(mean);
        squares += centred * centred;
        column += CUBE_DIM_X as usize;
    }
    let variance = plane_sum(Vector::vector_sum(squares)) / width;
    (mean, 1.0f32 / f32::sqrt(variance + epsilon))
}

/// The gradients of input, weight and bias of a layer normalization, given that of its output.
pub(super) fn layer_norm_backward(
    input: CubeTensor,
    weight: CubeTensor,
    grad: CubeTensor,
    epsilon: f64,
) -> Option<(CubeTensor, LayerNormSums)> {
    let [input, weight, grad] = [input, weight, grad].map(into_contiguous);
    let (rows, width) = rows_and_columns(&input);
    let launch = RowLaunch::new(&input.client, rows)?;
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
    Some((input_grad, sums))
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
    #[define(F)] _dtype: ElemType,
) {
    let row = row_of_plane();
    if row >= rows {
        terminate!();
    }
    let columns = weight.len();
    let first = row * columns;
    let (mean, inverse) = moments_of_row::<F, N>(input, first, columns, width, epsilon);
    let mut inner_sum = Vector::<f32, N>::zero();
    let mut slope_sum = Vector::<f32, N>::zero();
    let mut column = UNIT_POS_X as usize;
    while column < columns {
        let normalized = (Vector::<f32, N>::cast_from(input[first + column]) - Vector::new(mean))
            * Vector::new(inverse);
        let inner = Vector::<f32, N>::cast_from(grad[first + column]) * weight[column];
        inner_sum += inner;
        slope_sum += inner * normalized;
        column += CUBE_DIM_X as usize;
    }
    let inner_mean = plane_sum(Vector::vector_sum(inner_sum)) / width;
    let slope = plane_sum(Vector::vector_sum(slope_sum)) / width;
    column = UNIT_POS_X as usize;
    while column < columns {
        let normalized = (Vector::<f32, N>::cast_from(input[first + column]) - Vector::new(mean))
            * Vector::new(inverse);
        let inner = Vector::<f32, N>::cast_from(grad[first + column]) * weight[column];
        let along = Vector::new(inner_mean) + normalized * Vector::new(slope);
        input_grad[first + column] = Vector::cast_from((inner - along) * Vector::new(inverse));
        column += CUBE_DIM_X as usize;
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
