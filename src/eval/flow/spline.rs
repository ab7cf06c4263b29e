//! Monotone rational-quadratic splines with linear tails (Durkan et al. 2019, section 3.1), many side by
//! side.
//!
//! A spline maps [−B, B] onto itself through K bins and is the identity outside. Its parameters are K
//! widths, K heights and K − 1 derivatives at the inner knots, none of them constrained: widths and heights
//! go through a softmax, derivatives through an exponential, and all are softly limited before (as in the
//! library zuko), so that no bin is more than 1000 times as wide as another and all derivatives stay
//! between 10⁻³ and 10³. Parameters of zero give the identity.

use super::math::{exp, ln};

/// Splines that are computed at once.
pub const LANES: usize = 16;

/// One number for each of [`LANES`] splines.
pub type Lanes = [f32; LANES];

/// Half the width of the box in which a spline is not the identity.
pub const BOUND: f32 = 5.0;

/// ln 1000: the largest magnitude of a limited logarithm of a derivative, and twice that of a limited
/// width or height.
const LIMIT: f32 = 6.907_755_3;

/// Number of parameters of a spline with `bins` bins.
pub fn parameter_count(bins: usize) -> usize {
    3 * bins - 1
}

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
struct Bins {
    index: Lanes,
    left: Lanes,
    right: Lanes,
    low: Lanes,
    high: Lanes,
    left_derivative: Lanes,
    right_derivative: Lanes,
}

