//! What a survey does to an image: blur and sky noise, each with its probability.

use ndarray::{Array3, ArrayViewMut3, Axis};
use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng, RngExt, SeedableRng};
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};

use super::blur::gaussian_blur;
use crate::base::error::{ABOVE_0, Check, Result};

/// Blurs narrower than this, in pixels, change nothing and are skipped: the kernel's weight beside its
/// centre is below 4e-6.
const LEAST_SIGMA: f64 = 0.2;

/// Extra blur that takes an image from one seeing to another: for each band two PSF widths are drawn,
/// that of the image and the wanted one, and the image is blurred by √(wanted² − own²), or not at all
/// where that is negative. Lognormal fits to the Legacy Surveys of Stein et al. (2021b), drawn as
/// loc + scale · exp(shape · N(0, 1)).
///
/// The fits are of the Gaussian σ in pixels of 0.262 arcsec (`psfsize` / 0.262 / 2.3548; the comment on
/// `GaussianBlur` in Stein's `decals_augmentations.py` says so). Their medians then are seeings of
/// 1.5, 1.3 and 1.2 arcsec in g, r and z, as the surveys have; read as a FWHM in arcsec they would be 2.4.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PsfBlurConfig {
    /// Shape of each band; no unit, 0 or more.
    pub shape: Vec<f64>,
    /// Offset of each band, pixels.
    pub loc: Vec<f64>,
    /// Scale of each band, pixels, above 0.
    pub scale: Vec<f64>,
}

impl Default for PsfBlurConfig {
    fn default() -> Self {
        Self {
            shape: vec![0.2109966, 0.3008485, 0.3471172],
            loc: vec![1.0807153, 1.2394326, 1.1928363],
            scale: vec![1.3153171, 0.9164757, 0.8233702],
        }
    }
}

impl PsfBlurConfig {
    pub(super) fn check(&self, path: &str, bands: usize) -> Result<()> {
        check_fits(path, bands, [&self.shape, &self.loc, &self.scale])
    }

    /// Blurs each band of an image in standard layout by an amount of its own.
    pub(super) fn apply<R: Rng + ?Sized>(&self, image: &mut Array3<f32>, rng: &mut R) {
        let (_, _, width) = image.dim();
        let added = draw_added(&self.shape, &self.loc, &self.scale, rng);
        for (mut band, sigma) in image.axis_iter_mut(Axis(0)).zip(added) {
            if sigma > LEAST_SIGMA {
                let plane = band.as_slice_mut().expect("standard layout");
                gaussian_blur(plane, width, sigma);
            }
        }
    }
}

/// Extra noise that takes an image from one depth to another, drawn for each band as
/// [`PsfBlurConfig`] draws blur.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SkyNoiseConfig {
    /// Shape of each band; no unit, 0 or more.
    pub shape: Vec<f64>,
    /// Offset of each band, nanomaggies.
    pub loc: Vec<f64>,
    /// Scale of each band, nanomaggies, above 0.
    pub scale: Vec<f64>,
}

impl Default for SkyNoiseConfig {
    fn default() -> Self {
        Self {
            shape: vec![0.2264926, 0.2431146, 0.1334844],
            loc: vec![-0.0006735, -0.0023663, -0.0143416],
            scale: vec![0.0037602, 0.0067417, 0.0260779],
        }
    }
}

impl SkyNoiseConfig {
    pub(super) fn check(&self, path: &str, bands: usize) -> Result<()> {
        check_fits(path, bands, [&self.shape, &self.loc, &self.scale])
    }

    /// Adds noise of one level per band.
    pub(super) fn apply<R: Rng + ?Sized>(&self, image: &mut Array3<f32>, rng: &mut R) {
        let added = draw_added(&self.shape, &self.loc, &self.scale, rng);
        for (mut band, sigma) in image.axis_iter_mut(Axis(0)).zip(added) {
            if sigma > 0.0 {
                let sigma = sigma as f32;
                // One number per pixel: a generator of its own, twice as fast, started from ours.
                let mut fast = Xoshiro256PlusPlus::from_rng(rng);
                band.mapv_inplace(|value| {
                    let normal: f32 = fast.sample(StandardNormal);
                    value + sigma * normal
                });
            }
        }
    }
}

/// Makes the seeing of an image `(bands, H, W)` worse: a Gaussian blur of a width between 0 and `most` pixels (standard deviation),
/// the same in all bands, so that colours stay those of one part of a galaxy.
///
/// # Panics
/// Where the image is not in standard layout.
pub fn worsen_seeing<R: Rng + ?Sized>(mut image: ArrayViewMut3<'_, f32>, most: f64, rng: &mut R) {
    let sigma = most * rng.random::<f64>();
    if sigma > LEAST_SIGMA {
        let (_, _, width) = image.dim();
        for mut band in image.axis_iter_mut(Axis(0)) {
            let plane = band.as_slice_mut().expect("standard layout");
            gaussian_blur(plane, width, sigma);
        }
    }
}

/// √(wanted² − own²) per band, 0 where that is negative.
fn draw_added<R: Rng + ?Sized>(shape: &[f64], loc: &[f64], scale: &[f64], rng: &mut R) -> Vec<f64> {
    let fits = shape.iter().zip(loc).zip(scale);
    fits.map(|((shape, loc), scale)| {
        let mut draw = || {
            let normal: f64 = rng.sample(StandardNormal);
            loc + scale * (shape * normal).exp()
        };
        let (own, wanted) = (draw(), draw());
        (wanted * wanted - own * own).max(0.0).sqrt()
    })
    .collect()
}

fn check_fits(path: &str, bands: usize, [shape, loc, scale]: [&[f64]; 3]) -> Result<()> {
    let check = Check::at(path);
    for (field, values) in [("shape", shape), ("loc", loc), ("scale", scale)] {
        super::check_bands(check, field, values, bands)?;
    }
    check.numbers("shape", shape, 0.0..)?;
    check.numbers("loc", loc, ..)?;
    check.numbers("scale", scale, ABOVE_0)
}
