//! The network that turns an embedding, and the targets that a layer keeps, into the layer's splines.

use ndarray::{Array1, Array2, ArrayView2, Axis, Zip, s};
use rand::{RngExt, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

use super::{matrix::multiply, spline};

/// Sizes of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    /// Width C of the context.
    pub context: usize,
    /// Number D of target dimensions.
    pub dimensions: usize,
    /// Number of coupling layers.
    pub transforms: usize,
    /// Width H of both hidden layers.
    pub hidden: usize,
    /// Bins of every spline.
    pub bins: usize,
}

/// All weights of a flow, or a gradient by them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Weights {
    /// What the first hidden layers of all coupling layers do to the context: (transforms · H, C). One
    /// product for all layers, since it takes nearly all the time.
    pub context: Array2<f32>,
    /// The layers, from the targets to the normal distribution.
    pub layers: Vec<CouplingLayer>,
    bins: usize,
}

/// A coupling layer: the kept dimensions and the context say what splines the others go through.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct CouplingLayer {
    transformed: Vec<usize>,
    kept: Vec<usize>,
    /// (H, kept)
    kept_weight: Array2<f32>,
    /// (H)
    first_bias: Array1<f32>,
    /// (H, H)
    hidden_weight: Array2<f32>,
    /// (H)
    hidden_bias: Array1<f32>,
    /// (transformed · parameters of a spline, H)
    output_weight: Array2<f32>,
    output_bias: Array1<f32>,
}

/// What a layer saw and made, for the gradient.
pub(super) struct Record {
    /// Kept values (kept, N).
    kept: Array2<f32>,
    /// Transformed values before the splines (transformed, N).
    before: Array2<f32>,
    activations: Activations,
}

struct Activations {
    /// (H, N)
    first: Array2<f32>,
    /// (H, N)
    second: Array2<f32>,
    /// (transformed · parameters, N)
    parameters: Array2<f32>,
}

impl Weights {
    /// Random weights, with splines near the identity.
    ///
    /// Layers come in pairs: one transforms a random half of the dimensions, the next the other half.
    /// A single dimension is transformed by all layers.
    pub fn random(shape: Shape, rng: &mut ChaCha8Rng) -> Self {
        let mut layers = Vec::with_capacity(shape.transforms);
        let mut order: Vec<usize> = (0..shape.dimensions).collect();
        for index in 0..shape.transforms {
            if index % 2 == 0 {
                order.shuffle(rng);
            }
            let half = shape.dimensions.div_ceil(2);
            let (one, other) = match shape.dimensions {
                1 => (&order[..], &order[..0]),
                _ => order.split_at(half),
            };
            let (mut transformed, mut kept) = match index % 2 == 0 || shape.dimensions == 1 {
                true => (one.to_vec(), other.to_vec()),
                false => (other.to_vec(), one.to_vec()),
            };
            transformed.sort_unstable();
            kept.sort_unstable();
            layers.push(CouplingLayer::random(shape, transformed, kept, rng));
        }
        // The first hidden layer sees the context and the kept dimensions.
        let kept = shape.dimensions / 2;
        Self {
            context: uniform(
                (shape.transforms * shape.hidden, shape.context),
                shape.context + kept,
                rng,
            ),
            layers,
            bins: shape.bins,
        }
    }

    /// As many zeros.
    pub fn zeros_like(&self) -> Self {
        let mut zeros = self.clone();
        for values in zeros.slices_mut() {
            values.fill(0.0);
        }
        zeros
    }

    /// Moves towards `other` by `share` of the way.
    pub fn approach(&mut self, other: &mut Self, share: f32) {
        for (own, other) in self.slices_mut().into_iter().zip(other.slices_mut()) {
            for (own, other) in own.iter_mut().zip(other) {
                *own += share * (*other - *own);
            }
        }
    }

    /// Zeros for the gradient of a part of a batch.
    pub fn zero_layers(&self) -> Vec<CouplingLayer> {
        let mut layers = self.layers.clone();
        for values in layers.iter_mut().flat_map(CouplingLayer::slices_mut) {
            values.fill(0.0);
        }
        layers
    }

    /// Sets the layers to the sum of parts.
    pub fn set_layers(&mut self, parts: Vec<Vec<CouplingLayer>>) {
        let mut parts = parts.into_iter();
        self.layers = parts.next().expect("at least one part");
        for mut part in parts {
            for (layer, part) in self.layers.iter_mut().zip(&mut part) {
                for (sum, values) in layer.slices_mut().into_iter().zip(part.slices_mut()) {
                    for (sum, value) in sum.iter_mut().zip(values) {
                        *sum += *value;
                    }
                }
            }
        }
    }

    /// All numbers, in an order of their own.
    pub fn slices_mut(&mut self) -> Vec<&mut [f32]> {
        let mut slices = vec![contiguous(self.context.as_slice_mut())];
        slices.extend(self.layers.iter_mut().flat_map(CouplingLayer::slices_mut));
        slices
    }

