//! A simulated survey: one physical galaxy makes both an image and a spectrum.
//!
//! A star formation history, metals and dust give the spectral energy distribution of the bulge, the
//! older disc and the young disc; it is seen through three broad bands and spread over the sky by the
//! galaxy's shape, and seen through a fibre by a spectrograph.

mod cosmology;
mod dust;
mod image;
mod morphology;
mod nebular;
mod photometry;
mod population;
mod spectrograph;
mod stars;
mod survey_file;
mod votes;

use ndarray::{Array1, Array3};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};

pub use survey_file::write_survey;
pub use votes::Votes;

use crate::survey::{CUTOUT_SIZE, ObjectId, PIXEL_SCALE};
use image::{Conditions, Surroundings};
use morphology::{Maps, Morphology};
use nebular::{Ionisation, Line};
use population::{Galaxy, Kind};
use spectrograph::FibreLight;
use stars::{FormationHistory, RestSpectrum, SOLAR_METALS};
use votes::View;

/// What to simulate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SimulationConfig {
    /// Number of galaxies, at least 10.
    pub galaxies: usize,
    /// Seed of the random numbers: the same seed gives the same survey, bit for bit.
    pub seed: u64,
}

impl Default for SimulationConfig {
    fn default() -> Self {
        Self {
            galaxies: 2000,
            seed: 0,
        }
    }
}

/// One galaxy as the survey sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct SimulatedGalaxy {
    /// Cutout `(band, y, x)` = (3, 152, 152), bands g, r, z, nanomaggies per pixel.
    pub image: Array3<f32>,
    /// Spectrum on [`DESI_GRID`](crate::survey::DESI_GRID), 7781 pixels, 10⁻¹⁷ erg/s/cm²/Å.
    pub spectrum: Array1<f32>,
    /// What catalogues say about it.
    pub catalog: CatalogRow,
}

/// One row of the catalogue.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CatalogRow {
    /// Unique within a survey, positive.
    pub target_id: ObjectId,
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

/// The three parts of a galaxy, in this order everywhere: bulge, older disc, young disc.
const PARTS: usize = 3;

/// Light of a galaxy, before its shape and the instruments come in.
struct Light {
    /// Stars of each part, rest frame.
    stars: [RestSpectrum; PARTS],
    /// Emission lines; they come from where the young stars are.
    lines: Vec<Line>,
    /// Fluxes of each part in g, r, z, nanomaggies; the young disc's with the lines.
    fluxes: [[f64; 3]; PARTS],
    /// Mass formed over the galaxy's life, M☉.
    formed_mass: f64,
}

/// Simulates galaxy `index` of the survey with `seed`. Depends on these two numbers only.
pub fn simulate_galaxy(seed: u64, index: u64) -> SimulatedGalaxy {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(index);
    let galaxy = population::draw(&mut rng);
    let light = shine(&galaxy, &mut rng);
    let shape = morphology::draw(&galaxy, &mut rng);
    let maps = shape.maps(&mut rng);
    let conditions = Conditions::draw(&mut rng);
    let image = photograph(&galaxy, &light, &shape, &maps, &conditions, &mut rng);
    let spectrum = take_spectrum(&galaxy, &light, &maps, &mut rng);
    let catalog = describe(seed, index, &galaxy, &light, &shape, &conditions, &mut rng);
    SimulatedGalaxy {
        image,
        spectrum,
        catalog,
    }
}

/// Bulge, older disc and young disc: their stars and colour excess.
fn parts(galaxy: &Galaxy) -> [(FormationHistory, f64); PARTS] {
    let (young, old) = galaxy.disc.split_young();
    // Bulges are less dusty; young stars still sit near their birth clouds (Charlot & Fall 2000).
    [
        (galaxy.bulge, 0.5 * galaxy.reddening),
        (old, galaxy.reddening),
        (young, 1.4 * galaxy.reddening),
    ]
}

/// Spectral energy distribution, scaled to the galaxy's r magnitude.
fn shine(galaxy: &Galaxy, rng: &mut impl Rng) -> Light {
    let stretch = 1.0 + galaxy.redshift;
    let [first, last] = photometry::RANGE.map(|edge| edge / stretch);
    let mut stars = parts(galaxy)
        .map(|(history, reddening)| RestSpectrum::of(&history, reddening, first, last));
    // For one solar mass formed.
    let surviving = galaxy.bulge.surviving_mass() + galaxy.disc.surviving_mass();
    let mut lines = nebular::lines(
        &Ionisation {
            formation_rate: galaxy.disc.formation_rate(0.01) + galaxy.bulge.formation_rate(0.01),
            oxygen: galaxy.oxygen,
            nuclear: galaxy.nuclear * surviving,
            nuclear_oxygen: galaxy.nuclear_oxygen,
            reddening: galaxy.reddening,
        },
        rng,
    );
    let mut fluxes = stars
        .each_ref()
        .map(|part| photometry::stellar_fluxes(part, galaxy.redshift));
    let of_lines = photometry::line_fluxes(&lines, galaxy.redshift);
    for (flux, line) in fluxes[PARTS - 1].iter_mut().zip(of_lines) {
        *flux += line;
    }
    let red: f64 = fluxes.iter().map(|part| part[1]).sum();
    let formed_mass = photometry::nanomaggies(galaxy.magnitude_r) / red;
    for part in &mut stars {
        part.light
            .iter_mut()
            .for_each(|value| *value *= formed_mass as f32);
    }
    lines
        .iter_mut()
        .for_each(|line| line.luminosity *= formed_mass);
    fluxes
        .iter_mut()
        .flatten()
        .for_each(|flux| *flux *= formed_mass);
    Light {
        stars,
        lines,
        fluxes,
        formed_mass,
    }
}

