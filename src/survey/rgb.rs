//! Colours of images: what the eye sees, and what may enter a model.

use ndarray::{Array3, ArrayView3};
use serde::{Deserialize, Serialize};

use crate::base::numeric::asinh;

/// Arcsinh stretch of nanomaggies to colours in [0, 1], as the Legacy Surveys viewer and the released
/// AstroCLIP code do it for g, r, z (`dr2_rgb`; Lupton et al. 2004), for any number of bands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RgbScaling {
    /// Scale of each band, in the order of the survey's bands (g, r, z).
    pub scales: Vec<f32>,
    /// Offset added after scaling, nanomaggies.
    pub m: f32,
    /// Softening of the arcsinh.
    pub q: f32,
}

impl Default for RgbScaling {
    fn default() -> Self {
        Self {
            scales: vec![6.0, 3.4, 2.2],
            m: 0.03,
            q: 20.0,
        }
    }
}

impl RgbScaling {
    /// Turns an image of `(band, y, x)` nanomaggies into one of `(channel, y, x)` in [0, 1], the last
    /// band first: z, r, g, the order that the released weights expect, and red, green, blue for the eye.
    ///
    /// # Panics
    /// Where the image does not have as many bands as there are scales.
    pub fn apply(&self, image: &mut Array3<f32>) {
        let (bands, height, width) = image.dim();
        assert_eq!(bands, self.scales.len(), "a scale for each band");
        if !image.is_standard_layout() {
            *image = image.as_standard_layout().into_owned();
        }
        let pixels = image.as_slice_mut().expect("standard layout");
        let area = (height * width).max(1);
        let mut gain = vec![0.0; height * width];
        for (plane, &scale) in pixels.chunks_exact_mut(area).zip(&self.scales) {
            for (pixel, sum) in plane.iter_mut().zip(&mut gain) {
                *pixel = (*pixel * scale + self.m).max(0.0);
                *sum += *pixel;
            }
        }
        let share = 1.0 / bands as f32;
        let softening = 1.0 / self.q.sqrt();
        for gain in &mut gain {
            let intensity = *gain * share;
            *gain = asinh(self.q * intensity) * softening / intensity.max(f32::MIN_POSITIVE);
        }
        for plane in pixels.chunks_exact_mut(area) {
            for (pixel, gain) in plane.iter_mut().zip(&gain) {
                *pixel = (*pixel * gain).min(1.0);
            }
        }
        for band in 0..bands / 2 {
            let (front, back) = pixels.split_at_mut((bands - 1 - band) * area);
            front[band * area..][..area].swap_with_slice(&mut back[..area]);
        }
    }
}

/// [`RgbScaling::apply`] on a copy of the image.
pub fn arcsinh_rgb(image: ArrayView3<'_, f32>, scaling: &RgbScaling) -> Array3<f32> {
    let mut rgb = image.to_owned();
    scaling.apply(&mut rgb);
    rgb
}
