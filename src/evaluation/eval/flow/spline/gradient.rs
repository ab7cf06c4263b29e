//! The gradient of splines by their parameters.

use super::{
    BOUND, LANES, Lanes,
    parameters::{Decoded, LIMIT, Parameters, limit_derivative},
};

impl Parameters<'_> {
    #[inline(always)]
    pub fn backward(
        &self,
        first: usize,
        decoded: &Decoded,
        x: &Lanes,
        gradient: &mut Lanes,
        by_log: &Lanes,
        by_parameters: &mut [f32],
    ) {
        let knots = &decoded.knots;
        let found = knots.find(&knots.horizontal, x);
        let (mut by_left, mut by_width) = ([0.0; LANES], [0.0; LANES]);
        let (mut by_low, mut by_height) = ([0.0; LANES], [0.0; LANES]);
        let (mut by_d0, mut by_d1) = ([0.0; LANES], [0.0; LANES]);
        for lane in 0..LANES {
            let inside = knots.inside(&knots.horizontal, lane, x[lane]);
            let bin = found
                .lane(lane)
                .backward(x[lane], gradient[lane], by_log[lane]);
            let choose = |value: f32| if inside { value } else { 0.0 };
            gradient[lane] = if inside { bin.x } else { gradient[lane] };
            by_left[lane] = choose(2.0 * BOUND * bin.left);
            by_width[lane] = choose(2.0 * BOUND * bin.width);
            by_low[lane] = choose(2.0 * BOUND * bin.low);
            by_height[lane] = choose(2.0 * BOUND * bin.height);
            by_d0[lane] = choose(bin.d0);
            by_d1[lane] = choose(bin.d1);
        }
        self.by_shares(
            0,
            first,
            &found.index,
            &decoded.widths,
            &by_left,
            &by_width,
            by_parameters,
        );
        self.by_shares(
            self.bins,
            first,
            &found.index,
            &decoded.heights,
            &by_low,
            &by_height,
            by_parameters,
        );
        for knot in 1..self.bins {
            let parameter = 2 * self.bins + knot - 1;
            let raw = self.lanes(parameter, first);
            let out = lanes_mut(by_parameters, parameter * self.splines + first);
            let (here, before) = (knot as f32, (knot - 1) as f32);
            for lane in 0..LANES {
                let left = if found.index[lane] == here {
                    by_d0[lane]
                } else {
                    0.0
                };
                let right = if found.index[lane] == before {
                    by_d1[lane]
                } else {
                    0.0
                };
                out[lane] = (left + right)
                    * knots.derivatives[knot][lane]
                    * limit_derivative(raw[lane], 1.0 / LIMIT);
            }
        }
    }

    /// Through the softmax: a bin's position depends on all fractions before it, its size on its own.
    #[inline(always)]
    #[allow(clippy::too_many_arguments)]
    fn by_shares(
        &self,
        start: usize,
        first: usize,
        index: &Lanes,
        fractions: &[Lanes],
        by_place: &Lanes,
        by_size: &Lanes,
        by_parameters: &mut [f32],
    ) {
        let by_fraction = |bin: usize, lane: usize| {
            let number = bin as f32;
            let before = if number < index[lane] {
                by_place[lane]
            } else {
                0.0
            };
            if number == index[lane] {
                by_size[lane]
            } else {
                before
            }
        };
        let mut mean = [0.0; LANES];
        for (bin, fraction) in fractions.iter().enumerate() {
            for lane in 0..LANES {
                mean[lane] += fraction[lane] * by_fraction(bin, lane);
            }
        }
        for (bin, fraction) in fractions.iter().enumerate() {
            let raw = self.lanes(start + bin, first);
            let out = lanes_mut(by_parameters, (start + bin) * self.splines + first);
            for lane in 0..LANES {
                out[lane] = fraction[lane]
                    * (by_fraction(bin, lane) - mean[lane])
                    * limit_derivative(raw[lane], 2.0 / LIMIT);
            }
        }
    }
}

#[inline(always)]
fn lanes_mut(values: &mut [f32], first: usize) -> &mut Lanes {
    values[first..]
        .first_chunk_mut()
        .expect("a multiple of the lanes")
}
