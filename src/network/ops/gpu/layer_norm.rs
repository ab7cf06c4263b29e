//! Layer normalization of a row as a kernel, and its backward pass as two, of which the second sums over blocks of rows.

use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::ir::ElemType;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

use super::column_sums::{ColumnSums, SUMMED};
use super::{RowUnits, element, like, new, own_row, rows_and_columns, sum_of_row, vector};
use crate::network::ops::layer_norm::LayerNormOps;

impl LayerNormOps for CubeBackend {
    fn layer_norm_recorded(
        input: CubeTensor,
        weight: CubeTensor,
        bias: CubeTensor,
        epsilon: f64,
    ) -> (CubeTensor, CubeTensor) {
        let units = RowUnits::on(&input.client);
        let output = layer_norm(input.clone(), weight, bias, epsilon, units);
        (output, input)
    }

    fn layer_norm_gradients(
        input: CubeTensor,
        weight: CubeTensor,
        _kept: CubeTensor,
        grad: CubeTensor,
        epsilon: f64,
    ) -> (CubeTensor, CubeTensor, CubeTensor) {
        let units = RowUnits::on(&input.client);
        layer_norm_gradients(input, weight, grad, epsilon, units)
    }
}

pub(super) fn layer_norm(
    input: CubeTensor,
    weight: CubeTensor,
    bias: CubeTensor,
    epsilon: f64,
    units: RowUnits,
) -> CubeTensor {
    let [input, weight, bias] = [input, weight, bias].map(into_contiguous);
    let client = input.client.clone();
    let (rows, width) = rows_and_columns(&input);
    let (count, dim) = units.launch(&client, rows);
    let output = like(&input);
    layer_norm_kernel::launch(
        &client,
        count,
        dim,
        vector(&input, width),
        input.clone().into_tensor_arg(),
        weight.into_tensor_arg(),
        bias.into_tensor_arg(),
        output.clone().into_tensor_arg(),
        rows,
        width as f32,
        epsilon as f32,
        units,
        element(&input),
    );
    output
}

/// The gradients of input, weight and bias.
pub(super) fn layer_norm_gradients(
    input: CubeTensor,
    weight: CubeTensor,
    grad: CubeTensor,
    epsilon: f64,
    units: RowUnits,
) -> (CubeTensor, CubeTensor, CubeTensor) {
    let [input, weight, grad] = [input, weight, grad].map(into_contiguous);
    let client = input.client.clone();
    let (rows, width) = rows_and_columns(&input);
    let (count, dim) = units.launch(&client, rows);
    let input_grad = like(&input);
    let moments = new(&input, [rows, 2]);
    layer_norm_backward_kernel::launch(
        &client,
        count,
        dim,
        vector(&input, width),
        input.clone().into_tensor_arg(),
        weight.into_tensor_arg(),
        grad.clone().into_tensor_arg(),
        input_grad.clone().into_tensor_arg(),
        moments.clone().into_tensor_arg(),
        rows,
        width as f32,
        epsilon as f32,
        units,
        element(&input),
    );
    let sums = ColumnSums::of(&input, SUMMED);
    let (weight_sums, bias_sums) = (sums.parts(&input), sums.parts(&input));
    layer_norm_sums_kernel::launch(
        &client,
        sums.count(),
        sums.dim(),
        sums.vector,
        input.clone().into_tensor_arg(),
        grad.into_tensor_arg(),
        moments.into_tensor_arg(),
        weight_sums.clone().into_tensor_arg(),
        bias_sums.clone().into_tensor_arg(),
        sums.rows,
        sums.columns,
        element(&input),
    );
    let [weight_grad, bias_grad] = [weight_sums, bias_sums].map(|parts| sums.total(parts));
    (input_grad, weight_grad, bias_grad)
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
    #[comptime] units: RowUnits,
    #[define(F)] _dtype: ElemType,
) {
    let row = own_row(rows);
    let columns = weight.len();
    let (mean, inverse) =
        moments_of_row::<F, N>(input, row * columns, columns, width, epsilon, units);
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
    #[comptime] units: RowUnits,
) -> (f32, f32) {
    let mut sum = Vector::<f32, N>::zero();
    let mut column = UNIT_POS_X as usize;
    while column < columns {
        sum += Vector::cast_from(input[first + column]);
        column += CUBE_DIM_X as usize;
    }
    let mean = sum_of_row(Vector::vector_sum(sum), units) / width;
    let mut squares = Vector::<f32, N>::zero();
    column = UNIT_POS_X as usize;
    while column < columns {
        let centred = Vector::<f32, N>::cast_from(input[first + column]) - Vector::new(mean);
        squares += centred * centred;
        column += CUBE_DIM_X as usize;
    }
    let variance = sum_of_row(Vector::vector_sum(squares), units) / width;
    (mean, 1.0f32 / f32::sqrt(variance + epsilon))
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
    #[comptime] units: RowUnits,
    #[define(F)] _dtype: ElemType,
) {
    let row = own_row(rows);
    let columns = weight.len();
    let first = row * columns;
    let (mean, inverse) = moments_of_row::<F, N>(input, first, columns, width, epsilon, units);
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
    let inner_mean = sum_of_row(Vector::vector_sum(inner_sum), units) / width;
    let slope = sum_of_row(Vector::vector_sum(slope_sum), units) / width;
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
