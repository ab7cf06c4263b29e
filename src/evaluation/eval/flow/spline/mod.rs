//! Monotone rational-quadratic splines with linear tails (Durkan et al. 2019, section 3.1), many side by
//! side.
//!
//! A spline maps [−B, B] onto itself through K bins and is the identity outside. Its parameters are K
//! widths, K heights and K − 1 derivatives at the inner knots, none of them constrained: widths and heights
//! go through a softmax, derivatives through an exponential, and all are softly limited before (as in the
//! library zuko), so that no bin is more than 1000 times as wide as another and all derivatives stay
//! between 10⁻³ and 10³. Parameters of zero give the identity.

mod bin;
mod gradient;
mod knots;
mod parameters;

pub use knots::Knots;

use crate::base::numeric::vectorized;
use parameters::{Decoded, Parameters};

/// Splines that are computed at once.
pub const LANES: usize = 16;

/// One number for each of [`LANES`] splines.
pub type Lanes = [f32; LANES];

/// Half the width of the box in which a spline is not the identity.
pub const BOUND: f32 = 5.0;

/// Number of parameters of a spline with `bins` bins.
pub fn parameter_count(bins: usize) -> usize {
    3 * bins - 1
}

vectorized! {
    /// Replaces every number in `values` by its spline's value there; the spline's ln dy/dx is added to
    /// `log_derivatives`.
    ///
    /// `parameters` are (parameter, splines), row-major; the number of splines, that of `values` and
    /// `log_derivatives`, is a multiple of [`LANES`].
    pub fn forward<'a>(
        parameters: &'a [f32],
        bins: usize,
        values: &'a mut [f32],
        log_derivatives: &'a mut [f32],
    ) {
        let parameters = checked(parameters, bins, values.len());
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
    }
}

vectorized! {
    /// Replaces every number in `values` by the argument at which its spline has that value; the rest as in
    /// [`forward`].
    pub fn inverse<'a>(
        parameters: &'a [f32],
        bins: usize,
        values: &'a mut [f32],
    ) {
        let parameters = checked(parameters, bins, values.len());
        let mut decoded = Decoded::new(parameters.bins);
        for (chunk, values) in values.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
            parameters.decode(chunk * LANES, &mut decoded);
            *values = decoded.knots.inverse(values);
        }
    }
}

vectorized! {
    /// The gradient of a loss through [`forward`] at the arguments `x`.
    ///
    /// `gradient` holds the loss's derivatives by the values and gets those by the arguments;
    /// `by_log_derivative` holds those by ln dy/dx; `by_parameters`, laid out as `parameters`, gets those by
    /// the parameters.
    pub fn backward<'a>(
        parameters: &'a [f32],
        bins: usize,
        x: &'a [f32],
        gradient: &'a mut [f32],
        by_log_derivative: &'a [f32],
        by_parameters: &'a mut [f32],
    ) {
        let parameters = checked(parameters, bins, x.len());
        assert_eq!(by_parameters.len(), parameters.values.len());
        let mut decoded = Decoded::new(parameters.bins);
        let (x, _) = x.as_chunks::<LANES>();
        let (gradient, _) = gradient.as_chunks_mut::<LANES>();
        let (by_log, _) = by_log_derivative.as_chunks::<LANES>();
        for (chunk, ((x, gradient), by_log)) in x.iter().zip(gradient).zip(by_log).enumerate() {
            parameters.decode(chunk * LANES, &mut decoded);
            parameters.backward(chunk * LANES, &decoded, x, gradient, by_log, by_parameters);
        }
    }
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
