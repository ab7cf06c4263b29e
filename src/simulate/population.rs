//! Which galaxies there are: redshift, brightness, type, and the physical properties that go with them.

use std::sync::LazyLock;

use rand::{Rng, RngExt};
use rand_distr::{Beta, Distribution};

use super::{cosmology, nebular, normal, stars::FormationHistory};

/// The three branches of the galaxy population.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Red sequence: old, quenched, bulge-dominated.
    Red,
    /// Green valley: star formation is fading.
    Green,
    /// Blue cloud: star-forming discs.
    Blue,
}

/// One galaxy as drawn from the population, before any light is computed.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Galaxy {
    pub(super) redshift: f64,
    /// Total apparent magnitude in r, AB.
    pub(super) magnitude_r: f64,
    pub(super) kind: Kind,
    /// log10 of the stellar mass, M☉, as expected from the luminosity; sets the mean of the scaling
    /// relations. The mass in the catalogue follows from the light.
    pub(super) expected_log_mass: f64,
    /// Share of the formed mass in the bulge.
    pub(super) bulge_share: f64,
    /// Stars of the bulge; bulge and disc together form one solar mass.
    pub(super) bulge: FormationHistory,
    /// Stars of the disc.
    pub(super) disc: FormationHistory,
    /// Colour excess E(B−V) of the disc's older stars, seen at its inclination.
    pub(super) reddening: f64,
    /// Inclination of the disc, radians from face-on.
    pub(super) inclination: f64,
    /// 12 + log(O/H) of the gas.
    pub(super) oxygen: f64,
    /// Luminosity of Hα from nucleus and old stars per expected stellar mass, erg/s/M☉.
    pub(super) nuclear: f64,
    /// log [O III]/Hβ of the nuclear emission.
    pub(super) nuclear_oxygen: f64,
    /// Stellar velocity dispersion, km/s.
    pub(super) dispersion: f64,
}

/// Schechter function of absolute r magnitude: M*, faint-end slope, density (per Mpc³).
struct Schechter {
    magnitude: f64,
    slope: f64,
    density: f64,
}

/// Red and blue luminosity functions, close to Loveday et al. (2012, table 3) for h = 0.7.
const RED: Schechter = Schechter {
    magnitude: -21.25,
    slope: -0.55,
    density: 3.7e-3,
};
const BLUE: Schechter = Schechter {
    magnitude: -21.00,
    slope: -1.35,
    density: 3.4e-3,
};

impl Schechter {
    fn per_magnitude(&self, magnitude: f64) -> f64 {
        let luminosity = 10f64.powf(-0.4 * (magnitude - self.magnitude));
        self.density * luminosity.powf(self.slope + 1.0) * (-luminosity).exp()
    }
}

/// K correction minus luminosity evolution in r, mag (Chilingarian et al. 2010, for typical colours;
/// one magnitude per unit redshift of evolution, Loveday et al. 2012).
fn correction(red: bool, redshift: f64) -> f64 {
    if red {
        (0.8 + 1.4 * redshift - 1.0) * redshift
    } else {
        (0.4 + 0.3 * redshift - 1.1) * redshift
    }
}

const REDSHIFT_BINS: usize = 120;
const MAGNITUDE_BINS: usize = 64;
const REDSHIFT_RANGE: [f64; 2] = [0.01, 0.61];
const MAGNITUDE_RANGE: [f64; 2] = [13.8, 20.2];
/// DESI's Bright Galaxy Survey ends at r = 19.5, its faint part at about 20.2 and is observed with
/// lower priority (Hahn et al. 2023).
const BRIGHT_LIMIT: f64 = 19.5;
const FAINT_COMPLETENESS: f64 = 0.55;
/// Share of luminous red galaxies at 0.4 < z < 0.95 (Zhou et al. 2023).
const LUMINOUS_RED_SHARE: f64 = 0.05;

