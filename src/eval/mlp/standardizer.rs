use ndarray::{Array1, Array2, ArrayView2, Axis};

/// Shifts and scales every column to mean 0 and standard deviation 1.
#[derive(Debug, Clone)]
pub(super) struct Standardizer {
    pub(super) mean: Array1<f32>,
    pub(super) scale: Array1<f32>,
}

impl Standardizer {
    /// From the columns of `values` (rows, D).
    pub(super) fn fit(values: ArrayView2<'_, f32>) -> Self {
        let moments = values.axis_iter(Axis(1)).map(|column| {
            let column = column.mapv(f64::from);
            let (mean, deviation) = (column.mean().unwrap_or(0.0), column.std(0.0));
            // A constant column stays; what rounding makes of it must not be blown up.
            let constant = deviation <= 1e-6 * mean.abs() || deviation == 0.0;
            (mean as f32, if constant { 1.0 } else { deviation as f32 })
        });
        let (mean, scale): (Vec<f32>, Vec<f32>) = moments.unzip();
        Self {
            mean: mean.into(),
            scale: scale.into(),
        }
    }

    /// Standardised values (rows, D).
    pub(super) fn apply(&self, values: ArrayView2<'_, f32>) -> Array2<f32> {
        (&values - &self.mean) / &self.scale
    }

    /// Leaves `columns` columns as they are.
    pub(super) fn identity(columns: usize) -> Self {
        Self {
            mean: Array1::zeros(columns),
            scale: Array1::ones(columns),
        }
    }
}
