//! Columns shifted and scaled to mean 0 and standard deviation 1.

use ndarray::{Array1, Array2, ArrayView2, ArrayViewMut2, Axis, Zip};
use serde::{Deserialize, Serialize};

/// Means and standard deviations of columns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Standardizer {
    /// Means `(columns,)`.
    pub mean: Vec<f64>,
    /// Standard deviations `(columns,)`; 1 where all values are equal.
    pub scale: Vec<f64>,
}

impl Standardizer {
    /// Of the columns of `values` `(rows, columns)`.
    pub fn fit<T: Copy + Into<f64>>(values: ArrayView2<'_, T>) -> Self {
        let rows = values.nrows() as f64;
        let mut mean = vec![0.0; values.ncols()];
        let mut square = vec![0.0; values.ncols()];
        // Row by row: the columns of a large table are far apart in memory.
        for row in values.axis_iter(Axis(0)) {
            for (mean, &value) in mean.iter_mut().zip(row) {
                *mean += value.into() / rows;
            }
        }
        for row in values.axis_iter(Axis(0)) {
            for ((square, mean), &value) in square.iter_mut().zip(&mean).zip(row) {
                *square += (value.into() - mean).powi(2) / rows;
            }
        }
        let deviations = square.into_iter().map(f64::sqrt);
        Self::of_moments(mean.into_iter().zip(deviations))
    }

    /// As [`fit`](Self::fit), but summed up column by column, in pairs: another last digit of the mean. What is fitted
    /// from a seed keeps the one that it began with.
    pub fn fit_columns(values: ArrayView2<'_, f32>) -> Self {
        Self::of_moments(values.axis_iter(Axis(1)).map(|column| {
            let column = column.mapv(f64::from);
            (column.mean().unwrap_or(0.0), column.std(0.0))
        }))
    }

    fn of_moments(moments: impl Iterator<Item = (f64, f64)>) -> Self {
        let (mean, scale) = moments
            .map(|(mean, deviation)| {
                // What rounding makes of a constant column must not be blown up.
                let constant = deviation <= 1e-6 * mean.abs() || deviation == 0.0;
                (mean, if constant { 1.0 } else { deviation })
            })
            .unzip();
        Self { mean, scale }
    }

    /// Leaves so many columns as they are.
    pub fn identity(columns: usize) -> Self {
        Self {
            mean: vec![0.0; columns],
            scale: vec![1.0; columns],
        }
    }

    /// Whether it is one of so many columns.
    pub fn is_of(&self, columns: usize) -> bool {
        let is_scale = |scale: &f64| scale.is_finite() && *scale > 0.0;
        [self.mean.len(), self.scale.len()] == [columns; 2]
            && self.mean.iter().all(|mean| mean.is_finite())
            && self.scale.iter().all(is_scale)
    }

    /// Means and standard deviations in single precision.
    pub fn single(&self) -> (Array1<f32>, Array1<f32>) {
        let single = |values: &[f64]| values.iter().map(|&value| value as f32).collect();
        (single(&self.mean), single(&self.scale))
    }

    /// Fills the first rows of `out` `(at least rows, columns)` with the standardised `rows` of `values`. One division a
    /// column, not a value: it is what a step of training waits for.
    pub fn gather(
        &self,
        values: ArrayView2<'_, f32>,
        rows: &[usize],
        mut out: ArrayViewMut2<'_, f32>,
    ) {
        let (mean, scale) = self.single();
        let factor = scale.mapv(f32::recip);
        for (mut out, &row) in out.rows_mut().into_iter().zip(rows) {
            Zip::from(&mut out)
                .and(values.row(row))
                .and(&mean)
                .and(&factor)
                .for_each(|out, &value, &mean, &factor| *out = (value - mean) * factor);
        }
    }

    /// Standardised `values` `(rows, columns)`, computed in double precision.
    pub fn apply(&self, values: ArrayView2<'_, f64>) -> Array2<f32> {
        Array2::from_shape_fn(values.dim(), |(row, column)| {
            ((values[[row, column]] - self.mean[column]) / self.scale[column]) as f32
        })
    }

    /// Standardised `values` `(rows, columns)`, computed in single precision.
    pub fn apply_single(&self, values: ArrayView2<'_, f32>) -> Array2<f32> {
        let (mean, scale) = self.single();
        (&values - &mean) / &scale
    }

    /// A standardised value of `column` in its own units.
    pub fn restore(&self, column: usize, value: f32) -> f64 {
        self.mean[column] + self.scale[column] * f64::from(value)
    }

    /// ln of the volume of the unit box: what a density loses by going back to the own units.
    pub fn log_volume(&self) -> f64 {
        self.scale.iter().map(|scale| scale.ln()).sum()
    }
}