/// Cumulative number of galaxies per (type, redshift bin, magnitude bin).
static COUNTS: LazyLock<Vec<f64>> = LazyLock::new(|| {
    let mut sum = 0.0;
    let mut cumulative = Vec::with_capacity(2 * REDSHIFT_BINS * MAGNITUDE_BINS);
    for red in [true, false] {
        for redshift_bin in 0..REDSHIFT_BINS {
            let redshift = in_bin(redshift_bin, 0.5, REDSHIFT_BINS, REDSHIFT_RANGE);
            let offset = cosmology::distance_modulus(redshift) + correction(red, redshift);
            for magnitude_bin in 0..MAGNITUDE_BINS {
                let magnitude = in_bin(magnitude_bin, 0.5, MAGNITUDE_BINS, MAGNITUDE_RANGE);
                let function = if red { RED } else { BLUE };
                let completeness = if magnitude < BRIGHT_LIMIT {
                    1.0
                } else {
                    FAINT_COMPLETENESS
                };
                sum += function.per_magnitude(magnitude - offset)
                    * cosmology::volume_element(redshift)
                    * completeness;
                cumulative.push(sum);
            }
        }
    }
    cumulative
});

fn in_bin(bin: usize, within: f64, bins: usize, [low, high]: [f64; 2]) -> f64 {
    low + (high - low) * (bin as f64 + within) / bins as f64
}

/// (redshift, r magnitude, on the red side)
fn draw_place(rng: &mut impl Rng) -> (f64, f64, bool) {
    if rng.random::<f64>() < LUMINOUS_RED_SHARE {
        let redshift = 0.42 + 0.5 * Beta::new(1.6, 2.4).expect("positive shapes").sample(rng);
        let absolute = -22.7 - 0.35 * normal(rng).abs();
        let magnitude =
            absolute + cosmology::distance_modulus(redshift) + correction(true, redshift);
        return (redshift, magnitude, true);
    }
    let counts = &*COUNTS;
    let target = rng.random::<f64>() * counts[counts.len() - 1];
    let cell = counts
        .partition_point(|&count| count <= target)
        .min(counts.len() - 1);
    let magnitude_bin = cell % MAGNITUDE_BINS;
    let redshift_bin = (cell / MAGNITUDE_BINS) % REDSHIFT_BINS;
    let red = cell < REDSHIFT_BINS * MAGNITUDE_BINS;
    (
        in_bin(redshift_bin, rng.random(), REDSHIFT_BINS, REDSHIFT_RANGE),
        in_bin(magnitude_bin, rng.random(), MAGNITUDE_BINS, MAGNITUDE_RANGE),
        red,
    )
}

/// Stellar metallicity [Z/H] at a stellar mass: a logistic through the medians of Gallazzi et al. (2005,
/// table 2).
fn metallicity(log_mass: f64) -> f64 {
    0.20 - 0.85 / (1.0 + ((log_mass - 10.1) / 0.35).exp())
}

