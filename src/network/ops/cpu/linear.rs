//! Affine maps: blocks of rows, each a product on one thread.

use burn::backend::ops::ModuleOps;
use burn::backend::{Flex, TensorMetadata};
use burn::tensor::Shape;
use burn_flex::FlexTensor;
use ndarray::ArrayView2;
use rayon::prelude::*;

use super::{has_kernels, new_tensor, values};
use crate::base::numeric::{Product, matrix, matrix_mut, vectorized};
use crate::network::ops::linear::LinearOps;

/// Rows per task of the bias gradient. Fixed, because they are summed task by task.
const ROWS: usize = 256;

impl LinearOps for Flex {
    fn linear_forward(input: FlexTensor, weight: FlexTensor, bias: FlexTensor) -> FlexTensor {
        if !has_kernels(&input) {
            return Self::linear(input, weight, Some(bias));
        }
        let [input, weight, bias] = [input, weight, bias].map(|tensor| tensor.to_contiguous());
        rows_times(&input, weight_of(&weight), Some(values(&bias)))
    }

    fn linear_kept(input: FlexTensor) -> FlexTensor {
        input.to_contiguous()
    }

    fn linear_input_gradient(weight: FlexTensor, grad: FlexTensor) -> FlexTensor {
        if !has_kernels(&grad) {
            return Self::linear_x_backward(weight, grad);
        }
        let [weight, grad] = [weight, grad].map(|tensor| tensor.to_contiguous());
        rows_times(&grad, weight_of(&weight).reversed_axes(), None)
    }

    fn linear_weight_gradient(input: FlexTensor, grad: FlexTensor) -> FlexTensor {
        if !has_kernels(&grad) {
            return Self::linear_weight_backward(input, grad);
        }
        let [input, grad] = [input, grad].map(|tensor| tensor.to_contiguous());
        let [(rows, inputs), (_, outputs)] = [&input, &grad].map(rows_and_width);
        let mut result = vec![0.0; inputs * outputs];
        let input = matrix(values(&input), (rows, inputs));
        Product::of(input.t(), matrix(values(&grad), (rows, outputs)))
            .on_all_threads()
            .write_to(matrix_mut(&mut result, (inputs, outputs)));
        new_tensor(result, Shape::from([inputs, outputs]))
    }

    fn linear_bias_gradient(grad: FlexTensor) -> FlexTensor {
        if !has_kernels(&grad) {
            return Self::linear_bias_backward(grad);
        }
        let grad = grad.to_contiguous();
        let (_, outputs) = rows_and_width(&grad);
        let partial: Vec<Vec<f32>> = values(&grad)
            .par_chunks(ROWS * outputs)
            .map(|rows| {
                let mut sums = vec![0.0; outputs];
                add_column_sums(rows, &mut sums);
                sums
            })
            .collect();
        let mut total = vec![0.0; outputs];
        add_column_sums(&partial.concat(), &mut total);
        new_tensor(total, Shape::from([outputs]))
    }
}

vectorized! {
    /// Adds each column's sum over `rows` to `sums`.
    pub(super) fn add_column_sums<'a>(rows: &'a [f32], sums: &'a mut [f32]) {
        for row in rows.chunks_exact(sums.len()) {
            for (sum, value) in sums.iter_mut().zip(row) {
                *sum += value;
            }
        }
    }
}

/// Sets every row to `bias`.
pub(super) fn fill_rows(rows: &mut [f32], bias: &[f32]) {
    for row in rows.chunks_exact_mut(bias.len()) {
        row.copy_from_slice(bias);
    }
}

/// A contiguous weight `(inputs, outputs)`.
fn weight_of(weight: &FlexTensor) -> ArrayView2<'_, f32> {
    matrix(values(weight), rows_and_width(weight))
}

fn rows_and_width(tensor: &FlexTensor) -> (usize, usize) {
    let shape = tensor.shape();
    let width = shape[shape.num_dims() - 1];
    (shape.num_elements() / width, width)
}

/// Contiguous `input` `(..., inputs)` times `weight` `(inputs, outputs)`, plus `bias`.
fn rows_times(input: &FlexTensor, weight: ArrayView2<'_, f32>, bias: Option<&[f32]>) -> FlexTensor {
    let (inputs, outputs) = weight.dim();
    let (rows, _) = rows_and_width(input);
    let mut output = vec![0.0; rows * outputs];
    // Enough tasks for many cores, each long enough to make up for reading the matrix again.
    let block = rows.div_ceil(16).next_multiple_of(8).clamp(64, 512);
    output
        .par_chunks_mut(block * outputs)
        .zip(values(input).par_chunks(block * inputs))
        .for_each(|(output, input)| {
            let rows = input.len() / inputs;
            let product = Product::of(matrix(input, (rows, inputs)), weight);
            if let Some(bias) = bias {
                fill_rows(output, bias);
                product.add_to(matrix_mut(output, (rows, outputs)));
            } else {
                product.write_to(matrix_mut(output, (rows, outputs)));
            }
        });
    let mut shape = input.shape();
    let last = shape.num_dims() - 1;
    shape[last] = outputs;
    new_tensor(output, shape)
}
