//! Two layers on blocks of rows whose hidden values stay in the cache.

use burn::backend::{Flex, TensorMetadata};
use burn_flex::FlexTensor;
use ndarray::ArrayView2;
use rayon::prelude::*;

use super::gelu::{activate, activate_with_slope};
use super::linear::{add_column_sums, fill_rows};
use super::room::zeros;
use super::{has_kernels, new_tensor, values, widened};
use crate::base::numeric::{Factors, Product, matrix, matrix_mut, vectorized};
use crate::network::ops::mlp::{MlpOps, composed, composed_gradients};

/// Hidden values that are held at a time, so that they stay in the cache.
const HIDDEN_VALUES: usize = 1 << 16;
/// Tasks of a backward pass. Fixed, because the gradients of the weights are summed task by task.
const TASKS: usize = 16;

impl MlpOps for Flex {
    fn mlp_forward(
        input: FlexTensor,
        weight1: FlexTensor,
        bias1: FlexTensor,
        weight2: FlexTensor,
        bias2: FlexTensor,
        factors: Factors,
    ) -> FlexTensor {
        let weights = [weight1, bias1, weight2, bias2];
        if !has_kernels(&input) {
            return composed::<Self>(input, weights, factors);
        }
        let input = input.to_contiguous();
        let weights = weights.map(|weight| widened(weight).to_contiguous());
        new_tensor(
            forward(values(&input), MlpWeights::of(&weights, factors)),
            input.shape(),
        )
    }

    fn mlp_gradients(
        input: FlexTensor,
        weight1: FlexTensor,
        bias1: FlexTensor,
        weight2: FlexTensor,
        bias2: FlexTensor,
        grad: FlexTensor,
        factors: Factors,
    ) -> Vec<FlexTensor> {
        let weights = [weight1, bias1, weight2, bias2];
        if !has_kernels(&input) {
            return composed_gradients::<Self>(input, weights, grad, factors);
        }
        let [input, grad] = [input, grad].map(|tensor| tensor.to_contiguous());
        let weights = weights.map(|weight| widened(weight).to_contiguous());
        let (input_grad, sums) = backward(
            values(&input),
            MlpWeights::of(&weights, factors),
            values(&grad),
        );
        let [weight1, bias1, weight2, bias2] = weights.map(|weight| weight.shape());
        vec![
            new_tensor(input_grad, input.shape()),
            new_tensor(sums.weight1, weight1),
            new_tensor(sums.bias1, bias1),
            new_tensor(sums.weight2, weight2),
            new_tensor(sums.bias2, bias2),
        ]
    }
}

/// Weights `(width, hidden)` and `(hidden, width)` and biases of two linear layers.
#[derive(Clone, Copy)]
struct MlpWeights<'a> {
    weight1: &'a [f32],
    bias1: &'a [f32],
    weight2: &'a [f32],
    bias2: &'a [f32],
    factors: Factors,
}

/// Gradients of [`MlpWeights`].
struct MlpGradients {
    weight1: Vec<f32>,
    bias1: Vec<f32>,
    weight2: Vec<f32>,
    bias2: Vec<f32>,
}

impl<'a> MlpWeights<'a> {
    /// Of contiguous tensors: weight and bias of the first layer, then of the second.
    fn of(weights: &'a [FlexTensor; 4], factors: Factors) -> Self {
        let [weight1, bias1, weight2, bias2] = weights.each_ref().map(values);
        Self {
            weight1,
            bias1,
            weight2,
            bias2,
            factors,
        }
    }

    fn product<'b>(&self, left: ArrayView2<'b, f32>, right: ArrayView2<'b, f32>) -> Product<'b> {
        Product::of(left, right).with(self.factors)
    }

    fn width(&self) -> usize {
        self.bias2.len()
    }

    fn hidden(&self) -> usize {
        self.bias1.len()
    }

    /// Rows whose hidden values are held at a time.
    fn block(&self) -> usize {
        (HIDDEN_VALUES / self.hidden()).max(16)
    }

    fn matrix1(&self) -> ArrayView2<'_, f32> {
        matrix(self.weight1, (self.width(), self.hidden()))
    }

    fn matrix2(&self) -> ArrayView2<'_, f32> {
        matrix(self.weight2, (self.hidden(), self.width()))
    }

    /// The first layer's output for the rows of `input`.
    fn first_layer(&self, input: &[f32], hidden: &mut [f32]) {
        let rows = input.len() / self.width();
        fill_rows(hidden, self.bias1);
        self.product(matrix(input, (rows, self.width())), self.matrix1())
            .add_to(matrix_mut(hidden, (rows, self.hidden())));
    }
}

