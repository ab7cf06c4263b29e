//! What DESI's spectrographs make of a galaxy's light: fibre, resolution, noise, sky residuals.

use std::sync::LazyLock;

use ndarray::Array1;
use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use super::{
    cosmology::LIGHT_SPEED,
    nebular::Line,
    photometry,
    stars::{LUMINOSITY_UNIT, RestSpectrum},
};
use crate::survey::DESI_GRID;

/// Radius of a fibre on the sky, arcsec (DESI Collaboration 2022: 107 µm, about 1.5" across).
pub(super) const FIBRE_RADIUS: f64 = 0.75;
/// Seeing in front of the fibre, Gaussian dispersion in arcsec: 1" FWHM, as for the imaging survey's
/// fibre fluxes.
pub(super) const FIBRE_SEEING: f64 = 0.425;

/// Noise per pixel relative to its median at 6000–7200 Å, at wavelengths in Å: the inverse variances of
/// dark-time exposures. Steps where the arms change over (B to R at 5780 Å, R to Z at 7570 Å).
#[rustfmt::skip]
const NOISE: [(f64, f64); 42] = [
    (3600.0, 13.1), (3650.0, 9.7), (3700.0, 7.6), (3750.0, 6.5), (3800.0, 5.4), (3850.0, 4.75), (3900.0, 4.1), (4000.0, 3.5), (4100.0, 3.18), (4200.0, 2.88),
    (4300.0, 2.72), (4400.0, 2.84), (4500.0, 2.60), (4600.0, 2.43), (4700.0, 2.29), (4800.0, 2.08), (4900.0, 1.99), (5000.0, 1.94), (5200.0, 1.81), (5400.0, 1.76),
    (5600.0, 1.77), (5740.0, 1.85), (5790.0, 1.75), (5810.0, 1.42), (5900.0, 1.34), (6050.0, 1.18), (6200.0, 1.11), (6500.0, 0.98), (6800.0, 0.90), (7100.0, 0.86),
    (7400.0, 0.87), (7540.0, 0.95), (7640.0, 0.84), (7850.0, 0.76), (8150.0, 0.69), (8450.0, 0.63), (8900.0, 0.64), (9200.0, 0.62), (9300.0, 0.80), (9500.0, 0.86),
    (9700.0, 0.88), (9824.0, 0.92),
];

/// Night-sky lines: vacuum wavelength in Å and noise at their peak relative to the noise beside them.
/// [O I], Na D and the OH bands (Hanuschik 2003).
#[rustfmt::skip]
const SKY_LINES: [(f64, f64); 84] = [
    (5578.9, 5.4), (5891.6, 2.2), (5897.6, 1.8), (6302.0, 3.9), (6365.5, 2.2), (6865.6, 2.2), (6925.2, 1.9), (6950.8, 2.0), (7242.4, 2.9), (7246.4, 2.8),
    (7278.3, 3.3), (7286.4, 2.1), (7318.3, 2.7), (7342.9, 2.8), (7371.3, 2.6), (7403.2, 2.1), (7526.0, 2.3), (7717.0, 3.0), (7752.7, 3.4), (7761.6, 2.1),
    (7796.3, 3.0), (7810.4, 2.0), (7823.4, 3.3), (7855.5, 3.1), (7872.8, 2.3), (7891.2, 2.4), (7915.9, 4.3), (7922.4, 2.5), (7951.2, 1.9), (7966.8, 3.4),
    (7995.6, 3.8), (8016.0, 2.0), (8028.0, 3.0), (8064.3, 2.1), (8283.2, 2.9), (8290.6, 3.7), (8301.0, 3.4), (8312.8, 2.0), (8346.8, 5.9), (8354.8, 3.0),
    (8384.5, 2.7), (8401.5, 5.3), (8417.5, 3.1), (8432.5, 5.4), (8454.8, 2.7), (8467.8, 4.4), (8495.7, 2.6), (8507.0, 3.1), (8550.4, 2.3), (8763.4, 4.0),
    (8770.1, 4.8), (8780.7, 4.7), (8793.2, 2.7), (8829.5, 8.4), (8838.4, 4.0), (8852.2, 2.4), (8870.0, 3.4), (8888.2, 6.2), (8905.5, 3.5), (8922.0, 7.2),
    (8946.0, 3.1), (8960.5, 5.4), (8990.8, 3.2), (9003.8, 4.9), (9040.4, 2.1), (9051.8, 2.7), (9310.2, 6.0), (9315.6, 7.1), (9326.0, 8.0), (9340.4, 3.5),
    (9378.3, 12.0), (9390.0, 2.8), (9404.0, 3.0), (9422.1, 4.3), (9442.5, 12.5), (9461.0, 5.2), (9479.5, 7.2), (9505.0, 4.5), (9522.0, 5.3), (9555.5, 3.7),
    (9570.0, 5.6), (9684.5, 3.2), (9722.3, 4.6), (9793.2, 8.6),
];

