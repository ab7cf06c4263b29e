//! Fluxes of images in apertures around their centre.

use ndarray::{Array1, Array2, Array4, ArrayView2, ArrayView4, Axis, concatenate, s};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::centre_crop;
use crate::base::error::{ABOVE_0, Check, Result};
use crate::base::numeric::{PrincipalComponents, Standardizer, asinh, median};

/// Largest number of apertures and of components; more is a slip.
const MOST: usize = 64;
/// Smallest aperture, pixels: a smaller one holds little where a centre lies between four.
const LEAST_WIDTH: f64 = 0.5;

/// From the standard deviation of a normal distribution to the median of absolute deviations.
const DEVIATION_OF_MEDIAN: f32 = 1.4826;

/// What is measured of images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PhotometryConfig {
    /// Apertures, which weigh pixels by a Gaussian: its standard deviations, arcsec, from the smallest. What is below half a
    /// pixel or above half a side of the model's images counts as that.
    pub apertures: Vec<f64>,
    /// Principal components of fluxes and colours, 1 to 64; as many as apertures times bands at most.
    pub components: usize,
    /// Components are divided by their standard deviation to this power, 0 to 1.
    pub whitening: f64,
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
            components: 12,
            whitening: 0.5,
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
        for pair in self.apertures.windows(2) {
            check.require(
                pair[0] < pair[1],
                "apertures",
                pair[1],
                format!("more than the one before it, {}", pair[0]),
            )?;
        }
        check.number("apertures", self.apertures[0], ABOVE_0)?;
        check.count("components", self.components, 1..=MOST)?;
        check.number("whitening", self.whitening, 0.0..=1.0)?;
        check.count("hidden", self.hidden, 0..=1 << 16)?;
        check.count("images", self.images, 2..=1 << 16)
    }

    /// How many numbers it makes of an image with so many bands.
    pub fn outputs(&self, bands: usize) -> usize {
        self.components.min(self.apertures.len() * bands)
    }
}

/// Measures fluxes as a network and its neighbours take them: in apertures that weigh pixels by a Gaussian, the same in all
/// bands, so that colours are those of one part of a galaxy (Kuijken 2008 has these apertures); asinh of each in units of twice
/// its noise (luptitudes, Lupton, Gunn & Szalay 1999), so that neither bright nor faint galaxies lose theirs; of the middle
/// band, and of each two neighbouring bands the difference, which is a colour; standardised, and in principal components.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Photometer {
    /// Standard deviations of the apertures, pixels.
    widths: Vec<f64>,
    /// Side of the images' centre that is looked at, pixels.
    size: usize,
    /// Noise of a pixel in each band, nanomaggies.
    noise: Vec<f32>,
    /// Mean of asinh of the fluxes, band by band within each aperture.
    mean: Vec<f32>,
    /// What each output takes of them.
    axes: Vec<Vec<f32>>,
}

