//! A multi-layer perceptron on the host, trained in seconds.
//!
//! Written out rather than built on the tensor library: a layer of 32 units on a CPU spends its time
//! in two small matrix products, and `eval` stays free of models and devices.

mod config;
mod network;
mod parts;

use ndarray::{Array1, Array2, ArrayView2, Axis, parallel::prelude::*};
use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

pub use config::MlpConfig;
pub(in crate::evaluation) use parts::MlpParts;

use crate::base::error::{Error, Result};
use crate::base::memory;
use crate::base::numeric::{Adam, Standardizer};
use network::{Dropout, Layer, Objective, forward, gradients, softmax};

/// A trained perceptron with ReLU, inputs and outputs standardised by the training galaxies.
#[derive(Debug, Clone)]
pub struct Mlp {
    layers: Vec<Layer>,
    input: Standardizer,
    output: Standardizer,
    objective: Objective,
}

impl Mlp {
    /// Fits `targets` (N, T) to `features` (N, D): mean squared error, Adam, the weights with the
    /// lowest validation loss kept. The same seed gives the same bits.
    ///
    /// # Errors
    /// [`Error::input`] where there are fewer than 4 rows or the settings make no sense,
    /// [`Error::run`] where the loss is not finite.
    pub fn fit(
        features: ArrayView2<'_, f32>,
        targets: ArrayView2<'_, f64>,
        config: &MlpConfig,
    ) -> Result<Self> {
        Self::fit_to(features, targets, Objective::SquaredError, None, config)
    }

    /// As [`fit`](Self::fit), with the last `validation` rows set aside: the weights with the lowest loss there are
    /// kept, and nothing else is taken from them.
    ///
    /// # Errors
    /// As [`fit`](Self::fit), and where nothing is set aside or fewer than 2 rows remain.
    pub fn fit_validated(
        features: ArrayView2<'_, f32>,
        targets: ArrayView2<'_, f64>,
        validation: usize,
        config: &MlpConfig,
    ) -> Result<Self> {
        let objective = Objective::SquaredError;
        Self::fit_to(features, targets, objective, Some(validation), config)
    }

    /// Fits the softmax of the outputs to `fractions` (N, T) that sum to 1 in each row: cross-entropy, else as
    /// [`fit`](Self::fit). Predictions are fractions too.
    ///
    /// # Errors
    /// As [`fit`](Self::fit).
    pub fn fit_fractions(
        features: ArrayView2<'_, f32>,
        fractions: ArrayView2<'_, f64>,
        config: &MlpConfig,
    ) -> Result<Self> {
        Self::fit_to(features, fractions, Objective::CrossEntropy, None, config)
    }

