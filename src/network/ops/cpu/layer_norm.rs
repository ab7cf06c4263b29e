//! Layer normalization, a block of rows a task.

use burn::backend::{Flex, TensorMetadata};
use burn::tensor::Shape;
use burn_flex::FlexTensor;
use rayon::prelude::*;

use super::room::zeros;
use super::{has_kernels, new_tensor, values, values_mut};
use crate::base::numeric::{sum_of, vectorized};
use crate::network::ops::layer_norm::{LayerNormOps, composed, composed_gradients};

/// Rows per task. Fixed, because the gradients of weight and bias are summed task by task.
const ROWS: usize = 128;

impl LayerNormOps for Flex {
    fn layer_norm_recorded(
        input: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        epsilon: f64,
    ) -> (FlexTensor, FlexTensor) {
        if !has_kernels(&input) {
            return composed::<Self>(input, weight, bias, epsilon);
        }
        let [input, weight, bias] = [input, weight, bias].map(|tensor| tensor.to_contiguous());
        let (weight, bias) = (values(&weight), values(&bias));
        let width = weight.len();
        let rows = input.shape().num_elements() / width;
        let mut output = zeros(rows * width);
        let mut statistics = vec![[0.0; 2]; rows];
        output
            .par_chunks_mut(ROWS * width)
            .zip(values(&input).par_chunks(ROWS * width))
            .zip(statistics.par_chunks_mut(ROWS))
            .for_each(|((output, input), statistics)| {
                normalize(input, weight, bias, epsilon as f32, output, statistics);
            });
        let statistics = new_tensor(statistics.into_flattened(), Shape::from([rows, 2]));
        (new_tensor(output, input.shape()), statistics)
    }

    fn layer_norm_gradients(
        input: FlexTensor,
        weight: FlexTensor,
        statistics: FlexTensor,
        mut grad: FlexTensor,
        epsilon: f64,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        if !has_kernels(&input) {
            return composed_gradients::<Self>(input, weight, grad, epsilon);
        }
        let [input, weight] = [input, weight].map(|tensor| tensor.to_contiguous());
        let width = weight.shape().num_elements();
        let (statistics, _) = values(&statistics).as_chunks();
        let partial: Vec<(Vec<f32>, Vec<f32>)> = values_mut(&mut grad)
            .par_chunks_mut(ROWS * width)
            .zip(values(&input).par_chunks(ROWS * width))
            .zip(statistics.par_chunks(ROWS))
            .map(|((gradient, input), statistics)| {
                differentiate(input, values(&weight), statistics, gradient)
            })
            .collect();
        let (mut weight_grad, mut bias_grad) = (vec![0.0; width], vec![0.0; width]);
        for (weight, bias) in partial {
            for column in 0..width {
                weight_grad[column] += weight[column];
                bias_grad[column] += bias[column];
            }
        }
        let [weight_grad, bias_grad] =
            [weight_grad, bias_grad].map(|sums| new_tensor(sums, weight.shape()));
        (grad, weight_grad, bias_grad)
    }
}

vectorized! {
    /// Writes the normalized rows, and mean and inverse deviation of each.
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
    /// Replaces the gradient of the output by that of the input; returns those of weight and bias.
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