    /// From targets to normal variates: `values` (D, N) in place. ln of the derivative of each dimension is
    /// added to `log_derivatives` (D, N). `projection` (transforms · H, N) is the product of `context` and
    /// the embeddings. N is a multiple of [`spline::LANES`].
    pub fn forward(
        &self,
        projection: ArrayView2<'_, f32>,
        values: &mut Array2<f32>,
        log_derivatives: &mut Array2<f32>,
        mut record: impl FnMut(Record),
    ) {
        for (layer, projection) in self.layers.iter().zip(self.by_layer(projection)) {
            let kept = values.select(Axis(0), &layer.kept);
            let activations = layer.activations(projection, &kept);
            let before = values.select(Axis(0), &layer.transformed);
            for (&dimension, parameters) in layer
                .transformed
                .iter()
                .zip(self.by_spline(&activations.parameters))
            {
                spline::forward(
                    parameters,
                    self.bins,
                    row_mut(values, dimension),
                    row_mut(log_derivatives, dimension),
                );
            }
            record(Record {
                kept,
                before,
                activations,
            });
        }
    }

    /// From normal variates to targets, the inverse of [`forward`](Self::forward).
    pub fn inverse(&self, projection: ArrayView2<'_, f32>, values: &mut Array2<f32>) {
        let projections: Vec<_> = self.by_layer(projection).collect();
        for (layer, projection) in self.layers.iter().zip(projections).rev() {
            let kept = values.select(Axis(0), &layer.kept);
            let activations = layer.activations(projection, &kept);
            for (&dimension, parameters) in layer
                .transformed
                .iter()
                .zip(self.by_spline(&activations.parameters))
            {
                spline::inverse(parameters, self.bins, row_mut(values, dimension));
            }
        }
    }

    /// Adds the gradient of a loss to that of the layers in `into`, and returns the gradient by the
    /// projection (transforms · H, N).
    ///
    /// `gradient` (D, N) holds the derivatives by the normal variates; `by_log_derivative` (N) those by
    /// every ln of a derivative.
    pub fn backward(
        &self,
        records: &[Record],
        mut gradient: Array2<f32>,
        by_log_derivative: &[f32],
        into: &mut [CouplingLayer],
    ) -> Array2<f32> {
        let columns = gradient.ncols();
        let mut by_projection = Array2::zeros((self.context.nrows(), columns));
        let hidden = self.hidden();
        for (index, (layer, record)) in self.layers.iter().zip(records).enumerate().rev() {
            let Record {
                kept,
                before,
                activations,
            } = record;
            let mut by_parameters = Array2::zeros(activations.parameters.dim());
            let size = spline::parameter_count(self.bins) * columns;
            let by_splines = by_parameters
                .as_slice_mut()
                .expect("a new array")
                .chunks_exact_mut(size);
            for (((&dimension, parameters), by_parameters), x) in layer
                .transformed
                .iter()
                .zip(self.by_spline(&activations.parameters))
                .zip(by_splines)
                .zip(before.rows())
            {
                spline::backward(
                    parameters,
                    self.bins,
                    x.to_slice().expect("a row"),
                    row_mut(&mut gradient, dimension),
                    by_log_derivative,
                    by_parameters,
                );
            }
            let rows = s![index * hidden..(index + 1) * hidden, ..];
            let by_first = layer.backward(kept, activations, &by_parameters, &mut into[index]);
            if !layer.kept.is_empty() {
                let by_kept = product(layer.kept_weight.t(), by_first.view());
                for (&dimension, by_kept) in layer.kept.iter().zip(by_kept.rows()) {
                    let mut row = gradient.row_mut(dimension);
                    row += &by_kept;
                }
            }
            by_projection.slice_mut(rows).assign(&by_first);
        }
        by_projection
    }

    fn hidden(&self) -> usize {
        self.context.nrows() / self.layers.len()
    }

    fn by_layer<'a>(
        &self,
        projection: ArrayView2<'a, f32>,
    ) -> impl Iterator<Item = ArrayView2<'a, f32>> {
        let hidden = self.hidden();
        (0..self.layers.len())
            .map(move |index| projection.slice_move(s![index * hidden..(index + 1) * hidden, ..]))
    }

    /// The parameters of each transformed dimension's splines.
    fn by_spline<'a>(&self, parameters: &'a Array2<f32>) -> std::slice::ChunksExact<'a, f32> {
        let size = spline::parameter_count(self.bins) * parameters.ncols();
        parameters.as_slice().expect("row-major").chunks_exact(size)
    }
}