/// Fluxes of the whole galaxy in g, r, z, nanomaggies.
fn total_fluxes(light: &Light) -> [f64; 3] {
    std::array::from_fn(|band| light.fluxes.iter().map(|part| part[band]).sum())
}

fn photograph(
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
fn half_light_radius(galaxy: &Galaxy, shape: &Morphology) -> f64 {
    let bulge = galaxy.bulge_share;
    bulge * shape.bulge_radius + (1.0 - bulge) * 1.678 * shape.disc_scale
}

/// Share of a map's light that enters the fibre: the fibre's disc, blurred by the seeing.
fn fibre_share(map: &[f32]) -> f32 {
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

fn take_spectrum(galaxy: &Galaxy, light: &Light, maps: &Maps, rng: &mut impl Rng) -> Array1<f32> {
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
    spectrograph::observe(&mut spectrum, level, rng);
    spectrum
}

fn describe(
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
fn target_id(seed: u64, index: u64) -> ObjectId {
    const SURVEY: i64 = 3_000_000_000_000_000;
    SURVEY + (seed % 1_000_000) as i64 * 1_000_000_000 + (index % 1_000_000_000) as i64
}

#[cfg(test)]
mod tests {
    use rayon::prelude::*;

    use super::*;
    use crate::survey::DESI_GRID;

    #[test]
    fn same_seed_same_bits_whatever_the_threads() {
        let simulate = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            pool.expect("a pool").install(|| {
                (0..8u64)
                    .into_par_iter()
                    .map(|index| simulate_galaxy(11, index))
                    .collect::<Vec<_>>()
            })
        };
        let one = simulate(1);
        assert_eq!(
            one.iter()
                .map(|galaxy| galaxy.catalog.target_id)
                .collect::<Vec<_>>(),
            (0..8).map(|index| target_id(11, index)).collect::<Vec<_>>()
        );
        for (a, b) in one.iter().zip(&simulate(3)) {
            assert!(a.image == b.image && a.spectrum == b.spectrum);
            assert_eq!(a.catalog.magnitudes, b.catalog.magnitudes);
        }
        assert!(simulate_galaxy(12, 0).image != one[0].image);
    }

    /// The light in the picture is the light in the catalogue: without neighbours and noise, the whole
    /// cutout holds the galaxy's flux.
    #[test]
    fn image_holds_the_catalogues_flux() {
        for index in 0..20 {
            let mut rng = ChaCha8Rng::seed_from_u64(2);
            rng.set_stream(index);
            let galaxy = population::draw(&mut rng);
            let light = shine(&galaxy, &mut rng);
            let shape = morphology::draw(&galaxy, &mut rng);
            if half_light_radius(&galaxy, &shape) > 2.0 {
                continue;
            }
            let maps = shape.maps(&mut rng);
            let mut canvas = image::empty_canvas();
            for (map, fluxes) in [&maps.bulge, &maps.old_disc, &maps.young_disc]
                .into_iter()
                .zip(light.fluxes)
            {
                image::add_component(&mut canvas, map, fluxes);
            }
            let calm = Conditions {
                dispersion: [2.0; 3],
                noise: [0.0; 3],
                resampling: [0.0; 2],
            };
            let image = image::observe(&canvas, &calm, &mut rng);
            for (band, flux) in total_fluxes(&light).into_iter().enumerate() {
                let sum = f64::from(image.index_axis(ndarray::Axis(0), band).sum());
                let difference = photometry::magnitude(sum) - photometry::magnitude(flux);
                assert!(
                    difference.abs() < 0.05,
                    "galaxy {index} band {band}: {difference} mag"
                );
            }
            let catalog = describe(2, index, &galaxy, &light, &shape, &calm, &mut rng);
            let expected = galaxy.magnitude_r;
            assert!((f64::from(catalog.magnitudes[1]) - expected).abs() < 0.1);
        }
    }

    /// The spectrum, integrated over r, gives the flux that the fibre's share of the picture gives.
    #[test]
    fn spectrum_agrees_with_the_photometry() {
        for index in 0..12 {
            let mut rng = ChaCha8Rng::seed_from_u64(9);
            rng.set_stream(index);
            let galaxy = population::draw(&mut rng);
            let light = shine(&galaxy, &mut rng);
            let shape = morphology::draw(&galaxy, &mut rng);
            let maps = shape.maps(&mut rng);
            let in_fibre: f64 = [&maps.bulge, &maps.old_disc, &maps.young_disc]
                .into_iter()
                .zip(light.fluxes)
                .map(|(map, fluxes)| f64::from(fibre_share(map)) * fluxes[1])
                .sum();
            let spectrum = take_spectrum(&galaxy, &light, &maps, &mut rng);
            // Mean of λ² f_λ / c over the band's flat part, 5 690–7 150 Å, in nanomaggies.
            let pixels = 2612..4438;
            let mean = pixels
                .clone()
                .map(|pixel| {
                    let wavelength = DESI_GRID.wavelength(pixel);
                    f64::from(spectrum[pixel]) * 1e-17 * wavelength * wavelength / 2.998e18
                })
                .sum::<f64>()
                / pixels.len() as f64
                / photometry::NANOMAGGY;
            assert!(
                (mean / in_fibre - 1.0).abs() < 0.12,
                "galaxy {index}: {mean} vs {in_fibre}"
            );
            let share = in_fibre / photometry::nanomaggies(galaxy.magnitude_r);
            assert!(
                (0.005..0.85).contains(&share),
                "galaxy {index}: fibre share {share}"
            );
        }
    }
}
