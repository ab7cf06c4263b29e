use ndarray::ArrayView2;
use rayon::prelude::*;

use crate::numeric::{Product, matrix, matrix_mut, vectorized};

/// Rows per task of the bias gradient. Fixed, because they are summed task by task.
const ROWS: usize = 256;

/// Rows of `(rows, inputs)` times `weight` `(inputs, outputs)` plus `bias`.
pub fn forward(input: &[f32], weight: &[f32], bias: &[f32]) -> Vec<f32> {
    let outputs = bias.len();
    let inputs = weight.len() / outputs;
    rows_times(input, matrix(weight, (inputs, outputs)), Some(bias))
}

/// Gradient of the input, given that of the output.
pub fn input_gradient(gradient: &[f32], weight: &[f32], outputs: usize) -> Vec<f32> {
    let weight = matrix(weight, (weight.len() / outputs, outputs));
    rows_times(gradient, weight.reversed_axes(), None)
}

/// Gradient of the weight, given that of the output.
pub fn weight_gradient(input: &[f32], gradient: &[f32], outputs: usize) -> Vec<f32> {
    let rows = gradient.len() / outputs;
    let inputs = input.len() / rows;
    let mut result = vec![0.0; inputs * outputs];
    let (input, gradient) = (
        matrix(input, (rows, inputs)),
        matrix(gradient, (rows, outputs)),
    );
    Product::of(input.t(), gradient)
        .on_all_threads()
        .write_to(matrix_mut(&mut result, (inputs, outputs)));
    result
}

/// Gradient of the bias, given that of the output.
pub fn bias_gradient(gradient: &[f32], outputs: usize) -> Vec<f32> {
    let partial: Vec<Vec<f32>> = gradient
        .par_chunks(ROWS * outputs)
        .map(|rows| {
            let mut sums = vec![0.0; outputs];
            add_column_sums(rows, &mut sums);
            sums
        })
        .collect();
    let mut total = vec![0.0; outputs];
    add_column_sums(&partial.concat(), &mut total);
    total
}

vectorized! {
    /// Adds each column's sum over `rows` to `sums`.
    pub fn add_column_sums<'a>(rows: &'a [f32], sums: &'a mut [f32]) {
        for row in rows.chunks_exact(sums.len()) {
            for (sum, value) in sums.iter_mut().zip(row) {
                *sum += value;
            }
        }
    }
}

/// Sets every row to `bias`.
pub fn fill_rows(rows: &mut [f32], bias: &[f32]) {
    for row in rows.chunks_exact_mut(bias.len()) {
        row.copy_from_slice(bias);
    }
}

fn rows_times(input: &[f32], weight: ArrayView2<'_, f32>, bias: Option<&[f32]>) -> Vec<f32> {
    let (inputs, outputs) = weight.dim();
    let rows = input.len() / inputs;
    let mut output = vec![0.0; rows * outputs];
    // Enough tasks for many cores, each long enough to make up for reading the matrix again.
    let block = rows.div_ceil(16).next_multiple_of(8).clamp(64, 512);
    output
        .par_chunks_mut(block * outputs)
        .zip(input.par_chunks(block * inputs))
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
    output
}
