//! Fluxes of images in apertures around their centre.

use std::ops::RangeInclusive;

use ndarray::{Array1, Array2, Array4, ArrayView2, ArrayView4, Axis};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::centre_crop;
use crate::base::error::{ABOVE_0, Check, Result};
use crate::base::numeric::{Standardizer, asinh, median};

/// Largest number of apertures; more is a slip.
const MOST: usize = 64;
/// Smallest aperture, pixels: a smaller one holds little where a centre lies between four.
const LEAST_WIDTH: f64 = 0.5;

/// Apertures that an image can have, arcsec; others are a slip.
const APERTURES: RangeInclusive<f64> = 1e-3..=3600.0;

/// From the standard deviation of a normal distribution to the median of absolute deviations.
pub(super) const DEVIATION_OF_MEDIAN: f32 = 1.4826;

/// What is measured of images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PhotometryConfig {
    /// Apertures, which weigh pixels by a Gaussian: its standard deviations, arcsec, from the smallest. What is below half a
    /// pixel or above half a side of the model's images counts as that.
    pub apertures: Vec<f64>,
    /// Width of the two hidden layers of the perceptron that adds them to the embedding; 0 for none.
    pub hidden: usize,
    /// Training galaxies whose images tell how noisy images are and how fluxes vary at most, 2 to 65536; the seed chooses
    /// them.
    pub images: usize,
}

impl Default for PhotometryConfig {
    fn default() -> Self {
        Self {
            apertures: vec![0.4, 0.6, 0.9, 1.3, 2.0, 3.0, 4.5],
            hidden: 256,
            images: 2000,
        }
    }
}

impl PhotometryConfig {
    /// Checks all values; `path` stands in front of the fields' names.
    ///
    /// # Errors
    ///
    /// Names the first field that is out of range.
    pub fn check(&self, path: &str) -> Result<()> {
        let check = Check::at(path);
        check.count("apertures", self.apertures.len(), 1..=MOST)?;
        check.numbers("apertures", &self.apertures, APERTURES)?;
        for pair in self.apertures.windows(2) {
            check.require(
                pair[0] < pair[1],
                "apertures",
                pair[1],
                format!("more than the one before it, {}", pair[0]),
            )?;
        }
        check.count("hidden", self.hidden, 0..=1 << 16)?;
        check.count("images", self.images, 2..=1 << 16)
    }

    /// How many numbers it makes of an image with so many bands.
    pub fn outputs(&self, bands: usize) -> usize {
        self.apertures.len() * bands
    }
}

/// Measures fluxes as a network takes them: in apertures that weigh pixels by a Gaussian, the same in all bands, so that colours
/// are those of one part of a galaxy (Kuijken 2008 has these apertures); asinh of each in units of twice its noise (luptitudes,
/// Lupton, Gunn & Szalay 1999), so that neither bright nor faint galaxies lose theirs; standardised.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Photometer {
    /// Standard deviations of the apertures, pixels.
    widths: Vec<f64>,
    /// Side of the images' centre that is looked at, pixels.
    size: usize,
    /// Noise of a pixel in each band, nanomaggies.
    noise: Vec<f32>,
    /// Of what is measured, band by band within each aperture.
    standard: Standardizer,
}

impl Photometer {
    /// From batches of images `(n, bands, side, side)` in nanomaggies of training galaxies, of whose centre `size` pixels of
    /// `pixel_scale` arcsec are looked at.
    ///
    /// # Errors
    ///
    /// As the batches.
    pub fn fit(
        config: &PhotometryConfig,
        (size, pixel_scale): (usize, f64),
        bands: usize,
        batches: impl Iterator<Item = Result<Array4<f32>>>,
    ) -> Result<Self> {
        let most = (0.5 * size as f64).max(LEAST_WIDTH);
        let widths = config.apertures.iter();
        let widths = widths.map(|width| (width / pixel_scale).clamp(LEAST_WIDTH, most));
        let mut photometer = Self {
            widths: widths.collect(),
            size,
            noise: vec![1.0; bands],
            standard: Standardizer::identity(bands * config.apertures.len()),
        };
        let apertures = photometer.apertures();
        let (mut noise, mut fluxes) = (vec![Vec::new(); bands], Vec::new());
        for images in batches {
            let images = images?;
            for (noise, of_band) in noise.iter_mut().zip(images.axis_iter(Axis(1))) {
                noise.extend(of_band.outer_iter().map(border_noise));
            }
            fluxes.extend(photometer.fluxes(images.view(), &apertures));
        }
        for (found, noise) in photometer.noise.iter_mut().zip(noise) {
            let noise = median(noise.into_iter().filter(|noise| *noise > 0.0));
            // A band without noise is not observed, or made up.
            *found = if noise.is_nan() { 1.0 } else { noise };
        }
        let measured = photometer.stretched(fluxes, &apertures);
        photometer.standard = Standardizer::fit(measured.view());
        Ok(photometer)
    }

