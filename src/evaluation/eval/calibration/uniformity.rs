//! Tests whether numbers are uniform between 0 and 1.

use std::f64::consts::PI;

/// Probability of a Kolmogorov–Smirnov distance at least as large as that of `values` if they are uniform
/// between 0 and 1; by the asymptotic distribution with the correction of Stephens (1970), good to 0.01
/// from 5 values on. NaN without values.
pub(super) fn kolmogorov_smirnov(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let n = sorted.len() as f64;
    let distance = sorted
        .iter()
        .enumerate()
        .fold(0.0_f64, |worst, (index, &value)| {
            let (below, above) = (index as f64 / n, (index + 1) as f64 / n);
            worst.max(value - below).max(above - value)
        });
    match sorted.is_empty() {
        true => f64::NAN,
        false => kolmogorov_tail((n.sqrt() + 0.12 + 0.11 / n.sqrt()) * distance),
    }
}

/// P(K > t) of the Kolmogorov distribution, by whichever of its two series converges fast.
fn kolmogorov_tail(t: f64) -> f64 {
    if t < 1e-3 {
        return 1.0;
    }
    if t < 1.18 {
        let term = |k: f64| (-((2.0 * k - 1.0) * PI / t).powi(2) / 8.0).exp();
        1.0 - (2.0 * PI).sqrt() / t * (1..=4).map(|k| term(f64::from(k))).sum::<f64>()
    } else {
        let term =
            |k: i32| f64::from(1 - 2 * ((k + 1) % 2)) * (-2.0 * (f64::from(k) * t).powi(2)).exp();
        2.0 * (1..=8).map(term).sum::<f64>()
    }
}

/// Probability of a χ² at least as large as that of `counts` if all are drawn with equal probability. The
/// number of counts is odd, so that the distribution has a closed form.
pub(super) fn chi_square(counts: &[usize]) -> f64 {
    assert!(
        counts.len() % 2 == 1 && counts.len() > 1,
        "{} counts",
        counts.len()
    );
    let expected = counts.iter().sum::<usize>() as f64 / counts.len() as f64;
    let chi_square: f64 = counts
        .iter()
        .map(|&count| (count as f64 - expected).powi(2) / expected)
        .sum();
    // With 2 m degrees of freedom: a Poisson variate of mean χ²/2 is below m.
    let half = chi_square / 2.0;
    let mut term = (-half).exp();
    let mut sum = 0.0;
    for k in 1..=(counts.len() - 1) / 2 {
        sum += term;
        term *= half / k as f64;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    /// scipy.stats.kstwobign.sf and chi2.sf.
    #[test]
    fn tails_equal_scipy() {
        for (t, expected) in [
            (0.3, 0.999_990_694_198_665_5),
            (0.8, 0.544_142_411_574_198_1),
            (1.17, 0.129_390_042_185_618_84),
            (1.36, 0.049_485_876_755_377_876),
            (2.0, 0.000_670_925_255_779_695_3),
        ] {
            assert!((kolmogorov_tail(t) - expected).abs() < 1e-9, "{t}");
        }
        // Counts 10, 14, 6, 10, 10: χ² = 3.2 with 4 degrees of freedom.
        assert!((chi_square(&[10, 14, 6, 10, 10]) - 0.524_930_946_8).abs() < 1e-9);
    }

    #[test]
    fn even_values_pass_and_bunched_ones_do_not() {
        let even: Vec<f64> = (0..200).map(|k| (f64::from(k) + 0.5) / 200.0).collect();
        assert!(kolmogorov_smirnov(&even) > 0.999);
        let bunched: Vec<f64> = even.iter().map(|value| value.powf(1.5)).collect();
        assert!(kolmogorov_smirnov(&bunched) < 0.01);
    }
}
