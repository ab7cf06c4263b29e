//! Planes of bands from images whose bands lie beside each other.

/// Every `stride`-th value.
pub(super) fn gather(plane: &mut [f32], values: &[f32], stride: usize) {
    for (out, value) in plane.iter_mut().zip(values.iter().step_by(stride)) {
        *out = *value;
    }
}

/// One band of an image with axes x, y, band, to y, x.
pub(super) fn transpose(
    plane: &mut [f32],
    values: &[f32],
    stride: usize,
    height: usize,
    width: usize,
) {
    // Squares whose lines stay in the cache on both sides.
    const TILE: usize = 16;
    for first_y in (0..height).step_by(TILE) {
        for first_x in (0..width).step_by(TILE) {
            let columns = first_x..(first_x + TILE).min(width);
            for y in first_y..(first_y + TILE).min(height) {
                let line = &mut plane[y * width..][columns.clone()];
                for (x, out) in columns.clone().zip(line) {
                    *out = values[(x * height + y) * stride];
                }
            }
        }
    }
}