    /// How many numbers it makes of an image.
    pub fn outputs(&self) -> usize {
        self.widths.len() * self.noise.len()
    }

    /// Checks what a file says, of images of so many bands and of `size` pixels; `path` stands in front of the fields' names.
    ///
    /// # Errors
    ///
    /// Names the first field that is out of range.
    pub fn check(&self, path: &str, bands: usize, size: usize) -> Result<()> {
        let check = Check::at(path);
        check.count("widths", self.widths.len(), 1..=MOST)?;
        check.numbers("widths", &self.widths, LEAST_WIDTH..)?;
        check.count("size", self.size, 1..=size)?;
        super::check_bands(check, "noise", &self.noise, bands)?;
        check.numbers("noise", &self.noise, ABOVE_0)?;
        check_standard(check, &self.standard, (self.outputs(), "band and aperture"))
    }

    /// What a network takes of images `(n, bands, side, side)` in nanomaggies: `(n, outputs)`.
    ///
    /// # Panics
    ///
    /// Where an image is smaller than what is looked at.
    pub fn measure(&self, images: ArrayView4<'_, f32>) -> Array2<f32> {
        let apertures = self.apertures();
        let (mean, scale) = self.standard.single();
        let mut measured = self.stretched(self.fluxes(images, &apertures), &apertures);
        measured -= &mean;
        measured /= &scale;
        measured
    }

    /// Of what was [measured](Self::measure), in each aperture the middle band, and of each two neighbouring bands the
    /// difference, which is a colour: `(n, outputs)`, not standardised, and from the training galaxies' mean.
    pub fn colours(&self, measured: ArrayView2<'_, f32>) -> Array2<f32> {
        let (_, scale) = self.standard.single();
        let bands = self.noise.len();
        let mut colours = &measured * &scale;
        for mut of_image in colours.rows_mut() {
            for mut bands_of_one in of_image.exact_chunks_mut(bands) {
                let middle = bands_of_one[bands / 2];
                for band in (1..bands).rev() {
                    bands_of_one[band] -= bands_of_one[band - 1];
                }
                bands_of_one[0] = middle;
            }
        }
        colours
    }

    /// Flux of each image in each aperture and band.
    fn fluxes(&self, images: ArrayView4<'_, f32>, apertures: &[Array1<f32>]) -> Vec<Vec<f32>> {
        let images = images.axis_iter(Axis(0)).into_par_iter();
        images
            .map(|image| {
                let centre = centre_crop(image, self.size);
                let fluxes = apertures.iter().flat_map(|aperture| {
                    let flux = |band: ArrayView2<'_, f32>| band.dot(aperture).dot(aperture);
                    centre.outer_iter().map(flux).collect::<Vec<f32>>()
                });
                fluxes.collect()
            })
            .collect()
    }

    /// asinh of fluxes in units of twice their noise, `(images, apertures x bands)`.
    fn stretched(&self, fluxes: Vec<Vec<f32>>, apertures: &[Array1<f32>]) -> Array2<f32> {
        let softening: Vec<f32> = apertures
            .iter()
            .flat_map(|aperture| {
                let square = aperture.dot(aperture);
                self.noise.iter().map(move |noise| 2.0 * noise * square)
            })
            .collect();
        let images = fluxes.len();
        let stretched = fluxes.into_iter().flat_map(|of_image| {
            let signals = of_image.into_iter().zip(&softening);
            let stretched = |(flux, softening): (f32, &f32)| luptitude(flux, *softening);
            signals.map(stretched).collect::<Vec<f32>>()
        });
        Array2::from_shape_vec((images, self.outputs()), stretched.collect())
            .expect("as many fluxes of each image")
    }