impl Knots {
    /// Splines that change nothing.
    fn identity(bins: usize) -> Self {
        let even = |knot| [BOUND * (2.0 * knot as f32 / bins as f32 - 1.0); LANES];
        let places: Vec<Lanes> = (0..=bins).map(even).collect();
        Self {
            horizontal: places.clone(),
            vertical: places,
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
    fn inside(&self, places: &[Lanes], lane: usize, at: f32) -> bool {
        // Without a short cut, which would be a branch.
        (at >= places[0][lane]) & (at <= places[places.len() - 1][lane])
    }

    #[inline(always)]
    fn find(&self, places: &[Lanes], at: &Lanes) -> Bins {
        let mut bins = Bins {
            index: [0.0; LANES],
            left: self.horizontal[0],
            right: self.horizontal[1],
            low: self.vertical[0],
            high: self.vertical[1],
            left_derivative: self.derivatives[0],
            right_derivative: self.derivatives[1],
        };
        for knot in 1..places.len() - 1 {
            let number = knot as f32;
            for lane in 0..LANES {
                let beyond = at[lane] >= places[knot][lane];
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
    fn lane(&self, lane: usize) -> Bin {
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

/// One bin: a ratio of two parabolas from (left, low) with slope d0 to (left + width, low + height) with
/// slope d1.
#[derive(Clone, Copy)]
struct Bin {
    left: f32,
    width: f32,
    low: f32,
    height: f32,
    d0: f32,
    d1: f32,
}

/// Derivatives of a loss by what defines a bin, and by the argument.
struct BinGradient {
    x: f32,
    left: f32,
    width: f32,
    low: f32,
    height: f32,
    d0: f32,
    d1: f32,
}

impl Bin {
    /// Durkan et al. 2019, equations 4 and 5.
    #[inline(always)]
    fn forward(self, x: f32) -> (f32, f32) {
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
    fn inverse(self, y: f32) -> f32 {
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
    fn backward(self, x: f32, by_y: f32, by_log: f32) -> BinGradient {
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
        let share = (s * t * t + d0 * q) * inverse_denominator;
        let m = d1 * t * t + 2.0 * s * q + d0 * u * u;
        let inverse_m = 1.0 / m;
        let scaled = by_y * height * inverse_denominator;
        let two = 2.0 * inverse_denominator;

        let by_s = scaled * (t * t - share * (1.0 - 2.0 * q))
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
            height: by_y * share + by_s * inverse_width,
            d0: scaled * q * (1.0 - share) + by_log * (u * u * inverse_m - q * two),
            d1: -scaled * q * share + by_log * (t * t * inverse_m - q * two),
        }
    }
}

/// Parameters (parameter, splines) of a row of splines: row-major, `splines` numbers per parameter, a
/// multiple of [`LANES`].
#[derive(Clone, Copy)]
struct Parameters<'a> {
    values: &'a [f32],
    splines: usize,
    bins: usize,
}

/// What the parameters of [`LANES`] splines say: the knots, and the shares of the widths and heights.
struct Decoded {
    knots: Knots,
    widths: Vec<Lanes>,
    heights: Vec<Lanes>,
}

impl<'a> Parameters<'a> {
    #[inline(always)]
    fn lanes(&self, parameter: usize, first: usize) -> &'a Lanes {
        self.values[parameter * self.splines + first..]
            .first_chunk()
            .expect("a multiple of the lanes")
    }

    #[inline(always)]
    fn decode(&self, first: usize, decoded: &mut Decoded) {
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

    /// The shares that the parameters from `start` on give to each bin, and the knots between them.
    #[inline(always)]
    fn place_knots(&self, start: usize, first: usize, shares: &mut [Lanes], knots: &mut [Lanes]) {
        let mut sum = [0.0; LANES];
        for (bin, share) in shares.iter_mut().enumerate() {
            let raw = self.lanes(start + bin, first);
            for lane in 0..LANES {
                // At most e^3.5: the softmax needs no maximum taken out.
                share[lane] = exp(limit(raw[lane], 2.0 / LIMIT));
                sum[lane] += share[lane];
            }
        }
        for sum in &mut sum {
            *sum = 1.0 / *sum;
        }
        let mut place = [-BOUND; LANES];
        for bin in 0..self.bins {
            for lane in 0..LANES {
                shares[bin][lane] *= sum[lane];
                place[lane] += 2.0 * BOUND * shares[bin][lane];
            }
            // The last knot stays exactly where it is.
            if bin + 1 < self.bins {
                knots[bin + 1] = place;
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
fn limit_derivative(raw: f32, inverse_limit: f32) -> f32 {
    let factor = 1.0 / (1.0 + raw.abs() * inverse_limit);
    factor * factor
}

impl Decoded {
    fn new(bins: usize) -> Self {
        Self {
            knots: Knots::identity(bins),
            widths: vec![[0.0; LANES]; bins],
            heights: vec![[0.0; LANES]; bins],
        }
    }
}

/// Runs `$body` compiled for the widest vectors that the processor has.
macro_rules! on_widest_vectors {
    ($name:ident<$life:lifetime> { $($field:ident: $type:ty),* $(,)? } $body:block) => {{
        struct $name<$life> { $($field: $type),* }
        impl<$life> pulp::NullaryFnOnce for $name<$life> {
            type Output = ();
            #[inline(always)]
            fn call(self) {
                let Self { $($field),* } = self;
                $body
            }
        }
        pulp::Arch::new().dispatch($name { $($field),* })
    }};
}

/// Replaces every number in `values` by its spline's value there; the spline's ln dy/dx is added to
/// `log_derivatives`.
///
/// `parameters` are (parameter, splines), row-major; the number of splines, that of `values` and
/// `log_derivatives`, is a multiple of [`LANES`].
pub fn forward(parameters: &[f32], bins: usize, values: &mut [f32], log_derivatives: &mut [f32]) {
    let parameters = checked(parameters, bins, values.len());
    on_widest_vectors!(Forward<'a> {
        parameters: Parameters<'a>,
        values: &'a mut [f32],
        log_derivatives: &'a mut [f32],
    } {
        let mut decoded = Decoded::new(parameters.bins);
        let (values, _) = values.as_chunks_mut::<LANES>();
        let (logs, _) = log_derivatives.as_chunks_mut::<LANES>();
        for (chunk, (values, logs)) in values.iter_mut().zip(logs).enumerate() {
            parameters.decode(chunk * LANES, &mut decoded);
            let (y, log) = decoded.knots.forward(values);
            *values = y;
            for lane in 0..LANES {
                logs[lane] += log[lane];
            }
        }
    });
}

/// Replaces every number in `values` by the argument at which its spline has that value; the rest as in
/// [`forward`].
pub fn inverse(parameters: &[f32], bins: usize, values: &mut [f32]) {
    let parameters = checked(parameters, bins, values.len());
    on_widest_vectors!(Inverse<'a> {
        parameters: Parameters<'a>,
        values: &'a mut [f32],
    } {
        let mut decoded = Decoded::new(parameters.bins);
        for (chunk, values) in values.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
            parameters.decode(chunk * LANES, &mut decoded);
            *values = decoded.knots.inverse(values);
        }
    });
}

/// The gradient of a loss through [`forward`] at the arguments `x`.
///
/// `gradient` holds the loss's derivatives by the values and gets those by the arguments;
/// `by_log_derivative` holds those by ln dy/dx; `by_parameters`, laid out as `parameters`, gets those by
/// the parameters.
pub fn backward(
    parameters: &[f32],
    bins: usize,
    x: &[f32],
    gradient: &mut [f32],
    by_log_derivative: &[f32],
    by_parameters: &mut [f32],
) {
    let parameters = checked(parameters, bins, x.len());
    assert_eq!(by_parameters.len(), parameters.values.len());
    on_widest_vectors!(Backward<'a> {
        parameters: Parameters<'a>,
        x: &'a [f32],
        gradient: &'a mut [f32],
        by_log_derivative: &'a [f32],
        by_parameters: &'a mut [f32],
    } {
        let mut decoded = Decoded::new(parameters.bins);
        let (x, _) = x.as_chunks::<LANES>();
        let (gradient, _) = gradient.as_chunks_mut::<LANES>();
        let (by_log, _) = by_log_derivative.as_chunks::<LANES>();
        for (chunk, ((x, gradient), by_log)) in x.iter().zip(gradient).zip(by_log).enumerate() {
            parameters.decode(chunk * LANES, &mut decoded);
            parameters.backward(chunk * LANES, &decoded, x, gradient, by_log, by_parameters);
        }
    });
}

fn checked(parameters: &[f32], bins: usize, splines: usize) -> Parameters<'_> {
    assert!(splines.is_multiple_of(LANES), "{splines} splines");
    assert_eq!(parameters.len(), parameter_count(bins) * splines);
    Parameters {
        values: parameters,
        splines,
        bins,
    }
}

impl Parameters<'_> {
    #[inline(always)]
    fn backward(
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

    /// Through the softmax: a bin's place depends on all shares before it, its size on its own.
    #[inline(always)]
    #[allow(clippy::too_many_arguments)]
    fn by_shares(
        &self,
        start: usize,
        first: usize,
        index: &Lanes,
        shares: &[Lanes],
        by_place: &Lanes,
        by_size: &Lanes,
        by_parameters: &mut [f32],
    ) {
        let by_share = |bin: usize, lane: usize| {
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
        for (bin, share) in shares.iter().enumerate() {
            for lane in 0..LANES {
                mean[lane] += share[lane] * by_share(bin, lane);
            }
        }
        for (bin, share) in shares.iter().enumerate() {
            let raw = self.lanes(start + bin, first);
            let out = lanes_mut(by_parameters, (start + bin) * self.splines + first);
            for lane in 0..LANES {
                out[lane] = share[lane]
                    * (by_share(bin, lane) - mean[lane])
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

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn gradients_equal_finite_differences() {
        const BINS: usize = 4;
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let mut draw = |length, limit: f32| -> Vec<f32> {
            (0..length)
                .map(|_| rng.random_range(-limit..limit))
                .collect()
        };
        let parameters = draw(parameter_count(BINS) * LANES, 2.0);
        let x = draw(LANES, 5.0);
        let (by_value, by_log) = (draw(LANES, 1.0), draw(LANES, 1.0));
        let mut gradient = by_value.clone();
        let mut by_parameters = vec![0.0; parameters.len()];
        backward(
            &parameters,
            BINS,
            &x,
            &mut gradient,
            &by_log,
            &mut by_parameters,
        );
        let loss = |parameters: &[f32], x: &[f32], lane: usize| {
            let (mut y, mut log) = (x.to_vec(), vec![0.0; LANES]);
            forward(parameters, BINS, &mut y, &mut log);
            f64::from(y[lane] * by_value[lane]) + f64::from(log[lane] * by_log[lane])
        };
        let step = 2e-3;
        for lane in 0..LANES {
            let check = |what: &str, at: usize, above: f64, below: f64, analytic: f32| {
                let numeric = (above - below) / f64::from(2.0 * step);
                let error = (numeric - f64::from(analytic)).abs();
                assert!(
                    error < 1e-3 + 1e-3 * numeric.abs(),
                    "{what} {at}: {numeric} {analytic}"
                );
            };
            for parameter in 0..parameter_count(BINS) {
                let at = parameter * LANES + lane;
                let shifted = |step: f32| {
                    let mut parameters = parameters.clone();
                    parameters[at] += step;
                    loss(&parameters, &x, lane)
                };
                check(
                    "parameter",
                    parameter,
                    shifted(step),
                    shifted(-step),
                    by_parameters[at],
                );
            }
            let shifted = |step: f32| {
                let mut x = x.clone();
                x[lane] += step;
                loss(&parameters, &x, lane)
            };
            check("argument", 0, shifted(step), shifted(-step), gradient[lane]);
        }
    }
}
