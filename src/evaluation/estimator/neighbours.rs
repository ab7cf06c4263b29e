//! Estimates by the nearest training galaxies.

use ndarray::{Array2, ArrayView2, Axis};

use super::interval::Calibration;
use super::part::Rough;
use super::space::{Nearby, Space};
use crate::base::error::Result;
use crate::evaluation::knn::{self, Weights};

/// k-NN regression of targets that are known of the same galaxies, as `eval`'s zero-shot.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Nearest {
    /// Which galaxies of the space they are known of; all where none are named.
    pub rows: Option<Vec<usize>>,
    /// True values (N, T) of these, in single precision as they are kept.
    pub values: Array2<f64>,
    /// Neighbours.
    pub k: usize,
    /// How they are weighted.
    pub weights: Weights,
    /// Of each target.
    pub calibrations: Vec<Calibration>,
}

impl Nearest {
    /// Of the galaxies `rows` of a space, with their true values (N, T). Each galaxy is left out once and estimated from
    /// the others, which costs none of them.
    pub fn fit(
        space: &Space,
        rows: Vec<usize>,
        values: Array2<f64>,
        (k, weights): (usize, Weights),
    ) -> Result<Self> {
        /// Galaxies that are left out once; more would only cost time.
        const MOST: usize = 20_000;
        let values = values.mapv(|value| f64::from(value as f32));
        let vectors = space.vectors.select(Axis(0), &rows);
        let step = rows.len().div_ceil(MOST);
        let left_out: Vec<usize> = (0..rows.len()).step_by(step).collect();
        let queries = vectors.select(Axis(0), &left_out);
        let neighbours = knn::others(vectors.view(), queries.view(), &left_out, k)?;
        let rough = estimate(&neighbours, values.view(), weights);
        let errors = values.select(Axis(0), &left_out) - &rough.point;
        let columns = errors.columns().into_iter().zip(rough.variance.columns());
        let calibrations = columns
            .map(|(errors, variances)| Calibration::fit(&errors.to_vec(), &variances.to_vec()));
        Ok(Self {
            calibrations: calibrations.collect(),
            rows: (rows.len() < space.vectors.nrows()).then_some(rows),
            values,
            k,
            weights,
        })
    }

    /// Estimates for vectors (Q, D), of which `nearby` are the neighbours in the whole space.
    pub fn estimate(&self, nearby: &Nearby<'_>, queries: ArrayView2<'_, f32>) -> Result<Rough> {
        let found;
        let neighbours = match &self.rows {
            None => &nearby.found,
            Some(rows) => {
                let vectors = nearby.space.vectors.select(Axis(0), rows);
                found = knn::euclidean(vectors.view(), queries, self.k)?;
                &found
            }
        };
        Ok(estimate(neighbours, self.values.view(), self.weights))
    }
}

/// The weighted mean over the neighbours, and the variance among them.
fn estimate(neighbours: &knn::Neighbours, values: ArrayView2<'_, f64>, weights: Weights) -> Rough {
    let point = knn::regress(neighbours, values, weights);
    let variance = Array2::from_shape_fn(point.dim(), |(query, target)| {
        let rows = neighbours.index.row(query);
        let squares = rows
            .iter()
            .map(|&row| (values[[row, target]] - point[[query, target]]).powi(2));
        squares.sum::<f64>() / rows.len() as f64
    });
    Rough { point, variance }
}
