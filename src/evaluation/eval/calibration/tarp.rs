//! Expected coverage by distances from random points (TARP, Lemos et al. 2023).

use ndarray::{ArrayView1, ArrayView2};
use serde::{Deserialize, Serialize};

use super::uniformity::kolmogorov_smirnov;

/// Intervals between the credibility levels of a [`Tarp`] curve.
pub(super) const INTERVALS: usize = 50;

/// Expected coverage of credible regions around random reference points (TARP; Lemos et al. 2023): equal
/// to the credibility for calibrated posteriors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tarp {
    /// Credibility levels, from 0 to 1.
    pub credibility: Vec<f64>,
    /// Fraction of the galaxies whose truth lies in their region of that credibility.
    pub expected_coverage: Vec<f64>,
    /// Probability of a curve at least as far from the diagonal if the posteriors are calibrated.
    pub p_value: f64,
}

impl Tarp {
    /// From the credibility of the smallest region of each galaxy that holds its truth; the probability is that of
    /// Kolmogorov and Smirnov.
    pub fn new(credibilities: &[f64]) -> Self {
        let levels: Vec<f64> = (0..=INTERVALS)
            .map(|level| level as f64 / INTERVALS as f64)
            .collect();
        Self {
            expected_coverage: expected_coverage(credibilities, &levels),
            credibility: levels,
            p_value: kolmogorov_smirnov(credibilities),
        }
    }
}

/// Fraction of the `credibilities` below each of the ascending `levels`; those equal to the last one count.
pub fn expected_coverage(credibilities: &[f64], levels: &[f64]) -> Vec<f64> {
    let mut sorted = credibilities.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let coverage = |(index, &level): (usize, &f64)| {
        let last = index + 1 == levels.len();
        let inside = sorted.partition_point(|&value| value < level || (last && value == level));
        inside as f64 / sorted.len() as f64
    };
    levels.iter().enumerate().map(coverage).collect()
}

/// The box of all true values, scaled to the unit cube: where distances are taken and reference points lie.
#[derive(Debug, Clone, PartialEq)]
pub struct UnitCube {
    low: Vec<f64>,
    size: Vec<f64>,
}

impl UnitCube {
    /// Of true values (N, D).
    pub fn of(truth: ArrayView2<'_, f64>) -> Self {
        let extreme = |fold: fn(f64, f64) -> f64, start: f64| {
            truth
                .columns()
                .into_iter()
                .map(move |column| column.iter().copied().fold(start, fold))
        };
        let low: Vec<f64> = extreme(f64::min, f64::INFINITY).collect();
        let high = extreme(f64::max, f64::NEG_INFINITY);
        // The small number keeps a dimension without extent finite, as in the package `tarp`.
        let size = high
            .zip(&low)
            .map(|(high, low)| high - low + 1e-10)
            .collect();
        Self { low, size }
    }

    /// The cube of one dimension alone.
    pub fn axis(&self, dimension: usize) -> Self {
        Self {
            low: vec![self.low[dimension]],
            size: vec![self.size[dimension]],
        }
    }

    /// Square of the distance of `point` (D) from `reference`, a point of the unit cube.
    pub fn square_distance(&self, point: ArrayView1<'_, f64>, reference: &[f64]) -> f64 {
        let scale = self.low.iter().zip(&self.size).zip(reference);
        let parts = point.into_iter().zip(scale);
        parts
            .map(|(value, ((low, size), reference))| ((value - low) / size - reference).powi(2))
            .sum()
    }
}
