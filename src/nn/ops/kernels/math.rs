//! Elementary functions without branches, and sums in lanes, which the compiler vectorizes.

use std::f32::consts::{FRAC_1_SQRT_2, LOG2_E};

/// Independent partial sums; two 512-bit vectors.
const LANES: usize = 32;

/// e^x for x ≤ 0, with a relative error below 2e-7; below -87 it stays at e^-87 (polynomial of Cephes'
/// `expf`).
#[inline(always)]
pub fn exp_negative(x: f32) -> f32 {
    // Adding 1.5 * 2^23 rounds to an integer, which then stands in the low bits.
    const ROUND: f32 = 12_582_912.0;
    let x = x.max(-87.0);
    let shifted = x.mul_add(LOG2_E, ROUND);
    let power = shifted - ROUND;
    let r = power.mul_add(-0.693_359_4, x);
    let r = power.mul_add(2.121_944_4e-4, r);
    let p = 1.987_569_1e-4_f32;
    let p = p.mul_add(r, 1.398_2e-3);
    let p = p.mul_add(r, 8.333_452e-3);
    let p = p.mul_add(r, 4.166_579_6e-2);
    let p = p.mul_add(r, 0.166_666_65);
    let p = p.mul_add(r, 0.5);
    let p = p.mul_add(r * r, r) + 1.0;
    let exponent = shifted.to_bits().wrapping_add(127) << 23;
    p * f32::from_bits(exponent)
}

/// Distribution function and density of the unit normal at x; the former is off by less than 1.5e-7
/// (Abramowitz & Stegun 1964, eq. 7.1.26).
#[inline(always)]
pub fn normal(x: f32) -> (f32, f32) {
    let exponential = exp_negative(-0.5 * x * x);
    let t = 1.0 / (0.327_591_1 * FRAC_1_SQRT_2).mul_add(x.abs(), 1.0);
    let p = 1.061_405_4_f32;
    let p = p.mul_add(t, -1.453_152);
    let p = p.mul_add(t, 1.421_413_7);
    let p = p.mul_add(t, -0.284_496_74);
    let p = p.mul_add(t, 0.254_829_6);
    let tail = 0.5 * p * t * exponential;
    let distribution = if x < 0.0 { tail } else { 1.0 - tail };
    (distribution, exponential * 0.398_942_3)
}

/// Sum of `term` over both slices, which are equally long.
#[inline(always)]
pub fn sum_of(a: &[f32], b: &[f32], term: impl Fn(f32, f32) -> f32) -> f32 {
    let mut sums = [0.0; LANES];
    let (a, a_rest) = a.as_chunks::<LANES>();
    let (b, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a.iter().zip(b) {
        for lane in 0..LANES {
            sums[lane] += term(a[lane], b[lane]);
        }
    }
    for (lane, (&a, &b)) in a_rest.iter().zip(b_rest).enumerate() {
        sums[lane] += term(a, b);
    }
    fold(sums, |a, b| a + b)
}

/// Largest of `row`.
#[inline(always)]
pub fn max(row: &[f32]) -> f32 {
    let mut maxima = [f32::NEG_INFINITY; LANES];
    let (chunks, rest) = row.as_chunks::<LANES>();
    for chunk in chunks {
        for lane in 0..LANES {
            maxima[lane] = if chunk[lane] > maxima[lane] {
                chunk[lane]
            } else {
                maxima[lane]
            };
        }
    }
    for (lane, &value) in rest.iter().enumerate() {
        maxima[lane] = maxima[lane].max(value);
    }
    fold(maxima, f32::max)
}

#[inline(always)]
fn fold(mut lanes: [f32; LANES], join: impl Fn(f32, f32) -> f32) -> f32 {
    let mut half = LANES / 2;
    while half > 0 {
        for lane in 0..half {
            lanes[lane] = join(lanes[lane], lanes[lane + half]);
        }
        half /= 2;
    }
    lanes[0]
}