    fn fit_to(
        features: ArrayView2<'_, f32>,
        targets: ArrayView2<'_, f64>,
        objective: Objective,
        validation: Option<usize>,
        config: &MlpConfig,
    ) -> Result<Self> {
        let rows = features.nrows();
        if rows < 4 {
            return Err(Error::input(format!(
                "an MLP cannot be fitted to {rows} galaxies; expected at least 4, better some hundred"
            )));
        }
        config.check("mlp")?;
        let mut rng = ChaCha8Rng::seed_from_u64(config.seed);
        let mut order: Vec<usize> = (0..rows).collect();
        let held_out = match validation {
            Some(validation) if (1..=rows - 2).contains(&validation) => validation,
            Some(validation) => {
                return Err(Error::input(format!(
                    "{validation} of {rows} galaxies set aside to validate; expected from 1 to {}",
                    rows - 2
                )));
            }
            None => {
                order.shuffle(&mut rng);
                ((rows as f64 * config.validation_fraction) as usize).clamp(1, rows - 2)
            }
        };
        let validation = order.split_off(rows - held_out);

        let targets = targets.mapv(|value| value as f32);
        let input = Standardizer::fit_columns(features.select(Axis(0), &order).view());
        let output = match objective {
            Objective::SquaredError => {
                Standardizer::fit_columns(targets.select(Axis(0), &order).view())
            }
            Objective::CrossEntropy => Standardizer::identity(targets.ncols()),
        };
        let features = input.apply_single(features);
        let targets = output.apply_single(targets.view());

        let widths: Vec<usize> = std::iter::once(features.ncols())
            .chain(config.hidden.iter().copied())
            .chain([targets.ncols()])
            .collect();
        let weights = widths
            .windows(2)
            .map(|pair| pair[0] as f64 * pair[1] as f64);
        // Weights, their gradients and both moments of Adam, for each weight decay.
        let numbers = 4.0 * config.weight_decay.len() as f64 * weights.sum::<f64>();
        memory::require(
            size_of::<f32>() as f64 * numbers,
            &format!("an MLP with hidden layers of {:?} takes", config.hidden),
            "choose a smaller width",
        )?;
        let layers: Vec<Layer> = widths
            .windows(2)
            .map(|pair| Layer::random(pair[0], pair[1], &mut rng))
            .collect();
        let data = TrainingData {
            x_validation: features.select(Axis(0), &validation),
            y_validation: targets.select(Axis(0), &validation),
            features,
            targets,
            order,
            objective,
        };
        let trained: Vec<Trained> = config
            .weight_decay
            .par_iter()
            .map(|&decay| data.train(layers.clone(), decay, config, rng.clone()))
            .collect::<Result<_>>()?;
        let best = trained
            .into_iter()
            .min_by(|a, b| a.validation_loss.total_cmp(&b.validation_loss))
            .expect("at least one weight decay");
        Ok(Self {
            layers: best.layers,
            input,
            output,
            objective,
        })
    }

    /// Weights (inputs, outputs) and biases (outputs) of all layers, the standardisation folded into the first
    /// and the last: with ReLU between them they map features to predictions.
    pub fn layers(&self) -> Vec<(Array2<f32>, Array1<f32>)> {
        let mut layers = self.layers.clone();
        let first = &mut layers[0];
        let (mean, scale) = self.input.single();
        first.weight /= &scale.insert_axis(Axis(1));
        first.bias -= &mean.dot(&first.weight);
        let last = layers.last_mut().expect("at least an output layer");
        let (mean, scale) = self.output.single();
        last.weight *= &scale;
        last.bias *= &scale;
        last.bias += &mean;
        let parts = layers.into_iter().map(|layer| (layer.weight, layer.bias));
        parts.collect()
    }

    /// Predictions (N, T) for `features` (N, D) of the width it was fitted to.
    pub fn predict(&self, features: ArrayView2<'_, f32>) -> Array2<f64> {
        let mut predicted = forward(&self.layers, self.input.apply_single(features).view());
        if self.objective == Objective::CrossEntropy {
            softmax(&mut predicted);
        }
        let (mean, scale) = self.output.single();
        predicted *= &scale;
        predicted += &mean;
        predicted.mapv(f64::from)
    }
}

/// Standardised galaxies, and which of them to fit to.
struct TrainingData {
    features: Array2<f32>,
    targets: Array2<f32>,
    order: Vec<usize>,
    x_validation: Array2<f32>,
    y_validation: Array2<f32>,
    objective: Objective,
}

/// The weights with the lowest validation loss, and when they were reached.
struct Trained {
    layers: Vec<Layer>,
    validation_loss: f32,
    epoch: usize,
}