/// Two linear layers with a GELU between, on rows of `(rows, width)`.
fn forward(input: &[f32], weights: MlpWeights) -> Vec<f32> {
    let (width, block) = (weights.width(), weights.block());
    let mut output = zeros(input.len());
    output
        .par_chunks_mut(block * width)
        .zip(input.par_chunks(block * width))
        .for_each_init(
            || vec![0.0; block * weights.hidden()],
            |hidden, (output, input)| {
                let rows = input.len() / width;
                let hidden = &mut hidden[..rows * weights.hidden()];
                weights.first_layer(input, hidden);
                activate(hidden);
                fill_rows(output, weights.bias2);
                weights
                    .product(matrix(hidden, (rows, weights.hidden())), weights.matrix2())
                    .add_to(matrix_mut(output, (rows, width)));
            },
        );
    output
}

/// Gradients of the input and of the weights, given that of the output. Computes the hidden values
/// again, which costs less than keeping them.
fn backward(input: &[f32], weights: MlpWeights, gradient: &[f32]) -> (Vec<f32>, MlpGradients) {
    let (width, block) = (weights.width(), weights.block());
    let rows = input.len() / width;
    let task = rows.div_ceil(TASKS).next_multiple_of(block) * width;
    let mut input_gradient = zeros(input.len());
    let partial: Vec<MlpGradients> = input_gradient
        .par_chunks_mut(task)
        .zip(input.par_chunks(task))
        .zip(gradient.par_chunks(task))
        .map(|((input_gradient, input), gradient)| {
            backward_rows(input, weights, gradient, input_gradient)
        })
        .collect();
    (input_gradient, sum(partial))
}

fn backward_rows(
    input: &[f32],
    weights: MlpWeights,
    gradient: &[f32],
    input_gradient: &mut [f32],
) -> MlpGradients {
    let (width, hidden_width, block) = (weights.width(), weights.hidden(), weights.block());
    let mut sums = MlpGradients {
        weight1: vec![0.0; weights.weight1.len()],
        bias1: vec![0.0; hidden_width],
        weight2: vec![0.0; weights.weight2.len()],
        bias2: vec![0.0; width],
    };
    let mut slopes = vec![0.0; block * hidden_width];
    let mut hidden = vec![0.0; block * hidden_width];
    let blocks = input
        .chunks(block * width)
        .zip(gradient.chunks(block * width))
        .zip(input_gradient.chunks_mut(block * width));
    for ((input, gradient), input_gradient) in blocks {
        let rows = input.len() / width;
        let slopes = &mut slopes[..rows * hidden_width];
        let hidden = &mut hidden[..rows * hidden_width];
        let output_gradient = matrix(gradient, (rows, width));
        weights.first_layer(input, hidden);
        activate_with_slope(hidden, slopes);
        weights
            .product(matrix(hidden, (rows, hidden_width)).t(), output_gradient)
            .add_to(matrix_mut(&mut sums.weight2, (hidden_width, width)));
        add_column_sums(gradient, &mut sums.bias2);
        // From here on the gradient of the hidden values.
        weights
            .product(output_gradient, weights.matrix2().t())
            .write_to(matrix_mut(hidden, (rows, hidden_width)));
        scale(hidden, slopes);
        add_column_sums(hidden, &mut sums.bias1);
        let hidden = matrix(hidden, (rows, hidden_width));
        weights
            .product(matrix(input, (rows, width)).t(), hidden)
            .add_to(matrix_mut(&mut sums.weight1, (width, hidden_width)));
        weights
            .product(hidden, weights.matrix1().t())
            .write_to(matrix_mut(input_gradient, (rows, width)));
    }
    sums
}

vectorized! {
    fn scale<'a>(values: &'a mut [f32], factors: &'a [f32]) {
        for (value, factor) in values.iter_mut().zip(factors) {
            *value *= factor;
        }
    }
}

fn sum(partial: Vec<MlpGradients>) -> MlpGradients {
    let mut parts = partial.into_iter();
    let mut total = parts.next().expect("at least one row");
    for part in parts {
        add_column_sums(&part.weight1, &mut total.weight1);
        add_column_sums(&part.bias1, &mut total.bias1);
        add_column_sums(&part.weight2, &mut total.weight2);
        add_column_sums(&part.bias2, &mut total.bias2);
    }
    total
}
