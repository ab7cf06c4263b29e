//! Huber's loss where a mask says so.

use burn::tensor::Tensor;

/// Huber's loss (1964) over masked places, twice as large as in the original so that it is the squared error within
/// `delta`, above 0: beyond it grows as the distance does. `prediction`, `target` and `mask` (one where an error counts,
/// zero elsewhere) are of one shape. Zero where no error counts.
pub fn masked_huber<const D: usize>(
    prediction: Tensor<D>,
    target: Tensor<D>,
    mask: Tensor<D>,
    delta: f64,
) -> Tensor<1> {
    let distance = (prediction - target).abs();
    let near = distance.clone().clamp_max(delta);
    // e² within and 2δ|e| − δ² beyond, without a branch.
    let loss = near.clone() * (distance * 2.0 - near) * mask.clone();
    loss.sum() / mask.sum().clamp_min(1.0)
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Tensor};

    use super::masked_huber;

    #[test]
    fn errors_are_squared_within_delta_and_linear_beyond() {
        let device = Device::flex();
        let tensor = |values: [f32; 4]| Tensor::<1>::from_floats(values, &device);
        let loss = masked_huber(
            tensor([0.5, -3.0, 9.0, 1.0]),
            tensor([0.0; 4]),
            tensor([1.0, 1.0, 0.0, 1.0]),
            1.0,
        );
        // 0.25, 2 · 3 − 1 and 1 over the three that count.
        let loss: f32 = loss.into_scalar();
        assert!((loss - (0.25 + 5.0 + 1.0) / 3.0).abs() < 1e-6, "{loss}");
    }
}
