//! A simulated survey: one physical galaxy makes both an image and a spectrum.
//!
//! A star formation history, metals and dust give the spectral energy distribution of the bulge, the
//! older disc and the young disc; it is seen through three broad bands and spread over the sky by the
//! galaxy's shape, and seen through a fibre by a spectrograph.

mod catalog;
mod cosmology;
mod dust;
mod exposure;
mod image;
mod light;
mod morphology;
mod nebular;
mod photometry;
mod population;
mod spectrograph;
mod stars;
mod survey_file;
mod variant;
mod votes;

use ndarray::{Array1, Array3};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};

pub use catalog::CatalogRow;
pub use survey_file::{is_simulated, write_survey};
pub use variant::Variant;

use catalog::describe;
use exposure::{photograph, take_spectrum};
use image::Conditions;
use light::shine;

/// What to simulate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SimulationConfig {
    /// Number of galaxies, at least 10.
    pub galaxies: usize,
    /// Seed of the random numbers: the same seed gives the same survey, bit for bit.
    pub seed: u64,
    /// In what the survey differs from the usual one.
    pub variant: Variant,
}

impl Default for SimulationConfig {
    fn default() -> Self {
        Self {
            galaxies: 2000,
            seed: 0,
            variant: Variant::Standard,
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

/// Simulates galaxy `index` of the survey with `seed`. Depends on what is given only; variants have the same galaxies.
pub fn simulate_galaxy(seed: u64, index: u64, variant: Variant) -> SimulatedGalaxy {
    let changes = variant.changes();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(index);
    let mut galaxy = population::draw(&mut rng);
    galaxy.reddening *= changes.reddening;
    let light = shine(&galaxy, &changes, &mut rng);
    let shape = morphology::draw(&galaxy, &mut rng);
    let maps = shape.maps(&mut rng);
    let conditions = Conditions::draw(&mut rng).changed(&changes);
    let image = photograph(&galaxy, &light, &shape, &maps, &conditions, &mut rng);
    let spectrum = take_spectrum(&galaxy, &light, &maps, &changes, &mut rng);
    let catalog = describe(seed, index, &galaxy, &light, &shape, &conditions, &mut rng);
    SimulatedGalaxy {
        image,
        spectrum,
        catalog,
    }
}

/// A number of the standard normal distribution.
fn normal(rng: &mut impl Rng) -> f64 {
    rng.sample(StandardNormal)
}

#[cfg(test)]
mod tests {
    use rayon::prelude::*;

    use super::catalog::target_id;
    use super::exposure::{fibre_share, half_light_radius};
    use super::light::total_fluxes;
    use super::*;
    use crate::survey::DESI_GRID;

    #[test]
    fn same_seed_same_bits_whatever_the_threads() {
        let simulate = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            pool.expect("a pool").install(|| {
                (0..8u64)
                    .into_par_iter()
                    .map(|index| simulate_galaxy(11, index, Variant::Standard))
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
        assert!(simulate_galaxy(12, 0, Variant::Standard).image != one[0].image);
    }

    /// The light in the picture is the light in the catalogue: without neighbours and noise, the whole
    /// cutout holds the galaxy's flux.
    #[test]
    fn image_holds_the_catalogues_flux() {
        for index in 0..20 {
            let mut rng = ChaCha8Rng::seed_from_u64(2);
            rng.set_stream(index);
            let galaxy = population::draw(&mut rng);
            let light = shine(&galaxy, &Variant::Standard.changes(), &mut rng);
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
            let light = shine(&galaxy, &Variant::Standard.changes(), &mut rng);
            let shape = morphology::draw(&galaxy, &mut rng);
            let maps = shape.maps(&mut rng);
            let calm = Variant::Standard.changes();
            let in_fibre: f64 = [&maps.bulge, &maps.old_disc, &maps.young_disc]
                .into_iter()
                .zip(light.fluxes)
                .map(|(map, fluxes)| f64::from(fibre_share(map)) * fluxes[1])
                .sum();
            let spectrum = take_spectrum(&galaxy, &light, &maps, &calm, &mut rng);
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

    /// What a variant changes is seen where it should be, and nowhere else.
    #[test]
    fn variants_differ_in_one_thing() {
        let galaxies = |variant| -> Vec<SimulatedGalaxy> {
            let of = |index| simulate_galaxy(4, index, variant);
            (0..40u64).into_par_iter().map(of).collect()
        };
        let usual = galaxies(Variant::Standard);
        // Standard deviation of the image's first row in r, far from the galaxy.
        let sky = |galaxy: &SimulatedGalaxy| {
            f64::from(galaxy.image.slice(ndarray::s![1, 0, ..]).std(0.0))
        };
        let peak = |galaxy: &SimulatedGalaxy| f64::from(galaxy.image[[1, 75, 75]]);
        let magnitude = |band: usize| {
            move |galaxy: &SimulatedGalaxy| f64::from(galaxy.catalog.magnitudes[band])
        };
        let colour = |galaxy: &SimulatedGalaxy| magnitude(0)(galaxy) - magnitude(2)(galaxy);
        let roughness = |galaxy: &SimulatedGalaxy| {
            let steps = galaxy.spectrum.windows(2).into_iter();
            let mut steps: Vec<f64> = steps
                .map(|pair| f64::from((pair[1] - pair[0]).abs()))
                .collect();
            *steps.select_nth_unstable_by(3890, f64::total_cmp).1
        };
        let median = |variant, of: &dyn Fn(&SimulatedGalaxy) -> f64, is_ratio: bool| {
            let pairs = usual.iter().zip(galaxies(variant));
            let mut changes: Vec<f64> = pairs
                .map(|(before, after)| match is_ratio {
                    true => of(&after) / of(before),
                    false => of(&after) - of(before),
                })
                .collect();
            *changes.select_nth_unstable_by(20, f64::total_cmp).1
        };
        let near = |value: f64, expected: f64, tolerance: f64| {
            assert!(
                (value - expected).abs() < tolerance,
                "{value} is not {expected}"
            );
        };
        near(median(Variant::Shallow, &sky, true), 3.0, 0.3);
        near(median(Variant::Shallow, &roughness, true), 2.0, 0.1);
        near(median(Variant::Shallow, &colour, false), 0.0, 0.05);
        near(median(Variant::Seeing, &sky, true), 1.0, 0.02);
        assert!(median(Variant::Seeing, &peak, true) < 0.8);
        assert!(median(Variant::Dusty, &colour, false) > 0.1);
        near(median(Variant::Colours, &colour, false), 0.08, 0.02);
        let without = galaxies(Variant::NoLines);
        // The strongest line stands out of the noise, which is the same, in most galaxies.
        let lines = usual.iter().zip(&without).filter(|(before, after)| {
            let differences = before.spectrum.iter().zip(&after.spectrum);
            let differences = differences.map(|(with, without)| with - without);
            differences.fold(0.0, f32::max) > 0.5
        });
        let lines = lines.count();
        assert!(lines > 20, "{lines} of 40 galaxies lose lines");
        near(median(Variant::NoLines, &sky, true), 1.0, 0.01);
    }
}
