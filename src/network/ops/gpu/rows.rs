//! Some rows of a tensor, copied in pieces as large as a unit reads at once.

use burn::tensor::Shape;
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::ir::ElemType;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

use super::{as_i32, element, rows_and_columns, unit_per_vector, unwritten, vector};
use crate::network::ops::rows::RowOps;

impl RowOps for CubeBackend {
    fn take_rows(
        whole: CubeTensor,
        rows: CubeTensor,
        _places: CubeTensor,
        _present: CubeTensor,
    ) -> CubeTensor {
        let (whole, rows) = (into_contiguous(whole), as_i32(rows));
        let (_, width) = rows_and_columns(&whole);
        let part = unwritten(
            &whole,
            Shape::from([rows.meta.num_elements(), width]),
            whole.dtype,
        );
        let vector = vector(&whole, width);
        let client = whole.client.clone();
        let (count, dim) = unit_per_vector(&part, vector);
        take_rows_kernel::launch(
            &client,
            count,
            dim,
            vector,
            whole.into_tensor_arg(),
            rows.into_tensor_arg(),
            part.clone().into_tensor_arg(),
            width / vector,
            element(&part),
        );
        part
    }
}

/// Columns are counted in vectors.
#[cube(launch)]
fn take_rows_kernel<F: Float, N: Size>(
    whole: &Tensor<Vector<F, N>>,
    rows: &Tensor<i32>,
    part: &mut Tensor<Vector<F, N>>,
    columns: usize,
    #[define(F)] _dtype: ElemType,
) {
    let place = ABSOLUTE_POS;
    if place >= part.len() {
        terminate!();
    }
    let row = rows[place / columns] as usize;
    part[place] = whole[row * columns + place % columns];
}
