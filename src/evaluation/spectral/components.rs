//! Principal components of spectra.

use ndarray::{Array2, ArrayView2};
use rand::RngExt;
use serde::{Deserialize, Serialize};

use crate::base::error::{Check, Result};
use crate::base::numeric::{PrincipalComponents, standard_bins};
use crate::base::random::{Purpose, generator};

/// Most components, and pixels of a bin; more is a slip.
const MOST: usize = 1 << 16;

/// Which principal components.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ComponentSettings {
    /// Components, 1 to 65536.
    pub components: usize,
    /// Pixels of the survey in one of theirs, 1 to 65536: their mean.
    pub bin: usize,
    /// Coordinates are divided by their standard deviation to this power, 0 to 1, and then scaled to unit length together;
    /// at 0 they keep their sizes.
    pub whitening: f64,
}

impl Default for ComponentSettings {
    fn default() -> Self {
        Self {
            components: 100,
            bin: 20,
            whitening: 0.5,
        }
    }
}

impl ComponentSettings {
    /// Checks all values for spectra of so many pixels; `path` stands in front of the fields' names.
    ///
    /// # Errors
    ///
    /// Names the first field that is out of range.
    pub fn check(&self, path: &str, pixels: usize) -> Result<()> {
        let check = Check::at(path);
        check.count("components", self.components, 1..=MOST)?;
        check.count("bin", self.bin, 1..=MOST.min(pixels))?;
        check.number("whitening", self.whitening, 0.0..=1.0)
    }
}

/// The leading principal components of spectra in bins, each spectrum with mean 0 and standard deviation 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Components {
    /// Of the bins; axes are whitened.
    pub principal: PrincipalComponents,
    settings: ComponentSettings,
}

impl Components {
    /// Of spectra `(galaxies, pixels)`; as many as there can be where those that are asked for are more.
    pub fn fit(spectra: ArrayView2<'_, f32>, settings: &ComponentSettings, seed: u64) -> Self {
        let mut rng = generator(seed, Purpose::Components, 0);
        let values = standard_bins(spectra, settings.bin);
        let draw = || rng.random_range(-1.0_f32..1.0);
        let principal = PrincipalComponents::fit(values, settings.components, draw);
        Self {
            principal: principal.whitened(settings.whitening),
            settings: settings.clone(),
        }
    }

    /// Coordinates `(galaxies, components)` of spectra `(galaxies, pixels)`.
    pub fn project(&self, spectra: ArrayView2<'_, f32>) -> Array2<f32> {
        let values = standard_bins(spectra, self.settings.bin);
        let mut coordinates = self.principal.project(values);
        if self.settings.whitening > 0.0 {
            for mut row in coordinates.rows_mut() {
                let norm = row.dot(&row).sqrt();
                if norm > 0.0 {
                    row /= norm;
                }
            }
        }
        coordinates
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brightness_and_noise_of_pixels_do_not_count() {
        let spectrum = |galaxy: usize, pixel: usize| {
            let phase = 0.3 * (galaxy % 20) as f64 + 0.05 * (pixel / 10) as f64;
            let noise = if (pixel + galaxy).is_multiple_of(2) {
                0.4
            } else {
                -0.4
            };
            ((1 + galaxy / 20) as f64 * (3.0 + phase.sin() + noise)) as f32
        };
        let spectra = Array2::from_shape_fn((40, 400), |(g, p)| spectrum(g, p));
        let settings = ComponentSettings {
            components: 5,
            bin: 10,
            whitening: 0.5,
        };
        let found = Components::fit(spectra.view(), &settings, 0);
        let coordinates = found.project(spectra.view());
        assert_eq!(coordinates.dim(), (40, 5));
        for galaxy in 0..20 {
            let away = &coordinates.row(galaxy) - &coordinates.row(galaxy + 20);
            assert!(away.dot(&away) < 1e-4, "{galaxy}: {away}");
            let norm = coordinates.row(galaxy).dot(&coordinates.row(galaxy));
            assert!((norm - 1.0).abs() < 1e-4);
        }
    }
}
