//! Flux of spectra in wide bins.

use std::ops::Range;

use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::photometry::{DEVIATION_OF_MEDIAN, check_standard, luptitude};
use crate::base::error::{ABOVE_0, Check, Result};
use crate::base::numeric::{Standardizer, median};

/// Largest number of bins; more is a slip.
const MOST: usize = 1024;

/// What is measured of spectra.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SpectrophotometryConfig {
    /// Bins of as many pixels each, 1 to 1024.
    pub bins: usize,
    /// Width of the two hidden layers of the perceptron that adds them to the embedding; 0 for none.
    pub hidden: usize,
    /// Training galaxies whose spectra tell how noisy spectra are and how fluxes vary at most, 2 to 65536; the seed chooses
    /// them.
    pub spectra: usize,
}

impl Default for SpectrophotometryConfig {
    fn default() -> Self {
        Self {
            bins: 20,
            hidden: 256,
            spectra: 2000,
        }
    }
}

impl SpectrophotometryConfig {
    /// Checks all values; `path` stands in front of the fields' names.
    ///
    /// # Errors
    ///
    /// Names the first field that is out of range.
    pub fn check(&self, path: &str) -> Result<()> {
        let check = Check::at(path);
        check.count("bins", self.bins, 1..=MOST)?;
        check.count("hidden", self.hidden, 0..=1 << 16)?;
        check.count("spectra", self.spectra, 2..=1 << 16)
    }

    /// Checks that spectra of so many `pixels` have as many bins.
    ///
    /// # Errors
    ///
    /// Where there is not a pixel for each.
    pub fn check_fit(&self, path: &str, pixels: usize) -> Result<()> {
        Check::at(path).count("bins", self.bins, 1..=pixels)
    }
}

/// Measures spectra as a network takes them: the mean flux of each bin, as asinh in units of twice its noise (luptitudes, Lupton,
/// Gunn & Szalay 1999), standardised. Brightness and colours are to a per cent in a few such numbers, as they are in the fluxes
/// of an image; a transformer's tokens, which are divided by the spectrum's deviation, tell them coarsely.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spectrophotometer {
    /// Noise of the mean of each bin, in units of the flux.
    noise: Vec<f32>,
    /// Of what is measured, bin by bin.
    standard: Standardizer,
}

impl Spectrophotometer {
    /// From batches of spectra `(n, pixels)` of training galaxies.
    ///
    /// # Errors
    ///
    /// As the batches.
    pub fn fit(
        config: &SpectrophotometryConfig,
        batches: impl Iterator<Item = Result<Array2<f32>>>,
    ) -> Result<Self> {
        let bins = config.bins;
        let mut found = Self {
            noise: vec![1.0; bins],
            standard: Standardizer::identity(bins),
        };
        let (mut noise, mut fluxes) = (vec![Vec::new(); bins], Vec::new());
        for spectra in batches {
            let spectra = spectra?;
            let ranges: Vec<_> = ranges(spectra.ncols(), bins).collect();
            for spectrum in spectra.outer_iter() {
                let spectrum = spectrum.to_vec();
                for (noise, bin) in noise.iter_mut().zip(&ranges) {
                    noise.push(noise_of_mean(&spectrum[bin.clone()]));
                }
            }
            fluxes.extend(found.fluxes(spectra.view()));
        }
        for (found, noise) in found.noise.iter_mut().zip(noise) {
            let noise = median(noise.into_iter().filter(|noise| *noise > 0.0));
            // A bin without noise is not observed, or made up.
            *found = if noise.is_nan() { 1.0 } else { noise };
        }
        found.standard = Standardizer::fit(found.stretched(fluxes).view());
        Ok(found)
    }

    /// How many numbers it makes of a spectrum.
    pub fn outputs(&self) -> usize {
        self.noise.len()
    }

    /// Checks what a file says, of spectra of so many `pixels`; `path` stands in front of the fields' names.
    ///
    /// # Errors
    ///
    /// Names the first field that is out of range.
    pub fn check(&self, path: &str, pixels: usize) -> Result<()> {
        let check = Check::at(path);
        check.count("noise", self.noise.len(), 1..=MOST.min(pixels))?;
        check.numbers("noise", &self.noise, ABOVE_0)?;
        check_standard(check, &self.standard, (self.outputs(), "bin"))
    }

    /// What a network takes of spectra `(n, pixels)`: `(n, outputs)`.
    ///
    /// # Panics
    ///
    /// Where a spectrum has fewer pixels than there are bins.
    pub fn measure(&self, spectra: ArrayView2<'_, f32>) -> Array2<f32> {
        let (mean, scale) = self.standard.single();
        let mut measured = self.stretched(self.fluxes(spectra));
        measured -= &mean;
        measured /= &scale;
        measured
    }

