//! Patch embeddings and positions of one image transformer, brought to the patches, channels and grid of another.

use ndarray::{Array1, Array2, Array3, Array4, ArrayView2, Axis, s};

use crate::base::numeric::solve;
use crate::network::model::POSITION_OFFSET;
use crate::network::nn::bicubic_axis_weights;

/// Mean and standard deviation of ImageNet's red, green and blue in [0, 1], with which public image transformers were
/// trained (facebookresearch/dinov2, `dinov2/data/transforms.py`).
const IMAGENET_MEAN: [f32; 3] = [0.485, 0.456, 0.406];
const IMAGENET_STD: [f32; 3] = [0.229, 0.224, 0.225];

/// A patch embedding.
#[derive(Debug, Clone)]
pub(super) struct PatchEmbedding {
    /// Kernel `(width, channels, patch, patch)`.
    pub(super) kernel: Array4<f32>,
    /// `(width,)`.
    pub(super) bias: Array1<f32>,
}

impl PatchEmbedding {
    /// The same tokens of pixels in [0, 1] as before of pixels that had ImageNet's mean subtracted and were divided by its
    /// standard deviation; the channels are red, green and blue.
    pub(super) fn fold_imagenet(&mut self) {
        let constants = IMAGENET_MEAN.into_iter().zip(IMAGENET_STD);
        for (mut kernel, (mean, std)) in self.kernel.axis_iter_mut(Axis(1)).zip(constants) {
            kernel /= std;
            for (bias, kernel) in self.bias.iter_mut().zip(kernel.outer_iter()) {
                *bias -= mean * kernel.sum();
            }
        }
    }

    /// The channels in the opposite order.
    pub(super) fn reverse_channels(&mut self) {
        self.kernel.invert_axis(Axis(1));
    }

    /// For so many channels of the same order. Both orders are cut into equal shares of one range, and a new channel takes
    /// of an old one's kernel what it covers of it: an image that is the same in all channels keeps its tokens.
    pub(super) fn share_channels(&mut self, channels: usize) {
        let (width, before, patch, _) = self.kernel.dim();
        if channels == before {
            return;
        }
        let mut kernel = Array4::zeros((width, channels, patch, patch));
        for (new, mut to) in kernel.axis_iter_mut(Axis(1)).enumerate() {
            for (old, from) in self.kernel.axis_iter(Axis(1)).enumerate() {
                // In units of 1 / (before · channels) of the range.
                let start = (new * before).max(old * channels);
                let end = ((new + 1) * before).min((old + 1) * channels);
                if end > start {
                    to.scaled_add((end - start) as f32 / channels as f32, &from);
                }
            }
        }
        self.kernel = kernel;
    }

    /// For patches of `patch` pixels a side.
    ///
    /// A patch and the same patch magnified by bilinear interpolation have the same token under the smaller and the larger
    /// kernel. A smaller kernel is what the larger one makes of magnified patches; of the larger kernels that do so the one
    /// of the smallest norm is taken, which is the pseudo-inverse resize of FlexiViT (Beyer et al. 2023, eq. 4). Tokens of
    /// patches that are constant or linear across are the same before and after, either way.
    pub(super) fn resize(&mut self, patch: usize) {
        let (width, channels, before, _) = self.kernel.dim();
        if patch == before {
            return;
        }
        let matrix = resize_matrix(before, patch);
        let mut kernel = Array4::zeros((width, channels, patch, patch));
        for (mut to, from) in kernel.outer_iter_mut().zip(self.kernel.outer_iter()) {
            for (mut to, from) in to.outer_iter_mut().zip(from.outer_iter()) {
                let resized = matrix.dot(&from.mapv(f64::from)).dot(&matrix.t());
                to.assign(&resized.mapv(|value| value as f32));
            }
        }
        self.kernel = kernel;
    }
}

/// Matrix `(to, from)` that takes one axis of a kernel of `from` pixels to one of `to` pixels.
fn resize_matrix(from: usize, to: usize) -> Array2<f64> {
    if to < from {
        return magnify(to, from).reversed_axes();
    }
    // The pseudo-inverse of the transpose of a matrix of full column rank.
    let magnified = magnify(from, to);
    let mut inverse = magnified.t().to_owned();
    solve(magnified.t().dot(&magnified), &mut inverse);
    inverse.reversed_axes()
}

