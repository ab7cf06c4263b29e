//! All layers of a flow.

use ndarray::{Array2, ArrayView2, Ix2, SliceInfo, SliceInfoElem, s};
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::layer::{CouplingLayer, Record, Shape, contiguous, uniform};

/// All weights of a flow, or a gradient by them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Weights {
    /// What the first hidden layers of all coupling layers do to the context: (transforms · H, C). One
    /// product for all layers, since it takes nearly all the time.
    pub context: Array2<f32>,
    /// The layers, from the targets to the normal distribution.
    pub layers: Vec<CouplingLayer>,
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

    /// Moves towards `other` by the fraction `weight` of the way.
    pub fn approach(&mut self, other: &mut Self, weight: f32) {
        for (own, other) in self.slices_mut().into_iter().zip(other.slices_mut()) {
            for (own, other) in own.iter_mut().zip(other) {
                *own += weight * (*other - *own);
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
    /// the embeddings. N is a multiple of [`LANES`](super::spline::LANES). `record` is given what each layer
    /// saw and made.
    pub fn forward(
        &self,
        projection: ArrayView2<'_, f32>,
        values: &mut Array2<f32>,
        log_derivatives: &mut Array2<f32>,
        mut record: impl FnMut(Record),
    ) {
        for (index, layer) in self.layers.iter().enumerate() {
            let projection = projection.slice(self.rows_of(index));
            record(layer.forward(projection, values, log_derivatives));
        }
    }

    /// From normal variates to targets, the inverse of [`forward`](Self::forward).
    pub fn inverse(&self, projection: ArrayView2<'_, f32>, values: &mut Array2<f32>) {
        for (index, layer) in self.layers.iter().enumerate().rev() {
            layer.inverse(projection.slice(self.rows_of(index)), values);
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
        let mut by_projection = Array2::zeros((self.context.nrows(), gradient.ncols()));
        for (index, layer) in self.layers.iter().enumerate().rev() {
            let by_first = layer.backward(
                &records[index],
                &mut gradient,
                by_log_derivative,
                &mut into[index],
            );
            by_projection
                .slice_mut(self.rows_of(index))
                .assign(&by_first);
        }
        by_projection
    }

    /// The rows of the projection that belong to a layer.
    fn rows_of(&self, layer: usize) -> SliceInfo<[SliceInfoElem; 2], Ix2, Ix2> {
        let hidden = self.context.nrows() / self.layers.len();
        s![layer * hidden..(layer + 1) * hidden, ..]
    }
}
