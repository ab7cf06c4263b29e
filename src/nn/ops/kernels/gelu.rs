use rayon::prelude::*;

use super::math::normal;

/// Numbers per task.
const BLOCK: usize = 1 << 14;

/// x Φ(x).
pub fn forward(input: &[f32]) -> Vec<f32> {
    let mut output = vec![0.0; input.len()];
    output
        .par_chunks_mut(BLOCK)
        .zip(input.par_chunks(BLOCK))
        .for_each(|(output, input)| activate(input, output));
    output
}

/// Multiplies `gradient` by the derivative at `input`, Φ(x) + x φ(x).
pub fn backward(input: &[f32], gradient: &mut [f32]) {
    gradient
        .par_chunks_mut(BLOCK)
        .zip(input.par_chunks(BLOCK))
        .for_each(|(gradient, input)| differentiate(input, gradient));
}

vectorized! {
    fn activate<'a>(input: &'a [f32], output: &'a mut [f32]) {
        for (output, &x) in output.iter_mut().zip(input) {
            *output = x * normal(x).0;
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
