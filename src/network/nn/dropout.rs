//! Dropout, with masks that are drawn on the host.

use burn::tensor::{Tensor, TensorData};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// Factors of dropout: zero for a share `rate` in [0, 1) of the places, else 1 / (1 − rate). They are
/// drawn on the host in row-major order.
pub fn dropout_mask<const D: usize>(
    shape: [usize; D],
    rate: f64,
    rng: &mut ChaCha8Rng,
) -> TensorData {
    let kept = (1.0 - rate).recip() as f32;
    let values: Vec<f32> = (0..shape.iter().product())
        .map(|_| if rng.random_bool(rate) { 0.0 } else { kept })
        .collect();
    TensorData::new(values, shape)
}

/// Sets a share `rate` in [0, 1) of the values to zero and scales the others up to keep the mean, where a
/// generator is given.
pub fn dropout<const D: usize>(
    input: Tensor<D>,
    rate: f64,
    rng: Option<&mut ChaCha8Rng>,
) -> Tensor<D> {
    match rng {
        Some(rng) if rate > 0.0 => {
            let mask = dropout_mask(input.dims(), rate, rng);
            let mask = Tensor::<D>::from_data(mask, &input.device());
            input * mask
        }
        _ => input,
    }
}
