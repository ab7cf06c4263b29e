//! GELU, in place where nobody else holds the numbers.

use burn::backend::Flex;
use burn::backend::ops::ActivationOps;
use burn_flex::FlexTensor;
use rayon::prelude::*;

use super::{has_kernels, values, values_mut};
use crate::base::numeric::{normal, vectorized};
use crate::network::ops::gelu::GeluOps;

/// Numbers per task.
const BLOCK: usize = 1 << 14;

impl GeluOps for Flex {
    fn gelu_forward(mut input: FlexTensor) -> FlexTensor {
        if !has_kernels(&input) {
            return Self::gelu(input);
        }
        let blocks = values_mut(&mut input).par_chunks_mut(BLOCK);
        blocks.for_each(activate);
        input
    }

    fn gelu_gradient(input: FlexTensor, mut grad: FlexTensor) -> FlexTensor {
        if !has_kernels(&input) {
            return Self::gelu_backward(input, grad);
        }
        let input = input.to_contiguous();
        values_mut(&mut grad)
            .par_chunks_mut(BLOCK)
            .zip(values(&input).par_chunks(BLOCK))
            .for_each(|(gradient, input)| differentiate(input, gradient));
        grad
    }
}

vectorized! {
    /// x Φ(x), in place.
    pub(super) fn activate<'a>(values: &'a mut [f32]) {
        for value in values {
            *value *= normal(*value).0;
        }
    }
}

vectorized! {
    /// x Φ(x), in place, and its derivative in `slopes`.
    pub(super) fn activate_with_slope<'a>(values: &'a mut [f32], slopes: &'a mut [f32]) {
        for (value, slope) in values.iter_mut().zip(slopes) {
            let (distribution, density) = normal(*value);
            *slope = value.mul_add(density, distribution);
            *value *= distribution;
        }
    }
}

vectorized! {
    /// Multiplies `gradient` by the derivative at `input`, Φ(x) + x φ(x).
    fn differentiate<'a>(input: &'a [f32], gradient: &'a mut [f32]) {
        for (gradient, &x) in gradient.iter_mut().zip(input) {
            let (distribution, density) = normal(x);
            *gradient *= x.mul_add(density, distribution);
        }
    }
}
