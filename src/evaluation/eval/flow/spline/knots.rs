//! The knots of splines, and the way through them in both directions.

use super::{BOUND, LANES, Lanes, bin::Bin};

/// The knots of [`LANES`] splines: `bins + 1` each, from left to right.
#[derive(Debug, Clone)]
pub struct Knots {
    /// Arguments.
    pub horizontal: Vec<Lanes>,
    /// Values.
    pub vertical: Vec<Lanes>,
    /// Derivatives.
    pub derivatives: Vec<Lanes>,
}

/// The bins that [`LANES`] numbers fall into.
pub(super) struct Bins {
    pub index: Lanes,
    left: Lanes,
    right: Lanes,
    low: Lanes,
    high: Lanes,
    left_derivative: Lanes,
    right_derivative: Lanes,
}

impl Knots {
    /// Splines that change nothing.
    pub(super) fn identity(bins: usize) -> Self {
        let even = |knot| [BOUND * (2.0 * knot as f32 / bins as f32 - 1.0); LANES];
        let positions: Vec<Lanes> = (0..=bins).map(even).collect();
        Self {
            horizontal: positions.clone(),
            vertical: positions,
            derivatives: vec![[1.0; LANES]; bins + 1],
        }
    }

    /// The values y of the splines at `x`, and ln dy/dx.
    #[inline(always)]
    pub fn forward(&self, x: &Lanes) -> (Lanes, Lanes) {
        let bins = self.find(&self.horizontal, x);
        let (mut y, mut log_derivative) = (*x, [0.0; LANES]);
        for lane in 0..LANES {
            let bin = bins.lane(lane);
            let (value, log) = bin.forward(x[lane]);
            let inside = self.inside(&self.horizontal, lane, x[lane]);
            y[lane] = if inside { value } else { x[lane] };
            log_derivative[lane] = if inside { log } else { 0.0 };
        }
        (y, log_derivative)
    }

    /// The arguments at which the splines have the values `y`.
    #[inline(always)]
    pub fn inverse(&self, y: &Lanes) -> Lanes {
        let bins = self.find(&self.vertical, y);
        let mut x = *y;
        for lane in 0..LANES {
            let value = bins.lane(lane).inverse(y[lane]);
            let inside = self.inside(&self.vertical, lane, y[lane]);
            x[lane] = if inside { value } else { y[lane] };
        }
        x
    }

    #[inline(always)]
    pub(super) fn inside(&self, positions: &[Lanes], lane: usize, at: f32) -> bool {
        // Without a short cut, which would be a branch.
        (at >= positions[0][lane]) & (at <= positions[positions.len() - 1][lane])
    }

    #[inline(always)]
    pub(super) fn find(&self, positions: &[Lanes], at: &Lanes) -> Bins {
        let mut bins = Bins {
            index: [0.0; LANES],
            left: self.horizontal[0],
            right: self.horizontal[1],
            low: self.vertical[0],
            high: self.vertical[1],
            left_derivative: self.derivatives[0],
            right_derivative: self.derivatives[1],
        };
        for (knot, position) in positions
            .iter()
            .enumerate()
            .take(positions.len() - 1)
            .skip(1)
        {
            let number = knot as f32;
            for lane in 0..LANES {
                let beyond = at[lane] >= position[lane];
                let choose = |new: f32, old: f32| if beyond { new } else { old };
                bins.index[lane] = choose(number, bins.index[lane]);
                bins.left[lane] = choose(self.horizontal[knot][lane], bins.left[lane]);
                bins.right[lane] = choose(self.horizontal[knot + 1][lane], bins.right[lane]);
                bins.low[lane] = choose(self.vertical[knot][lane], bins.low[lane]);
                bins.high[lane] = choose(self.vertical[knot + 1][lane], bins.high[lane]);
                bins.left_derivative[lane] =
                    choose(self.derivatives[knot][lane], bins.left_derivative[lane]);
                bins.right_derivative[lane] = choose(
                    self.derivatives[knot + 1][lane],
                    bins.right_derivative[lane],
                );
            }
        }
        bins
    }
}

impl Bins {
    #[inline(always)]
    pub fn lane(&self, lane: usize) -> Bin {
        Bin {
            left: self.left[lane],
            width: self.right[lane] - self.left[lane],
            low: self.low[lane],
            height: self.high[lane] - self.low[lane],
            d0: self.left_derivative[lane],
            d1: self.right_derivative[lane],
        }
    }
}
