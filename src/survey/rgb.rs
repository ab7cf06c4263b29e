use ndarray::{Array3, ArrayView3};
use serde::{Deserialize, Serialize};

/// Arcsinh stretch of g, r, z nanomaggies to colours in [0, 1], as the Legacy Surveys viewer and the
/// released AstroCLIP code do it (`dr2_rgb`; Lupton et al. 2004).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RgbScaling {
    /// Scale of each band, in the order of the file (g, r, z).
    pub scales: [f32; 3],
    /// Offset added after scaling, nanomaggies.
    pub m: f32,
    /// Softening of the arcsinh.
    pub q: f32,
}

impl Default for RgbScaling {
    fn default() -> Self {
        Self {
            scales: [6.0, 3.4, 2.2],
            m: 0.03,
            q: 20.0,
        }
    }
}

impl RgbScaling {
    /// Turns an image of `(band, y, x)` nanomaggies, bands g, r, z, into one of `(channel, y, x)` in
    /// [0, 1] with channels z, r, g: the order the released weights expect, and red, green, blue for
    /// the eye.
    ///
    /// # Panics
    /// Where the image does not have three bands.
    pub fn apply(&self, image: &mut Array3<f32>) {
        let (bands, height, width) = image.dim();
        assert_eq!(bands, 3, "the stretch takes g, r, z");
        if !image.is_standard_layout() {
            *image = image.as_standard_layout().into_owned();
        }
        let pixels = image.as_slice_mut().expect("standard layout");
        let (g, others) = pixels.split_at_mut(height * width);
        let (r, z) = others.split_at_mut(height * width);
        let Self { scales, m, q } = *self;
        let softening = 1.0 / q.sqrt();
        for ((g, r), z) in g.iter_mut().zip(r).zip(z) {
            let green_blue_red = [*g, *r, *z];
            let [blue, green, red] =
                std::array::from_fn(|band| (green_blue_red[band] * scales[band] + m).max(0.0));
            let intensity = (blue + green + red) * (1.0 / 3.0);
            let gain = asinh(q * intensity) * softening / intensity.max(f32::MIN_POSITIVE);
            *g = (red * gain).min(1.0);
            *r = (green * gain).min(1.0);
            *z = (blue * gain).min(1.0);
        }
    }
}

/// [`RgbScaling::apply`] on a copy of the image.
pub fn arcsinh_rgb(image: ArrayView3<'_, f32>, scaling: &RgbScaling) -> Array3<f32> {
    let mut rgb = image.to_owned();
    scaling.apply(&mut rgb);
    rgb
}

/// asinh of a number from 0 to 1e18, within 2e-7 or that share of it: a few operations without
/// branches, so that loops over it run on vectors, where the standard library's takes 20 times as long.
///
/// asinh x = ln(x + √(1 + x²)), the logarithm by the polynomial of FreeBSD's `e_logf.c` (msun).
#[inline(always)]
fn asinh(x: f32) -> f32 {
    let u = x + (1.0 + x * x).sqrt();
    // u = 2^exponent * mantissa, with the mantissa between √½ and √2.
    const SQRT_HALF: u32 = 0x3f35_04f3;
    let shifted = u.to_bits() + (1.0_f32.to_bits() - SQRT_HALF);
    let exponent = ((shifted >> 23) as i32 - 127) as f32;
    let mantissa = f32::from_bits((shifted & 0x007f_ffff) + SQRT_HALF);
    let f = mantissa - 1.0;
    let s = f / (2.0 + f);
    let z = s * s;
    let w = z * z;
    let series = z * (0.666_666_6 + w * 0.284_987_87) + w * (0.400_009_72 + w * 0.242_790_79);
    let half_square = 0.5 * f * f;
    exponent * std::f32::consts::LN_2 + (f - (half_square - s * (half_square + series)))
}

#[cfg(test)]
mod tests {
    use super::asinh;

    #[test]
    fn asinh_is_accurate_from_faint_to_bright() {
        for exponent in -40..40 {
            let x = 1.37 * 2.0_f32.powi(exponent);
            let exact = f64::from(x).asinh();
            let error = (f64::from(asinh(x)) - exact).abs();
            assert!(error < 2e-7 * exact.max(1.0), "{x}: {error}");
        }
        assert_eq!(asinh(0.0), 0.0);
    }
}