/// Bands of many weak sky lines and of telluric absorption: edges in Å, factor on the noise.
const SKY_BANDS: [(f64, f64, f64); 7] = [
    (6860.0, 6960.0, 1.12),
    (7240.0, 7480.0, 1.18),
    (7594.0, 7660.0, 1.75),
    (7710.0, 8070.0, 1.12),
    (8280.0, 8520.0, 1.12),
    (8620.0, 8960.0, 1.15),
    (9290.0, 9824.0, 1.20),
];

/// Dispersion of the line spread function, Å (the widths of published DESI resolution matrices).
fn resolution(wavelength: f64) -> f64 {
    match wavelength {
        blue if blue < 5780.0 => 0.78 - 1.0e-4 * (blue - 3600.0),
        red if red < 7570.0 => 0.66 + 0.2e-4 * (red - 5780.0),
        infrared => 0.74 + 0.1e-4 * (infrared - 7570.0),
    }
}

/// Noise per pixel of [`DESI_GRID`], relative to 6000–7200 Å.
static NOISE_CURVE: LazyLock<Vec<f32>> = LazyLock::new(|| {
    let mut curve: Vec<f64> = (0..DESI_GRID.len)
        .map(|pixel| {
            let wavelength = DESI_GRID.wavelength(pixel);
            let upper = NOISE
                .partition_point(|node| node.0 < wavelength)
                .clamp(1, NOISE.len() - 1);
            let (low, high) = (NOISE[upper - 1], NOISE[upper]);
            let weight = (wavelength - low.0) / (high.0 - low.0);
            let bands: f64 = SKY_BANDS
                .iter()
                .filter(|band| (band.0..band.1).contains(&wavelength))
                .map(|band| band.2)
                .product();
            (low.1 + weight * (high.1 - low.1)) * bands
        })
        .collect();
    for (centre, peak) in SKY_LINES {
        let sigma = 1.15 * resolution(centre);
        for pixel in around(centre, 4.0 * sigma) {
            let offset = (DESI_GRID.wavelength(pixel) - centre) / sigma;
            // Photon noise: the variance follows the line's profile.
            curve[pixel] *= (1.0 + (peak * peak - 1.0) * (-0.5 * offset * offset).exp()).sqrt();
        }
    }
    curve.into_iter().map(|value| value as f32).collect()
});

/// Pixels of [`DESI_GRID`] within `reach` Å of a wavelength.
fn around(centre: f64, reach: f64) -> std::ops::Range<usize> {
    let pixel = |wavelength: f64| ((wavelength - DESI_GRID.start) / DESI_GRID.step).max(0.0);
    let last = (pixel(centre + reach).ceil() as usize).min(DESI_GRID.len);
    (pixel(centre - reach).ceil() as usize).min(last)..last
}

/// Light through a fibre, before the spectrograph.
pub(super) struct FibreLight<'a> {
    /// Stars, rest frame.
    pub(super) stars: &'a RestSpectrum,
    /// Emission lines.
    pub(super) lines: &'a [Line],
    /// Velocity dispersion of the gas, km/s.
    pub(super) gas_dispersion: f64,
    pub(super) redshift: f64,
}