impl TrainingData {
    fn train(
        &self,
        mut layers: Vec<Layer>,
        weight_decay: f32,
        config: &MlpConfig,
        mut rng: ChaCha8Rng,
    ) -> Result<Trained> {
        let mut order = self.order.clone();
        let mut adam = Adam::default();
        let mut learning_rate = config.learning_rate;
        let mut best = Trained {
            layers: layers.clone(),
            validation_loss: f32::INFINITY,
            epoch: 0,
        };
        for epoch in 1..=config.max_epochs {
            order.shuffle(&mut rng);
            for batch in order.chunks(config.batch_size) {
                let x = self.features.select(Axis(0), batch);
                let y = self.targets.select(Axis(0), batch);
                let dropout = Dropout {
                    rate: config.dropout,
                    rng: &mut rng,
                };
                let gradients = gradients(&layers, x, &y, self.objective, dropout);
                let pairs = layers.iter_mut().zip(&gradients);
                let parameters =
                    pairs.flat_map(|(layer, gradient)| layer.parameters(gradient, weight_decay));
                adam.step(parameters, learning_rate);
            }
            let outputs = forward(&layers, self.x_validation.view());
            let loss = self.objective.loss(outputs, &self.y_validation);
            if !loss.is_finite() {
                return Err(Error::run(format!(
                    "the MLP's validation loss is {loss} in epoch {epoch}; lower the learning rate \
                     ({learning_rate}) or the weight decay ({weight_decay})"
                )));
            }
            if loss < best.validation_loss {
                best.validation_loss = loss;
                best.epoch = epoch;
                best.layers.clone_from(&layers);
            }
            let waited = epoch - best.epoch;
            if waited >= config.patience {
                break;
            }
            if waited > 0 && waited.is_multiple_of((config.patience / 2).max(1)) {
                learning_rate /= 2.0;
            }
        }
        Ok(best)
    }
}

#[cfg(test)]
mod tests {
    use rand_distr::{Distribution, Normal};

    use super::*;

