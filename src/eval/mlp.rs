//! A multi-layer perceptron for regression on the host, trained in seconds.
//!
//! Written out rather than built on the tensor library: a layer of 32 units on a CPU spends its time
//! in two small matrix products, and `eval` stays free of models and devices.

use ndarray::{Array1, Array2, ArrayView2, Axis, Zip, parallel::prelude::*};
use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Size and training of an [`Mlp`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MlpConfig {
    /// Width of each hidden layer (paper section 6.2: one of 32).
    pub hidden: Vec<usize>,
    /// Learning rate of Adam at the start; halved after every `patience / 2` epochs in a row without a
    /// better validation loss.
    pub learning_rate: f32,
    /// Decoupled weight decays per step, in units of the learning rate; not on biases. Each is tried,
    /// and the one with the lowest validation loss is kept: which is best depends on how many galaxies
    /// there are and how much their embeddings know.
    pub weight_decay: Vec<f32>,
    /// Galaxies per step.
    pub batch_size: usize,
    /// Passes over the training galaxies at most.
    pub max_epochs: usize,
    /// Epochs without a better validation loss after which training stops.
    pub patience: usize,
    /// Fraction of the training galaxies set aside to decide when to stop.
    pub validation_fraction: f64,
    /// Seed of the initial weights, the validation galaxies and the order of the others.
    pub seed: u64,
}

impl Default for MlpConfig {
    fn default() -> Self {
        Self {
            hidden: vec![32],
            learning_rate: 1e-3,
            weight_decay: vec![0.01, 1.0, 5.0],
            batch_size: 128,
            max_epochs: 200,
            patience: 20,
            validation_fraction: 0.1,
            seed: 0,
        }
    }
}

/// A trained perceptron with ReLU, inputs and outputs standardised by the training galaxies.
#[derive(Debug, Clone)]
pub struct Mlp {
    layers: Vec<Layer>,
    input: Standardizer,
    output: Standardizer,
    /// Mean squared error on the validation galaxies, in standardised units.
    pub validation_loss: f32,
    /// Epochs trained until the weights kept.
    pub best_epoch: usize,
}

impl Mlp {
    /// Fits `targets` (N, T) to `features` (N, D): mean squared error, Adam, the weights with the
    /// lowest validation loss kept. The same seed gives the same bits.
    ///
    /// # Errors
    /// [`Error::Input`] where there are fewer than 4 rows or the settings make no sense,
    /// [`Error::Run`] where the loss is not finite.
    pub fn fit(
        features: ArrayView2<'_, f32>,
        targets: ArrayView2<'_, f64>,
        config: &MlpConfig,
    ) -> Result<Self> {
        let rows = features.nrows();
        check(config, rows)?;
        let mut rng = ChaCha8Rng::seed_from_u64(config.seed);
        let mut order: Vec<usize> = (0..rows).collect();
        order.shuffle(&mut rng);
        let held_out = ((rows as f64 * config.validation_fraction) as usize).clamp(1, rows - 2);
        let validation = order.split_off(rows - held_out);

        let targets = targets.mapv(|value| value as f32);
        let input = Standardizer::fit(features.select(Axis(0), &order).view());
        let output = Standardizer::fit(targets.select(Axis(0), &order).view());
        let features = input.apply(features);
        let targets = output.apply(targets.view());

        let widths: Vec<usize> = std::iter::once(features.ncols())
            .chain(config.hidden.iter().copied())
            .chain([targets.ncols()])
            .collect();
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
            validation_loss: best.validation_loss,
            best_epoch: best.epoch,
        })
    }

    /// Weights (inputs, outputs) and biases (outputs) of all layers, the standardisation folded into the first
    /// and the last: with ReLU between them they map features to predictions.
    pub fn layers(&self) -> Vec<(Array2<f32>, Array1<f32>)> {
        let mut layers = self.layers.clone();
        let first = &mut layers[0];
        first.weight /= &self.input.scale.view().insert_axis(Axis(1));
        first.bias -= &self.input.mean.dot(&first.weight);
        let last = layers.last_mut().expect("at least an output layer");
        last.weight *= &self.output.scale;
        last.bias *= &self.output.scale;
        last.bias += &self.output.mean;
        let parts = layers.into_iter().map(|layer| (layer.weight, layer.bias));
        parts.collect()
    }

    /// Predictions (N, T) for `features` (N, D) of the width it was fitted to.
    pub fn predict(&self, features: ArrayView2<'_, f32>) -> Array2<f64> {
        let mut predicted = forward(&self.layers, self.input.apply(features).view());
        predicted *= &self.output.scale;
        predicted += &self.output.mean;
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
        let mut adam = Adam::new(&layers);
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
                let gradients = gradients(&layers, x, &y);
                adam.step(&mut layers, &gradients, learning_rate, weight_decay);
            }
            let residual = forward(&layers, self.x_validation.view()) - &self.y_validation;
            let loss = residual.map(|r| r * r).mean().unwrap_or(f32::NAN);
            if !loss.is_finite() {
                return Err(Error::Run(format!(
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

fn check(config: &MlpConfig, rows: usize) -> Result<()> {
    if rows < 4 {
        return Err(Error::Input(format!(
            "an MLP cannot be fitted to {rows} galaxies; expected at least 4, better some hundred"
        )));
    }
    let refuse = |key: &str, value: &dyn std::fmt::Display, expected: &str| {
        Err(Error::Input(format!(
            "mlp.{key} = {value}; expected {expected}"
        )))
    };
    if config.hidden.contains(&0) {
        return refuse("hidden", &"0", "widths of at least 1");
    }
    if !(config.learning_rate > 0.0 && config.learning_rate.is_finite()) {
        return refuse("learning_rate", &config.learning_rate, "a number above 0");
    }
    let decay_is_good = |&decay: &f32| decay >= 0.0 && decay * config.learning_rate < 1.0;
    if config.weight_decay.is_empty() || !config.weight_decay.iter().all(decay_is_good) {
        let expected = "at least one number from 0 to below 1 / learning_rate";
        return refuse(
            "weight_decay",
            &format!("{:?}", config.weight_decay),
            expected,
        );
    }
    if config.batch_size == 0 {
        return refuse("batch_size", &0, "at least 1");
    }
    if config.max_epochs == 0 {
        return refuse("max_epochs", &0, "at least 1");
    }
    if config.patience == 0 {
        return refuse("patience", &0, "at least 1");
    }
    if !(0.0..1.0).contains(&config.validation_fraction) {
        let expected = "a fraction from 0 to below 1";
        return refuse("validation_fraction", &config.validation_fraction, expected);
    }
    Ok(())
}

/// A dense layer x·weight + bias.
#[derive(Debug, Clone, PartialEq)]
struct Layer {
    /// (inputs, outputs)
    weight: Array2<f32>,
    /// (outputs)
    bias: Array1<f32>,
}

impl Layer {
    /// Weights as He et al. (2015), biases zero.
    fn random(inputs: usize, outputs: usize, rng: &mut ChaCha8Rng) -> Self {
        let normal = Normal::new(0.0, (2.0 / inputs as f32).sqrt()).expect("a finite deviation");
        Self {
            weight: Array2::from_shape_simple_fn((inputs, outputs), || normal.sample(rng)),
            bias: Array1::zeros(outputs),
        }
    }

    fn zeros_like(&self) -> Self {
        Self {
            weight: Array2::zeros(self.weight.dim()),
            bias: Array1::zeros(self.bias.dim()),
        }
    }

    fn apply(&self, x: ArrayView2<'_, f32>) -> Array2<f32> {
        x.dot(&self.weight) + &self.bias
    }
}

fn relu(mut x: Array2<f32>) -> Array2<f32> {
    x.mapv_inplace(|value| value.max(0.0));
    x
}

fn forward(layers: &[Layer], x: ArrayView2<'_, f32>) -> Array2<f32> {
    let (last, hidden) = layers.split_last().expect("at least an output layer");
    match hidden.split_first() {
        None => last.apply(x),
        Some((first, rest)) => {
            let start = relu(first.apply(x));
            let features = rest
                .iter()
                .fold(start, |x, layer| relu(layer.apply(x.view())));
            last.apply(features.view())
        }
    }
}

/// Gradients of the mean squared error of a batch.
fn gradients(layers: &[Layer], x: Array2<f32>, y: &Array2<f32>) -> Vec<Layer> {
    let (last, hidden) = layers.split_last().expect("at least an output layer");
    // inputs[i] is what layer i sees.
    let mut inputs = vec![x];
    for layer in hidden {
        let next = relu(layer.apply(inputs[inputs.len() - 1].view()));
        inputs.push(next);
    }
    let mut upstream = last.apply(inputs[hidden.len()].view()) - y;
    upstream *= 2.0 / upstream.len() as f32;
    let mut gradients: Vec<Layer> = Vec::with_capacity(layers.len());
    for (index, input) in inputs.iter().enumerate().rev() {
        gradients.push(Layer {
            weight: input.t().dot(&upstream),
            bias: upstream.sum_axis(Axis(0)),
        });
        if index > 0 {
            upstream = upstream.dot(&layers[index].weight.t());
            Zip::from(&mut upstream)
                .and(input)
                .for_each(|slope, &value| {
                    if value <= 0.0 {
                        *slope = 0.0;
                    }
                });
        }
    }
    gradients.reverse();
    gradients
}

/// Adam with decoupled weight decay (Kingma & Ba 2015; Loshchilov & Hutter 2019).
struct Adam {
    first: Vec<Layer>,
    second: Vec<Layer>,
    steps: i32,
}

impl Adam {
    const BETA: (f32, f32) = (0.9, 0.999);
    const EPSILON: f32 = 1e-8;

    fn new(layers: &[Layer]) -> Self {
        let zeros: Vec<Layer> = layers.iter().map(Layer::zeros_like).collect();
        Self {
            first: zeros.clone(),
            second: zeros,
            steps: 0,
        }
    }

    fn step(&mut self, layers: &mut [Layer], gradients: &[Layer], rate: f32, decay: f32) {
        self.steps += 1;
        let (beta1, beta2) = Self::BETA;
        let step = rate / (1.0 - beta1.powi(self.steps));
        let correction = (1.0 - beta2.powi(self.steps)).sqrt().recip();
        let update = |parameter: &mut f32, first: &mut f32, second: &mut f32, gradient: f32| {
            *first = beta1 * *first + (1.0 - beta1) * gradient;
            *second = beta2 * *second + (1.0 - beta2) * gradient * gradient;
            *parameter -= step * *first / (second.sqrt() * correction + Self::EPSILON);
        };
        for (index, (layer, gradient)) in layers.iter_mut().zip(gradients).enumerate() {
            let (first, second) = (&mut self.first[index], &mut self.second[index]);
            layer.weight *= 1.0 - rate * decay;
            Zip::from(&mut layer.weight)
                .and(&mut first.weight)
                .and(&mut second.weight)
                .and(&gradient.weight)
                .for_each(|p, m, v, &g| update(p, m, v, g));
            Zip::from(&mut layer.bias)
                .and(&mut first.bias)
                .and(&mut second.bias)
                .and(&gradient.bias)
                .for_each(|p, m, v, &g| update(p, m, v, g));
        }
    }
}

/// Shifts and scales every column to mean 0 and standard deviation 1.
#[derive(Debug, Clone)]
struct Standardizer {
    mean: Array1<f32>,
    scale: Array1<f32>,
}

impl Standardizer {
    fn fit(values: ArrayView2<'_, f32>) -> Self {
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

    fn apply(&self, values: ArrayView2<'_, f32>) -> Array2<f32> {
        (&values - &self.mean) / &self.scale
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random(rows: usize, columns: usize, seed: u64) -> Array2<f32> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let normal = Normal::new(0.0, 1.0).unwrap();
        Array2::from_shape_simple_fn((rows, columns), || normal.sample(&mut rng))
    }

    #[test]
    fn gradients_equal_finite_differences() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut layers: Vec<Layer> = [(3, 5), (5, 4), (4, 2)]
            .map(|(inputs, outputs)| Layer::random(inputs, outputs, &mut rng))
            .to_vec();
        let (x, y) = (random(7, 3, 2), random(7, 2, 3));
        let loss = |layers: &[Layer]| {
            let residual = forward(layers, x.view()) - &y;
            residual.map(|r| f64::from(*r).powi(2)).mean().unwrap()
        };
        let analytic = gradients(&layers, x.clone(), &y);
        for index in 0..layers.len() {
            for place in [[0, 0], [1, 1], [2, 0]] {
                let step = 1e-2;
                let original = layers[index].weight[place];
                layers[index].weight[place] = original + step;
                let above = loss(&layers);
                layers[index].weight[place] = original - step;
                let below = loss(&layers);
                layers[index].weight[place] = original;
                let numeric = (above - below) / f64::from(2.0 * step);
                let difference = numeric - f64::from(analytic[index].weight[place]);
                assert!(
                    difference.abs() < 5e-3,
                    "layer {index} {place:?}: {difference}"
                );
            }
        }
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
                weight_decay: vec![0.01],
                ..MlpConfig::default()
            };
            Mlp::fit(x.view(), y.view(), &config).unwrap()
        };
        let long = fit(100);
        assert!(long.best_epoch < 80);
        assert_eq!(fit(long.best_epoch).layers, long.layers);
    }
}
