//! Contrastive loss of pairs.

use burn::tensor::{Int, Tensor, activation::log_softmax};

use crate::network::nn::l2_normalize;
use crate::network::ops::product;

/// Symmetric InfoNCE (paper eq. 1): rows of `image` and `spectrum`, both `(batch, embedding)`, are pairs;
/// `scale` multiplies the cosine similarities (15.5 in the paper, fixed).
pub fn info_nce(image: Tensor<2>, spectrum: Tensor<2>, scale: f64) -> Tensor<1> {
    let [batch, _] = image.dims();
    let image = l2_normalize(image, 1e-12);
    let spectrum = l2_normalize(spectrum, 1e-12);
    let similarity = product(image, spectrum.transpose()) * scale;
    let pairs = Tensor::<1, Int>::arange(0..batch as i64, &similarity.device()).unsqueeze_dim(1);
    let one_way = |scores: Tensor<2>| -log_softmax(scores, 1).gather(1, pairs.clone()).mean();
    (one_way(similarity.clone()) + one_way(similarity.transpose())) / 2.0
}
