//! Matrix products for software that passes for a GPU. Mesa's takes minutes to compile each kernel in which units wait for
//! each other, as those of fast products do; in this one none waits.

use burn::backend::TensorMetadata;
use burn::backend::ops::FloatTensorOps;
use burn::tensor::{DType, Shape};
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

use super::{unit_per_vector, unwritten};

/// The products of the matrices of two tensors in `f32`, plus, if given, a row that is added to each; `None` on a real GPU.
pub(super) fn product(
    lhs: &CubeTensor,
    rhs: &CubeTensor,
    bias: Option<&CubeTensor>,
) -> Option<CubeTensor> {
    let is_software = lhs.client.properties().identity.physical.is_none();
    if !is_software || [lhs, rhs].iter().any(|tensor| tensor.dtype != DType::F32) {
        return None;
    }
    let [lhs, rhs] = [lhs, rhs].map(|tensor| into_contiguous(tensor.clone()));
    let mut shape: Vec<usize> = lhs.shape().iter().copied().collect();
    let axes = shape.len();
    let (rows, inner, columns) = (shape[axes - 2], shape[axes - 1], rhs.shape()[axes - 1]);
    shape[axes - 1] = columns;
    let output = unwritten(&lhs, Shape::from(shape), DType::F32);
    let client = lhs.client.clone();
    let (count, dim) = unit_per_vector(&output, 1);
    product_kernel::launch(
        &client,
        count,
        dim,
        lhs.into_tensor_arg(),
        rhs.into_tensor_arg(),
        output.clone().into_tensor_arg(),
        rows,
        inner,
        columns,
    );
    Some(match bias {
        Some(bias) => {
            let row = CubeBackend::float_reshape(bias.clone(), Shape::from([1, columns]));
            CubeBackend::float_add(output, row)
        }
        None => output,
    })
}

#[cube(launch)]
fn product_kernel(
    lhs: &Tensor<f32>,
    rhs: &Tensor<f32>,
    output: &mut Tensor<f32>,
    rows: usize,
    inner: usize,
    columns: usize,
) {
    let place = ABSOLUTE_POS;
    if place >= output.len() {
        terminate!();
    }
    let line = place / columns;
    let column = place % columns;
    let matrix = line / rows;
    let mut sum = 0.0f32;
    for at in 0..inner {
        sum += lhs[line * inner + at] * rhs[(matrix * inner + at) * columns + column];
    }
    output[place] = sum;
}
