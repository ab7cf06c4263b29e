//! What is done to many parameters at once: each number is read and written once, blocks of them on all threads.

use burn::backend::{Flex, TensorMetadata};
use burn::tensor::Shape;
use burn_flex::FlexTensor;
use rayon::prelude::*;

use super::room::copy;
use super::{new_tensor, values, values_mut};
use crate::base::numeric::{sum_of, vectorized};
use crate::network::ops::adamw::AdamWConstants;
use crate::network::ops::eight::Eight;
use crate::network::ops::parameters::ParameterOps;

/// Numbers per task. Fixed, because squares are summed task by task.
const BLOCK: usize = 1 << 14;

impl ParameterOps for Flex {
    fn adamw_steps(
        weights: Eight<Self>,
        gradients: Eight<Self>,
        factors: Eight<Self>,
        firsts: Eight<Self>,
        seconds: Eight<Self>,
        constants: [AdamWConstants; 8],
    ) -> (Eight<Self>, Eight<Self>, Eight<Self>) {
        let gradients = gradients.into_array().into_par_iter();
        let moments = firsts
            .into_array()
            .into_par_iter()
            .zip(seconds.into_array());
        let parts = gradients.zip(factors.into_array()).zip(moments);
        let steps = weights
            .into_array()
            .into_par_iter()
            .zip(parts)
            .zip(constants);
        let after: Vec<[FlexTensor; 3]> = steps
            .map(|((weight, ((gradient, factor), moments)), constants)| {
                let factor = values(&factor.to_contiguous())[0];
                step(weight, gradient, moments, Numbers::of(constants, factor))
            })
            .collect();
        let part = |index: usize| Eight::of(after.iter().map(|of| of[index].clone()).collect());
        (part(0), part(1), part(2))
    }

    fn sums_of_squares(tensors: Eight<Self>) -> FlexTensor {
        let sums: Vec<f32> = tensors
            .into_array()
            .into_par_iter()
            .map(|tensor| {
                let tensor = tensor.to_contiguous();
                let blocks = values(&tensor).par_chunks(BLOCK).map(squares);
                blocks.collect::<Vec<f32>>().iter().sum()
            })
            .collect();
        new_tensor(sums, Shape::from([8]))
    }

    fn moved_means(means: Eight<Self>, latest: Eight<Self>, momentum: f64) -> Eight<Self> {
        let pairs = means.into_array().into_par_iter().zip(latest.into_array());
        let moved = pairs.map(|(mut mean, latest)| {
            let latest = latest.to_contiguous();
            values_mut(&mut mean)
                .par_chunks_mut(BLOCK)
                .zip(values(&latest).par_chunks(BLOCK))
                .for_each(|(mean, latest)| {
                    move_towards(mean, latest, momentum as f32, (1.0 - momentum) as f32);
                });
            mean
        });
        Eight::of(moved.collect())
    }
}

/// [`AdamWConstants`] and the factor on the gradient, in `f32`.
#[derive(Debug, Clone, Copy)]
struct Numbers {
    factor: f32,
    betas: [f32; 2],
    /// One minus the betas.
    rests: [f32; 2],
    epsilon: f32,
    rate: f32,
    inverse_correction: f32,
    kept: f32,
}

impl Numbers {
    fn of(constants: AdamWConstants, factor: f32) -> Self {
        let AdamWConstants {
            beta1,
            beta2,
            epsilon,
            rate,
            root_correction,
            kept,
        } = constants;
        Self {
            factor,
            betas: [beta1, beta2].map(|beta| beta as f32),
            rests: [beta1, beta2].map(|beta| (1.0 - beta) as f32),
            epsilon: epsilon as f32,
            rate: rate as f32,
            inverse_correction: root_correction.recip() as f32,
            kept: kept as f32,
        }
    }
}

/// Weight, first and second moment after a step. Moments that nobody else holds are written over; the module still holds
/// the weight.
fn step(
    weight: FlexTensor,
    gradient: FlexTensor,
    (mut first, mut second): (FlexTensor, FlexTensor),
    numbers: Numbers,
) -> [FlexTensor; 3] {
    let [weight, gradient] = [weight, gradient].map(|tensor| tensor.to_contiguous());
    let mut after = copy(values(&weight));
    let moments = values_mut(&mut first)
        .par_chunks_mut(BLOCK)
        .zip(values_mut(&mut second).par_chunks_mut(BLOCK));
    after
        .par_chunks_mut(BLOCK)
        .zip(values(&gradient).par_chunks(BLOCK))
        .zip(moments)
        .for_each(|((after, gradient), (first, second))| {
            step_block(after, gradient, first, second, numbers);
        });
    [new_tensor(after, weight.shape()), first, second]
}

vectorized! {
    fn step_block<'a>(
        weight: &'a mut [f32],
        gradient: &'a [f32],
        first: &'a mut [f32],
        second: &'a mut [f32],
        numbers: Numbers,
    ) {
        let Numbers { factor, betas, rests, epsilon, rate, inverse_correction, kept } = numbers;
        let moments = first.iter_mut().zip(second);
        for ((weight, &gradient), (first, second)) in weight.iter_mut().zip(gradient).zip(moments) {
            let gradient = gradient * factor;
            *first = *first * betas[0] + gradient * rests[0];
            *second = *second * betas[1] + gradient * gradient * rests[1];
            let root = second.sqrt() * inverse_correction;
            *weight = *weight * kept - *first / (root + epsilon) * rate;
        }
    }
}

vectorized! {
    fn squares<'a>(values: &'a [f32]) -> f32 {
        sum_of(values, values, |a, b| a * b)
    }
}

vectorized! {
    fn move_towards<'a>(mean: &'a mut [f32], latest: &'a [f32], kept: f32, new: f32) {
        for (mean, &latest) in mean.iter_mut().zip(latest) {
            *mean = *mean * kept + latest * new;
        }
    }
}
