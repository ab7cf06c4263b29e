use rayon::prelude::*;

use crate::numeric::{normal, vectorized};

/// Numbers per task.
const BLOCK: usize = 1 << 14;

/// x Φ(x), in place.
pub fn forward(values: &mut [f32]) {
    values.par_chunks_mut(BLOCK).for_each(activate);
}

/// Multiplies `gradient` by the derivative at `input`, Φ(x) + x φ(x).
pub fn backward(input: &[f32], gradient: &mut [f32]) {
    gradient
        .par_chunks_mut(BLOCK)
        .zip(input.par_chunks(BLOCK))
        .for_each(|(gradient, input)| differentiate(input, gradient));
}

vectorized! {
    /// x Φ(x), in place.
    pub fn activate<'a>(values: &'a mut [f32]) {
        for value in values {
            *value *= normal(*value).0;
        }
    }
}

vectorized! {
    /// x Φ(x), in place, and its derivative in `slopes`.
    pub fn activate_with_slope<'a>(values: &'a mut [f32], slopes: &'a mut [f32]) {
        for (value, slope) in values.iter_mut().zip(slopes) {
            let (distribution, density) = normal(*value);
            *slope = value.mul_add(density, distribution);
            *value *= distribution;
        }
    }
}

vectorized! {
    fn differentiate<'a>(input: &'a [f32], gradient: &'a mut [f32]) {
        for (gradient, &x) in gradient.iter_mut().zip(input) {
            let (distribution, density) = normal(x);
            *gradient *= x.mul_add(density, distribution);
        }
    }
}
