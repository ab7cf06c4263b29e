//! From a point estimate and a measure of its uncertainty to an interval that holds the truth as often as it says.

use ndarray::Array1;
use serde::{Deserialize, Serialize};

/// Levels of an estimate's distribution: the median, the ends of the 68 % and those of the 95 % interval.
pub const LEVELS: [f64; 5] = [0.025, 0.16, 0.5, 0.84, 0.975];

/// How far the truth lies from estimates, learnt from galaxies that the estimates knew nothing of.
///
/// Normalised split conformal prediction (Papadopoulos et al. 2008; Lei et al. 2018): errors are divided by a spread that
/// differs from galaxy to galaxy, and quantiles of what results are multiplied by the spread of a new galaxy. If new
/// galaxies are like those that were held out, its intervals hold the truth as often as they say, however wrong the
/// spread is; a good spread makes them short where the estimate is good.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Calibration {
    shares: Shares,
    /// Normalised errors, truth less estimate, ascending; in single precision as they are kept.
    errors: Vec<f64>,
}

/// What makes the spread of a galaxy.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Shares {
    /// Share of the squared spread that goes with the galaxy's own variance; the rest is the same for all.
    share: f64,
    /// Mean variance of the held-out galaxies.
    typical: f64,
}

impl Shares {
    /// Up to a factor that the errors carry.
    fn spread(self, variance: f64) -> f64 {
        let Self { share, typical } = self;
        match typical > 0.0 {
            true => (1.0 - share + share * variance / typical).sqrt(),
            false => 1.0,
        }
    }
}

impl Calibration {
    /// Most errors that are kept: quantiles of 2.5 % of more are as sharp as anybody needs.
    const MOST: usize = 4001;
    /// Shares that are tried.
    const SHARES: usize = 20;

    /// Of held-out galaxies: truth less estimate, and a variance that says how sure the estimate is, each of N > 0.
    pub fn fit(errors: &[f64], variances: &[f64]) -> Self {
        let typical = variances.iter().sum::<f64>() / variances.len() as f64;
        let likelihood = |share: f64| {
            // Of a Laplace distribution, which a few catastrophic errors do not rule.
            let shares = Shares { share, typical };
            let spreads: Vec<f64> = variances.iter().map(|&v| shares.spread(v)).collect();
            let count = errors.len() as f64;
            let scaled = errors
                .iter()
                .zip(&spreads)
                .map(|(error, s)| error.abs() / s);
            let scale = scaled.sum::<f64>() / count;
            scale.ln() + spreads.iter().map(|spread| spread.ln()).sum::<f64>() / count
        };
        // Not 1: a variance of 0 would be a certainty.
        let shares = (0..Self::SHARES).map(|step| step as f64 / Self::SHARES as f64);
        let best = shares
            .map(|share| (likelihood(share), share))
            .min_by(|one, other| one.0.total_cmp(&other.0));
        let share = match best {
            Some((least, share)) if least.is_finite() && typical > 0.0 => share,
            _ => 0.0,
        };
        let shares = Shares { share, typical };
        let mut normalised: Vec<f64> = Iterator::zip(errors.iter(), variances)
            .map(|(error, &variance)| f64::from((error / shares.spread(variance)) as f32))
            .collect();
        normalised.sort_unstable_by(f64::total_cmp);
        if normalised.len() > Self::MOST {
            let last = normalised.len() - 1;
            let nth = |step: usize| normalised[step * last / (Self::MOST - 1)];
            normalised = (0..Self::MOST).map(nth).collect();
        }
        Self {
            shares,
            errors: normalised,
        }
    }

    /// What is kept of it.
    pub fn parts(&self) -> (Shares, Array1<f32>) {
        (
            self.shares,
            self.errors.iter().map(|&error| error as f32).collect(),
        )
    }

    /// From what was kept; `None` where there are no errors, or they do not ascend.
    pub fn of_parts(shares: Shares, errors: &Array1<f32>) -> Option<Self> {
        let errors: Vec<f64> = errors.iter().map(|&error| f64::from(error)).collect();
        (!errors.is_empty() && errors.is_sorted()).then_some(Self { shares, errors })
    }

    /// The points of an estimate's distribution at [`LEVELS`].
    pub fn levels(&self, estimate: f64, variance: f64) -> [f64; 5] {
        let spread = self.shares.spread(variance);
        LEVELS.map(|level| estimate + spread * self.quantile(level))
    }

    /// The error that a new galaxy's stays below with this probability: the truth takes any place among n + 1 alike.
    fn quantile(&self, level: f64) -> f64 {
        let last = self.errors.len() - 1;
        let rank = (level * (self.errors.len() + 1) as f64 - 1.0).clamp(0.0, last as f64);
        let (below, rest) = (rank as usize, rank.fract());
        let above = (below + 1).min(last);
        self.errors[below] + rest * (self.errors[above] - self.errors[below])
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution, StandardNormal};

    use super::*;

    /// Errors of which each has a deviation of its own, and what is known of its variance.
    fn problem(rows: usize, seed: u64) -> (Vec<f64>, Vec<f64>) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let draw = |_| {
            let deviation: f64 = rng.random_range(0.2..3.0);
            let error: f64 = StandardNormal.sample(&mut rng);
            // Skewed, and wrong by a factor that nobody knows.
            (
                deviation * (error + 0.3 * error * error),
                7.0 * deviation.powi(2),
            )
        };
        (0..rows).map(draw).unzip()
    }

    #[test]
    fn intervals_hold_the_truth_as_often_as_they_say() {
        let (errors, variances) = problem(2000, 1);
        let calibration = Calibration::fit(&errors, &variances);
        let (errors, variances) = problem(20_000, 2);
        let mut lengths = [0.0; 2];
        for [low, high] in [[0, 4], [1, 3]] {
            let inside = errors.iter().zip(&variances).filter(|(error, variance)| {
                let levels = calibration.levels(0.0, **variance);
                levels[low] <= **error && **error <= levels[high]
            });
            let share = inside.count() as f64 / errors.len() as f64;
            let stated = LEVELS[high] - LEVELS[low];
            // Two standard errors of 2000 galaxies.
            let tolerance = 2.0 * (stated * (1.0 - stated) / 2000.0).sqrt();
            assert!((share - stated).abs() < tolerance, "{share} {stated}");
        }
        for (length, variance) in lengths.iter_mut().zip([7.0 * 0.1, 7.0 * 6.0]) {
            let levels = calibration.levels(0.0, variance);
            *length = levels[3] - levels[1];
        }
        assert!(lengths[1] > 4.0 * lengths[0], "{lengths:?}");
    }

    #[test]
    fn a_variance_that_says_nothing_is_not_believed() {
        let (errors, mut variances) = problem(2000, 3);
        variances.reverse();
        assert!(Calibration::fit(&errors, &variances).shares.share < 0.3);
        let zeros = Calibration::fit(&errors, &vec![0.0; 2000]);
        assert_eq!(zeros.levels(1.0, 0.0), zeros.levels(1.0, 5.0));
    }
}
