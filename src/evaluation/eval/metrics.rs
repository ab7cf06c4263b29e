//! How well predicted numbers agree with the true ones.

use std::borrow::Borrow;

use serde::{Deserialize, Serialize};

use super::bootstrap::Figures;

/// Normalised median absolute deviation of a Gaussian is its standard deviation.
const MAD_TO_SIGMA: f64 = 1.4826;
/// |Δz|/(1+z) beyond which a photometric redshift is an outlier (Hildebrandt et al. 2010).
const OUTLIER: f64 = 0.15;
/// The stricter limit that surveys of bright galaxies use (Pasquet et al. 2019).
const NEAR_OUTLIER: f64 = 0.05;

/// How well predictions agree with the truth.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Coefficient of determination, 1 − Σ(y−ŷ)²/Σ(y−ȳ)².
    pub r2: f64,
    /// Root mean square of ŷ−y.
    pub rmse: f64,
    /// σ_NMAD, 1.4826 times the median absolute deviation from the median: redshift of Δz/(1+z), properties
    /// of ŷ−y.
    pub sigma_nmad: f64,
    /// The one measure of scatter where there is room for one. Redshift: σ_NMAD. Properties: RMSE.
    pub scatter: f64,
    /// Redshift: mean of Δz/(1+z). Properties: mean of ŷ−y.
    pub bias: f64,
    /// Redshift only: the fraction with |Δz|/(1+z) > 0.15.
    pub outlier_fraction: Option<f64>,
    /// Redshift only: the fraction with |Δz|/(1+z) > 0.05.
    pub outlier_fraction_005: Option<f64>,
}

impl Figures for Metrics {
    fn summarise<B: Borrow<Self>>(all: &[B], summary: impl Fn(&mut [f64]) -> f64) -> Self {
        let one = |figure: fn(&Self) -> f64| {
            let mut values: Vec<f64> = all.iter().map(|metrics| figure(metrics.borrow())).collect();
            summary(&mut values)
        };
        let optional = |figure: fn(&Self) -> Option<f64>| {
            let values: Option<Vec<f64>> =
                all.iter().map(|metrics| figure(metrics.borrow())).collect();
            values.map(|mut values| summary(&mut values))
        };
        Self {
            r2: one(|metrics| metrics.r2),
            rmse: one(|metrics| metrics.rmse),
            sigma_nmad: one(|metrics| metrics.sigma_nmad),
            scatter: one(|metrics| metrics.scatter),
            bias: one(|metrics| metrics.bias),
            outlier_fraction: optional(|metrics| metrics.outlier_fraction),
            outlier_fraction_005: optional(|metrics| metrics.outlier_fraction_005),
        }
    }
}

/// The metrics of redshifts, Δz = predicted − true (definitions as in Pasquet et al. 2019, section 5).
pub fn accuracy_of_redshifts(truth: &[f64], predicted: &[f64]) -> Metrics {
    Scored::new(truth, predicted, true).metrics(&vec![1; truth.len()])
}

/// The metrics of any other quantity.
pub fn accuracy_of_properties(truth: &[f64], predicted: &[f64]) -> Metrics {
    Scored::new(truth, predicted, false).metrics(&vec![1; truth.len()])
}

/// Predictions beside the truth, made ready to be scored for many resamples.
pub(super) struct Scored {
    /// True values, less their mean, which keeps the sums of squares exact.
    truth: Vec<f64>,
    /// ŷ−y.
    error: Vec<f64>,
    /// Redshift: Δz/(1+z). Properties: ŷ−y.
    residual: Vec<f64>,
    /// Galaxies by residual.
    order: Vec<usize>,
    redshift: bool,
}

impl Scored {
    pub(super) fn new(truth: &[f64], predicted: &[f64], redshift: bool) -> Self {
        let centre = super::bootstrap::mean(truth);
        let error: Vec<f64> = predicted.iter().zip(truth).map(|(p, t)| p - t).collect();
        let residual: Vec<f64> = match redshift {
            true => error
                .iter()
                .zip(truth)
                .map(|(e, t)| e / (1.0 + t))
                .collect(),
            false => error.clone(),
        };
        let mut order: Vec<usize> = (0..residual.len()).collect();
        order.sort_by(|&a, &b| residual[a].total_cmp(&residual[b]));
        Self {
            truth: truth.iter().map(|truth| truth - centre).collect(),
            error,
            residual,
            order,
            redshift,
        }
    }

    /// As scikit-learn's `r2_score`: where all true values are equal, 1 if all are hit, else 0.
    /// `counts` says how often each galaxy counts.
    pub(super) fn r2(&self, counts: &[u32]) -> f64 {
        let (mut number, mut sum, mut square, mut residual) = (0.0, 0.0, 0.0, 0.0);
        for ((&count, truth), error) in counts.iter().zip(&self.truth).zip(&self.error) {
            let count = f64::from(count);
            number += count;
            sum += count * truth;
            square += count * truth * truth;
            residual += count * error * error;
        }
        let total = square - sum * sum / number;
        // What rounding leaves of a sum of equal values is no variance.
        if total > 1e-14 * square {
            1.0 - residual / total
        } else {
            f64::from(u8::from(residual == 0.0))
        }
    }

