//! Sums over the rows of a matrix, as a bias has for its gradient: of blocks of rows first, then of those.

use burn::backend::ops::FloatTensorOps;
use burn::tensor::Shape;
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::ir::ElemType;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

use super::{element, new, rows_and_columns, vector};

/// Units of a cube.
const CUBE: u32 = 128;
/// Rows that a cube adds up.
pub(super) const SUMMED: usize = 64;

/// How the rows of a matrix are shared by cubes: along x the columns, of which a unit has a vector, along y blocks of rows.
pub(super) struct ColumnSums {
    pub vector: usize,
    pub rows: usize,
    /// In vectors.
    pub columns: usize,
    blocks: usize,
}

impl ColumnSums {
    /// Of a contiguous tensor, in blocks of so many rows.
    pub fn of(tensor: &CubeTensor, block: usize) -> Self {
        let (rows, width) = rows_and_columns(tensor);
        let vector = vector(tensor, width);
        Self {
            vector,
            rows,
            columns: width / vector,
            blocks: rows.div_ceil(block),
        }
    }

    pub fn count(&self) -> CubeCount {
        let along_columns = self.columns.div_ceil(CUBE as usize);
        CubeCount::Static(along_columns as u32, self.blocks as u32, 1)
    }

    pub fn dim(&self) -> CubeDim {
        CubeDim::new_1d(CUBE)
    }

    /// Memory for the sums of the blocks, on the device of `other`.
    pub fn parts(&self, other: &CubeTensor) -> CubeTensor {
        new(other, [self.blocks, self.columns * self.vector])
    }

    /// `(columns,)` in `f32`.
    pub fn total(&self, parts: CubeTensor) -> CubeTensor {
        let total = CubeBackend::float_sum_dim(parts, 0);
        CubeBackend::float_reshape(total, Shape::from([self.columns * self.vector]))
    }
}

/// `(columns,)` in `f32` of `(..., columns)`.
pub(super) fn column_sums(tensor: CubeTensor) -> CubeTensor {
    let tensor = into_contiguous(tensor);
    let client = tensor.client.clone();
    let sums = ColumnSums::of(&tensor, SUMMED);
    let parts = sums.parts(&tensor);
    column_sums_kernel::launch(
        &client,
        sums.count(),
        sums.dim(),
        sums.vector,
        tensor.clone().into_tensor_arg(),
        parts.clone().into_tensor_arg(),
        sums.rows,
        sums.columns,
        element(&tensor),
    );
    sums.total(parts)
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
