//! Vectors in eight bits per number: what the codes leave out is known, so that they prove which rows are too far.

use ndarray::ArrayView1;

use crate::base::numeric::vectorized;

/// The largest code of a number.
const LARGEST_CODE: f64 = 127.0;

/// The `k`-th highest of some values; one below all where there are no more than `k`.
pub(super) fn threshold(mut values: Vec<f32>, k: usize) -> f32 {
    match values.len() > k {
        true => {
            *values
                .select_nth_unstable_by(k - 1, |a, b| b.total_cmp(a))
                .1
        }
        false => f32::MIN,
    }
}

/// Keeps the `k` highest of some values.
pub(super) fn highest(values: &mut Vec<f32>, k: usize) {
    if values.len() > k {
        values.select_nth_unstable_by(k - 1, |a, b| b.total_cmp(a));
        values.truncate(k);
    }
}

/// Writes the codes of a row; returns their unit and the norm of what they leave out, rounded up.
pub(super) fn encode(
    row: ArrayView1<'_, f32>,
    norm: f64,
    centre: &[f32],
    codes: &mut [i8],
) -> (f32, f32) {
    let differences = || {
        let both = row.iter().zip(centre);
        both.map(|(&value, &centre)| f64::from(value) / norm - f64::from(centre))
    };
    let largest = differences().fold(0.0_f64, |largest, value| largest.max(value.abs()));
    let step = (largest / LARGEST_CODE) as f32;
    let mut left = 0.0;
    for (code, difference) in codes.iter_mut().zip(differences()) {
        if step > 0.0 {
            // Within the range but for the rounding of the step, which the cast cuts off.
            *code = (difference / f64::from(step)).round() as i8;
        }
        left += (difference - f64::from(*code) * f64::from(step)).powi(2);
    }
    (step, (left.sqrt() * (1.0 + 1e-6)) as f32)
}

/// A unit vector in 16 bits.
pub(super) struct CodedQuery {
    pub(super) codes: Vec<i16>,
    pub(super) step: f32,
    /// Norm of what the codes leave out, rounded up.
    pub(super) error: f32,
}

impl CodedQuery {
    pub(super) fn new(unit: &[f64]) -> Self {
        // As many steps as leave the sum of all products with codes of rows in 32 bits.
        let most = f64::from(i32::MAX) / (LARGEST_CODE * unit.len() as f64);
        let most = most.floor().clamp(1.0, f64::from(i16::MAX));
        let largest = unit
            .iter()
            .fold(0.0_f64, |largest, value| largest.max(value.abs()));
        // In single precision as it is used, and not too small for the largest value.
        let step = ((largest / most) as f32).next_up();
        let codes = unit
            .iter()
            .map(|value| (value / f64::from(step)).round() as i16);
        let codes: Vec<i16> = codes.collect();
        let left = unit.iter().zip(&codes).map(|(value, &code)| {
            let difference = value - f64::from(code) * f64::from(step);
            difference * difference
        });
        let error = (left.sum::<f64>().sqrt() * (1.0 + 1e-6)) as f32;
        Self { codes, step, error }
    }
}

vectorized! {
    /// Sums of products of codes, exact but for their rounding to single precision.
    pub(super) fn by_codes<'a>(query: &'a [i16], codes: &'a [i8], scores: &'a mut [f32]) {
        for (codes, score) in codes.chunks_exact(query.len()).zip(scores) {
            // Integers may be summed in any order: the loop becomes one on whole vectors.
            let products = query.iter().zip(codes).map(|(&a, &b)| i32::from(a) * i32::from(b));
            *score = products.sum::<i32>() as f32;
        }
    }
}
