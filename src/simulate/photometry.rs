//! Broad-band magnitudes.

use std::sync::LazyLock;

use super::{
    cosmology,
    nebular::Line,
    stars::{LOG_STEP, LUMINOSITY_UNIT, RestSpectrum},
};

/// A bandpass: flat between two soft edges.
struct Bandpass {
    /// Half-transmission wavelengths, Å.
    edges: [f64; 2],
    /// Widths of the edges, Å.
    softness: [f64; 2],
}

/// DECam g, r, z, approximated by the half-power points of the total system response (Abbott et al.
/// 2018, DES DR1, fig. 2). The z band's red edge falls slowly with the CCDs' response.
const BANDPASSES: [Bandpass; 3] = [
    Bandpass {
        edges: [4050.0, 5470.0],
        softness: [90.0, 45.0],
    },
    Bandpass {
        edges: [5690.0, 7150.0],
        softness: [35.0, 35.0],
    },
    Bandpass {
        edges: [8470.0, 9900.0],
        softness: [45.0, 170.0],
    },
];

/// Shortest and longest wavelengths at which any band sees light, Å.
pub(super) const RANGE: [f64; 2] = [3550.0, 10_390.0];

impl Bandpass {
    fn transmission(&self, wavelength: f64) -> f64 {
        let rise = ((wavelength - self.edges[0]) / self.softness[0]).tanh();
        let fall = ((self.edges[1] - wavelength) / self.softness[1]).tanh();
        0.25 * (1.0 + rise) * (1.0 + fall)
    }

    fn range(&self) -> [f64; 2] {
        [
            (self.edges[0] - 4.0 * self.softness[0]).max(RANGE[0]),
            (self.edges[1] + 4.0 * self.softness[1]).min(RANGE[1]),
        ]
    }
}

/// Speed of light, Å/s.
const LIGHT_SPEED: f64 = 2.997_924_58e18;
/// One nanomaggy: f_ν in erg/s/cm²/Hz of an object of AB magnitude 22.5.
pub(super) const NANOMAGGY: f64 = 3.630_78e-29;

/// Magnitude of a flux in nanomaggies, AB.
pub(super) fn magnitude(nanomaggies: f64) -> f64 {
    22.5 - 2.5 * nanomaggies.log10()
}

/// Flux in nanomaggies of an AB magnitude.
pub(super) fn nanomaggies(magnitude: f64) -> f64 {
    10f64.powf(0.4 * (22.5 - magnitude))
}

/// A bandpass on a grid in ln of the observed wavelength.
struct Samples {
    /// ln λ of each sample, and λ² T: the weight of f_λ in the band's photon rate.
    weights: Vec<(f64, f64)>,
    /// ∫ (c/λ) T dλ / d ln λ: the photon rate of a source of f_ν = 1.
    reference: f64,
}

/// Twice as coarse as the templates: a band holds more than a thousand samples.
const SAMPLE_STEP: f64 = 2.0 * LOG_STEP;

static SAMPLES: LazyLock<[Samples; 3]> = LazyLock::new(|| {
    BANDPASSES.each_ref().map(|band| {
        let [first, last] = band.range();
        let count = ((last / first).ln() / SAMPLE_STEP) as usize;
        let grid = || (0..count).map(|index| first.ln() + index as f64 * SAMPLE_STEP);
        Samples {
            weights: grid()
                .map(|log_wavelength| {
                    let wavelength = log_wavelength.exp();
                    (
                        log_wavelength,
                        wavelength * wavelength * band.transmission(wavelength),
                    )
                })
                .collect(),
            reference: LIGHT_SPEED
                * grid()
                    .map(|log_wavelength| band.transmission(log_wavelength.exp()))
                    .sum::<f64>(),
        }
    })
});

/// Mean f_ν of spectrum `at` (f_λ in erg/s/cm²/Å at ln of the observed wavelength) in a photon-counting
/// band: ∫ λ f_λ T dλ / ∫ (c/λ) T dλ, in nanomaggies.
fn band_flux(band: &Samples, at: impl Fn(f64) -> f64) -> f64 {
    let photons: f64 = band
        .weights
        .iter()
        .map(|&(log_wavelength, weight)| weight * at(log_wavelength))
        .sum();
    photons / band.reference / NANOMAGGY
}

/// Flux per unit of rest-frame luminosity, 1 / (4π d_L²), cm⁻².
pub(super) fn dilution(redshift: f64) -> f64 {
    let distance = cosmology::luminosity_distance(redshift) * cosmology::MEGAPARSEC;
    1.0 / (4.0 * std::f64::consts::PI * distance * distance)
}

/// Fluxes in g, r, z of a rest-frame spectrum at `redshift`, nanomaggies.
pub(super) fn stellar_fluxes(spectrum: &RestSpectrum, redshift: f64) -> [f64; 3] {
    let scale = dilution(redshift) * LUMINOSITY_UNIT / (1.0 + redshift);
    let shift = (1.0 + redshift).ln();
    SAMPLES.each_ref().map(|band| {
        band_flux(band, |log_wavelength| {
            f64::from(spectrum.at(log_wavelength - shift)) * scale
        })
    })
}

/// Fluxes in g, r, z of emission lines at `redshift`, nanomaggies.
pub(super) fn line_fluxes(lines: &[Line], redshift: f64) -> [f64; 3] {
    let dilution = dilution(redshift);
    std::array::from_fn(|band| {
        let photons: f64 = lines
            .iter()
            .map(|line| {
                let observed = line.wavelength * (1.0 + redshift);
                line.luminosity * dilution * observed * BANDPASSES[band].transmission(observed)
            })
            .sum();
        photons / (SAMPLES[band].reference * SAMPLE_STEP) / NANOMAGGY
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A source of constant f_ν has the same AB magnitude in every band.
    #[test]
    fn flat_source_has_no_colour() {
        for band in SAMPLES.iter() {
            let flux = band_flux(band, |log_wavelength| {
                3.0 * NANOMAGGY * LIGHT_SPEED / (2.0 * log_wavelength).exp()
            });
            assert!((flux - 3.0).abs() < 1e-9);
        }
        assert!((magnitude(nanomaggies(19.3)) - 19.3).abs() < 1e-12);
    }
}