    /// The weight of each row, and of each column `(size)`, in each aperture; that of a pixel is their product.
    fn apertures(&self) -> Vec<Array1<f32>> {
        let middle = 0.5 * (self.size as f64 - 1.0);
        let weights = |width: f64| {
            let square = |place: usize| (place as f64 - middle).powi(2);
            Array1::from_shape_fn(self.size, |place| {
                (-0.5 * square(place) / width.powi(2)).exp() as f32
            })
        };
        self.widths.iter().map(|&width| weights(width)).collect()
    }
}

/// Checks a file's standardisation of so many numbers, one for each of what `each` names.
pub(super) fn check_standard(
    check: Check<'_>,
    standard: &Standardizer,
    (outputs, each): (usize, &str),
) -> Result<()> {
    let Standardizer { mean, scale } = standard;
    for (field, numbers) in [("standard.mean", mean), ("standard.scale", scale)] {
        check.require(
            numbers.len() == outputs,
            field,
            format!("{} numbers", numbers.len()),
            format!("{outputs}, one for each {each}"),
        )?;
    }
    check.numbers("standard.mean", mean, ..)?;
    check.numbers("standard.scale", scale, ABOVE_0)
}

/// asinh of a flux in units of its softening (Lupton, Gunn & Szalay 1999).
pub(super) fn luptitude(flux: f32, softening: f32) -> f32 {
    let signal = flux / softening;
    asinh(signal.abs()).copysign(signal)
}

/// Noise of a pixel of a band `(side, side)`, from its upper and its lower eighth: blank sky for most galaxies.
fn border_noise(image: ArrayView2<'_, f32>) -> f32 {
    let rows = image.nrows();
    let edge = rows.div_ceil(8);
    let border = || {
        let rows = (0..edge).chain(rows - edge..rows);
        rows.flat_map(|row| image.row(row))
    };
    let middle = median(border().copied());
    DEVIATION_OF_MEDIAN * median(border().map(|pixel| (pixel - middle).abs()))
}