impl CouplingLayer {
    fn random(
        shape: Shape,
        transformed: Vec<usize>,
        kept: Vec<usize>,
        rng: &mut ChaCha8Rng,
    ) -> Self {
        let Shape { hidden, .. } = shape;
        let inputs = shape.context + kept.len();
        let outputs = transformed.len() * spline::parameter_count(shape.bins);
        let bias = |length, inputs, rng: &mut ChaCha8Rng| uniform((1, length), inputs, rng);
        Self {
            kept_weight: uniform((hidden, kept.len()), inputs, rng),
            first_bias: bias(hidden, inputs, rng).remove_axis(Axis(0)),
            hidden_weight: uniform((hidden, hidden), hidden, rng),
            hidden_bias: bias(hidden, hidden, rng).remove_axis(Axis(0)),
            output_weight: uniform((outputs, hidden), hidden, rng),
            output_bias: Array1::zeros(outputs),
            transformed,
            kept,
        }
    }

    fn slices_mut(&mut self) -> Vec<&mut [f32]> {
        let slices = [
            self.kept_weight.as_slice_mut(),
            self.first_bias.as_slice_mut(),
            self.hidden_weight.as_slice_mut(),
            self.hidden_bias.as_slice_mut(),
            self.output_weight.as_slice_mut(),
            self.output_bias.as_slice_mut(),
        ];
        slices.into_iter().map(contiguous).collect()
    }

    /// `projection` (H, N) and `kept` (kept, N) to spline parameters.
    fn activations(&self, projection: ArrayView2<'_, f32>, kept: &Array2<f32>) -> Activations {
        let mut first = projection.to_owned();
        if !self.kept.is_empty() {
            multiply(first.view_mut(), self.kept_weight.view(), kept.view(), true);
        }
        add_bias_and_rectify(&mut first, &self.first_bias);
        let mut second = product(self.hidden_weight.view(), first.view());
        add_bias_and_rectify(&mut second, &self.hidden_bias);
        let mut parameters = product(self.output_weight.view(), second.view());
        for (mut row, &bias) in parameters.rows_mut().into_iter().zip(&self.output_bias) {
            row += bias;
        }
        Activations {
            first,
            second,
            parameters,
        }
    }

    /// Adds to `into` the gradient of all but the context's weights; returns the gradient by the first
    /// hidden layer before its rectification (H, N).
    fn backward(
        &self,
        kept: &Array2<f32>,
        activations: &Activations,
        by_parameters: &Array2<f32>,
        into: &mut Self,
    ) -> Array2<f32> {
        let Activations { first, second, .. } = activations;
        accumulate(
            &mut into.output_weight,
            &mut into.output_bias,
            by_parameters,
            second,
        );
        let mut by_second = product(self.output_weight.t(), by_parameters.view());
        keep_where_positive(&mut by_second, second);
        accumulate(
            &mut into.hidden_weight,
            &mut into.hidden_bias,
            &by_second,
            first,
        );
        let mut by_first = product(self.hidden_weight.t(), by_second.view());
        keep_where_positive(&mut by_first, first);
        accumulate(&mut into.kept_weight, &mut into.first_bias, &by_first, kept);
        by_first
    }
}

/// Adds the gradient of a dense layer's weights and biases: of outputs (out, N) by inputs (in, N).
fn accumulate(
    weight: &mut Array2<f32>,
    bias: &mut Array1<f32>,
    by_outputs: &Array2<f32>,
    inputs: &Array2<f32>,
) {
    if inputs.nrows() > 0 {
        multiply(weight.view_mut(), by_outputs.view(), inputs.t(), true);
    }
    *bias += &by_outputs.sum_axis(Axis(1));
}

fn product(left: ArrayView2<'_, f32>, right: ArrayView2<'_, f32>) -> Array2<f32> {
    let mut output = Array2::zeros((left.nrows(), right.ncols()));
    multiply(output.view_mut(), left, right, false);
    output
}

fn add_bias_and_rectify(values: &mut Array2<f32>, bias: &Array1<f32>) {
    for (mut row, &bias) in values.rows_mut().into_iter().zip(bias) {
        row.mapv_inplace(|value| (value + bias).max(0.0));
    }
}

fn keep_where_positive(gradient: &mut Array2<f32>, activation: &Array2<f32>) {
    Zip::from(gradient)
        .and(activation)
        .for_each(|slope, &value| {
            *slope = if value > 0.0 { *slope } else { 0.0 };
        });
}

fn contiguous(slice: Option<&mut [f32]>) -> &mut [f32] {
    slice.expect("weights lie in one piece")
}

fn row_mut(values: &mut Array2<f32>, row: usize) -> &mut [f32] {
    let columns = values.ncols();
    let all = values.as_slice_mut().expect("row-major");
    &mut all[row * columns..][..columns]
}

/// Uniform within 1/√inputs, as PyTorch's linear layers.
fn uniform(shape: (usize, usize), inputs: usize, rng: &mut ChaCha8Rng) -> Array2<f32> {
    let limit = (inputs.max(1) as f32).sqrt().recip();
    Array2::from_shape_simple_fn(shape, || rng.random_range(-limit..limit))
}
