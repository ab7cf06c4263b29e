//! How well predicted classes agree with the true ones.

use std::borrow::Borrow;

use serde::{Deserialize, Serialize};

use super::bootstrap::Figures;

/// How well predicted classes agree with the true ones, classes weighted by their support: the number of
/// galaxies that are truly of the class.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ClassMetrics {
    /// Fraction of galaxies classified rightly, which is also the recall weighted by support.
    pub accuracy: f64,
    /// Precision of each class, weighted by support; 0 for a class that is never predicted.
    pub precision: f64,
    /// F1 of each class, weighted by support.
    pub f1: f64,
}

impl Figures for ClassMetrics {
    fn summarise<B: Borrow<Self>>(all: &[B], summary: impl Fn(&mut [f64]) -> f64) -> Self {
        let one = |figure: fn(&Self) -> f64| {
            let mut values: Vec<f64> = all.iter().map(|metrics| figure(metrics.borrow())).collect();
            summary(&mut values)
        };
        Self {
            accuracy: one(|metrics| metrics.accuracy),
            precision: one(|metrics| metrics.precision),
            f1: one(|metrics| metrics.f1),
        }
    }
}

/// The metrics of predicted classes (definitions of scikit-learn, `average="weighted"`, `zero_division=0`).
pub fn accuracy_of_classes(truth: &[usize], predicted: &[usize]) -> ClassMetrics {
    class_metrics(truth, predicted, &vec![1; truth.len()])
}

/// As [`accuracy_of_classes`], every galaxy counting so many times.
pub(super) fn class_metrics(truth: &[usize], predicted: &[usize], counts: &[u32]) -> ClassMetrics {
    let classes = truth
        .iter()
        .chain(predicted)
        .max()
        .map_or(0, |&last| last + 1);
    let mut support = vec![0.0; classes];
    let mut chosen = vec![0.0; classes];
    let mut hits = vec![0.0; classes];
    for ((&truth, &predicted), &count) in truth.iter().zip(predicted).zip(counts) {
        let count = f64::from(count);
        support[truth] += count;
        chosen[predicted] += count;
        if truth == predicted {
            hits[truth] += count;
        }
    }
    let total: f64 = support.iter().sum();
    let ratio = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
    let weighted = |figure: &dyn Fn(usize) -> f64| {
        let sum: f64 = (0..classes)
            .map(|class| support[class] * figure(class))
            .sum();
        sum / total
    };
    ClassMetrics {
        accuracy: hits.iter().sum::<f64>() / total,
        precision: weighted(&|class| ratio(hits[class], chosen[class])),
        // 2PR/(P+R) = 2 hits / (support + chosen).
        f1: weighted(&|class| ratio(2.0 * hits[class], support[class] + chosen[class])),
    }
}

/// The index of the largest value, the first of several.
pub(super) fn largest<'a>(values: impl IntoIterator<Item = &'a f64>) -> usize {
    let mut best = (0, f64::NEG_INFINITY);
    for (index, &value) in values.into_iter().enumerate() {
        if value > best.1 {
            best = (index, value);
        }
    }
    best.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weighted_by_support_by_hand() {
        // Class 0: support 3, chosen 2, hits 2: P 1, F1 .8. Class 1: support 1, chosen 2, hits 1: P .5,
        // F1 2/3. Class 2 is never true, class 3 never predicted: support 1.
        let metrics = accuracy_of_classes(&[0, 0, 0, 1, 3], &[0, 0, 1, 1, 2]);
        assert!((metrics.accuracy - 0.6).abs() < 1e-12);
        assert!((metrics.precision - (3.0 + 0.5) / 5.0).abs() < 1e-12);
        assert!((metrics.f1 - (2.4 + 2.0 / 3.0) / 5.0).abs() < 1e-12);
    }
}
