//! Positions of a grid of tokens, brought to a grid of another size.

use ndarray::Array2;

/// The bicubic kernel's parameter in PyTorch and OpenCV (Keys 1981).
const KEYS_A: f64 = -0.75;

/// Matrix `(out * out, side * side)`, row-major, that resizes a square grid of `side * side` tokens to
/// `out * out` by bicubic interpolation without antialiasing.
///
/// `offset` is DINOv2's `interpolate_offset` (0.1): the scale is `(out + offset) / side`, kept for
/// agreement with the released weights.
pub fn bicubic_resize_matrix(side: usize, out: usize, offset: f64) -> Vec<f32> {
    let axis = bicubic_axis_weights(side, out, offset);
    let mut matrix = vec![0.0; out * out * side * side];
    for (y, row_weights) in axis.outer_iter().enumerate() {
        for (x, column_weights) in axis.outer_iter().enumerate() {
            let row = &mut matrix[(y * out + x) * side * side..][..side * side];
            for (j, wy) in row_weights.iter().enumerate() {
                for (i, wx) in column_weights.iter().enumerate() {
                    row[j * side + i] = (wy * wx) as f32;
                }
            }
        }
    }
    matrix
}

/// Weights `(out, side)` of the `side` inputs for each of `out` outputs along one axis of a grid that is resized as by
/// [`bicubic_resize_matrix`]; borders are repeated.
pub fn bicubic_axis_weights(side: usize, out: usize, offset: f64) -> Array2<f64> {
    let scale = (out as f64 + offset) / side as f64;
    let mut all = Array2::zeros((out, side));
    for (target, mut weights) in all.outer_iter_mut().enumerate() {
        let source = (target as f64 + 0.5) / scale - 0.5;
        let base = source.floor();
        for tap in -1..=2 {
            let distance = (source - base - f64::from(tap)).abs();
            let index = (base as i64 + i64::from(tap)).clamp(0, side as i64 - 1);
            weights[index as usize] += cubic(distance);
        }
    }
    all
}

fn cubic(x: f64) -> f64 {
    let a = KEYS_A;
    if x <= 1.0 {
        ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a
    } else {
        0.0
    }
}