    fn random(rows: usize, columns: usize, seed: u64) -> Array2<f32> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let normal = Normal::new(0.0, 1.0).unwrap();
        Array2::from_shape_simple_fn((rows, columns), || normal.sample(&mut rng))
    }

    #[test]
    fn gradients_equal_finite_differences() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let initial: Vec<Layer> = [(3, 5), (5, 4), (4, 2)]
            .map(|(inputs, outputs)| Layer::random(inputs, outputs, &mut rng))
            .to_vec();
        let (x, mut y) = (random(7, 3, 2), random(7, 2, 3));
        for objective in [Objective::SquaredError, Objective::CrossEntropy] {
            if objective == Objective::CrossEntropy {
                softmax(&mut y);
            }
            let mut layers = initial.clone();
            let loss = |layers: &[Layer]| objective.loss(forward(layers, x.view()), &y);
            let dropout = Dropout {
                rate: 0.0,
                rng: &mut rng,
            };
            let analytic = gradients(&layers, x.clone(), &y, objective, dropout);
            for index in 0..layers.len() {
                for at in [[0, 0], [1, 1], [2, 0]] {
                    let step = 1e-2;
                    let original = layers[index].weight[at];
                    layers[index].weight[at] = original + step;
                    let above = loss(&layers);
                    layers[index].weight[at] = original - step;
                    let below = loss(&layers);
                    layers[index].weight[at] = original;
                    let numeric = (above - below) / (2.0 * step);
                    let difference = numeric - analytic[index].weight[at];
                    assert!(
                        difference.abs() < 5e-3,
                        "{objective:?} layer {index} {at:?}: {difference}"
                    );
                }
            }
        }
    }

    /// With dropout the mean gradient of an output layer is that without: the inputs keep their mean.
    #[test]
    fn dropout_keeps_the_mean() {
        let mut rng = ChaCha8Rng::seed_from_u64(9);
        let layers: Vec<Layer> = [(3, 200), (200, 1)]
            .map(|(inputs, outputs)| Layer::random(inputs, outputs, &mut rng))
            .to_vec();
        let (x, y) = (random(500, 3, 2), Array2::zeros((500, 1)));
        let bias = |rate: f32, rng: &mut ChaCha8Rng| {
            let dropout = Dropout { rate, rng };
            let objective = Objective::SquaredError;
            gradients(&layers, x.clone(), &y, objective, dropout)[1].bias[0]
        };
        let without = bias(0.0, &mut rng);
        let with = bias(0.3, &mut rng);
        assert!(
            with != without && (with - without).abs() < 0.1,
            "{with} {without}"
        );
    }

    #[test]
    fn fractions_are_learned_and_sum_to_one() {
        // Three classes with odds that depend on two of the features.
        let (train, test) = (random(2000, 4, 4), random(300, 4, 5));
        let truth = |x: &Array2<f32>| {
            let mut odds = Array2::from_shape_fn((x.nrows(), 3), |(row, class)| match class {
                0 => 2.0 * x[[row, 0]],
                1 => -x[[row, 1]].abs(),
                _ => 0.0,
            });
            softmax(&mut odds);
            odds.mapv(f64::from)
        };
        let config = MlpConfig {
            hidden: vec![16, 16],
            dropout: 0.05,
            ..MlpConfig::default()
        };
        let mlp = Mlp::fit_fractions(train.view(), truth(&train).view(), &config).unwrap();
        let predicted = mlp.predict(test.view());
        assert!(
            predicted
                .rows()
                .into_iter()
                .all(|row| (row.sum() - 1.0).abs() < 1e-5)
        );
        let worst = (predicted - truth(&test)).map(|d| d.abs()).mean().unwrap();
        assert!(worst < 0.03, "{worst}");
    }

    #[test]
    fn learns_what_a_line_cannot_and_repeats_bit_for_bit() {
        let (train, test) = (random(1500, 6, 4), random(400, 6, 5));
        let truth = |x: &Array2<f32>| {
            x.map_axis(Axis(1), |x| {
                f64::from(10.0 + 3.0 * (x[0] * x[1]).tanh() + x[2].abs())
            })
            .insert_axis(Axis(1))
        };
        let error = |hidden: &[usize]| {
            let config = MlpConfig {
                hidden: hidden.to_vec(),
                ..MlpConfig::default()
            };
            let mlp = Mlp::fit(train.view(), truth(&train).view(), &config).unwrap();
            let again = Mlp::fit(train.view(), truth(&train).view(), &config).unwrap();
            assert_eq!(mlp.layers, again.layers);
            let residual = mlp.predict(test.view()) - truth(&test);
            residual.map(|r| r * r).mean().unwrap()
        };
        let (linear, nonlinear) = (error(&[]), error(&[32]));
        assert!(nonlinear < 0.2 * linear, "{nonlinear} of {linear}");
    }

    #[test]
    fn folded_layers_predict_the_same() {
        let x = random(300, 3, 8) * 2.0 + 18.0;
        let y = x.map_axis(Axis(1), |x| f64::from(100.0 + x[0] * x[1]));
        let y = y.insert_axis(Axis(1));
        let config = MlpConfig {
            hidden: vec![16, 8],
            max_epochs: 5,
            ..MlpConfig::default()
        };
        let mlp = Mlp::fit(x.view(), y.view(), &config).unwrap();
        let folded: Vec<Layer> = mlp
            .layers()
            .into_iter()
            .map(|(weight, bias)| Layer { weight, bias })
            .collect();
        let predicted = mlp.predict(x.view());
        let difference = forward(&folded, x.view()).mapv(f64::from) - &predicted;
        let scale = predicted.std(0.0);
        assert!(difference.iter().all(|d| d.abs() < 1e-4 * scale));
    }

    #[test]
    fn keeps_the_best_weights_not_the_last() {
        // Pure noise: every epoch after the first few only overfits.
        let (x, y) = (random(200, 64, 6), random(200, 1, 7).mapv(f64::from));
        let fit = |max_epochs| {
            let config = MlpConfig {
                max_epochs,
                patience: 100,
                weight_decay: vec![0.01],
                ..MlpConfig::default()
            };
            Mlp::fit(x.view(), y.view(), &config).unwrap()
        };
        assert_eq!(fit(80).layers, fit(100).layers);
    }
}
