use rayon::prelude::*;

use crate::numeric::{sum_of, vectorized};

/// Rows per task. Fixed, because the gradients of weight and bias are summed task by task.
const ROWS: usize = 128;

/// The normalized rows, and mean and inverse deviation of each.
pub fn forward(
    input: &[f32],
    weight: &[f32],
    bias: &[f32],
    epsilon: f64,
) -> (Vec<f32>, Vec<[f32; 2]>) {
    let width = weight.len();
    let mut output = vec![0.0; input.len()];
    let mut statistics = vec![[0.0; 2]; input.len() / width];
    output
        .par_chunks_mut(ROWS * width)
        .zip(input.par_chunks(ROWS * width))
        .zip(statistics.par_chunks_mut(ROWS))
        .for_each(|((output, input), statistics)| {
            normalize(input, weight, bias, epsilon as f32, output, statistics);
        });
    (output, statistics)
}

/// Replaces the gradient of the output by that of the input; returns those of weight and bias.
pub fn backward(
    input: &[f32],
    weight: &[f32],
    statistics: &[[f32; 2]],
    gradient: &mut [f32],
) -> (Vec<f32>, Vec<f32>) {
    let width = weight.len();
    let partial: Vec<(Vec<f32>, Vec<f32>)> = gradient
        .par_chunks_mut(ROWS * width)
        .zip(input.par_chunks(ROWS * width))
        .zip(statistics.par_chunks(ROWS))
        .map(|((gradient, input), statistics)| differentiate(input, weight, statistics, gradient))
        .collect();
    let mut total = (vec![0.0; width], vec![0.0; width]);
    for (weight, bias) in partial {
        for column in 0..width {
            total.0[column] += weight[column];
            total.1[column] += bias[column];
        }
    }
    total
}

vectorized! {
    fn normalize<'a>(
        input: &'a [f32],
        weight: &'a [f32],
        bias: &'a [f32],
        epsilon: f32,
        output: &'a mut [f32],
        statistics: &'a mut [[f32; 2]],
    ) {
        let width = weight.len();
        let rows = input
            .chunks_exact(width)
            .zip(output.chunks_exact_mut(width));
        for ((input, output), statistics) in rows.zip(statistics) {
            let mean = sum_of(input, input, |x, _| x) / width as f32;
            let variance = sum_of(input, input, |x, _| (x - mean) * (x - mean)) / width as f32;
            let inverse = 1.0 / (variance + epsilon).sqrt();
            for (((output, &x), &weight), &bias) in output.iter_mut().zip(input).zip(weight).zip(bias) {
                *output = ((x - mean) * inverse).mul_add(weight, bias);
            }
            *statistics = [mean, inverse];
        }
    }
}

vectorized! {
    fn differentiate<'a>(
        input: &'a [f32],
        weight: &'a [f32],
        statistics: &'a [[f32; 2]],
        gradient: &'a mut [f32],
    ) -> (Vec<f32>, Vec<f32>) {
        let width = weight.len();
        let mut weight_gradient = vec![0.0; width];
        let mut bias_gradient = vec![0.0; width];
        let mut normalized = vec![0.0; width];
        let rows = input
            .chunks_exact(width)
            .zip(gradient.chunks_exact_mut(width));
        for ((input, gradient), &[mean, inverse]) in rows.zip(statistics) {
            for (column, normalized) in normalized.iter_mut().enumerate() {
                let output_gradient = gradient[column];
                *normalized = (input[column] - mean) * inverse;
                weight_gradient[column] += output_gradient * *normalized;
                bias_gradient[column] += output_gradient;
                gradient[column] = output_gradient * weight[column];
            }
            let mean = sum_of(gradient, gradient, |g, _| g) / width as f32;
            let slope = sum_of(gradient, &normalized, |g, x| g * x) / width as f32;
            for (gradient, &normalized) in gradient.iter_mut().zip(&normalized) {
                *gradient = inverse * (*gradient - mean - normalized * slope);
            }
        }
        (weight_gradient, bias_gradient)
    }
}
