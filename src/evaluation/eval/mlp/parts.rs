//! A perceptron taken to pieces and put together again, for files.

use ndarray::{Array1, Array2};

use super::Mlp;
use super::network::{Layer, Objective};
use crate::base::numeric::Standardizer;

/// The numbers of a perceptron.
#[derive(Debug, Clone)]
pub(in crate::evaluation) struct MlpParts {
    /// Weights (inputs, outputs) and biases (outputs) of each layer, of standardised numbers.
    pub layers: Vec<(Array2<f32>, Array1<f32>)>,
    /// Means and deviations of the inputs.
    pub input: [Array1<f32>; 2],
    /// Means and deviations of the outputs.
    pub output: [Array1<f32>; 2],
    /// Whether the outputs are fractions that sum to 1.
    pub fractions: bool,
}

impl Mlp {
    /// Its numbers; [`of_parts`](Self::of_parts) makes of them what predicts the same to the last bit.
    pub(in crate::evaluation) fn parts(&self) -> MlpParts {
        let units = |units: &Standardizer| -> [Array1<f32>; 2] { units.single().into() };
        let layers = self.layers.iter();
        MlpParts {
            layers: layers
                .map(|layer| (layer.weight.clone(), layer.bias.clone()))
                .collect(),
            input: units(&self.input),
            output: units(&self.output),
            fractions: self.objective == Objective::CrossEntropy,
        }
    }

    /// A perceptron of these numbers; `None` where their shapes do not go together.
    pub(in crate::evaluation) fn of_parts(parts: MlpParts) -> Option<Self> {
        let units = |[mean, scale]: [Array1<f32>; 2]| Standardizer {
            mean: mean.iter().map(|&value| f64::from(value)).collect(),
            scale: scale.iter().map(|&value| f64::from(value)).collect(),
        };
        let (first, last) = (parts.layers.first()?, parts.layers.last()?);
        let fits = parts
            .layers
            .iter()
            .all(|(weight, bias)| weight.ncols() == bias.len())
            && parts
                .layers
                .windows(2)
                .all(|two| two[0].0.ncols() == two[1].0.nrows())
            && parts
                .input
                .iter()
                .all(|units| units.len() == first.0.nrows())
            && parts
                .output
                .iter()
                .all(|units| units.len() == last.0.ncols());
        fits.then(|| Self {
            input: units(parts.input),
            output: units(parts.output),
            layers: parts
                .layers
                .into_iter()
                .map(|(weight, bias)| Layer { weight, bias })
                .collect(),
            objective: match parts.fractions {
                true => Objective::CrossEntropy,
                false => Objective::SquaredError,
            },
        })
    }

    /// Numbers that it takes of a galaxy, and that it says of it.
    pub(in crate::evaluation) fn widths(&self) -> (usize, usize) {
        (self.input.mean.len(), self.output.mean.len())
    }
}
