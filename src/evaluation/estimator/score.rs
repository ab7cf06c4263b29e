//! How good an estimator is on galaxies that it was not fitted to.

use serde::{Deserialize, Serialize};

use super::options::Regressor;
use crate::evaluation::eval::{Metrics, Source, accuracy_of_properties, accuracy_of_redshifts};
use crate::survey::Target;

/// How good the estimates of a quantity are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// The quantity.
    pub target: Target,
    /// From what it is estimated.
    pub source: Source,
    /// How.
    pub method: Regressor,
    /// Metrics of the estimates.
    #[serde(flatten)]
    pub metrics: Metrics,
    /// Share of the galaxies whose truth lies in the 68 % interval.
    pub coverage68: f64,
    /// The same of the 95 % interval.
    pub coverage95: f64,
    /// Mean of half the length of the 68 % interval.
    pub half_width68: f64,
    /// Galaxies fitted to.
    pub n_train: usize,
    /// Galaxies tested on.
    pub n_test: usize,
}

impl Score {
    /// Of estimates and points of their distributions at [`LEVELS`](super::LEVELS), beside the truth.
    pub(super) fn new(
        (target, source, method): (Target, Source, Regressor),
        truth: &[f64],
        estimates: &[f64],
        levels: &[[f64; 5]],
        n_train: usize,
    ) -> Self {
        let inside = |low: usize, high: usize| {
            let held = truth
                .iter()
                .zip(levels)
                .filter(|(truth, levels)| levels[low] <= **truth && **truth <= levels[high]);
            held.count() as f64 / truth.len() as f64
        };
        let widths = levels.iter().map(|levels| (levels[3] - levels[1]) / 2.0);
        Self {
            target,
            source,
            method,
            metrics: match target {
                Target::Redshift => accuracy_of_redshifts(truth, estimates),
                _ => accuracy_of_properties(truth, estimates),
            },
            coverage68: inside(1, 3),
            coverage95: inside(0, 4),
            half_width68: widths.sum::<f64>() / truth.len() as f64,
            n_train,
            n_test: truth.len(),
        }
    }
}
