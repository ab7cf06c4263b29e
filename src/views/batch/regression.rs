//! Batches of supervised regression, and the scaling of their targets.

use burn::tensor::TensorData;
use ndarray::{Array2, ArrayView2, Axis};
use serde::{Deserialize, Serialize};

/// Shift and scale that give every target mean zero and variance one over the galaxies fitted to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TargetScaling {
    /// Mean of each target.
    pub mean: Vec<f64>,
    /// Standard deviation of each target, above 0.
    pub std: Vec<f64>,
}

impl TargetScaling {
    /// The scaling of targets `(galaxies, targets)`, NaN where unknown.
    pub fn fit(targets: ArrayView2<'_, f64>) -> Self {
        let moments = targets.axis_iter(Axis(1)).map(|column| {
            let known = column.iter().copied().filter(|value| value.is_finite());
            let known: ndarray::Array1<f64> = known.collect();
            let (mean, std) = (known.mean().unwrap_or(0.0), known.std(0.0));
            // A constant target stays; what rounding makes of it must not be blown up.
            let varies = std > 1e-9 * mean.abs();
            (mean, if varies { std } else { 1.0 })
        });
        let (mean, std) = moments.unzip();
        Self { mean, std }
    }

    /// A batch of `inputs` with its targets `(batch, targets)`, NaN where unknown.
    pub fn batch(&self, inputs: TensorData, targets: ArrayView2<'_, f64>) -> RegressionBatch {
        let shape = [targets.nrows(), targets.ncols()];
        let mut values = Vec::with_capacity(targets.len());
        let mut known = Vec::with_capacity(targets.len());
        for row in targets.outer_iter() {
            for (value, (mean, std)) in row.iter().zip(self.mean.iter().zip(&self.std)) {
                let is_known = value.is_finite();
                values.push(if is_known {
                    ((value - mean) / std) as f32
                } else {
                    0.0
                });
                known.push(f32::from(u8::from(is_known)));
            }
        }
        RegressionBatch {
            inputs,
            targets: TensorData::new(values, shape),
            known: TensorData::new(known, shape),
        }
    }

    /// Predictions `(galaxies, targets)` in the targets' units.
    pub fn undo(&self, predictions: ArrayView2<'_, f32>) -> Array2<f64> {
        Array2::from_shape_fn(predictions.dim(), |(row, target)| {
            f64::from(predictions[[row, target]]) * self.std[target] + self.mean[target]
        })
    }
}

/// Galaxies with what is to be predicted of them.
#[derive(Debug, Clone)]
pub struct RegressionBatch {
    /// What the network sees, `(batch, ...)`.
    pub inputs: TensorData,
    /// Scaled targets `(batch, targets)`, zero where unknown.
    pub targets: TensorData,
    /// One where the target is known, else zero; same shape.
    pub known: TensorData,
}

impl RegressionBatch {
    /// Number of known targets.
    pub fn known_targets(&self) -> f64 {
        let known = self.known.as_slice::<f32>().expect("masks are f32");
        known.iter().map(|&known| f64::from(known)).sum()
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;
    use ndarray::array;

    use super::TargetScaling;

    #[test]
    fn unknown_targets_do_not_count_and_scaling_is_undone() {
        let targets = array![[1.0, 5.0], [3.0, f64::NAN], [5.0, 5.0]];
        let scaling = TargetScaling::fit(targets.view());
        assert_eq!(scaling.mean, [3.0, 5.0]);
        assert_eq!(
            scaling.std,
            [(8.0f64 / 3.0).sqrt(), 1.0],
            "a constant target"
        );
        let inputs = TensorData::new(vec![0.0f32; 3], [3]);
        let batch = scaling.batch(inputs, targets.view());
        assert_eq!(
            batch.known.as_slice::<f32>().unwrap(),
            [1., 1., 1., 0., 1., 1.]
        );
        assert_eq!(batch.known_targets(), 5.0);
        let scaled: Vec<f32> = batch.targets.try_into_vec().unwrap();
        assert_eq!(scaled[3], 0.0);
        let scaled = ndarray::Array2::from_shape_vec((3, 2), scaled).unwrap();
        let back = scaling.undo(scaled.view());
        assert!((back[[0, 0]] - 1.0).abs() < 1e-6 && (back[[2, 1]] - 5.0).abs() < 1e-6);
    }
}