#[cfg(test)]
mod tests {
    use ndarray::{Array3, s};
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution, StandardNormal};

    use super::*;

    const SIDE: usize = 40;
    const NOISE: [f32; 2] = [0.01, 0.05];

    /// A round galaxy of so much flux in both bands, in noise.
    fn galaxy(flux: f32, seed: u64) -> Array3<f32> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let profile = Array2::from_shape_fn((SIDE, SIDE), |(row, column)| {
            let [down, right] = [row, column].map(|place| place as f32 - 19.5);
            (-(down.powi(2) + right.powi(2)) / 18.0).exp()
        });
        let profile = &profile * (flux / profile.sum());
        let mut image = Array3::zeros((2, SIDE, SIDE));
        for (mut band, noise) in image.outer_iter_mut().zip(NOISE) {
            band.assign(&profile);
            band.mapv_inplace(|value| {
                let drawn: f32 = StandardNormal.sample(&mut rng);
                value + noise * drawn
            });
        }
        image
    }

    fn fitted(galaxies: u64) -> (Photometer, Array4<f32>) {
        let images: Vec<Array3<f32>> = (0..galaxies)
            .map(|seed| galaxy(0.3 * 1.5_f32.powi(seed as i32), seed))
            .collect();
        let views: Vec<_> = images.iter().map(|image| image.view()).collect();
        let images = ndarray::stack(Axis(0), &views).unwrap();
        let config = PhotometryConfig {
            apertures: vec![0.25, 0.5, 1.0],
            ..PhotometryConfig::default()
        };
        let batches = [s![..5, .., .., ..], s![5.., .., .., ..]];
        let batches = batches.map(|batch| Ok(images.slice(batch).to_owned()));
        let photometer = Photometer::fit(&config, (36, 0.25), 2, batches.into_iter()).unwrap();
        (photometer, images)
    }

    #[test]
    fn fluxes_are_luptitudes_of_what_is_in_the_apertures() {
        let (photometer, images) = fitted(20);
        for (found, noise) in photometer.noise.iter().zip(NOISE) {
            assert!((found / noise - 1.0).abs() < 0.05, "{found} of {noise}");
        }
        let apertures = photometer.apertures();
        let fluxes = photometer.fluxes(images.view(), &apertures);
        let stretched = photometer.stretched(fluxes, &apertures);
        // Beyond the noise, a flux e times as large adds 1: here in the largest aperture.
        let step = stretched[[19, 4]] - stretched[[18, 4]];
        assert!((step - 1.5_f32.ln()).abs() < 0.01, "{step}");
        // Galaxy and aperture have deviations of 3 and 4 pixels: of the flux 4² / (3² + 4²) counts, of the noise √π 4.
        let counts = 16.0 / 25.0 * 0.3 * 1.5_f32.powi(19);
        let noise = std::f32::consts::PI.sqrt() * 4.0 * NOISE[0];
        let expected = (counts / (2.0 * noise)).asinh();
        assert!(
            (stretched[[19, 4]] / expected - 1.0).abs() < 0.01,
            "{expected}"
        );
    }

    #[test]
    fn what_is_measured_is_standard_and_colours_are_of_neighbouring_bands() {
        let (photometer, images) = fitted(20);
        let measured = photometer.measure(images.view());
        assert_eq!(measured.dim(), (20, 6));
        for column in measured.columns() {
            let (mean, square) = (column.sum() / 20.0, column.dot(&column) / 20.0);
            assert!(
                mean.abs() < 1e-4 && (square - 1.0).abs() < 1e-3,
                "{mean}, {square}"
            );
        }
        // Ten times the flux in the second band alone: it is the middle one, and the colour.
        let mut redder = images.clone();
        let band = redder.index_axis_mut(Axis(1), 1);
        band.into_iter().for_each(|flux| *flux *= 10.0);
        let [before, after] = [images, redder].map(|images| {
            let measured = photometer.measure(images.view());
            photometer.colours(measured.view()).row(19).to_vec()
        });
        for aperture in 0..3 {
            let change = |of: usize| after[2 * aperture + of] - before[2 * aperture + of];
            assert!((change(0) - 10.0_f32.ln()).abs() < 0.02, "{}", change(0));
            assert!((change(1) - 10.0_f32.ln()).abs() < 0.02, "{}", change(1));
        }
    }

    #[test]
    fn turned_and_flipped_images_have_the_same_fluxes() {
        let (photometer, images) = fitted(8);
        let measured = photometer.measure(images.view());
        let flipped = photometer.measure(images.slice(s![.., .., ..;-1, ..]));
        let turned = photometer.measure(images.view().permuted_axes([0, 1, 3, 2]));
        for other in [flipped, turned] {
            let difference = (&other - &measured).mapv(f32::abs);
            assert!(difference.iter().all(|value| *value < 1e-4));
        }
    }

    #[test]
    fn apertures_are_those_that_there_can_be() {
        let config = PhotometryConfig {
            apertures: vec![0.1, 1.0, 100.0],
            ..PhotometryConfig::default()
        };
        let images = Array4::from_shape_fn((3, 1, 20, 20), |(image, _, row, column)| {
            ((image * 7 + row) * column) as f32
        });
        let images = [Ok(images)].into_iter();
        let photometer = Photometer::fit(&config, (20, 0.5), 1, images).unwrap();
        assert_eq!(photometer.widths, [0.5, 2.0, 10.0]);
        assert_eq!(photometer.outputs(), 3);
        assert!(photometer.check("photometer", 1, 20).is_ok());
    }

    #[test]
    fn what_no_image_can_have_is_refused() {
        let (photometer, _) = fitted(8);
        assert!(photometer.check("photometer", 2, 36).is_ok());
        let message = |found: Result<()>| found.unwrap_err().to_string();
        assert!(message(photometer.check("photometer", 3, 36)).contains("photometer.noise"));
        assert!(message(photometer.check("photometer", 2, 30)).contains("photometer.size"));
        let config = PhotometryConfig::default();
        let damaged = Photometer {
            standard: Standardizer {
                scale: vec![0.0; 6],
                ..Standardizer::identity(6)
            },
            ..photometer
        };
        assert!(message(damaged.check("photometer", 2, 36)).contains("standard.scale"));
        let unsorted = PhotometryConfig {
            apertures: vec![2.0, 1.0],
            ..config
        };
        assert!(message(unsorted.check("of")).contains("of.apertures"));
    }
}
