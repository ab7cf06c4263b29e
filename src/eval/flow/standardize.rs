//! Columns shifted and scaled to mean 0 and standard deviation 1.

use ndarray::{Array1, Array2, ArrayView2, ArrayViewMut2, Axis, Zip};

/// Means and standard deviations of columns.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Standardizer {
    pub mean: Vec<f64>,
    /// 1 where all values are equal.
    pub scale: Vec<f64>,
}

impl Standardizer {
    /// Of the rows of `values`.
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
        let scale = mean.iter().zip(square).map(|(mean, square): (&f64, f64)| {
            let deviation = square.sqrt();
            // What rounding makes of a constant column must not be blown up.
            let constant = deviation <= 1e-6 * mean.abs() || deviation == 0.0;
            if constant { 1.0 } else { deviation }
        });
        Self {
            scale: scale.collect(),
            mean,
        }
    }

    /// Fills the first rows of `out` with the standardised `rows` of `values`.
    pub fn gather(
        &self,
        values: ArrayView2<'_, f32>,
        rows: &[usize],
        mut out: ArrayViewMut2<'_, f32>,
    ) {
        let mean: Array1<f32> = self.mean.iter().map(|&mean| mean as f32).collect();
        let factor: Array1<f32> = self.scale.iter().map(|&scale| 1.0 / scale as f32).collect();
        for (mut out, &row) in out.rows_mut().into_iter().zip(rows) {
            Zip::from(&mut out)
                .and(values.row(row))
                .and(&mean)
                .and(&factor)
                .for_each(|out, &value, &mean, &factor| *out = (value - mean) * factor);
        }
    }

    /// Standardised `values`.
    pub fn apply(&self, values: ArrayView2<'_, f64>) -> Array2<f32> {
        Array2::from_shape_fn(values.dim(), |(row, column)| {
            ((values[[row, column]] - self.mean[column]) / self.scale[column]) as f32
        })
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
