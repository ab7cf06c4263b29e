//! From a network's unconstrained numbers to the knots of splines.

use super::{BOUND, Knots, LANES, Lanes};
use crate::base::numeric::exp;

/// ln 1000: the largest magnitude of a limited logarithm of a derivative, and twice that of a limited
/// width or height.
pub(super) const LIMIT: f32 = 6.907_755_3;

/// Parameters (parameter, splines) of a row of splines: row-major, `splines` numbers per parameter, a
/// multiple of [`LANES`].
#[derive(Clone, Copy)]
pub(super) struct Parameters<'a> {
    pub values: &'a [f32],
    pub splines: usize,
    pub bins: usize,
}

/// What the parameters of [`LANES`] splines say: the knots, and the fractions of the widths and heights.
pub(super) struct Decoded {
    pub knots: Knots,
    pub widths: Vec<Lanes>,
    pub heights: Vec<Lanes>,
}

impl<'a> Parameters<'a> {
    #[inline(always)]
    pub fn lanes(&self, parameter: usize, first: usize) -> &'a Lanes {
        self.values[parameter * self.splines + first..]
            .first_chunk()
            .expect("a multiple of the lanes")
    }

    #[inline(always)]
    pub fn decode(&self, first: usize, decoded: &mut Decoded) {
        let Decoded {
            knots,
            widths,
            heights,
        } = decoded;
        self.place_knots(0, first, widths, &mut knots.horizontal);
        self.place_knots(self.bins, first, heights, &mut knots.vertical);
        for knot in 1..self.bins {
            let raw = self.lanes(2 * self.bins + knot - 1, first);
            for (derivative, &raw) in knots.derivatives[knot].iter_mut().zip(raw) {
                *derivative = exp(limit(raw, 1.0 / LIMIT));
            }
        }
    }

    /// The fractions that the parameters from `start` on give to each bin, and the knots between them.
    #[inline(always)]
    fn place_knots(
        &self,
        start: usize,
        first: usize,
        fractions: &mut [Lanes],
        knots: &mut [Lanes],
    ) {
        let mut sum = [0.0; LANES];
        for (bin, fraction) in fractions.iter_mut().enumerate() {
            let raw = self.lanes(start + bin, first);
            for lane in 0..LANES {
                // At most e^3.5: the softmax needs no maximum taken out.
                fraction[lane] = exp(limit(raw[lane], 2.0 / LIMIT));
                sum[lane] += fraction[lane];
            }
        }
        for sum in &mut sum {
            *sum = 1.0 / *sum;
        }
        let mut position = [-BOUND; LANES];
        for bin in 0..self.bins {
            for lane in 0..LANES {
                fractions[bin][lane] *= sum[lane];
                position[lane] += 2.0 * BOUND * fractions[bin][lane];
            }
            // The last knot stays exactly where it is.
            if bin + 1 < self.bins {
                knots[bin + 1] = position;
            }
        }
    }
}

/// The number softly limited to magnitudes below 1 / `inverse_limit`.
#[inline(always)]
fn limit(raw: f32, inverse_limit: f32) -> f32 {
    raw / (1.0 + raw.abs() * inverse_limit)
}

/// The derivative of [`limit`].
#[inline(always)]
pub(super) fn limit_derivative(raw: f32, inverse_limit: f32) -> f32 {
    let factor = 1.0 / (1.0 + raw.abs() * inverse_limit);
    factor * factor
}

impl Decoded {
    pub fn new(bins: usize) -> Self {
        Self {
            knots: Knots::identity(bins),
            widths: vec![[0.0; LANES]; bins],
            heights: vec![[0.0; LANES]; bins],
        }
    }
}
