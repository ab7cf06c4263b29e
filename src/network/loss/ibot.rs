//! Cross-entropy of masked patches.

use burn::tensor::Tensor;

use crate::network::ops;

/// Cross-entropy of masked patches (paper eq. A5): `teacher` probabilities and `student` scores of the
/// masked patches only, `(masked, prototypes)`.
///
/// `weights` `(masked, 1)` is one over the number of masked patches in the same crop, and the sum is
/// divided by the number of `crops`, masked or not, as in DINOv2.
pub fn masked_patch_loss(
    teacher: Tensor<2>,
    student: Tensor<2>,
    weights: Tensor<2>,
    crops: usize,
    temperature: f64,
) -> Tensor<1> {
    let per_patch = ops::cross_entropy(teacher, student, temperature);
    (per_patch * weights).sum() / crops as f64
}
