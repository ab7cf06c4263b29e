//! Sums over the rows of a matrix, as a bias has for its gradient.

use burn::backend::ops::FloatTensorOps;
use burn::tensor::Shape;
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::ir::ElemType;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

use super::{SUMMED, SUMMING, element, new, rows_and_columns, vector};

/// `(columns,)` in `f32` of `(..., columns)`.
pub(super) fn column_sums(tensor: CubeTensor) -> CubeTensor {
    let tensor = into_contiguous(tensor);
    let client = tensor.client.clone();
    let (rows, width) = rows_and_columns(&tensor);
    let parts = rows.div_ceil(SUMMED);
    let sums = new(&tensor, [parts, width]);
    let vector = vector(&tensor, width);
    let cubes = (width / vector).div_ceil(SUMMING as usize);
    column_sums_kernel::launch(
        &client,
        CubeCount::Static(cubes as u32, parts as u32, 1),
        CubeDim::new_1d(SUMMING),
        vector,
        tensor.clone().into_tensor_arg(),
        sums.clone().into_tensor_arg(),
        rows,
        width / vector,
        element(&tensor),
    );
    let total = CubeBackend::float_sum_dim(sums, 0);
    CubeBackend::float_reshape(total, Shape::from([width]))
}

/// Sums over [`SUMMED`] rows a cube; a unit has a column.
#[cube(launch)]
fn column_sums_kernel<F: Float, N: Size>(
    input: &Tensor<Vector<F, N>>,
    sums: &mut Tensor<Vector<f32, N>>,
    rows: usize,
    columns: usize,
    #[define(F)] _dtype: ElemType,
) {
    let column = CUBE_POS_X as usize * CUBE_DIM_X as usize + UNIT_POS_X as usize;
    if column >= columns {
        terminate!();
    }
    let part = CUBE_POS_Y as usize;
    let mut sum = Vector::<f32, N>::zero();
    let mut row = part * SUMMED;
    let end = min(row + SUMMED, rows);
    while row < end {
        sum += Vector::cast_from(input[row * columns + column]);
        row += 1;
    }
    sums[part * columns + column] = sum;
}
