//! Dense layers with ReLU: forward and backward.

use ndarray::{Array1, Array2, ArrayView2, Axis, Zip};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal};

use crate::base::numeric::Parameter;

/// A dense layer x·weight + bias.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Layer {
    /// (inputs, outputs)
    pub(super) weight: Array2<f32>,
    /// (outputs)
    pub(super) bias: Array1<f32>,
}

impl Layer {
    /// Weights as He et al. (2015), biases zero.
    pub(super) fn random(inputs: usize, outputs: usize, rng: &mut ChaCha8Rng) -> Self {
        let normal = Normal::new(0.0, (2.0 / inputs as f32).sqrt()).expect("a finite deviation");
        Self {
            weight: Array2::from_shape_simple_fn((inputs, outputs), || normal.sample(rng)),
            bias: Array1::zeros(outputs),
        }
    }

    /// Its numbers, to be fitted; the weights decay, the biases do not.
    pub(super) fn parameters<'a>(
        &'a mut self,
        gradient: &'a Self,
        decay: f32,
    ) -> [Parameter<'a>; 2] {
        let one_piece = "weights and gradients lie in one piece";
        [
            Parameter {
                values: self.weight.as_slice_mut().expect(one_piece),
                gradient: gradient.weight.as_slice().expect(one_piece),
                decay,
            },
            Parameter {
                values: self.bias.as_slice_mut().expect(one_piece),
                gradient: gradient.bias.as_slice().expect(one_piece),
                decay: 0.0,
            },
        ]
    }

    fn apply(&self, x: ArrayView2<'_, f32>) -> Array2<f32> {
        x.dot(&self.weight) + &self.bias
    }
}

fn relu(mut x: Array2<f32>) -> Array2<f32> {
    x.mapv_inplace(|value| value.max(0.0));
    x
}

/// Outputs (rows, T) for inputs (rows, D).
pub(super) fn forward(layers: &[Layer], x: ArrayView2<'_, f32>) -> Array2<f32> {
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

/// What is minimised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Objective {
    /// Mean squared error over all outputs.
    SquaredError,
    /// Cross-entropy of the softmax of the outputs with fractions that sum to 1, mean over rows.
    CrossEntropy,
}

impl Objective {
    /// The loss of outputs (rows, T) for targets (rows, T).
    pub(super) fn loss(self, outputs: Array2<f32>, targets: &Array2<f32>) -> f32 {
        match self {
            Self::SquaredError => {
                let residual = outputs - targets;
                residual.map(|r| r * r).mean().unwrap_or(f32::NAN)
            }
            Self::CrossEntropy => {
                let rows = outputs.nrows() as f32;
                let sum = Zip::from(outputs.rows()).and(targets.rows()).fold(
                    0.0,
                    |sum, outputs, targets| {
                        let peak = outputs.fold(f32::NEG_INFINITY, |a, &b| a.max(b));
                        let norm = outputs.fold(0.0, |sum, &o| sum + (o - peak).exp()).ln() + peak;
                        sum + Zip::from(outputs)
                            .and(targets)
                            .fold(0.0, |sum, &o, &t| sum + t * (norm - o))
                    },
                );
                sum / rows
            }
        }
    }

    /// The derivative of the loss with respect to the outputs.
    fn slope(self, mut outputs: Array2<f32>, targets: &Array2<f32>) -> Array2<f32> {
        match self {
            Self::SquaredError => {
                let mut slope = outputs - targets;
                slope *= 2.0 / slope.len() as f32;
                slope
            }
            Self::CrossEntropy => {
                softmax(&mut outputs);
                let mut slope = outputs - targets;
                slope /= slope.nrows() as f32;
                slope
            }
        }
    }
}

/// Outputs (rows, T) to fractions that sum to 1 in each row.
pub(super) fn softmax(outputs: &mut Array2<f32>) {
    for mut row in outputs.rows_mut() {
        let peak = row.fold(f32::NEG_INFINITY, |a, &b| a.max(b));
        row.mapv_inplace(|value| (value - peak).exp());
        let sum = row.sum();
        row /= sum;
    }
}

/// Units switched off at random while training, the others scaled up to make good for them (Srivastava et
/// al. 2014).
pub(super) struct Dropout<'a> {
    pub(super) rate: f32,
    pub(super) rng: &'a mut ChaCha8Rng,
}

impl Dropout<'_> {
    fn apply(&mut self, x: &mut Array2<f32>) {
        if self.rate > 0.0 {
            let scale = (1.0 - self.rate).recip();
            x.mapv_inplace(|value| match self.rng.random::<f32>() < self.rate {
                true => 0.0,
                false => value * scale,
            });
        }
    }
}

/// Gradients of the loss of a batch: inputs (rows, D), targets (rows, T).
pub(super) fn gradients(
    layers: &[Layer],
    x: Array2<f32>,
    y: &Array2<f32>,
    objective: Objective,
    mut dropout: Dropout<'_>,
) -> Vec<Layer> {
    let (last, hidden) = layers.split_last().expect("at least an output layer");
    // inputs[i] is what layer i sees.
    let mut inputs = vec![x];
    for layer in hidden {
        let mut next = relu(layer.apply(inputs[inputs.len() - 1].view()));
        dropout.apply(&mut next);
        inputs.push(next);
    }
    let outputs = last.apply(inputs[hidden.len()].view());
    let mut upstream = objective.slope(outputs, y);
    // A unit that is off passes nothing back; one that is on, what it was scaled by.
    let scale = (1.0 - dropout.rate).recip();
    let mut gradients: Vec<Layer> = Vec::with_capacity(layers.len());
    for (index, input) in inputs.iter().enumerate().rev() {
        gradients.push(Layer {
            weight: row_major(input.t().dot(&upstream)),
            bias: upstream.sum_axis(Axis(0)),
        });
        if index > 0 {
            upstream = upstream.dot(&layers[index].weight.t());
            Zip::from(&mut upstream)
                .and(input)
                .for_each(|slope, &value| *slope = if value <= 0.0 { 0.0 } else { *slope * scale });
        }
    }
    gradients.reverse();
    gradients
}

/// The same numbers in the order of the weights: a product with a single column comes the other way round.
fn row_major(array: Array2<f32>) -> Array2<f32> {
    match array.is_standard_layout() {
        true => array,
        false => array.as_standard_layout().into_owned(),
    }
}
