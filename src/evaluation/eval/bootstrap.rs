//! Errors of figures of merit, from resamples of the test galaxies.

use std::borrow::Borrow;

use ndarray::parallel::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// How figures of merit are resampled over the test galaxies (Efron 1979).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BootstrapConfig {
    /// Number of resamples; 0 for none.
    pub resamples: usize,
    /// Seed. Samples of one size are resampled alike, so that differences of figures are paired.
    pub seed: u64,
}

impl Default for BootstrapConfig {
    fn default() -> Self {
        Self {
            resamples: 1000,
            seed: 0,
        }
    }
}

impl BootstrapConfig {
    /// `figures` of every resample of `galaxies` galaxies; it is given how often each galaxy is drawn.
    /// The same for any number of threads.
    pub(super) fn map<T: Send>(
        &self,
        galaxies: usize,
        figures: impl Fn(&[u32]) -> T + Sync,
    ) -> Vec<T> {
        if galaxies == 0 {
            return Vec::new();
        }
        (0..self.resamples)
            .into_par_iter()
            .map_init(
                || vec![0; galaxies],
                |counts, resample| {
                    let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
                    rng.set_stream(resample as u64);
                    counts.fill(0);
                    for _ in 0..galaxies {
                        counts[rng.random_range(0..galaxies)] += 1;
                    }
                    figures(counts)
                },
            )
            .collect()
    }
}

/// Figures of merit that can be summarised one by one.
pub trait Figures: Sized {
    /// Every figure summarised over `all`, which is not empty.
    fn summarise<B: Borrow<Self>>(all: &[B], summary: impl Fn(&mut [f64]) -> f64) -> Self;
}

impl Figures for f64 {
    fn summarise<B: Borrow<Self>>(all: &[B], summary: impl Fn(&mut [f64]) -> f64) -> Self {
        let mut values: Vec<f64> = all.iter().map(|value| *value.borrow()).collect();
        summary(&mut values)
    }
}

/// What resampling the test galaxies says about figures of merit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Uncertainty<T> {
    /// Standard deviation over the resamples.
    pub deviation: T,
    /// 2.5th percentile: the lower end of the central 95 per cent.
    pub low: T,
    /// 97.5th percentile.
    pub high: T,
}

impl<T: Figures> Uncertainty<T> {
    /// `None` without resamples.
    pub(super) fn of(resamples: &[T]) -> Option<Self> {
        if resamples.is_empty() {
            return None;
        }
        Some(Self {
            deviation: T::summarise(resamples, |values| deviation(values)),
            low: T::summarise(resamples, |values| percentile(values, 0.025)),
            high: T::summarise(resamples, |values| percentile(values, 0.975)),
        })
    }
}

/// The mean, and with two or more the standard deviation (n − 1), over seeds.
pub(super) fn over_seeds<T: Figures>(of_seed: &[T]) -> (T, Option<T>) {
    let mean = T::summarise(of_seed, |values| mean(values));
    let spread = (of_seed.len() > 1).then(|| T::summarise(of_seed, |values| deviation(values)));
    (mean, spread)
}

/// The mean.
pub(super) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Standard deviation, n − 1 in the denominator; 0 of a single value.
pub(super) fn deviation(values: &[f64]) -> f64 {
    let centre = mean(values);
    let square: f64 = values.iter().map(|value| (value - centre).powi(2)).sum();
    (square / (values.len().max(2) - 1) as f64).sqrt()
}

/// The value below which a fraction of `values` lies, linear between them (as NumPy's default).
fn percentile(values: &mut [f64], level: f64) -> f64 {
    let rank = level * (values.len() - 1) as f64;
    let below = rank.floor() as usize;
    let (_, low, above) = values.select_nth_unstable_by(below, f64::total_cmp);
    let low = *low;
    let high = above.iter().copied().min_by(f64::total_cmp).unwrap_or(low);
    let fraction = rank - below as f64;
    if fraction == 0.0 {
        low
    } else {
        low + fraction * (high - low)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bootstrap_of_a_mean_is_its_standard_error() {
        let values: Vec<f64> = (0..400).map(|i| f64::from(i % 20)).collect();
        let expected = deviation(&values) / 20.0;
        let resampled = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            pool.expect("a pool").install(|| {
                BootstrapConfig::default().map(values.len(), |counts| {
                    assert_eq!(counts.iter().sum::<u32>(), 400);
                    let pairs = counts.iter().zip(&values);
                    pairs.map(|(&n, value)| f64::from(n) * value).sum::<f64>() / 400.0
                })
            })
        };
        let means = resampled(1);
        assert_eq!(means, resampled(3));
        let found = Uncertainty::of(&means).expect("resamples");
        assert!((found.deviation / expected - 1.0).abs() < 0.08, "{found:?}");
        assert!(
            (found.low - (9.5 - 1.96 * expected)).abs() < 0.05,
            "{found:?}"
        );
        assert!(
            (found.high - (9.5 + 1.96 * expected)).abs() < 0.05,
            "{found:?}"
        );
    }

    #[test]
    fn percentiles_are_numpys() {
        let mut values = [4.0, 1.0, 3.0, 2.0];
        assert_eq!(percentile(&mut values, 0.5), 2.5);
        assert!((percentile(&mut values, 0.025) - 1.075).abs() < 1e-12);
        assert_eq!(percentile(&mut values, 1.0), 4.0);
        assert_eq!(percentile(&mut [7.0], 0.975), 7.0);
    }
}