    /// All metrics; `counts` says how often each galaxy counts.
    pub(super) fn metrics(&self, counts: &[u32]) -> Metrics {
        let number: u32 = counts.iter().sum();
        let total = f64::from(number);
        let sum = |value: &dyn Fn(usize) -> f64| -> f64 {
            let terms = counts.iter().enumerate().filter(|(_, count)| **count > 0);
            terms
                .map(|(galaxy, &count)| f64::from(count) * value(galaxy))
                .sum()
        };
        let beyond = |limit: f64| {
            let outliers = sum(&|galaxy| f64::from(u8::from(self.residual[galaxy].abs() > limit)));
            self.redshift.then(|| outliers / total)
        };
        let rmse = (sum(&|galaxy| self.error[galaxy].powi(2)) / total).sqrt();
        let sigma_nmad = MAD_TO_SIGMA * self.median_absolute_deviation(counts, number);
        Metrics {
            r2: self.r2(counts),
            rmse,
            sigma_nmad,
            scatter: if self.redshift { sigma_nmad } else { rmse },
            bias: sum(&|galaxy| self.residual[galaxy]) / total,
            outlier_fraction: beyond(OUTLIER),
            outlier_fraction_005: beyond(NEAR_OUTLIER),
        }
    }

    /// Median of the distance of the residuals from their median.
    fn median_absolute_deviation(&self, counts: &[u32], number: u32) -> f64 {
        if number == 0 {
            return f64::NAN;
        }
        let of = |index: usize| (self.residual[self.order[index]], counts[self.order[index]]);
        let all = 0..self.order.len();
        let centre = middle(all.clone().map(of), number);
        // Distances ascend to both sides of the centre.
        let split = self
            .order
            .partition_point(|&galaxy| self.residual[galaxy] < centre);
        let (mut below, mut above) = ((0..split).rev().peekable(), (split..all.end).peekable());
        let ascending = std::iter::from_fn(|| {
            let distance = |index: Option<&usize>| {
                index.map_or(f64::INFINITY, |&index| (of(index).0 - centre).abs())
            };
            let next = match distance(below.peek()) < distance(above.peek()) {
                true => below.next(),
                false => above.next().or_else(|| below.next()),
            };
            next.map(|index| ((of(index).0 - centre).abs(), of(index).1))
        });
        middle(ascending, number)
    }
}

/// The median of `number` values that come in ascending order, each so many times.
pub(super) fn middle(ascending: impl Iterator<Item = (f64, u32)>, number: u32) -> f64 {
    let (lower, upper) = ((number - 1) / 2, number / 2);
    let (mut seen, mut low) = (0, None);
    for (value, count) in ascending {
        seen += count;
        if low.is_none() && seen > lower {
            low = Some(value);
        }
        if let Some(low) = low
            && seen > upper
        {
            return (low + value) / 2.0;
        }
    }
    f64::NAN
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redshift_metrics_by_hand() {
        // Δz/(1+z) = 0.1, −0.1, 0, 0.5, 0.05; median 0.05, deviations .05 .15 .05 .45 0.
        let truth = [0.0, 1.0, 0.5, 0.0, 1.0];
        let predicted = [0.1, 0.8, 0.5, 0.5, 1.1];
        let metrics = accuracy_of_redshifts(&truth, &predicted);
        assert!((metrics.sigma_nmad - 1.4826 * 0.05).abs() < 1e-12);
        assert_eq!(metrics.scatter, metrics.sigma_nmad);
        assert!((metrics.bias - 0.11).abs() < 1e-12);
        assert_eq!(metrics.outlier_fraction, Some(0.2));
        // 0.05 itself, of 0.1/2, is on the limit: 0.050000000000000044.
        assert_eq!(metrics.outlier_fraction_005, Some(0.8));
        // Σ(y−ŷ)² = .01+.04+0+.25+.01 = .31; mean .5, Σ(y−ȳ)² = 4 x .25 = 1.
        assert!((metrics.r2 - 0.69).abs() < 1e-12);
        assert!((metrics.rmse - (0.31_f64 / 5.0).sqrt()).abs() < 1e-12);
    }

    #[test]
    fn property_metrics_by_hand() {
        let metrics = accuracy_of_properties(&[1.0, 2.0, 3.0, 4.0], &[2.0, 2.0, 3.0, 6.0]);
        assert!((metrics.r2 - 0.0).abs() < 1e-12);
        assert!((metrics.scatter - 1.25_f64.sqrt()).abs() < 1e-12);
        // Residuals 1 0 0 2: median 0.5, deviations .5 .5 .5 1.5.
        assert!((metrics.sigma_nmad - 1.4826 * 0.5).abs() < 1e-12);
        assert!((metrics.bias - 0.75).abs() < 1e-12);
        assert_eq!(metrics.outlier_fraction, None);
        assert_eq!(accuracy_of_properties(&[3.1; 7], &[3.1; 7]).r2, 1.0);
        assert_eq!(accuracy_of_properties(&[3.1; 7], &[3.2; 7]).r2, 0.0);
    }

    /// Counting a galaxy twice is the same as having it twice.
    #[test]
    fn counts_are_copies() {
        let truth = [0.11, 0.32, 0.25, 0.43, 0.08, 0.31, 0.19];
        let predicted = [0.13, 0.30, 0.45, 0.40, 0.09, 0.36, 0.11];
        let counts = [0_u32, 3, 1, 0, 2, 1, 1];
        let copies = |values: &[f64]| -> Vec<f64> {
            let pairs = values.iter().zip(counts);
            pairs
                .flat_map(|(&value, count)| vec![value; count as usize])
                .collect()
        };
        let counted = Scored::new(&truth, &predicted, true).metrics(&counts);
        let copied = accuracy_of_redshifts(&copies(&truth), &copies(&predicted));
        for (a, b) in [
            (counted.r2, copied.r2),
            (counted.rmse, copied.rmse),
            (counted.sigma_nmad, copied.sigma_nmad),
            (counted.bias, copied.bias),
        ] {
            assert!((a - b).abs() < 1e-12, "{counted:?} {copied:?}");
        }
        assert_eq!(counted.outlier_fraction, copied.outlier_fraction);
    }
}
