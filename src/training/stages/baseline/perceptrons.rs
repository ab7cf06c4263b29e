//! A perceptron for each target on numbers of galaxies that are at hand.

use ndarray::{Array2, ArrayView2, Axis};

use crate::base::error::{Error, Result};
use crate::base::progress::Progress;
use crate::evaluation::eval::{Mlp, MlpConfig, Target};
use crate::network::weights::{NamedTensor, TensorMap};
use crate::survey::Role;
use crate::training::stages::supervised::{Holdout, SupervisedData};

/// What perceptrons say, and they themselves.
pub(super) struct Perceptrons {
    /// `(galaxies, targets)`, NaN where the numbers of a galaxy are not known.
    pub predicted: Array2<f64>,
    /// What each galaxy was to them.
    pub roles: Vec<Role>,
    /// `TARGET.LAYER.weight` `(outputs, inputs)` and `TARGET.LAYER.bias`, between natural units.
    pub tensors: TensorMap,
}

impl Perceptrons {
    /// Fits one for each target to `numbers` `(galaxies, N)`, NaN where unknown, of the training galaxies; `source` says
    /// what they are of.
    ///
    /// # Errors
    ///
    /// Where a target has too few galaxies, or its loss is not finite.
    pub fn fit(
        data: &SupervisedData,
        numbers: ArrayView2<'_, f32>,
        targets: &[Target],
        config: &MlpConfig,
        source: &str,
    ) -> Result<Self> {
        let has_numbers = |row: usize| numbers.row(row).iter().all(|value| value.is_finite());
        let usable: Vec<usize> = (0..data.split.len())
            .filter(|&row| has_numbers(row))
            .collect();
        let of_usable = numbers.select(Axis(0), &usable);
        let mut predicted = Array2::from_elem(data.targets.dim(), f64::NAN);
        let mut tensors = TensorMap::new();
        let mut fitted_to = vec![false; data.split.len()];
        let mut set_aside = fitted_to.clone();
        let name = format!("baseline {source}");
        let mut progress = Progress::new(&name, "targets", 0, targets.len() as u64);
        for (column, target) in targets.iter().enumerate() {
            let truth = data.targets.column(column);
            let of_target = |error: Error| error.about(format!("{target} from {source}"));
            let is_known = |row: usize| has_numbers(row) && truth[row].is_finite();
            let (fitted, validation) = data
                .set_aside(
                    &Holdout::Fraction(config.validation_fraction),
                    config.seed,
                    is_known,
                )
                .map_err(of_target)?;
            let train = [fitted.as_slice(), validation.as_slice()].concat();
            let x = numbers.select(Axis(0), &train);
            let y = truth.select(Axis(0), &train).insert_axis(Axis(1));
            let mlp = Mlp::fit_validated(x.view(), y.view(), validation.len(), config)
                .map_err(of_target)?;
            fitted.iter().for_each(|&row| fitted_to[row] = true);
            validation.iter().for_each(|&row| set_aside[row] = true);
            let values = mlp.predict(of_usable.view());
            for (&row, &value) in usable.iter().zip(&values) {
                predicted[[row, column]] = value;
            }
            tensors.extend(named_layers(target.name(), &mlp));
            progress.set(column as u64 + 1, "");
        }
        progress.finish("");
        // Where not all targets are known, a galaxy that one network was fitted to may validate another.
        let validation: Vec<usize> = (0..data.split.len())
            .filter(|&row| set_aside[row] && !fitted_to[row])
            .collect();
        Ok(Self {
            predicted,
            roles: data.roles(&validation),
            tensors,
        })
    }
}

/// The layers of a perceptron as files hold them: weights `(outputs, inputs)`.
fn named_layers(target: &str, mlp: &Mlp) -> TensorMap {
    let mut tensors = TensorMap::new();
    for (index, (weight, bias)) in mlp.layers().into_iter().enumerate() {
        let weight = weight.reversed_axes();
        let tensor = |shape: &[usize], values: Vec<f32>| NamedTensor {
            shape: shape.to_vec(),
            values,
        };
        tensors.insert(
            format!("{target}.{index}.weight"),
            tensor(weight.shape(), weight.iter().copied().collect()),
        );
        tensors.insert(
            format!("{target}.{index}.bias"),
            tensor(bias.shape(), bias.to_vec()),
        );
    }
    tensors
}