/// The noiseless spectrum at DESI's resolution on [`DESI_GRID`], 10⁻¹⁷ erg/s/cm²/Å.
///
/// Lines get the exact line spread function; the stars' absorption features are wider than it.
pub(super) fn clean_spectrum(light: &FibreLight<'_>) -> Array1<f32> {
    let redshift = light.redshift;
    let dilution = photometry::dilution(redshift) * 1e17;
    let scale = (dilution * LUMINOSITY_UNIT / (1.0 + redshift)) as f32;
    let shift = (1.0 + redshift).ln();
    let mut flux = Array1::from_shape_fn(DESI_GRID.len, |pixel| {
        light.stars.at(DESI_GRID.wavelength(pixel).ln() - shift) * scale
    });
    for line in light.lines {
        let centre = line.wavelength * (1.0 + redshift);
        let sigma = (centre * light.gas_dispersion / LIGHT_SPEED).hypot(resolution(centre));
        let peak = line.luminosity * dilution / (sigma * (2.0 * std::f64::consts::PI).sqrt());
        for pixel in around(centre, 5.0 * sigma) {
            let offset = (DESI_GRID.wavelength(pixel) - centre) / sigma;
            flux[pixel] += (peak * (-0.5 * offset * offset).exp()) as f32;
        }
    }
    flux
}

/// Adds noise of `level` (10⁻¹⁷ erg/s/cm²/Å per pixel at 6000–7200 Å) and what sky subtraction leaves.
pub(super) fn observe(flux: &mut Array1<f32>, level: f32, rng: &mut impl Rng) {
    // Photons of the object itself: it doubles the variance where it is as bright as the sky in the
    // fibre together with the read noise: 20.5 mag per square arcsec in r.
    const SKY_IN_FIBRE: f32 = 3.0;
    for (value, noise) in flux.iter_mut().zip(NOISE_CURVE.iter()) {
        let photons = (1.0 + value.max(0.0) / SKY_IN_FIBRE).sqrt();
        *value += level * noise * photons * rng.sample::<f32, _>(StandardNormal);
    }
    // One small error of the wavelength scale per arm and of the strength per line.
    let shifts: [f64; 3] = std::array::from_fn(|_| 0.5 * rng.sample::<f64, _>(StandardNormal));
    for (centre, peak) in SKY_LINES {
        let arm = usize::from(centre > 5780.0) + usize::from(centre > 7570.0);
        let strength: f64 = 0.5 * rng.sample::<f64, _>(StandardNormal);
        let sigma = resolution(centre);
        let pixels = around(centre, 4.0 * sigma);
        let beside = f64::from(level) * f64::from(NOISE_CURVE[pixels.start]);
        for pixel in pixels {
            let offset = (DESI_GRID.wavelength(pixel) - centre) / sigma;
            let residual = (strength + shifts[arm] * offset) * (-0.5 * offset * offset).exp();
            flux[pixel] += (beside * peak * residual) as f32;
        }
    }
    // The B arm's broad residual where the collimator coatings absorb (Guy et al. 2023, sect. 4).
    let dip: f64 = 1.2 * rng.sample::<f64, _>(StandardNormal);
    for pixel in around(4390.0, 90.0) {
        let offset = (DESI_GRID.wavelength(pixel) - 4390.0) / 30.0;
        flux[pixel] += level * (dip * (-0.5 * offset * offset).exp()) as f32;
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn blue_end_and_sky_lines_are_noisy() {
        let mut flux = Array1::zeros(DESI_GRID.len);
        observe(&mut flux, 0.2, &mut ChaCha8Rng::seed_from_u64(5));
        let scatter = |first: f64, last: f64| {
            let pixels = around(0.5 * (first + last), 0.5 * (last - first));
            let count = pixels.len() as f32;
            (pixels.map(|pixel| flux[pixel] * flux[pixel]).sum::<f32>() / count).sqrt()
        };
        assert!((0.17..0.23).contains(&scatter(6400.0, 6700.0)));
        assert!(scatter(3600.0, 3700.0) > 5.0 * scatter(6400.0, 6700.0));
        assert!(scatter(8825.0, 8834.0) > 3.0 * scatter(9100.0, 9200.0));
    }
}