/// Matrix `(large, small)` that magnifies a row of `small` pixels to `large` pixels of the same extent by linear
/// interpolation between the centres of pixels; beyond the outer centres it goes on along the same line.
fn magnify(small: usize, large: usize) -> Array2<f64> {
    let mut matrix = Array2::zeros((large, small));
    if small == 1 {
        matrix.fill(1.0);
        return matrix;
    }
    for (index, mut row) in matrix.outer_iter_mut().enumerate() {
        let place = (index as f64 + 0.5) * small as f64 / large as f64 - 0.5;
        let lower = place.floor().clamp(0.0, small as f64 - 2.0);
        row[lower as usize] = 1.0 - (place - lower);
        row[lower as usize + 1] = place - lower;
    }
    matrix
}

/// Positions `(1 + before², width)` of the class token and of a square grid of patches, for a grid of `side` patches a
/// side: the class token keeps its own, those of the patches are resized as the public code resizes them for images of
/// another size, bicubically and without antialiasing. The same grid keeps all.
pub(super) fn resize_positions(positions: Array2<f32>, side: usize) -> Array2<f32> {
    let (tokens, width) = positions.dim();
    let before = (tokens - 1).isqrt();
    if side == before {
        return positions;
    }
    let weights = bicubic_axis_weights(before, side, POSITION_OFFSET);
    let grid = positions.slice(s![1.., ..]).mapv(f64::from);
    let shape = (before, before * width);
    let grid = grid.into_shape_with_order(shape).expect("a square grid");
    // Rows first, then the columns of each row.
    let rows = weights.dot(&grid);
    let mut resized = Array3::<f64>::zeros((side, side, width));
    for (mut to, row) in resized.outer_iter_mut().zip(rows.outer_iter()) {
        let row = ArrayView2::from_shape((before, width), row.to_slice().expect("a whole row"));
        to.assign(&weights.dot(&row.expect("as many values")));
    }
    let mut all = Array2::zeros((1 + side * side, width));
    all.row_mut(0).assign(&positions.row(0));
    let values = resized.iter().map(|&value| value as f32);
    for (to, value) in all.slice_mut(s![1.., ..]).iter_mut().zip(values) {
        *to = value;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers without order in [-1, 1].
    fn number(index: usize) -> f32 {
        (index * 7919 % 1000) as f32 / 500.0 - 1.0
    }

    fn embedding(width: usize, channels: usize, patch: usize) -> PatchEmbedding {
        let mut index = 0;
        let mut next = || {
            index += 1;
            number(index)
        };
        PatchEmbedding {
            kernel: Array4::from_shape_simple_fn((width, channels, patch, patch), &mut next),
            bias: Array1::from_shape_simple_fn(width, &mut next),
        }
    }

    /// The token of an image patch `(channels, patch, patch)`.
    fn token(embedding: &PatchEmbedding, patch: &Array3<f64>) -> Vec<f64> {
        let kernels = embedding.kernel.outer_iter().zip(&embedding.bias);
        let product = |kernel: ndarray::ArrayView3<'_, f32>| -> f64 {
            let pairs = kernel.iter().zip(patch);
            pairs
                .map(|(&weight, pixel)| f64::from(weight) * pixel)
                .sum()
        };
        kernels
            .map(|(kernel, &bias)| product(kernel) + f64::from(bias))
            .collect()
    }

    #[track_caller]
    fn assert_same(one: &[f64], other: &[f64], what: &str) {
        for (a, b) in one.iter().zip(other) {
            assert!((a - b).abs() < 2e-4, "{what}: {a} and {b}");
        }
    }

    #[test]
    fn constant_and_linear_patches_keep_their_tokens_whatever_the_size() {
        // A plane over the patch, whose extent is 1 whatever its pixels.
        let plane = |channels: usize, patch: usize, [level, down, right]: [f64; 3]| {
            let place = |index: usize| (index as f64 + 0.5) / patch as f64;
            Array3::from_shape_fn((channels, patch, patch), |(channel, y, x)| {
                level + channel as f64 * 0.1 + down * place(y) + right * place(x)
            })
        };
        for (before, after) in [
            (14, 12),
            (16, 12),
            (12, 14),
            (14, 16),
            (8, 12),
            (14, 1),
            (1, 3),
            (2, 14),
        ] {
            let old = embedding(3, 2, before);
            let mut new = old.clone();
            new.resize(after);
            assert_eq!(new.kernel.dim(), (3, 2, after, after));
            // A single pixel knows no slope.
            let slope = if before.min(after) == 1 { 0.0 } else { 1.0 };
            for shape in [[1.0, 0.0, 0.0], [0.3, slope, -0.7 * slope]] {
                assert_same(
                    &token(&old, &plane(2, before, shape)),
                    &token(&new, &plane(2, after, shape)),
                    &format!("{before} to {after}, {shape:?}"),
                );
            }
        }
    }

    #[test]
    fn a_magnified_patch_has_the_token_of_the_patch() {
        for (small, large) in [(12, 14), (12, 16), (8, 14), (14, 28)] {
            let patch =
                Array3::from_shape_fn((1, small, small), |(_, y, x)| f64::from(number(31 * y + x)));
            let matrix = magnify(small, large);
            let magnified = matrix.dot(&patch.index_axis(Axis(0), 0)).dot(&matrix.t());
            let magnified = magnified.insert_axis(Axis(0));
            for before in [small, large] {
                let old = embedding(3, 1, before);
                let mut new = old.clone();
                new.resize(small + large - before);
                let (of_small, of_large) = if before == small {
                    (old, new)
                } else {
                    (new, old)
                };
                let what = format!("{small} and {large}, from {before}");
                assert_same(
                    &token(&of_small, &patch),
                    &token(&of_large, &magnified),
                    &what,
                );
            }
        }
    }

    #[test]
    fn a_grey_image_keeps_its_tokens_in_any_number_of_bands() {
        let grey = |channels: usize| {
            Array3::from_shape_fn((channels, 2, 2), |(_, y, x)| f64::from(number(2 * y + x)))
        };
        for (before, after) in [(3, 1), (3, 2), (3, 4), (3, 5), (3, 9), (5, 3), (1, 3)] {
            let old = embedding(4, before, 2);
            let mut new = old.clone();
            new.share_channels(after);
            let what = format!("{before} to {after}");
            assert_same(
                &token(&old, &grey(before)),
                &token(&new, &grey(after)),
                &what,
            );
        }
        // Two bands share the middle of three channels.
        let old = embedding(1, 3, 1);
        let mut new = old.clone();
        new.share_channels(2);
        let [red, green] = [old.kernel[[0, 0, 0, 0]], old.kernel[[0, 1, 0, 0]]];
        assert_eq!(new.kernel[[0, 0, 0, 0]], red + green * 0.5);
    }

    #[test]
    fn pixels_and_normalised_pixels_have_the_same_tokens() {
        let old = embedding(3, 3, 4);
        let mut new = old.clone();
        new.fold_imagenet();
        let pixels = Array3::from_shape_fn((3, 4, 4), |(channel, y, x)| {
            f64::from(number(16 * channel + 4 * y + x)).abs()
        });
        let mut normalised = pixels.clone();
        for (channel, mut plane) in normalised.outer_iter_mut().enumerate() {
            let (mean, std) = (IMAGENET_MEAN[channel], IMAGENET_STD[channel]);
            plane.mapv_inplace(|value| (value - f64::from(mean)) / f64::from(std));
        }
        assert_same(&token(&old, &normalised), &token(&new, &pixels), "folded");
    }

    #[test]
    fn positions_of_the_same_grid_stay_and_a_ramp_stays_a_ramp() {
        let (before, width) = (37, 2);
        let mut positions = Array2::from_shape_fn((1 + before * before, width), |(token, part)| {
            let (y, x) = ((token.max(1) - 1) / before, (token.max(1) - 1) % before);
            [y as f32, x as f32][part]
        });
        positions.row_mut(0).fill(-9.0);
        assert_eq!(resize_positions(positions.clone(), before), positions);
        for side in [12, 16, 50] {
            let resized = resize_positions(positions.clone(), side);
            assert_eq!(resized.dim(), (1 + side * side, width));
            assert_eq!(resized.row(0), positions.row(0));
            let step = before as f32 / (side as f32 + POSITION_OFFSET as f32);
            // At the borders the outermost positions are repeated. PyTorch's cubic, of parameter -0.75, leaves a line by at
            // most |t (1 - t) (1 - 2 t)| / 2 of a spacing: 0.0481.
            for y in 3..side - 3 {
                for x in 3..side - 3 {
                    let row = resized.row(1 + y * side + x);
                    for (value, place) in row.iter().zip([y, x]) {
                        let expected = (place as f32 + 0.5) * step - 0.5;
                        assert!(
                            (value - expected).abs() < 0.0482,
                            "{side}: {value} {expected}"
                        );
                    }
                }
            }
        }
    }
}
