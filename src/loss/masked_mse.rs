use burn::tensor::Tensor;

/// Mean squared error over masked places (paper eq. A1): `prediction`, `target` and `mask` (one where
/// masked, zero elsewhere) are `(batch, tokens, token_width)`.
pub fn masked_mse(prediction: Tensor<3>, target: Tensor<3>, mask: Tensor<3>) -> Tensor<1> {
    let squared = (prediction - target).square() * mask.clone();
    squared.sum() / mask.sum()
}
