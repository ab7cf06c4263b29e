//! Weights of given directions and lengths, a block of rows a task.

use burn::backend::{Flex, TensorMetadata};
use burn_flex::FlexTensor;
use rayon::prelude::*;

use super::room::zeros;
use super::{has_kernels, new_tensor, values, values_mut};
use crate::base::numeric::{sum_of, vectorized};
use crate::network::ops::weight_norm::{WeightNormOps, composed, composed_gradients};

/// Rows per task.
const ROWS: usize = 64;

impl WeightNormOps for Flex {
    fn weight_norm_forward(directions: FlexTensor, gains: FlexTensor) -> FlexTensor {
        if !has_kernels(&directions) || !has_kernels(&gains) {
            return composed::<Self>(directions, gains);
        }
        let [directions, gains] = [directions, gains].map(|tensor| tensor.to_contiguous());
        let width = directions.shape()[1];
        let mut result = zeros(directions.shape().num_elements());
        result
            .par_chunks_mut(ROWS * width)
            .zip(values(&directions).par_chunks(ROWS * width))
            .zip(values(&gains).par_chunks(ROWS))
            .for_each(|((result, directions), gains)| lengthen(directions, gains, result));
        new_tensor(result, directions.shape())
    }

    fn weight_norm_gradients(
        directions: FlexTensor,
        gains: FlexTensor,
        mut grad: FlexTensor,
    ) -> Vec<FlexTensor> {
        if !has_kernels(&directions) || !has_kernels(&gains) {
            return composed_gradients::<Self>(directions, gains, grad);
        }
        let [directions, gains] = [directions, gains].map(|tensor| tensor.to_contiguous());
        let width = directions.shape()[1];
        let mut gains_grad = vec![0.0; gains.shape().num_elements()];
        let gradients = values_mut(&mut grad)
            .par_chunks_mut(ROWS * width)
            .zip(gains_grad.par_chunks_mut(ROWS));
        values(&directions)
            .par_chunks(ROWS * width)
            .zip(values(&gains).par_chunks(ROWS))
            .zip(gradients)
            .for_each(|((directions, gains), (grad, gains_grad))| {
                differentiate(directions, gains, grad, gains_grad);
            });
        vec![grad, new_tensor(gains_grad, gains.shape())]
    }
}

vectorized! {
    fn lengthen<'a>(directions: &'a [f32], gains: &'a [f32], result: &'a mut [f32]) {
        let width = directions.len() / gains.len();
        let rows = directions.chunks_exact(width).zip(result.chunks_exact_mut(width));
        for ((direction, result), gain) in rows.zip(gains) {
            let factor = gain / sum_of(direction, direction, |a, b| a * b).sqrt();
            for (result, number) in result.iter_mut().zip(direction) {
                *result = number * factor;
            }
        }
    }
}

vectorized! {
    /// Puts the gradient of the directions in place of that of the weights, and writes that of the gains.
    fn differentiate<'a>(
        directions: &'a [f32],
        gains: &'a [f32],
        grad: &'a mut [f32],
        gains_grad: &'a mut [f32],
    ) {
        let width = directions.len() / gains.len();
        let rows = directions.chunks_exact(width).zip(grad.chunks_exact_mut(width));
        for (((direction, grad), gain), gain_grad) in rows.zip(gains).zip(gains_grad) {
            let inverse = sum_of(direction, direction, |a, b| a * b).sqrt().recip();
            let along = sum_of(grad, direction, |a, b| a * b) * inverse;
            for (grad, number) in grad.iter_mut().zip(direction) {
                *grad = (*grad - number * inverse * along) * (gain * inverse);
            }
            *gain_grad = along;
        }
    }
}