    /// Mean flux of each spectrum in each bin.
    fn fluxes(&self, spectra: ArrayView2<'_, f32>) -> Vec<Vec<f32>> {
        let ranges: Vec<_> = ranges(spectra.ncols(), self.outputs()).collect();
        let spectra: Vec<_> = spectra.outer_iter().collect();
        spectra
            .into_par_iter()
            .map(|spectrum| {
                let spectrum = spectrum.to_vec();
                ranges
                    .iter()
                    .map(|bin| mean(&spectrum[bin.clone()]))
                    .collect()
            })
            .collect()
    }

    /// Luptitudes of fluxes, `(spectra, bins)`.
    fn stretched(&self, fluxes: Vec<Vec<f32>>) -> Array2<f32> {
        let spectra = fluxes.len();
        let stretched = fluxes.into_iter().flat_map(|of_spectrum| {
            let bins = of_spectrum.into_iter().zip(&self.noise);
            bins.map(|(flux, noise)| luptitude(flux, 2.0 * noise))
                .collect::<Vec<f32>>()
        });
        Array2::from_shape_vec((spectra, self.outputs()), stretched.collect())
            .expect("as many bins of each spectrum")
    }
}

/// The pixels of each bin.
fn ranges(pixels: usize, bins: usize) -> impl Iterator<Item = Range<usize>> {
    (0..bins).map(move |bin| bin * pixels / bins..(bin + 1) * pixels / bins)
}

fn mean(flux: &[f32]) -> f32 {
    let sum: f64 = flux.iter().copied().map(f64::from).sum();
    (sum / flux.len() as f64) as f32
}

/// Noise of the mean of pixels, from how neighbours differ: the galaxy changes little from one to the next.
fn noise_of_mean(flux: &[f32]) -> f32 {
    let differences = || flux.windows(2).map(|pair| pair[1] - pair[0]);
    let middle = median(differences());
    let deviation = DEVIATION_OF_MEDIAN * median(differences().map(|it| (it - middle).abs()));
    deviation / (2.0 * flux.len() as f32).sqrt()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution, StandardNormal};

    use super::*;

    const PIXELS: usize = 403;
    const NOISE: f32 = 0.5;

    /// Flat spectra, each brighter than the one before, with noise.
    fn spectra(count: usize) -> Array2<f32> {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        Array2::from_shape_fn((count, PIXELS), |(spectrum, _)| {
            let drawn: f32 = StandardNormal.sample(&mut rng);
            1.5_f32.powi(spectrum as i32) + NOISE * drawn
        })
    }

    fn fitted(spectra: &Array2<f32>) -> Spectrophotometer {
        let config = SpectrophotometryConfig {
            bins: 4,
            ..SpectrophotometryConfig::default()
        };
        Spectrophotometer::fit(&config, [Ok(spectra.clone())].into_iter()).unwrap()
    }

    #[test]
    fn bins_are_luptitudes_of_their_mean_flux() {
        let spectra = spectra(20);
        let photometer = fitted(&spectra);
        for found in &photometer.noise {
            let noise = NOISE / (PIXELS as f32 / 4.0).sqrt();
            assert!((found / noise - 1.0).abs() < 0.1, "{found} of {noise}");
        }
        let stretched = photometer.stretched(photometer.fluxes(spectra.view()));
        // Beyond the noise, a flux e times as large adds 1.
        let step = stretched[[19, 2]] - stretched[[18, 2]];
        assert!((step - 1.5_f32.ln()).abs() < 0.01, "{step}");
        let measured = photometer.measure(spectra.view());
        assert_eq!(measured.dim(), (20, 4));
        for column in measured.columns() {
            let (mean, square) = (column.sum() / 20.0, column.dot(&column) / 20.0);
            assert!(
                mean.abs() < 1e-4 && (square - 1.0).abs() < 1e-3,
                "{mean}, {square}"
            );
        }
    }

    #[test]
    fn every_pixel_is_in_one_bin() {
        for (pixels, bins) in [(403, 4), (7, 7), (7781, 20), (5, 1)] {
            let found: Vec<_> = ranges(pixels, bins).flatten().collect();
            assert_eq!(found, (0..pixels).collect::<Vec<_>>());
        }
    }

    #[test]
    fn what_no_spectrum_can_have_is_refused() {
        let photometer = fitted(&spectra(8));
        assert!(photometer.check("of", PIXELS).is_ok());
        let message = |found: Result<()>| found.unwrap_err().to_string();
        assert!(message(photometer.check("of", 3)).contains("of.noise"));
        let damaged = Spectrophotometer {
            standard: Standardizer::identity(3),
            ..photometer
        };
        assert!(message(damaged.check("of", PIXELS)).contains("standard.mean"));
        let config = SpectrophotometryConfig::default();
        assert!(message(config.check_fit("align", 19)).contains("align.bins"));
    }
}
