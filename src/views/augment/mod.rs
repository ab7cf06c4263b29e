//! Random views of galaxy images for training, and the masks of masked modelling: functions of their
//! input and an explicit generator.

mod blur;
mod corruption;
mod geometry;
mod masks;
mod photometry;
mod pixels;
mod regression;
mod spectrophotometry;

pub use corruption::{PsfBlurConfig, SkyNoiseConfig, worsen_seeing};
pub use masks::{BlockMaskConfig, SegmentMaskConfig, block_masks, segment_mask};
pub use photometry::{Photometer, PhotometryConfig};
pub use pixels::{PixelConfig, PixelValues};
pub use regression::{RegressionViewConfig, regression_view};
pub use spectrophotometry::{Spectrophotometer, SpectrophotometryConfig};

use std::fmt::Debug;

use ndarray::{Array3, ArrayView3, s};
use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use crate::base::error::{Check, Result};
use crate::survey::centre_margin;
use geometry::{Orientation, Source};

/// Global crops per image: the DINO loss pairs two.
pub const GLOBAL_CROPS: usize = 2;
/// Most local crops per image; more is a slip.
const MOST_CROPS: usize = 1 << 10;

/// The random crops of DINOv2 and what is done to them (Parker et al. 2024, section 5.1).
///
/// Every crop has a position, an orientation, a blur and a noise of its own. Crops keep the image's
/// pixel scale: nothing is resized.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MultiCropConfig {
    /// Side of the two global crops, pixels; at most the image's.
    pub global_size: usize,
    /// Side of the local crops, pixels; at most the image's.
    pub local_size: usize,
    /// Local crops per image, 0 to 1024.
    pub local_count: usize,
    /// Probability of a flip, for each of the two axes, 0 to 1.
    pub flip_probability: f64,
    /// Whether crops are turned by a random angle between 0 and π.
    pub rotation: bool,
    /// Probability of a blur, and of noise, on the first and second global crop, 0 to 1.
    pub global_corruption: [f64; GLOBAL_CROPS],
    /// Probability of a blur, and of noise, on a local crop, 0 to 1.
    pub local_corruption: f64,
    /// The blur.
    pub blur: PsfBlurConfig,
    /// The noise.
    pub noise: SkyNoiseConfig,
}

impl Default for MultiCropConfig {
    fn default() -> Self {
        Self {
            global_size: 144,
            local_size: 60,
            local_count: 8,
            flip_probability: 0.5,
            rotation: true,
            global_corruption: [1.0, 0.1],
            local_corruption: 0.5,
            blur: PsfBlurConfig::default(),
            noise: SkyNoiseConfig::default(),
        }
    }
}

impl MultiCropConfig {
    /// Checks all values, for images of so many bands; `path` stands in front of the fields' names.
    ///
    /// # Errors
    /// Names the first field that is out of range.
    pub fn check(&self, path: &str, bands: usize) -> Result<()> {
        let check = Check::at(path);
        check.count("global_size", self.global_size, 1..)?;
        check.count("local_size", self.local_size, 1..)?;
        check.count("local_count", self.local_count, 0..=MOST_CROPS)?;
        check.number("flip_probability", self.flip_probability, 0.0..=1.0)?;
        check.numbers("global_corruption", &self.global_corruption, 0.0..=1.0)?;
        check.number("local_corruption", self.local_corruption, 0.0..=1.0)?;
        if self.corrupts() {
            self.blur.check(&format!("{path}.blur"), bands)?;
            self.noise.check(&format!("{path}.noise"), bands)?;
        }
        Ok(())
    }

    /// Checks that the crops fit into images of `image_size` pixels a side.
    ///
    /// # Errors
    /// Names the one that does not.
    pub fn check_fit(&self, path: &str, image_size: usize) -> Result<()> {
        check_fit(path, "global_size", self.global_size, image_size)?;
        check_fit(path, "local_size", self.local_size, image_size)
    }

    /// Whether any crop may be blurred or made noisier.
    fn corrupts(&self) -> bool {
        let local = self.local_count > 0 && self.local_corruption > 0.0;
        local
            || self
                .global_corruption
                .iter()
                .any(|&probability| probability > 0.0)
    }
}

