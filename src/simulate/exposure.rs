//! A galaxy before the instruments: its picture, and its spectrum through a fibre.

use ndarray::{Array1, Array3};
use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use super::image::{self, Conditions, Surroundings};
use super::light::{Light, PARTS, total_fluxes};
use super::morphology::{Maps, Morphology};
use super::nebular::Line;
use super::population::{Galaxy, Kind};
use super::spectrograph::{self, FibreLight};
use super::stars::RestSpectrum;
use super::variant::Changes;
use crate::survey::{CUTOUT_SIZE, PIXEL_SCALE};

pub(super) fn photograph(
    galaxy: &Galaxy,
    light: &Light,
    shape: &Morphology,
    maps: &Maps,
    conditions: &Conditions,
    rng: &mut impl Rng,
) -> Array3<f32> {
    let mut canvas = image::empty_canvas();
    let parts = [&maps.bulge, &maps.old_disc, &maps.young_disc];
    for (map, fluxes) in parts.into_iter().zip(light.fluxes) {
        image::add_component(&mut canvas, map, fluxes);
    }
    let companions = match galaxy.kind {
        Kind::Red => 0.6 * 10f64.powf(0.5 * (galaxy.expected_log_mass - 10.8)),
        _ => 0.15,
    };
    let surroundings = Surroundings {
        companions: companions.min(5.0),
        merger: shape.disturbance > 0.6,
        half_light: half_light_radius(galaxy, shape),
        fluxes: total_fluxes(light),
    };
    image::add_neighbours(&mut canvas, &surroundings, rng);
    image::observe(&canvas, conditions, rng)
}

/// Half-light radius of bulge and disc together, arcsec.
pub(super) fn half_light_radius(galaxy: &Galaxy, shape: &Morphology) -> f64 {
    let bulge = galaxy.bulge_share;
    bulge * shape.bulge_radius + (1.0 - bulge) * 1.678 * shape.disc_scale
}

/// Share of a map's light that enters the fibre: the fibre's disc, blurred by the seeing.
pub(super) fn fibre_share(map: &[f32]) -> f32 {
    let middle = (CUTOUT_SIZE as f64 - 1.0) / 2.0;
    let reach = 9;
    let window = CUTOUT_SIZE / 2 - reach..CUTOUT_SIZE / 2 + reach;
    let mut share = 0.0;
    for y in window.clone() {
        for x in window.clone() {
            let radius = (x as f64 - middle).hypot(y as f64 - middle) * PIXEL_SCALE;
            share += map[y * CUTOUT_SIZE + x] * fibre_acceptance(radius) as f32;
        }
    }
    share
}

/// Probability that seeing carries light from `radius` arcsec off the centre into the fibre: a logistic
/// that is within 0.02 of the exact integral, Marcum's Q function.
fn fibre_acceptance(radius: f64) -> f64 {
    let (fibre, seeing) = (spectrograph::FIBRE_RADIUS, spectrograph::FIBRE_SEEING);
    let central = 1.0 - (-0.5 * (fibre / seeing).powi(2)).exp();
    let edge = |radius: f64| 1.0 / (1.0 + ((radius - fibre + 0.05) / (0.6 * seeing)).exp());
    central * edge(radius) / edge(0.0)
}

/// Median noise of a spectrum per pixel at 6000–7200 Å, 10⁻¹⁷ erg/s/cm²/Å: twice that of dark-time
/// exposures, as bright-time exposures are shorter and their sky is brighter.
const SPECTRUM_NOISE: f32 = 0.19;

pub(super) fn take_spectrum(
    galaxy: &Galaxy,
    light: &Light,
    maps: &Maps,
    changes: &Changes,
    rng: &mut impl Rng,
) -> Array1<f32> {
    let shares = [&maps.bulge, &maps.old_disc, &maps.young_disc].map(|map| fibre_share(map));
    let mut stars = RestSpectrum {
        log_start: light.stars[0].log_start,
        light: vec![0.0; light.stars[0].light.len()],
    };
    for (part, share) in light.stars.iter().zip(shares) {
        for (sum, value) in stars.light.iter_mut().zip(&part.light) {
            *sum += share * value;
        }
    }
    let lines: Vec<Line> = light
        .lines
        .iter()
        .map(|line| Line {
            luminosity: line.luminosity * f64::from(shares[PARTS - 1].max(0.3 * shares[0])),
            ..*line
        })
        .collect();
    // The fibre sees the disc's rotation as a width.
    let rotation = 0.9 * galaxy.dispersion * galaxy.inclination.sin();
    let mut spectrum = spectrograph::clean_spectrum(&FibreLight {
        stars: &stars.broadened(galaxy.dispersion.hypot(40.0)),
        lines: &lines,
        gas_dispersion: rotation.hypot(45.0),
        redshift: galaxy.redshift,
    });
    let level = SPECTRUM_NOISE * (0.30 * rng.sample::<f32, _>(StandardNormal)).exp();
    spectrograph::observe(&mut spectrum, changes.spectrum_noise * level, rng);
    spectrum
}
