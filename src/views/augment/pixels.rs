//! From nanomaggies to pixel values.

use ndarray::{Array3, Axis};
use serde::{Deserialize, Serialize};

use crate::base::error::{ABOVE_0, Check, Result};
use crate::survey::RgbScaling;

/// What becomes of nanomaggies before a model sees them. A trained model needs the values that it was
/// trained with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PixelConfig {
    /// Kind of scaling.
    pub pixel_values: PixelValues,
    /// The arcsinh stretch, for `rgb`.
    pub rgb: RgbScaling,
    /// Mean of each band over the data set, nanomaggies, for `zscore`.
    pub mean: Vec<f32>,
    /// Standard deviation of each band over the data set, nanomaggies, above 0, for `zscore`.
    pub std: Vec<f32>,
}

/// Kinds of pixel scaling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PixelValues {
    /// Arcsinh colours in [0, 1], the last band first (z, r, g), as the released code has them.
    Rgb,
    /// (value − mean) / standard deviation per band, in the order of the bands (Parker et al. 2024,
    /// section 4.1.1).
    Zscore,
}

impl Default for PixelConfig {
    fn default() -> Self {
        Self {
            pixel_values: PixelValues::Rgb,
            rgb: RgbScaling::default(),
            mean: vec![0.0; 3],
            std: vec![1.0; 3],
        }
    }
}

impl PixelConfig {
    /// Checks all values, for images of so many bands; `path` stands in front of the fields' names.
    ///
    /// # Errors
    /// Names the first field that is out of range.
    pub fn check(&self, path: &str, bands: usize) -> Result<()> {
        let check = Check::at(path);
        let used: &[(&str, &[f32])] = match self.pixel_values {
            PixelValues::Rgb => &[("rgb.scales", &self.rgb.scales)],
            PixelValues::Zscore => &[("mean", &self.mean), ("std", &self.std)],
        };
        for (field, values) in used {
            super::check_bands(check, field, values, bands)?;
        }
        check.numbers("mean", &self.mean, ..)?;
        check.numbers("std", &self.std, ABOVE_0)?;
        check.numbers("rgb.scales", &self.rgb.scales, ABOVE_0)?;
        check.number("rgb.m", self.rgb.m, ..)?;
        check.number("rgb.q", self.rgb.q, ABOVE_0)
    }

    /// Turns an image of `(bands, H, W)` nanomaggies into the model's pixel values.
    pub fn apply(&self, image: &mut Array3<f32>) {
        match self.pixel_values {
            PixelValues::Rgb => self.rgb.apply(image),
            PixelValues::Zscore => {
                let bands = image.axis_iter_mut(Axis(0));
                for ((mut band, mean), std) in bands.zip(&self.mean).zip(&self.std) {
                    band.mapv_inplace(|value| (value - mean) / std);
                }
            }
        }
    }
}
