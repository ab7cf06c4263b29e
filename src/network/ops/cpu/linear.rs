//! Affine maps.

use burn::backend::ops::ModuleOps;
use burn::backend::{Flex, TensorMetadata};
use burn::tensor::{DType, Element, Shape};
use burn_flex::FlexTensor;
use half::bf16;
use ndarray::{ArrayView2, ShapeBuilder};
use rayon::prelude::*;

use super::room::zeros;
use super::{has_kernels, new_tensor, values};
use crate::base::numeric::{Factors, Product, matrix, matrix_mut, vectorized};
use crate::network::ops::linear::LinearOps;

/// Rows per task of the bias gradient. Fixed, because they are summed task by task.
const ROWS: usize = 256;

impl LinearOps for Flex {
    fn linear_forward(
        input: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        factors: Factors,
    ) -> FlexTensor {
        if !has_kernels(&input) {
            return Self::linear(input, weight, Some(bias));
        }
        let [input, bias] = [input, bias].map(|tensor| tensor.to_contiguous());
        let weight = Weight::of(weight, factors);
        rows_times(&input, &weight, Some(values(&bias)))
    }

    fn linear_kept(input: FlexTensor) -> FlexTensor {
        input.to_contiguous()
    }

    fn linear_input_gradient(weight: FlexTensor, grad: FlexTensor, factors: Factors) -> FlexTensor {
        if !has_kernels(&grad) {
            return Self::linear_x_backward(weight, grad);
        }
        let weight = Weight::of(weight.transpose(0, 1), factors);
        rows_times(&grad.to_contiguous(), &weight, None)
    }

    fn linear_weight_gradient(
        input: FlexTensor,
        grad: FlexTensor,
        factors: Factors,
        _: DType,
    ) -> FlexTensor {
        if !has_kernels(&grad) {
            return Self::linear_weight_backward(input, grad);
        }
        let [input, grad] = [input, grad].map(|tensor| tensor.to_contiguous());
        let [(rows, inputs), (_, outputs)] = [&input, &grad].map(rows_and_width);
        let mut result = zeros(inputs * outputs);
        let input = matrix(values(&input), (rows, inputs));
        Product::of(input.t(), matrix(values(&grad), (rows, outputs)))
            .with(factors)
            .on_all_threads()
            .write_to(matrix_mut(&mut result, (inputs, outputs)));
        new_tensor(result, Shape::from([inputs, outputs]))
    }

    fn linear_bias_gradient(grad: FlexTensor, _: DType) -> FlexTensor {
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

/// A weight `(inputs, outputs)`, and what of it is multiplied.
struct Weight {
    tensor: FlexTensor,
    factors: Factors,
}

impl Weight {
    /// `tensor`, which may be a view.
    fn of(tensor: FlexTensor, factors: Factors) -> Self {
        let factors = match tensor.dtype() {
            DType::BF16 => Factors::Bf16,
            _ => factors,
        };
        Self { tensor, factors }
    }

    /// Inputs and outputs.
    fn dim(&self) -> (usize, usize) {
        let shape = self.tensor.shape();
        (shape[0], shape[1])
    }

    fn view<T: Element + bytemuck::Pod>(&self) -> ArrayView2<'_, T> {
        let layout = self.tensor.layout();
        let strides = layout.strides();
        let strides = (strides[0].unsigned_abs(), strides[1].unsigned_abs());
        let numbers = &self.tensor.storage()[layout.start_offset()..];
        ArrayView2::from_shape(self.dim().strides(strides), numbers)
            .expect("a weight, or what is left of it when its axes change places")
    }

    /// Rows `(rows, inputs)` times the weight.
    fn after<'a>(&'a self, rows: ArrayView2<'a, f32>) -> Product<'a> {
        match self.tensor.dtype() {
            DType::BF16 => Product::of_bf16(rows, self.view::<bf16>()),
            _ => Product::of(rows, self.view()).with(self.factors),
        }
    }
}

fn rows_and_width(tensor: &FlexTensor) -> (usize, usize) {
    let shape = tensor.shape();
    let width = shape[shape.num_dims() - 1];
    (shape.num_elements() / width, width)
}

/// Contiguous `input` `(..., inputs)` times `weight`, plus `bias`.
fn rows_times(input: &FlexTensor, weight: &Weight, bias: Option<&[f32]>) -> FlexTensor {
    let (inputs, outputs) = weight.dim();
    let (rows, _) = rows_and_width(input);
    let mut output = zeros(rows * outputs);
    let product = weight
        .after(matrix(values(input), (rows, inputs)))
        .on_all_threads();
    let all = matrix_mut(&mut output, (rows, outputs));
    match bias {
        Some(bias) => product.write_plus(bias, all),
        None => product.write_to(all),
    }
    let mut shape = input.shape();
    let last = shape.num_dims() - 1;
    shape[last] = outputs;
    new_tensor(output, shape)
}
