//! Views of images for supervised networks.

use ndarray::{Array3, ArrayView3, Axis};
use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use super::blur::blur_within;
use super::geometry::{Orientation, Source};
use super::{PixelConfig, check_fit};
use crate::base::error::{Check, Result};
use crate::survey::centre_margin;

/// The view of an image that a supervised network trains on (Parker et al. 2024, appendix B4): the centre,
/// flipped and blurred at random.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RegressionViewConfig {
    /// Side of the centre crop, pixels; at most the image's.
    pub size: usize,
    /// Probability of a flip, for each of the two axes, 0 to 1.
    pub flip_probability: f64,
    /// Whether views are turned by a random angle between 0 and π; the paper does not.
    pub rotation: bool,
    /// Side of the blur's kernel, pixels, odd; 1 for no blur.
    pub blur_kernel: usize,
    /// The blur's standard deviation is drawn from 0 to this, pixels, 0 or more.
    pub max_blur: f64,
}

impl Default for RegressionViewConfig {
    fn default() -> Self {
        Self {
            size: 152,
            flip_probability: 0.5,
            rotation: false,
            blur_kernel: 5,
            max_blur: 2.0,
        }
    }
}

impl RegressionViewConfig {
    /// Checks all values; `path` stands in front of the fields' names.
    ///
    /// # Errors
    /// Names the first field that is out of range.
    pub fn check(&self, path: &str) -> Result<()> {
        let check = Check::at(path);
        check.count("size", self.size, 1..)?;
        check.number("flip_probability", self.flip_probability, 0.0..=1.0)?;
        check.require(
            self.blur_kernel % 2 == 1 && self.blur_kernel < self.size,
            "blur_kernel",
            self.blur_kernel,
            format!("an odd number below {path}.size = {}", self.size),
        )?;
        check.number("max_blur", self.max_blur, 0.0..)
    }

    /// Checks that the view fits into images of `image_size` pixels a side.
    ///
    /// # Errors
    /// Where it does not.
    pub fn check_fit(&self, path: &str, image_size: usize) -> Result<()> {
        check_fit(path, "size", self.size, image_size)
    }
}

/// One view of an image of `(bands, H, W)` nanomaggies for training, `(bands, size, size)` in the model's pixel
/// values.
///
/// # Panics
/// Where the crop does not fit into the image; [`RegressionViewConfig::check_fit`] says so before.
pub fn regression_view<R: Rng + ?Sized>(
    image: ArrayView3<'_, f32>,
    config: &RegressionViewConfig,
    pixels: &PixelConfig,
    rng: &mut R,
) -> Array3<f32> {
    let (_, height, width) = image.dim();
    let corner = [height, width].map(|side| centre_margin(side, config.size));
    let orientation = Orientation::draw(config.flip_probability, config.rotation, rng);
    let mut view = Source::new(image, config.rotation).crop(corner, config.size, orientation);
    // 0 is a kernel of one pixel: nothing to do.
    let sigma = config.max_blur * rng.random::<f64>();
    if sigma > 0.0 && config.blur_kernel > 1 {
        for mut band in view.axis_iter_mut(Axis(0)) {
            let plane = band.as_slice_mut().expect("crops are contiguous");
            blur_within(plane, config.size, sigma, config.blur_kernel / 2);
        }
    }
    pixels.apply(&mut view);
    view
}