/// Draws one galaxy.
pub(super) fn draw(rng: &mut impl Rng) -> Galaxy {
    let (redshift, magnitude_r, red) = draw_place(rng);
    let kind = if rng.random::<f64>() < 0.13 {
        Kind::Green
    } else if red {
        Kind::Red
    } else {
        Kind::Blue
    };
    let absolute =
        magnitude_r - cosmology::distance_modulus(redshift) - correction(red, redshift) + redshift;
    // Mass-to-light ratios in r of old and of star-forming populations (Bell et al. 2003).
    let log_ratio = match kind {
        Kind::Red => 0.35,
        Kind::Green => 0.2,
        Kind::Blue => 0.08 * (-20.0 - absolute).clamp(-2.0, 2.0),
    };
    let log_mass = (-0.4 * (absolute - 4.65) + log_ratio).clamp(7.5, 12.0);
    let over = log_mass - 10.0;

    let bulge_share = match kind {
        Kind::Red if rng.random::<f64>() < 0.35 + 0.3 * over.clamp(-0.5, 1.5) => 1.0,
        Kind::Red => (0.55 + 0.18 * normal(rng)).clamp(0.15, 0.95),
        Kind::Green => (0.38 + 0.08 * over + 0.18 * normal(rng)).clamp(0.05, 0.9),
        Kind::Blue => (0.14 * 10f64.powf(0.25 * over + 0.30 * normal(rng))).clamp(0.0, 0.7),
    };

    let age = cosmology::age(redshift);
    let burst = 10f64.powf(0.25 * normal(rng));
    let stars = metallicity(log_mass);
    // Downsizing: massive galaxies formed earlier and faster (Thomas et al. 2005).
    let (disc_start, disc_tau, disc_metallicity) = match kind {
        Kind::Red => (
            (age * (0.83 + 0.05 * over) + 0.4 * normal(rng)).min(age - 0.4),
            (0.7 * 10f64.powf(-0.15 * over + 0.12 * normal(rng))).clamp(0.2, 1.3),
            stars + 0.15 * normal(rng),
        ),
        Kind::Green => (
            age * (0.80 + 0.05 * normal(rng)).clamp(0.5, 0.95),
            (1.8 * 10f64.powf(-0.10 * over + 0.12 * normal(rng))).clamp(0.8, 4.0),
            stars + 0.20 * normal(rng),
        ),
        Kind::Blue => (
            age * (0.74 + 0.08 * normal(rng)).clamp(0.35, 0.95),
            (4.8 * 10f64.powf(-0.22 * over + 0.18 * normal(rng))).clamp(1.3, 20.0),
            stars - 0.05 + 0.24 * normal(rng),
        ),
    };
    let disc_metallicity = disc_metallicity.clamp(-1.2, 0.35);
    let bulge_start = (age * (0.84 + 0.04 * over) + 0.35 * normal(rng))
        .clamp(disc_start.min(age - 0.3), age - 0.2);
    let bulge_tau = match kind {
        Kind::Blue => 0.9,
        _ => 0.55,
    } * 10f64.powf(0.1 * normal(rng));
    let bulge_metallicity = (disc_metallicity + 0.08 + 0.05 * normal(rng)).clamp(-1.2, 0.38);
    let trickle = 10f64.powf(-3.0 + 0.4 * normal(rng));
    let bulge = FormationHistory::delayed(
        bulge_start,
        bulge_tau,
        1.0,
        0.3 * trickle,
        bulge_metallicity,
    )
    .scaled(bulge_share);
    let disc = FormationHistory::delayed(disc_start, disc_tau, burst, trickle, disc_metallicity)
        .scaled(1.0 - bulge_share);

    let inclination = rng.random::<f64>().acos();
    // More dust in massive star-forming discs (Garn & Best 2010), and more of it when seen edge-on.
    let face_on = match kind {
        Kind::Red => 0.015 * 10f64.powf(0.25 * normal(rng)),
        Kind::Green => 0.08 * 10f64.powf(0.28 * normal(rng)),
        Kind::Blue => 0.11 * 10f64.powf(0.28 * over.clamp(-1.2, 0.9) + 0.26 * normal(rng)),
    };
    let path = (1.0 / inclination.cos().max(0.2)).powf(0.30);

    // Weak emission of old stars everywhere; a Seyfert or LINER nucleus in some massive galaxies (Kewley
    // et al. 2006).
    let active = rng.random::<f64>() < (0.10 + 0.12 * over).clamp(0.0, 0.25);
    let seyfert = active && rng.random::<f64>() < 0.4;
    let boost = if seyfert {
        6.0
    } else if active {
        2.5
    } else {
        0.5
    };
    let nuclear = 2.5e28 * boost * 10f64.powf(0.3 * normal(rng));

    Galaxy {
        redshift,
        magnitude_r,
        kind,
        expected_log_mass: log_mass,
        bulge_share,
        bulge,
        disc,
        reddening: (face_on * path).min(0.45),
        inclination,
        oxygen: nebular::oxygen_abundance(log_mass) + 0.08 * normal(rng),
        nuclear,
        nuclear_oxygen: if seyfert { 0.9 } else { 0.35 } + 0.1 * normal(rng),
        // Faber–Jackson in mass, with the slope of Gallazzi et al. (2006); discs add rotation.
        dispersion: (110.0 * 10f64.powf(0.28 * over + 0.06 * normal(rng))).clamp(40.0, 380.0),
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn looks_like_a_magnitude_limited_survey() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let galaxies: Vec<Galaxy> = (0..4000).map(|_| draw(&mut rng)).collect();
        let mut redshifts: Vec<f64> = galaxies.iter().map(|galaxy| galaxy.redshift).collect();
        redshifts.sort_by(f64::total_cmp);
        let median = redshifts[2000];
        assert!((0.18..0.30).contains(&median), "median redshift {median}");
        assert!(redshifts[3960] > 0.5, "no tail to high redshift");
        let red = galaxies
            .iter()
            .filter(|galaxy| galaxy.kind == Kind::Red)
            .count();
        assert!((1200..2600).contains(&red), "{red} red galaxies of 4000");
    }
}
