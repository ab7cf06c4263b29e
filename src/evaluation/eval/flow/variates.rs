//! How the normal variates of galaxies held out are distributed: what makes a flow's posteriors as wide as they should be.

use ndarray::{Array2, Axis};
use serde::{Deserialize, Serialize};

/// A normal distribution of the D variates that a flow turns targets into.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "Stored")]
pub struct Variates {
    /// Their means.
    pub mean: Vec<f64>,
    /// Cholesky factor of their covariance: row d has d + 1 numbers.
    pub factor: Vec<Vec<f64>>,
}

/// The forms it has in files.
#[derive(Deserialize)]
#[serde(untagged)]
enum Stored {
    /// Standard deviations alone, as estimators of format 1 have them.
    Deviations(Vec<f64>),
    Whole {
        mean: Vec<f64>,
        factor: Vec<Vec<f64>>,
    },
}

impl From<Stored> for Variates {
    fn from(stored: Stored) -> Self {
        match stored {
            Stored::Whole { mean, factor } => Self { mean, factor },
            Stored::Deviations(deviations) => {
                let mut variates = Self::standard(deviations.len());
                for (row, deviation) in variates.factor.iter_mut().zip(deviations) {
                    *row.last_mut().expect("d + 1 numbers") = deviation;
                }
                variates
            }
        }
    }
}

impl Variates {
    /// Independent ones of mean 0 and deviation 1.
    pub(super) fn standard(dimensions: usize) -> Self {
        let row = |d: usize| (0..=d).map(move |other| f64::from(u8::from(other == d)));
        Self {
            mean: vec![0.0; dimensions],
            factor: (0..dimensions).map(|d| row(d).collect()).collect(),
        }
    }

    /// Of this mean (D) and covariance (D, D); `None` where that is not positive definite.
    pub(super) fn new(mean: Vec<f64>, covariance: &Array2<f64>) -> Option<Self> {
        let mut factor: Vec<Vec<f64>> = Vec::with_capacity(mean.len());
        for d in 0..mean.len() {
            let mut row: Vec<f64> = Vec::with_capacity(d + 1);
            for other in 0..=d {
                let above = factor.get(other).unwrap_or(&row);
                let known = row.iter().zip(above).map(|(a, b)| a * b).sum::<f64>();
                let rest = covariance[[d, other]] - known;
                row.push(match other == d {
                    true => rest.sqrt(),
                    false => rest / factor[other][other],
                });
            }
            if !row.iter().all(|value| value.is_finite()) || row[d] <= 0.0 {
                return None;
            }
            factor.push(row);
        }
        Some(Self { mean, factor })
    }

    /// Whether it is one of so many variates.
    pub(super) fn is_of(&self, dimensions: usize) -> bool {
        let is_row = |(d, row): (usize, &Vec<f64>)| {
            row.len() == d + 1 && row.iter().all(|value| value.is_finite()) && row[d] > 0.0
        };
        self.mean.len() == dimensions
            && self.mean.iter().all(|value| value.is_finite())
            && self.factor.len() == dimensions
            && self.factor.iter().enumerate().all(is_row)
    }

    /// Turns variates (D) into independent ones of mean 0 and deviation 1.
    pub(super) fn whiten(&self, variates: &mut [f64]) {
        for (d, row) in self.factor.iter().enumerate() {
            let known = row[..d].iter().zip(&variates[..]);
            let known = known.map(|(a, b)| a * b).sum::<f64>();
            variates[d] = (variates[d] - self.mean[d] - known) / row[d];
        }
    }

    /// ln of what a volume of variates shrinks by in whitening along dimension d.
    pub(super) fn log_scale(&self, d: usize) -> f64 {
        self.factor[d][d].ln()
    }

    /// The reverse of [`whiten`](Self::whiten) for columns of `variates` (D, N).
    pub(super) fn colour(&self, variates: &mut Array2<f32>) {
        for (d, row) in self.factor.iter().enumerate().rev() {
            let (before, mut own) = variates.view_mut().split_at(Axis(0), d);
            let mut own = own.row_mut(0);
            own.mapv_inplace(|value| value * row[d] as f32 + self.mean[d] as f32);
            for (other, &weight) in before.rows().into_iter().zip(row) {
                own.scaled_add(weight as f32, &other);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{arr1, arr2};

    use super::*;

    #[test]
    fn colouring_gives_the_covariance_and_whitening_takes_it_back() {
        let covariance = arr2(&[[4.0, 1.0, -0.5], [1.0, 1.0, 0.25], [-0.5, 0.25, 2.0]]);
        let variates = Variates::new(vec![1.0, -2.0, 0.5], &covariance).unwrap();
        assert!(variates.is_of(3) && !variates.is_of(2));
        let factor = Array2::from_shape_fn((3, 3), |(row, column)| {
            *variates.factor[row].get(column).unwrap_or(&0.0)
        });
        assert!(
            (factor.dot(&factor.t()) - &covariance)
                .iter()
                .all(|d| d.abs() < 1e-12)
        );
        let mut columns = arr2(&[[0.5_f32, 0.0], [-1.0, 0.0], [2.0, 0.0]]);
        variates.colour(&mut columns);
        assert_eq!(columns.column(1), arr1(&[1.0, -2.0, 0.5]));
        let mut column: Vec<f64> = columns.column(0).iter().map(|&v| f64::from(v)).collect();
        variates.whiten(&mut column);
        let worst = Iterator::zip(column.iter(), [0.5, -1.0, 2.0]).map(|(a, b)| (a - b).abs());
        assert!(worst.fold(0.0, f64::max) < 1e-6, "{column:?}");
        assert_eq!(
            Variates::new(vec![0.0; 2], &arr2(&[[1.0, 2.0], [2.0, 1.0]])),
            None
        );
    }

    #[test]
    fn deviations_alone_are_read() {
        let old: Variates = serde_json::from_str("[2.0, 0.5]").unwrap();
        assert_eq!(old.factor, [vec![2.0], vec![0.0, 0.5]]);
        let text = serde_json::to_string(&old).unwrap();
        assert_eq!(serde_json::from_str::<Variates>(&text).unwrap(), old);
    }
}
