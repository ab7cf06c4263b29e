//! Dense layers with ReLU: forward, backward, and Adam.

use ndarray::{Array1, Array2, ArrayView2, Axis, Zip};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal};

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
            weight: input.t().dot(&upstream),
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

/// Adam with decoupled weight decay (Kingma & Ba 2015; Loshchilov & Hutter 2019).
pub(super) struct Adam {
    first: Vec<Layer>,
    second: Vec<Layer>,
    steps: i32,
}

impl Adam {
    const BETA: (f32, f32) = (0.9, 0.999);
    const EPSILON: f32 = 1e-8;

    /// At rest.
    pub(super) fn new(layers: &[Layer]) -> Self {
        let zeros: Vec<Layer> = layers.iter().map(Layer::zeros_like).collect();
        Self {
            first: zeros.clone(),
            second: zeros,
            steps: 0,
        }
    }

    /// One step down the gradients.
    pub(super) fn step(
        &mut self,
        layers: &mut [Layer],
        gradients: &[Layer],
        rate: f32,
        decay: f32,
    ) {
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
