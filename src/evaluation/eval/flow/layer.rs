//! One coupling layer: the network that turns an embedding, and the targets that the layer keeps, into
//! the splines of the others.

use ndarray::{Array1, Array2, ArrayView2, Axis, Zip};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::spline;
use crate::base::numeric::Product;

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

/// A coupling layer: the kept dimensions and the context say what splines the others go through.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct CouplingLayer {
    transformed: Vec<usize>,
    kept: Vec<usize>,
    bins: usize,
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

impl CouplingLayer {
    /// Random weights, with splines near the identity.
    pub fn random(
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
            bins: shape.bins,
        }
    }

    /// The dimensions that it transforms, and those that it keeps.
    pub fn order(&self) -> [Vec<usize>; 2] {
        [self.transformed.clone(), self.kept.clone()]
    }

    /// Bins of its splines.
    pub fn bins(&self) -> usize {
        self.bins
    }

    /// All numbers, in an order of their own.
    pub fn slices_mut(&mut self) -> Vec<&mut [f32]> {
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
            Product::of(self.kept_weight.view(), kept.view()).add_to(first.view_mut());
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

    /// The transformed ones of `values` (D, N) through the splines, in place; ln of their derivatives is
    /// added to `log_derivatives` (D, N). `projection` (H, N) is the context's part of the first layer.
    pub fn forward(
        &self,
        projection: ArrayView2<'_, f32>,
        values: &mut Array2<f32>,
        log_derivatives: &mut Array2<f32>,
    ) -> Record {
        let kept = values.select(Axis(0), &self.kept);
        let before = values.select(Axis(0), &self.transformed);
        let activations = self.activations(projection, &kept);
        let splines = self.by_spline(&activations.parameters);
        for (&dimension, parameters) in self.transformed.iter().zip(splines) {
            spline::forward(
                parameters,
                self.bins,
                row_mut(values, dimension),
                row_mut(log_derivatives, dimension),
            );
        }
        Record {
            kept,
            before,
            activations,
        }
    }

    /// The inverse of [`forward`](Self::forward).
    pub fn inverse(&self, projection: ArrayView2<'_, f32>, values: &mut Array2<f32>) {
        let kept = values.select(Axis(0), &self.kept);
        let activations = self.activations(projection, &kept);
        let splines = self.by_spline(&activations.parameters);
        for (&dimension, parameters) in self.transformed.iter().zip(splines) {
            spline::inverse(parameters, self.bins, row_mut(values, dimension));
        }
    }

    /// Turns `gradient` (D, N), the derivatives of a loss by the values after this layer, into those by the
    /// values before. Adds the gradient by the layer's weights to `into` and returns the one by the
    /// projection (H, N).
    pub fn backward(
        &self,
        record: &Record,
        gradient: &mut Array2<f32>,
        by_log_derivative: &[f32],
        into: &mut Self,
    ) -> Array2<f32> {
        let Record {
            kept,
            before,
            activations:
                Activations {
                    first,
                    second,
                    parameters,
                },
        } = record;
        let mut by_parameters = Array2::zeros(parameters.dim());
        let size = spline::parameter_count(self.bins) * parameters.ncols();
        let by_splines = by_parameters
            .as_slice_mut()
            .expect("a new array")
            .chunks_exact_mut(size);
        let splines = self
            .by_spline(parameters)
            .zip(by_splines)
            .zip(before.rows());
        for (&dimension, ((parameters, by_parameters), x)) in self.transformed.iter().zip(splines) {
            spline::backward(
                parameters,
                self.bins,
                x.to_slice().expect("a row"),
                row_mut(gradient, dimension),
                by_log_derivative,
                by_parameters,
            );
        }
        accumulate(
            &mut into.output_weight,
            &mut into.output_bias,
            &by_parameters,
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
        if !self.kept.is_empty() {
            let by_kept = product(self.kept_weight.t(), by_first.view());
            for (&dimension, by_kept) in self.kept.iter().zip(by_kept.rows()) {
                let mut row = gradient.row_mut(dimension);
                row += &by_kept;
            }
        }
        by_first
    }

    /// The parameters of each transformed dimension's splines.
    fn by_spline<'a>(&self, parameters: &'a Array2<f32>) -> std::slice::ChunksExact<'a, f32> {
        let size = spline::parameter_count(self.bins) * parameters.ncols();
        parameters.as_slice().expect("row-major").chunks_exact(size)
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
        Product::of(by_outputs.view(), inputs.t()).add_to(weight.view_mut());
    }
    *bias += &by_outputs.sum_axis(Axis(1));
}

fn product(left: ArrayView2<'_, f32>, right: ArrayView2<'_, f32>) -> Array2<f32> {
    let mut output = Array2::zeros((left.nrows(), right.ncols()));
    Product::of(left, right).write_to(output.view_mut());
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

pub(super) fn contiguous(slice: Option<&mut [f32]>) -> &mut [f32] {
    slice.expect("weights lie in one piece")
}

fn row_mut(values: &mut Array2<f32>, row: usize) -> &mut [f32] {
    let columns = values.ncols();
    let all = values.as_slice_mut().expect("row-major");
    &mut all[row * columns..][..columns]
}

/// Uniform within 1/√inputs, as PyTorch's linear layers.
pub(super) fn uniform(shape: (usize, usize), inputs: usize, rng: &mut ChaCha8Rng) -> Array2<f32> {
    let limit = (inputs.max(1) as f32).sqrt().recip();
    Array2::from_shape_simple_fn(shape, || rng.random_range(-limit..limit))
}