/// The view of an image that alignment trains on: the centre, in a random orientation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AlignViewConfig {
    /// Side of the centre crop, pixels; at most the image's.
    pub size: usize,
    /// Whether views are flipped (p = 0.5 for each axis) and turned (by 0 to π). The released code
    /// does neither.
    pub augment: bool,
}

impl Default for AlignViewConfig {
    fn default() -> Self {
        Self {
            size: 144,
            augment: true,
        }
    }
}

impl AlignViewConfig {
    /// Checks that the view, which is as large as the model at `path` takes it, fits into images of `image_size`
    /// pixels a side.
    ///
    /// # Errors
    /// Where it does not.
    pub fn check_fit(&self, path: &str, image_size: usize) -> Result<()> {
        check_fit(path, "image_size", self.size, image_size)
    }
}

fn check_fit(path: &str, field: &str, size: usize, image_size: usize) -> Result<()> {
    let expected = format!("at most {image_size} pixels, the side of the images");
    Check::at(path).require(size <= image_size, field, size, expected)
}

/// One number per band is needed.
fn check_bands<T: Debug>(check: Check<'_>, field: &str, values: &[T], bands: usize) -> Result<()> {
    check.require(
        values.len() == bands,
        field,
        format!("{values:?}"),
        format!("{bands} values, one for each of survey.bands"),
    )
}

/// The crops of one image, each `(bands, size, size)` in the model's pixel values.
#[derive(Debug, Clone)]
pub struct MultiCrop {
    /// [`GLOBAL_CROPS`] of them.
    pub global: Vec<Array3<f32>>,
    /// As many as the config says.
    pub local: Vec<Array3<f32>>,
}

/// Random crops of an image of `(bands, H, W)` nanomaggies: placed, flipped and turned, blurred, made noisier, and turned into pixel values.
///
/// # Panics
/// Where a crop does not fit into the image; [`MultiCropConfig::check_fit`] says so before.
pub fn multi_crop<R: Rng + ?Sized>(
    image: ArrayView3<'_, f32>,
    config: &MultiCropConfig,
    pixels: &PixelConfig,
    rng: &mut R,
) -> MultiCrop {
    let source = Source::new(image, config.rotation);
    let mut crop = |size: usize, corruption: f64| {
        let (_, height, width) = image.dim();
        let top = rng.random_range(0..=height - size);
        let left = rng.random_range(0..=width - size);
        let orientation = Orientation::draw(config.flip_probability, config.rotation, rng);
        let mut crop = source.crop([top, left], size, orientation);
        if rng.random_bool(corruption) {
            config.blur.apply(&mut crop, rng);
        }
        if rng.random_bool(corruption) {
            config.noise.apply(&mut crop, rng);
        }
        pixels.apply(&mut crop);
        crop
    };
    let global = config
        .global_corruption
        .map(|corruption| crop(config.global_size, corruption));
    let local = (0..config.local_count)
        .map(|_| crop(config.local_size, config.local_corruption))
        .collect();
    MultiCrop {
        global: global.into(),
        local,
    }
}

/// One view of an image of `(bands, H, W)` nanomaggies for alignment, `(bands, size, size)` in the
/// model's pixel values.
///
/// # Panics
/// Where the crop does not fit into the image; [`AlignViewConfig::check_fit`] says so before.
pub fn align_view<R: Rng + ?Sized>(
    image: ArrayView3<'_, f32>,
    config: &AlignViewConfig,
    pixels: &PixelConfig,
    rng: &mut R,
) -> Array3<f32> {
    let mut view = if config.augment {
        let (_, height, width) = image.dim();
        let corner = [height, width].map(|side| centre_margin(side, config.size));
        let orientation = Orientation::draw(0.5, true, rng);
        Source::new(image, true).crop(corner, config.size, orientation)
    } else {
        centre_crop(image, config.size).to_owned()
    };
    pixels.apply(&mut view);
    view
}

/// The `(bands, size, size)` pixels at the centre of an image of `(bands, H, W)`.
///
/// # Panics
/// Where the crop does not fit into the image.
pub fn centre_crop(image: ArrayView3<'_, f32>, size: usize) -> ArrayView3<'_, f32> {
    let (_, height, width) = image.dim();
    let [top, left] = [height, width].map(|side| centre_margin(side, size));
    image.slice_move(s![.., top..top + size, left..left + size])
}

#[cfg(test)]
mod tests;
