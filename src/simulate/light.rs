//! Light of a galaxy before its shape and the instruments come in: stars, emission lines, fluxes.

use rand::Rng;

use super::nebular::{self, Ionisation, Line};
use super::photometry;
use super::population::Galaxy;
use super::stars::{FormationHistory, RestSpectrum};
use super::variant::Changes;

/// The three parts of a galaxy, in this order everywhere: bulge, older disc, young disc.
pub(super) const PARTS: usize = 3;

/// Light of a galaxy, before its shape and the instruments come in.
pub(super) struct Light {
    /// Stars of each part, rest frame.
    pub(super) stars: [RestSpectrum; PARTS],
    /// Emission lines; they come from where the young stars are.
    pub(super) lines: Vec<Line>,
    /// Fluxes of each part in g, r, z, nanomaggies; the young disc's with the lines.
    pub(super) fluxes: [[f64; 3]; PARTS],
    /// Mass formed over the galaxy's life, M☉.
    pub(super) formed_mass: f64,
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
pub(super) fn shine(galaxy: &Galaxy, changes: &Changes, rng: &mut impl Rng) -> Light {
    let stretch = 1.0 + galaxy.redshift;
    let [first, last] = photometry::RANGE.map(|edge| edge / stretch);
    let mut stars = parts(galaxy)
        .map(|(history, reddening)| RestSpectrum::of(&history, reddening, first, last));
    if changes.slope != 0.0 {
        stars.iter_mut().for_each(|part| part.redden(changes.slope));
    }
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
    (lines.iter_mut()).for_each(|line| line.luminosity *= changes.lines);
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
pub(super) fn total_fluxes(light: &Light) -> [f64; 3] {
    std::array::from_fn(|band| light.fluxes.iter().map(|part| part[band]).sum())
}
