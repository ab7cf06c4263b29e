//! Cross-entropy between teacher and student.

use burn::tensor::Tensor;

use crate::network::ops;

/// Mean over rows of the cross-entropy between teacher probabilities and student scores, both
/// `(rows, prototypes)` (paper eq. A2).
///
/// The loss is linear in the teacher: for a student crop compared with several teacher crops, pass the
/// sum of their probabilities.
pub fn cross_entropy(teacher: Tensor<2>, student: Tensor<2>, temperature: f64) -> Tensor<1> {
    let [rows, _] = student.dims();
    ops::cross_entropy(teacher, student, temperature).sum() / rows as f64
}
