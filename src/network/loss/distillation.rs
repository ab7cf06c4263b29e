//! How far embeddings are from those of a teacher.

use burn::tensor::Tensor;

use crate::network::nn::l2_normalize;

/// One minus the cosine of the angle between each row of `student` and that of `teacher`, both `(batch, embedding)`: the sum
/// over the rows, `(1,)`. It is half the squared distance of rows of unit length: the hints of Romero et al. 2015 (FitNets), on
/// the last layer.
pub fn distillation(student: Tensor<2>, teacher: Tensor<2>) -> Tensor<1> {
    let [batch, _] = student.dims();
    let teacher = l2_normalize(teacher, 1e-12);
    let cosines = (l2_normalize(student, 1e-12) * teacher).sum();
    -cosines + batch as f64
}
