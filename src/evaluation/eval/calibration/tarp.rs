//! Expected coverage by distances from random points (TARP, Lemos et al. 2023).

use ndarray::{ArrayView1, ArrayView2};
use serde::{Deserialize, Serialize};

use super::uniformity::kolmogorov_smirnov;

/// Intervals between the credibility levels of a [`Tarp`] curve.
const INTERVALS: usize = 50;

/// Expected coverage of credible regions around random reference points (TARP; Lemos et al. 2023): equal
/// to the credibility for calibrated posteriors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tarp {
    /// Credibility levels, from 0 to 1.
    pub credibility: Vec<f64>,
    /// Fraction of the galaxies whose truth lies in their region of that credibility.
    pub expected_coverage: Vec<f64>,
    /// Probability of a curve at least as far from the diagonal (Kolmogorov–Smirnov) if the posteriors are
    /// calibrated.
    pub p_value: f64,
}

impl Tarp {
    /// From the credibility of the smallest region of each galaxy that holds its truth.
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

    /// How many of a galaxy's `samples` (S, D) are nearer to `reference`, a point of the unit cube, than its
    /// `truth` is.
    pub fn nearer(
        &self,
        samples: ArrayView2<'_, f64>,
        truth: ArrayView1<'_, f64>,
        reference: &[f64],
    ) -> usize {
        let square = |point: ArrayView1<'_, f64>| -> f64 {
            let scale = self.low.iter().zip(&self.size).zip(reference);
            let parts = point.into_iter().zip(scale);
            parts
                .map(|(value, ((low, size), reference))| ((value - low) / size - reference).powi(2))
                .sum()
        };
        let own = square(truth);
        samples
            .rows()
            .into_iter()
            .filter(|&sample| square(sample) < own)
            .count()
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution, StandardNormal};

    use super::*;

    /// 1500 galaxies with two correlated properties, and samples of posteriors `width` times as wide as
    /// the true ones, shifted by `bias` of their widths.
    fn curve(width: f64, bias: f64) -> Tarp {
        const GALAXIES: usize = 1500;
        const SAMPLES: usize = 200;
        let mut rng = ChaCha8Rng::seed_from_u64(8);
        let mut normal = || -> f64 { StandardNormal.sample(&mut rng) };
        let mut truth = Array2::zeros((GALAXIES, 2));
        let mut samples = Vec::new();
        for mut row in truth.rows_mut() {
            let centre = [3.0 * normal(), normal()];
            let mut draw = |width: f64, bias: f64| {
                let (a, b) = (width * normal() + bias, width * normal() + bias);
                [centre[0] + a, centre[1] + 0.1 * (0.8 * a + 0.6 * b)]
            };
            row.assign(&ndarray::arr1(&draw(1.0, 0.0)));
            let drawn: Vec<[f64; 2]> = (0..SAMPLES).map(|_| draw(width, bias)).collect();
            samples.push(ndarray::arr2(&drawn));
        }
        let cube = UnitCube::of(truth.view());
        let mut rng = ChaCha8Rng::seed_from_u64(9);
        let credibilities: Vec<f64> = samples
            .iter()
            .zip(truth.rows())
            .map(|(samples, truth)| {
                let reference: [f64; 2] = rng.random();
                let nearer = cube.nearer(samples.view(), truth, &reference);
                (nearer as f64 + rng.random::<f64>()) / (SAMPLES + 1) as f64
            })
            .collect();
        Tarp::new(&credibilities)
    }

    fn farthest(curve: &Tarp) -> f64 {
        let pairs = curve.expected_coverage.iter().zip(&curve.credibility);
        pairs.fold(0.0, |worst, (coverage, level)| {
            worst.max((coverage - level).abs())
        })
    }

    #[test]
    fn the_true_posterior_follows_the_diagonal_and_no_other_does() {
        let exact = curve(1.0, 0.0);
        assert!(farthest(&exact) < 0.04 && exact.p_value > 0.05, "{exact:?}");
        assert_eq!(
            (exact.expected_coverage[0], exact.expected_coverage[50]),
            (0.0, 1.0)
        );
        for (width, bias) in [(0.6, 0.0), (1.7, 0.0), (1.0, 0.5)] {
            let wrong = curve(width, bias);
            assert!(
                farthest(&wrong) > 0.05 && wrong.p_value < 1e-3,
                "{width} {bias}: {wrong:?}"
            );
        }
    }
}
