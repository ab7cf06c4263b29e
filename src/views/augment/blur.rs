//! Blur of crops by a point-spread function of random width.

use super::geometry::reflected;

/// Columns worked on at once; a sum of this length stays in registers.
const LANES: usize = 16;

/// The kernel ends this many standard deviations from its centre, as scikit-image's does.
const TRUNCATE: f64 = 4.0;

/// Convolves a `(height, width)` plane with a Gaussian of `sigma` pixels, reflecting at the edges
/// (`b a | a b c`): `skimage.filters.gaussian(mode="reflect")`.
pub(super) fn gaussian_blur(plane: &mut [f32], width: usize, sigma: f64) {
    blur_within(plane, width, sigma, (TRUNCATE * sigma + 0.5) as usize);
}

/// [`gaussian_blur`] with a kernel that ends `radius` pixels from its centre.
pub(super) fn blur_within(plane: &mut [f32], width: usize, sigma: f64, radius: usize) {
    let height = plane.len() / width;
    let kernel = half_kernel(sigma, radius);
    let stride = width.next_multiple_of(LANES);

    let columns = reflected(width, radius);
    let mut line = vec![0.0; stride + 2 * radius];
    let mut across = vec![0.0; height * stride];
    for (row, out) in plane
        .chunks_exact(width)
        .zip(across.chunks_exact_mut(stride))
    {
        for (value, &column) in line.iter_mut().zip(&columns) {
            *value = row[column];
        }
        for (block, out) in out.chunks_exact_mut(LANES).enumerate() {
            let at = |offset: usize| lanes(&line, block * LANES + offset);
            out.copy_from_slice(&weighted_sum(&kernel, |distance| {
                (at(radius - distance), at(radius + distance))
            }));
        }
    }

    let rows = reflected(height, radius);
    for (y, out) in plane.chunks_exact_mut(width).enumerate() {
        for (block, out) in out.chunks_mut(LANES).enumerate() {
            let at = |place: usize| lanes(&across, rows[place] * stride + block * LANES);
            let sum = weighted_sum(&kernel, |distance| {
                (at(y + radius - distance), at(y + radius + distance))
            });
            out.copy_from_slice(&sum[..out.len()]);
        }
    }
}

/// The kernel's weights at distances 0, 1, … pixels from its centre.
fn half_kernel(sigma: f64, radius: usize) -> Vec<f32> {
    let weights: Vec<_> = (0..=radius)
        .map(|distance| (-0.5 * (distance as f64 / sigma).powi(2)).exp())
        .collect();
    let total = 2.0 * weights.iter().sum::<f64>() - weights[0];
    weights
        .iter()
        .map(|weight| (weight / total) as f32)
        .collect()
}

#[inline(always)]
fn lanes(values: &[f32], start: usize) -> &[f32; LANES] {
    values[start..start + LANES]
        .try_into()
        .expect("the slice has this length")
}

/// The sum over distances of weight times both neighbours at that distance.
#[inline(always)]
fn weighted_sum<'a>(
    kernel: &[f32],
    neighbours: impl Fn(usize) -> (&'a [f32; LANES], &'a [f32; LANES]),
) -> [f32; LANES] {
    let mut sum = neighbours(0).0.map(|value| kernel[0] * value);
    for (distance, &weight) in kernel.iter().enumerate().skip(1) {
        let (before, after) = neighbours(distance);
        for lane in 0..LANES {
            sum[lane] += weight * (before[lane] + after[lane]);
        }
    }
    sum
}
