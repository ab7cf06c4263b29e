use serde::{Deserialize, Serialize};

/// Normalised median absolute deviation of a Gaussian is its standard deviation.
const MAD_TO_SIGMA: f64 = 1.4826;
/// |Δz|/(1+z) beyond which a photometric redshift is an outlier (Hildebrandt et al. 2010).
const OUTLIER: f64 = 0.15;

/// How well predictions agree with the truth.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Coefficient of determination, 1 − Σ(y−ŷ)²/Σ(y−ȳ)².
    pub r2: f64,
    /// Redshift: σ_NMAD of Δz/(1+z). Properties: root mean square error.
    pub scatter: f64,
    /// Redshift: mean of Δz/(1+z). Properties: mean of ŷ−y.
    pub bias: f64,
    /// Redshift only: the fraction with |Δz|/(1+z) > 0.15.
    pub outlier_fraction: Option<f64>,
}

/// The metrics of redshifts, Δz = predicted − true (definitions as in Pasquet et al. 2019, section 5).
pub fn accuracy_of_redshifts(truth: &[f64], predicted: &[f64]) -> Metrics {
    let residual: Vec<f64> = truth
        .iter()
        .zip(predicted)
        .map(|(truth, predicted)| (predicted - truth) / (1.0 + truth))
        .collect();
    let centre = median(residual.clone());
    let deviation = residual.iter().map(|r| (r - centre).abs()).collect();
    let outliers = residual.iter().filter(|r| r.abs() > OUTLIER).count();
    Metrics {
        r2: r2(truth, predicted),
        scatter: MAD_TO_SIGMA * median(deviation),
        bias: mean(&residual),
        outlier_fraction: Some(outliers as f64 / residual.len() as f64),
    }
}

/// The metrics of any other quantity.
pub fn accuracy_of_properties(truth: &[f64], predicted: &[f64]) -> Metrics {
    let residual: Vec<f64> = truth
        .iter()
        .zip(predicted)
        .map(|(truth, predicted)| predicted - truth)
        .collect();
    let square: Vec<f64> = residual.iter().map(|r| r * r).collect();
    Metrics {
        r2: r2(truth, predicted),
        scatter: mean(&square).sqrt(),
        bias: mean(&residual),
        outlier_fraction: None,
    }
}

/// The middle value, or the mean of the two.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    if values.is_empty() {
        return f64::NAN;
    }
    values.sort_unstable_by(f64::total_cmp);
    let half = values.len() / 2;
    if values.len() % 2 == 1 {
        values[half]
    } else {
        (values[half - 1] + values[half]) / 2.0
    }
}

/// As scikit-learn's `r2_score`: where all true values are equal, 1 if all are hit, else 0.
fn r2(truth: &[f64], predicted: &[f64]) -> f64 {
    let centre = mean(truth);
    let total: f64 = truth.iter().map(|truth| (truth - centre).powi(2)).sum();
    let residual: f64 = truth
        .iter()
        .zip(predicted)
        .map(|(truth, predicted)| (truth - predicted).powi(2))
        .sum();
    if total > 0.0 {
        1.0 - residual / total
    } else {
        f64::from(u8::from(residual == 0.0))
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
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
        assert!((metrics.scatter - 1.4826 * 0.05).abs() < 1e-12);
        assert!((metrics.bias - 0.11).abs() < 1e-12);
        assert_eq!(metrics.outlier_fraction, Some(0.2));
        // Σ(y−ŷ)² = .01+.04+0+.25+.01 = .31; mean .5, Σ(y−ȳ)² = 4 x .25 = 1.
        assert!((metrics.r2 - 0.69).abs() < 1e-12);
    }

    #[test]
    fn property_metrics_by_hand() {
        let metrics = accuracy_of_properties(&[1.0, 2.0, 3.0, 4.0], &[2.0, 2.0, 3.0, 6.0]);
        assert!((metrics.r2 - 0.0).abs() < 1e-12);
        assert!((metrics.scatter - 1.25_f64.sqrt()).abs() < 1e-12);
        assert!((metrics.bias - 0.75).abs() < 1e-12);
        assert_eq!(metrics.outlier_fraction, None);
    }
}
