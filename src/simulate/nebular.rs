//! Emission lines of ionised gas.

use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use super::dust;

/// One emission line: vacuum rest wavelength in Å, luminosity in erg/s after dust.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Line {
    pub(super) wavelength: f64,
    pub(super) luminosity: f64,
}

/// Luminosity of Hα per star formation rate, erg/s per M☉/yr (Kennicutt & Evans 2012, table 1).
const HALPHA_PER_FORMATION_RATE: f64 = 1.862e41;

/// Oxygen abundance 12 + log(O/H) at a stellar mass, log10 M☉: the mass–metallicity relation of
/// Tremonti et al. (2004, eq. 3), shifted by −0.2 dex to the scale of Pettini & Pagel (2004)
/// (Kewley & Ellison 2008).
pub(super) fn oxygen_abundance(log_mass: f64) -> f64 {
    let mass = log_mass.clamp(8.5, 11.3);
    -1.492 + 1.847 * mass - 0.080_26 * mass * mass - 0.2
}

/// What ionises the gas.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Ionisation {
    /// Star formation rate, M☉/yr.
    pub(super) formation_rate: f64,
    /// 12 + log(O/H).
    pub(super) oxygen: f64,
    /// Luminosity of Hα from the nucleus and old stars, erg/s.
    pub(super) nuclear: f64,
    /// log([O III] 5007 / Hβ) of that part: Seyferts near 0.9, LINERs near 0.3 (Kewley et al. 2006).
    pub(super) nuclear_oxygen: f64,
    /// Colour excess of the stars, mag; the gas suffers more.
    pub(super) reddening: f64,
}

/// The lines of a galaxy.
///
/// Balmer decrement of case B at 10⁴ K (Osterbrock & Ferland 2006); [O III] 5007 : 4959 = 2.98 and
/// [N II] 6583 : 6548 = 3.05 (Storey & Zeippenfeld 2000); [N II]/Hα and [O III]/Hβ from the oxygen
/// abundance by N2 and O3N2 (Pettini & Pagel 2004, eqs 1 and 3); [O II]/Hβ falls at high abundance
/// (Kewley et al. 2004); doublets in the low-density limit. Line ratios scatter by 0.08 dex.
pub(super) fn lines(gas: &Ionisation, rng: &mut impl Rng) -> Vec<Line> {
    let mut scatter = |dex: f64| 10f64.powf(dex * rng.sample::<f64, _>(StandardNormal));
    let stellar = gas.formation_rate * HALPHA_PER_FORMATION_RATE;
    let nitrogen = 10f64.powf(((gas.oxygen - 8.90) / 0.57).clamp(-1.8, -0.30)) * scatter(0.08);
    let oxygen3_stellar = 10f64.powf(
        ((8.73 - gas.oxygen) / 0.32 + ((gas.oxygen - 8.90) / 0.57).clamp(-1.8, -0.30))
            .clamp(-1.0, 0.8),
    ) * scatter(0.10);
    let oxygen2_stellar =
        10f64.powf((0.50 - 1.1 * (gas.oxygen - 8.45).max(0.0)).max(-0.3)) * scatter(0.08);
    let hbeta = |halpha: f64| halpha / 2.86;
    let (star, core) = (stellar, gas.nuclear);
    let nitrogen2 = star * nitrogen + core * 0.9 * scatter(0.08);
    let oxygen3 = hbeta(star) * oxygen3_stellar
        + hbeta(core) * 10f64.powf(gas.nuclear_oxygen) * scatter(0.05);
    let oxygen2 = hbeta(star) * oxygen2_stellar + hbeta(core) * 2.5 * scatter(0.08);
    let sulphur2 = star * 0.32 * scatter(0.06) + core * 0.6;
    let halpha = star + core;
    let reddening = gas.reddening / dust::STELLAR_TO_NEBULAR;
    [
        (6564.61, halpha),
        (4862.68, hbeta(halpha)),
        (4341.68, hbeta(halpha) * 0.468),
        (4102.89, hbeta(halpha) * 0.259),
        (3971.20, hbeta(halpha) * 0.159),
        (3890.15, hbeta(halpha) * 0.105),
        (3727.09, oxygen2 / 2.4),
        (3729.88, oxygen2 * 1.4 / 2.4),
        (3869.86, oxygen3 * 0.07),
        (4960.30, oxygen3 / 2.98),
        (5008.24, oxygen3),
        (5877.25, hbeta(halpha) * 0.11),
        (6302.05, sulphur2 * 0.12),
        (6365.54, sulphur2 * 0.04),
        (6549.86, nitrogen2 / 3.05),
        (6585.27, nitrogen2),
        (6718.29, sulphur2 * 1.4 / 2.4),
        (6732.67, sulphur2 / 2.4),
        (9071.1, sulphur2 * 0.25),
        (9533.2, sulphur2 * 0.62),
    ]
    .map(|(wavelength, luminosity)| Line {
        wavelength,
        luminosity: luminosity * dust::transmission(wavelength, reddening),
    })
    .into()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn luminosity(lines: &[Line], wavelength: f64) -> f64 {
        let found = lines
            .iter()
            .find(|line| (line.wavelength - wavelength).abs() < 1.0);
        found.expect("the line is in the list").luminosity
    }

    #[test]
    fn ratios_are_those_of_atomic_physics() {
        let gas = Ionisation {
            formation_rate: 1.0,
            oxygen: oxygen_abundance(10.3),
            nuclear: 0.0,
            nuclear_oxygen: 0.3,
            reddening: 0.0,
        };
        let clear = lines(&gas, &mut ChaCha8Rng::seed_from_u64(1));
        let ratio = |a, b| luminosity(&clear, a) / luminosity(&clear, b);
        assert!((ratio(5008.0, 4960.0) - 2.98).abs() < 1e-9);
        assert!((ratio(6585.0, 6550.0) - 3.05).abs() < 1e-9);
        assert!((ratio(6564.6, 4862.7) - 2.86).abs() < 1e-9);
        // SFR = L(Hα) / 10^41.27 (Kennicutt & Evans 2012).
        assert!((luminosity(&clear, 6564.6).log10() - 41.27).abs() < 0.005);
        // A massive spiral: [N II]/Hα of 0.3–0.6 and weak [O III] (Kewley et al. 2006, fig. 1).
        assert!(
            (0.2..0.7).contains(&ratio(6585.0, 6564.6)),
            "{}",
            ratio(6585.0, 6564.6)
        );
        assert!(ratio(5008.0, 4862.7) < 1.0);
        let dusty = lines(
            &Ionisation {
                reddening: 0.2,
                ..gas
            },
            &mut ChaCha8Rng::seed_from_u64(1),
        );
        assert!(luminosity(&dusty, 6564.6) / luminosity(&dusty, 4862.7) > 3.5);
    }
}
