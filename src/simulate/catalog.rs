//! What catalogues say about a galaxy.

use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use super::exposure::half_light_radius;
use super::image::Conditions;
use super::light::{Light, total_fluxes};
use super::morphology::Morphology;
use super::population::Galaxy;
use super::stars::{self, FormationHistory, SOLAR_METALS};
use super::votes::{self, View, Votes};
use super::{cosmology, photometry};
use crate::survey::PIXEL_SCALE;

/// One row of the catalogue.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CatalogRow {
    /// Unique within a survey, positive.
    pub target_id: i64,
    /// Redshift.
    pub redshift: f64,
    /// Total magnitudes in g, r, z as measured, with photometric errors, AB.
    pub magnitudes: [f32; 3],
    /// log10 of the stellar mass, M☉.
    pub log_stellar_mass: f32,
    /// Mass-weighted stellar metallicity, mass fraction of metals.
    pub metallicity: f32,
    /// Mass-weighted stellar age, Gyr.
    pub age: f32,
    /// Mean star formation rate over the last Gyr, M☉/yr.
    pub formation_rate: f32,
    /// Morphology votes.
    pub votes: Votes,
}

pub(super) fn describe(
    seed: u64,
    index: u64,
    galaxy: &Galaxy,
    light: &Light,
    shape: &Morphology,
    conditions: &Conditions,
    rng: &mut impl Rng,
) -> CatalogRow {
    let fluxes = total_fluxes(light);
    let radius = half_light_radius(galaxy, shape);
    let magnitudes: [f32; 3] = std::array::from_fn(|band| {
        // Noise of a matched aperture, and 3 % from the model's shape and the zero point.
        let pixels = std::f64::consts::PI
            * ((1.2 * radius / PIXEL_SCALE).powi(2) + 4.0 * conditions.dispersion[band].powi(2));
        let error = (conditions.noise[band] * pixels.sqrt()).hypot(0.03 * fluxes[band]);
        let measured = fluxes[band] + error * rng.sample::<f64, _>(StandardNormal);
        photometry::magnitude(measured.max(0.05 * fluxes[band])) as f32
    });
    let parts = [&galaxy.bulge, &galaxy.disc];
    let surviving: f64 = parts.iter().map(|part| part.surviving_mass()).sum();
    let formed: f64 = parts.iter().flat_map(|part| part.mass).sum();
    let weighted = |value: &dyn Fn(&FormationHistory, usize) -> f64| -> f64 {
        let sum: f64 = parts
            .iter()
            .flat_map(|part| {
                part.mass
                    .iter()
                    .enumerate()
                    .map(|(bin, mass)| mass * value(part, bin))
            })
            .sum();
        sum / formed
    };
    let metals = weighted(&|part, _| SOLAR_METALS * 10f64.powf(part.metallicity));
    let age = weighted(&|_, bin| stars::AGES[bin]).min(cosmology::age(galaxy.redshift));
    let rate: f64 = parts.iter().map(|part| part.formation_rate(1.0)).sum();

    let bulge_fraction = light.fluxes[0][1] / fluxes[1];
    let axis_ratio =
        bulge_fraction * shape.bulge_axis_ratio + (1.0 - bulge_fraction) * shape.disc_axis_ratio;
    let votes = votes::cast(
        &View {
            morphology: shape,
            bulge_fraction,
            resolution: radius / (conditions.dispersion[1] * PIXEL_SCALE),
            axis_ratio,
        },
        rng,
    );
    CatalogRow {
        target_id: target_id(seed, index),
        redshift: galaxy.redshift,
        magnitudes,
        log_stellar_mass: (light.formed_mass * surviving).log10() as f32,
        metallicity: metals as f32,
        age: age as f32,
        formation_rate: (light.formed_mass * rate) as f32,
        votes,
    }
}

/// Positive, unique within a survey, and apart for most pairs of seeds.
pub(super) fn target_id(seed: u64, index: u64) -> i64 {
    const SURVEY: i64 = 3_000_000_000_000_000;
    SURVEY + (seed % 1_000_000) as i64 * 1_000_000_000 + (index % 1_000_000_000) as i64
}
