//! LayerScale, the factors of stochastic depth and the sum of a residual branch as one kernel, and the gradients of branch and
//! factors as another.

use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::ir::ElemType;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

use super::{
    ColumnSums, as_i32, element, like, of_type, rows_and_columns, unit_per_vector, vector,
};
use crate::network::ops::residual::{ResidualOps, Seen};

/// Rows that a cube adds up: fewer than elsewhere, for it reads and writes more of each.
const SUMMED: usize = 16;

impl ResidualOps for CubeBackend {
    fn add_branch(
        whole: CubeTensor,
        branch: CubeTensor,
        gamma: CubeTensor,
        seen: Seen<Self>,
    ) -> CubeTensor {
        let [whole, branch, gamma] = [whole, branch, gamma].map(into_contiguous);
        let sum = like(&whole);
        let (_, width) = rows_and_columns(&whole);
        let vector = vector(&whole, width);
        let client = whole.client.clone();
        let (count, dim) = unit_per_vector(&sum, vector);
        let dtypes = [element(&whole), element(&gamma)];
        let (places, scales) = match seen {
            Seen::All => (None, None),
            Seen::Some { places, scales, .. } => (Some(as_i32(places)), Some(as_f32(scales))),
        };
        add_branch_kernel::launch(
            &client,
            count,
            dim,
            vector,
            whole.into_tensor_arg(),
            branch.into_tensor_arg(),
            gamma.into_tensor_arg(),
            places.map(CubeTensor::into_tensor_arg).into(),
            scales.map(CubeTensor::into_tensor_arg).into(),
            sum.clone().into_tensor_arg(),
            width / vector,
            dtypes,
        );
        sum
    }

    fn add_branch_gradients(
        branch: CubeTensor,
        gamma: CubeTensor,
        grad: CubeTensor,
        seen: Seen<Self>,
    ) -> (CubeTensor, CubeTensor) {
        let [branch, gamma, grad] = [branch, gamma, grad].map(into_contiguous);
        let branch_grad = like(&branch);
        let sums = ColumnSums::of(&branch, SUMMED);
        let parts = sums.parts(&branch);
        let dtypes = [element(&branch), element(&gamma)];
        let (rows, scales) = match seen {
            Seen::All => (None, None),
            Seen::Some { rows, scales, .. } => (Some(as_i32(rows)), Some(as_f32(scales))),
        };
        let gamma_dtype = gamma.dtype;
        let client = branch.client.clone();
        add_branch_backward_kernel::launch(
            &client,
            sums.count(),
            sums.dim(),
            sums.vector,
            branch.into_tensor_arg(),
            gamma.into_tensor_arg(),
            grad.into_tensor_arg(),
            rows.map(CubeTensor::into_tensor_arg).into(),
            scales.map(CubeTensor::into_tensor_arg).into(),
            branch_grad.clone().into_tensor_arg(),
            parts.clone().into_tensor_arg(),
            sums.rows,
            sums.columns,
            dtypes,
        );
        (branch_grad, of_type(sums.total(parts), gamma_dtype))
    }
}

fn as_f32(scales: CubeTensor) -> CubeTensor {
    of_type(into_contiguous(scales), burn::tensor::DType::F32)
}

/// A unit has a vector of the sum.
#[cube(launch)]
#[allow(clippy::too_many_arguments)]
fn add_branch_kernel<F: Float, G: Float, N: Size>(
    whole: &Tensor<Vector<F, N>>,
    branch: &Tensor<Vector<F, N>>,
    gamma: &Tensor<Vector<G, N>>,
    places: ComptimeOption<&Tensor<i32>>,
    scales: ComptimeOption<&Tensor<f32>>,
    sum: &mut Tensor<Vector<F, N>>,
    columns: usize,
    #[define(F, G)] _dtypes: [ElemType; 2],
) {
    let place = ABSOLUTE_POS;
    if place >= sum.len() {
        terminate!();
    }
    let (row, column) = (place / columns, place % columns);
    let own = Vector::<f32, N>::cast_from(whole[place]);
    let gamma = Vector::<f32, N>::cast_from(gamma[column]);
    #[comptime]
    let total = match places.zip(scales) {
        ComptimeOption::Some((places, scales)) => {
            let mut total = own;
            let scale = scales[row];
            if scale != 0.0 {
                let from = places[row] as usize * columns + column;
                total += Vector::cast_from(branch[from]) * gamma * Vector::new(scale);
            }
            total
        }
        ComptimeOption::None => own + Vector::cast_from(branch[place]) * gamma,
    };
    sum[place] = Vector::cast_from(total);
}

/// The branch's gradient, and sums over [`SUMMED`] rows of the factors' gradients a cube; a unit has a column.
#[cube(launch)]
#[allow(clippy::too_many_arguments)]
fn add_branch_backward_kernel<F: Float, G: Float, N: Size>(
    branch: &Tensor<Vector<F, N>>,
    gamma: &Tensor<Vector<G, N>>,
    grad: &Tensor<Vector<F, N>>,
    rows_seen: ComptimeOption<&Tensor<i32>>,
    scales: ComptimeOption<&Tensor<f32>>,
    branch_grad: &mut Tensor<Vector<F, N>>,
    gamma_sums: &mut Tensor<Vector<f32, N>>,
    rows: usize,
    columns: usize,
    #[define(F, G)] _dtypes: [ElemType; 2],
) {
    let column = CUBE_POS_X as usize * CUBE_DIM_X as usize + UNIT_POS_X as usize;
    if column >= columns {
        terminate!();
    }
    let part = CUBE_POS_Y as usize;
    let gamma = Vector::<f32, N>::cast_from(gamma[column]);
    let mut gamma_sum = Vector::<f32, N>::zero();
    let mut row = part * SUMMED;
    let end = min(row + SUMMED, rows);
    while row < end {
        let place = row * columns + column;
        #[comptime]
        let slope = match rows_seen.zip(scales) {
            ComptimeOption::Some((rows_seen, scales)) => {
                let seen = rows_seen[row] as usize;
                Vector::<f32, N>::cast_from(grad[seen * columns + column])
                    * Vector::new(scales[seen])
            }
            ComptimeOption::None => Vector::<f32, N>::cast_from(grad[place]),
        };
        gamma_sum += slope * Vector::cast_from(branch[place]);
        branch_grad[place] = Vector::cast_from(slope * gamma);
        row += 1;
    }
    gamma_sums[part * columns + column] = gamma_sum;
}