impl Photometer {
    /// From batches of images `(n, bands, side, side)` in nanomaggies of training galaxies, of whose centre `size` pixels of
    /// `pixel_scale` arcsec are looked at; `draw` gives random numbers to find components with.
    ///
    /// # Errors
    ///
    /// As the batches.
    pub fn fit(
        config: &PhotometryConfig,
        (size, pixel_scale): (usize, f64),
        bands: usize,
        batches: impl Iterator<Item = Result<Array4<f32>>>,
        draw: impl FnMut() -> f32,
    ) -> Result<Self> {
        let most = (0.5 * size as f64).max(LEAST_WIDTH);
        let widths = config.apertures.iter();
        let widths = widths.map(|width| (width / pixel_scale).clamp(LEAST_WIDTH, most));
        let mut photometer = Self {
            widths: widths.collect(),
            size,
            noise: vec![1.0; bands],
            mean: Vec::new(),
            axes: Vec::new(),
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
        let stretched = photometer.stretched(fluxes, &apertures);
        photometer.find_components(config, &stretched, draw);
        Ok(photometer)
    }

    fn find_components(
        &mut self,
        config: &PhotometryConfig,
        stretched: &Array2<f32>,
        draw: impl FnMut() -> f32,
    ) {
        let colours = colours(self.widths.len(), self.noise.len());
        let colours_of_each = stretched.dot(&colours.t());
        let (mean, scale) = Standardizer::fit(colours_of_each.view()).single();
        let standard = (colours_of_each - &mean) / &scale;
        let found = PrincipalComponents::fit(standard, config.components, draw);
        let found = found.whitened(config.whitening);
        // Fluxes to colours, standardised, in components: one product.
        let mut axes = (&found.axes / &scale.insert_axis(Axis(0))).dot(&colours);
        let mean = stretched.mean_axis(Axis(0)).expect("there are galaxies");
        let outputs = (stretched - &mean).dot(&axes.t());
        let square = outputs.iter().map(|value| value * value).sum::<f32>();
        if square > 0.0 {
            axes *= (square / outputs.len() as f32).sqrt().recip();
        }
        self.mean = mean.to_vec();
        self.axes = axes.outer_iter().map(|axis| axis.to_vec()).collect();
        // Few galaxies have fewer directions.
        let outputs = config.outputs(self.noise.len());
        self.axes.resize(outputs, vec![0.0; stretched.ncols()]);
    }

    /// How many numbers it makes of an image.
    pub fn outputs(&self) -> usize {
        self.axes.len()
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
        check.count("axes", self.axes.len(), 1..=MOST)?;
        let axes = self.axes.iter().map(|axis| ("axes", axis));
        for (field, numbers) in axes.chain([("mean", &self.mean)]) {
            let fluxes = self.widths.len() * self.noise.len();
            check.require(
                numbers.len() == fluxes,
                field,
                format!("{} numbers", numbers.len()),
                format!("{fluxes}, one for each band and aperture"),
            )?;
            check.numbers(field, numbers, ..)?;
        }
        Ok(())
    }

    /// What a network takes of images `(n, bands, side, side)` in nanomaggies: `(n, outputs)`, with mean 0 over the training
    /// galaxies and a mean square of 1.
    ///
    /// # Panics
    ///
    /// Where an image is smaller than what is looked at.
    pub fn measure(&self, images: ArrayView4<'_, f32>) -> Array2<f32> {
        let apertures = self.apertures();
        let mut measured = self.stretched(self.fluxes(images, &apertures), &apertures);
        measured -= &Array1::from(self.mean.clone());
        let outputs = self.axes.iter().map(|axis| {
            let axis = Array1::from(axis.clone());
            measured.dot(&axis).insert_axis(Axis(1))
        });
        let outputs: Vec<Array2<f32>> = outputs.collect();
        let outputs: Vec<_> = outputs.iter().map(|output| output.view()).collect();
        concatenate(Axis(1), &outputs).expect("as many of each image")
    }

    /// Flux of each image in each aperture and band.
    fn fluxes(&self, images: ArrayView4<'_, f32>, apertures: &[Array2<f32>]) -> Vec<Vec<f32>> {
        let images = images.axis_iter(Axis(0)).into_par_iter();
        images
            .map(|image| {
                let centre = centre_crop(image, self.size);
                let fluxes = apertures.iter().flat_map(|aperture| {
                    let band = |band: ArrayView2<'_, f32>| (&band * aperture).sum();
                    centre.outer_iter().map(band).collect::<Vec<f32>>()
                });
                fluxes.collect()
            })
            .collect()
    }

    /// asinh of fluxes in units of twice their noise, `(images, apertures x bands)`.
    fn stretched(&self, fluxes: Vec<Vec<f32>>, apertures: &[Array2<f32>]) -> Array2<f32> {
        let softening: Vec<f32> = apertures
            .iter()
            .flat_map(|aperture| {
                let pixels: f32 = aperture.iter().map(|part| part * part).sum();
                self.noise
                    .iter()
                    .map(move |noise| 2.0 * noise * pixels.sqrt())
            })
            .collect();
        let images = fluxes.len();
        let stretched = fluxes.into_iter().flat_map(|of_image| {
            let signals = of_image.into_iter().zip(&softening);
            let stretched = |(flux, softening): (f32, &f32)| {
                let signal = flux / softening;
                asinh(signal.abs()).copysign(signal)
            };
            signals.map(stretched).collect::<Vec<f32>>()
        });
        Array2::from_shape_vec((images, softening.len()), stretched.collect())
            .expect("as many fluxes of each image")
    }

    /// The weight of each pixel `(size, size)` in each aperture.
    fn apertures(&self) -> Vec<Array2<f32>> {
        let middle = 0.5 * (self.size as f64 - 1.0);
        let weights = |width: f64| {
            Array2::from_shape_fn((self.size, self.size), |(row, column)| {
                let square = (row as f64 - middle).powi(2) + (column as f64 - middle).powi(2);
                (-0.5 * square / width.powi(2)).exp() as f32
            })
        };
        self.widths.iter().map(|&width| weights(width)).collect()
    }
}

/// From asinh of fluxes, band by band within each aperture, to that of the middle band and the differences of neighbouring
/// bands, `(fluxes, fluxes)`.
fn colours(apertures: usize, bands: usize) -> Array2<f32> {
    let mut rows = Array2::zeros((apertures * bands, apertures * bands));
    for aperture in 0..apertures {
        let own = aperture * bands..(aperture + 1) * bands;
        let mut own = rows.slice_mut(s![own.clone(), own]);
        own[[0, bands / 2]] = 1.0;
        for colour in 1..bands {
            own[[colour, colour - 1]] = -1.0;
            own[[colour, colour]] = 1.0;
        }
    }
    rows
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
    use ndarray::{Array1, Array3, s};
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
            components: 6,
            whitening: 1.0,
            ..PhotometryConfig::default()
        };
        let batches = [s![..5, .., .., ..], s![5.., .., .., ..]];
        let batches = batches.map(|batch| Ok(images.slice(batch).to_owned()));
        let mut drawn = 0.0_f32;
        let draw = || {
            drawn += 1.0;
            drawn.sin()
        };
        let view = (36, 0.25);
        let photometer = Photometer::fit(&config, view, 2, batches.into_iter(), draw).unwrap();
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
        assert!((stretched[[19, 4]] / expected - 1.0).abs() < 0.01, "{expected}");
    }

    #[test]
    fn components_are_standard_and_hold_brightness_and_colour() {
        let (photometer, images) = fitted(20);
        let measured = photometer.measure(images.view());
        assert_eq!(measured.dim(), (20, 6));
        let mean: Array1<f32> = measured.mean_axis(Axis(0)).unwrap();
        assert!(mean.iter().all(|mean| mean.abs() < 1e-4), "{mean}");
        // Whitened, so that none is larger than another.
        let covariance = measured.t().dot(&measured) / 20.0;
        let difference = covariance - Array2::<f32>::eye(6);
        assert!(difference.iter().all(|value| value.abs() < 1e-2), "{difference}");
        // Ten times the flux in one band alone changes the colour.
        let mut redder = images.clone();
        redder.index_axis_mut(Axis(1), 1).mapv_inplace(|flux| 10.0 * flux);
        let change = photometer.measure(redder.view()) - &measured;
        assert!(change.row(19).iter().any(|value| value.abs() > 1.0), "{change}");
        let colours = colours(1, 3);
        assert_eq!(
            colours,
            ndarray::arr2(&[[0.0, 1.0, 0.0], [-1.0, 1.0, 0.0], [0.0, -1.0, 1.0]])
        );
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
    fn apertures_and_components_are_those_that_there_can_be() {
        let config = PhotometryConfig {
            apertures: vec![0.1, 1.0, 100.0],
            ..PhotometryConfig::default()
        };
        let images = Array4::from_shape_fn((3, 1, 20, 20), |(image, _, row, column)| {
            ((image * 7 + row) * column) as f32
        });
        let images = [Ok(images)].into_iter();
        let photometer = Photometer::fit(&config, (20, 0.5), 1, images, || 0.5).unwrap();
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
            axes: vec![vec![1.0; 6], vec![f32::NAN; 6]],
            ..photometer.clone()
        };
        assert!(message(damaged.check("photometer", 2, 36)).contains("photometer.axes"));
        let short = Photometer {
            mean: vec![0.0; 5],
            ..photometer
        };
        assert!(message(short.check("photometer", 2, 36)).contains("photometer.mean"));
        let unsorted = PhotometryConfig {
            apertures: vec![2.0, 1.0],
            ..config
        };
        assert!(message(unsorted.check("of")).contains("of.apertures"));
    }
}
