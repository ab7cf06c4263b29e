//! One bin of a spline, in both directions, and its derivatives.

use crate::base::numeric::ln;

/// One bin: a ratio of two parabolas from (left, low) with slope d0 to (left + width, low + height) with
/// slope d1.
#[derive(Clone, Copy)]
pub(super) struct Bin {
    pub left: f32,
    pub width: f32,
    pub low: f32,
    pub height: f32,
    pub d0: f32,
    pub d1: f32,
}

/// Derivatives of a loss by what defines a bin, and by the argument.
pub(super) struct BinGradient {
    pub x: f32,
    pub left: f32,
    pub width: f32,
    pub low: f32,
    pub height: f32,
    pub d0: f32,
    pub d1: f32,
}

impl Bin {
    /// Durkan et al. 2019, equations 4 and 5.
    #[inline(always)]
    pub fn forward(self, x: f32) -> (f32, f32) {
        let Self {
            left,
            width,
            low,
            height,
            d0,
            d1,
        } = self;
        let slope = height / width;
        let t = (x - left) / width;
        let q = t * (1.0 - t);
        let denominator = slope + (d0 + d1 - 2.0 * slope) * q;
        let y = low + height * (slope * t * t + d0 * q) / denominator;
        let ratio = slope / denominator;
        let m = d1 * t * t + 2.0 * slope * q + d0 * (1.0 - t) * (1.0 - t);
        (y, ln(ratio * ratio * m))
    }

    /// Durkan et al. 2019, equations 6 to 8; the root is taken in the form that does not cancel.
    #[inline(always)]
    pub fn inverse(self, y: f32) -> f32 {
        let Self {
            left,
            width,
            low,
            height,
            d0,
            d1,
        } = self;
        let slope = height / width;
        let above = y - low;
        let bend = above * (d0 + d1 - 2.0 * slope);
        let a = height * (slope - d0) + bend;
        let b = height * d0 - bend;
        let c = -slope * above;
        let root = (b * b - 4.0 * a * c).max(0.0).sqrt();
        left + width * (2.0 * c / (-b - root))
    }

    /// The gradient of a loss whose derivatives are `by_y` by the value and `by_log` by ln dy/dx.
    #[inline(always)]
    pub fn backward(self, x: f32, by_y: f32, by_log: f32) -> BinGradient {
        let Self {
            left,
            width,
            height,
            d0,
            d1,
            ..
        } = self;
        let inverse_width = 1.0 / width;
        let s = height * inverse_width;
        let t = (x - left) * inverse_width;
        let u = 1.0 - t;
        let q = t * u;
        let bend = d0 + d1 - 2.0 * s;
        let inverse_denominator = 1.0 / (s + bend * q);
        let fraction = (s * t * t + d0 * q) * inverse_denominator;
        let m = d1 * t * t + 2.0 * s * q + d0 * u * u;
        let inverse_m = 1.0 / m;
        let scaled = by_y * height * inverse_denominator;
        let two = 2.0 * inverse_denominator;

        let by_s = scaled * (t * t - fraction * (1.0 - 2.0 * q))
            + by_log * (2.0 / s + 2.0 * q * inverse_m - two * (1.0 - 2.0 * q));
        let by_t = scaled * s * m * inverse_denominator
            + by_log
                * (2.0 * (d1 * t + s * (1.0 - 2.0 * t) - d0 * u) * inverse_m
                    - two * bend * (1.0 - 2.0 * t));
        BinGradient {
            x: by_t * inverse_width,
            left: -by_t * inverse_width,
            width: -(by_s * s + by_t * t) * inverse_width,
            low: by_y,
            height: by_y * fraction + by_s * inverse_width,
            d0: scaled * q * (1.0 - fraction) + by_log * (u * u * inverse_m - q * two),
            d1: -scaled * q * fraction + by_log * (t * t * inverse_m - q * two),
        }
    }
}
