//! Mean squared error where a mask says so.

use burn::tensor::Tensor;

/// Mean squared error over masked places (paper eq. A1): `prediction`, `target` and `mask` (one where an
/// error counts, zero elsewhere) are of one shape. Zero where no error counts.
pub fn masked_mse<const D: usize>(
    prediction: Tensor<D>,
    target: Tensor<D>,
    mask: Tensor<D>,
) -> Tensor<1> {
    let squared = (prediction - target).square() * mask.clone();
    squared.sum() / mask.sum().clamp_min(1.0)
}
