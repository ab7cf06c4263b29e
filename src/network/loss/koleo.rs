//! Spread of features by the distance to the nearest neighbour.

use burn::tensor::{Tensor, TensorData};

use crate::network::nn::l2_normalize;
use crate::network::ops::product;

/// Keeps log and square root away from zero, as DINOv2 does.
const EPSILON: f64 = 1e-8;

/// Spreads the rows of `(batch, width)` over the sphere: minus the mean log distance to the nearest
/// other row (Sablayrolles et al. 2018; paper eq. A7). Zero for a single row, which has no neighbour.
pub fn koleo(features: Tensor<2>) -> Tensor<1> {
    let [batch, _] = features.dims();
    if batch < 2 {
        return features.sum() * 0.0;
    }
    let unit = l2_normalize(features, EPSILON);
    let points = unit.clone().detach();
    let itself = TensorData::new(identity(batch), [batch, batch]);
    let similarity = product(points.clone(), points.transpose())
        - Tensor::from_data(itself, &unit.device()) * 2.0;
    let nearest = similarity.argmax(1).squeeze_dim::<1>(1);
    let neighbours = unit.clone().select(0, nearest);
    let distance = (unit - neighbours + EPSILON).square().sum_dim(1).sqrt();
    -(distance + EPSILON).log().mean()
}

fn identity(size: usize) -> Vec<f32> {
    (0..size * size)
        .map(|index| f32::from(index / size == index % size))
        .collect()
}
