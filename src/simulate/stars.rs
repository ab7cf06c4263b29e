//! Light of stellar populations: simple populations of one age and metallicity, summed over a star
//! formation history.
//!
//! The simple populations are smooth continua through nodes that follow the colours and mass-to-light
//! ratios of Bruzual & Charlot (2003, MNRAS 344, 1000; Chabrier mass function), times absorption
//! features: Balmer lines that are strongest at 0.3–1 Gyr, and metal features with the wavelengths of
//! the Lick indices (Worthey et al. 1994, ApJS 94, 687) that deepen with age and metallicity.

use std::sync::LazyLock;

use super::dust;

/// Ages of the simple populations, Gyr.
pub(super) const AGES: [f64; 10] = [0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 2.0, 4.0, 8.0, 13.0];
/// Number of [`AGES`].
pub(super) const AGE_COUNT: usize = AGES.len();
/// The first populations, up to this index, still sit near their birth places: younger than 0.17 Gyr.
pub(super) const YOUNG: usize = 4;
/// Metallicities [Z/H] of the simple populations, dex from the Sun.
const METALLICITIES: [f64; 4] = [-1.2, -0.6, 0.0, 0.4];
/// Mass fraction of metals in the Sun (Asplund et al. 2009).
pub(super) const SOLAR_METALS: f64 = 0.0142;

/// First rest wavelength of the templates, Å.
const FIRST_WAVELENGTH: f64 = 1650.0;
/// Last rest wavelength of the templates, Å.
const LAST_WAVELENGTH: f64 = 10_400.0;
/// Step of the templates in ln λ: 30 km/s.
pub(super) const LOG_STEP: f64 = 1e-4;

/// Luminosity unit of the templates, erg/s/Å per solar mass formed.
pub(super) const LUMINOSITY_UNIT: f64 = 1e29;

/// Initial mass over light at 5500 Å, solar units, for each of [`AGES`].
const MASS_TO_LIGHT: [f64; AGE_COUNT] = [0.02, 0.03, 0.07, 0.15, 0.30, 0.70, 1.3, 2.3, 4.0, 5.6];

/// Wavelengths of the continuum's nodes, Å. The pairs 3620/3720 and 3960/4010 hold the Balmer and the
/// 4000 Å break.
const NODES: [f64; 19] = [
    1500.0, 2000.0, 2500.0, 2900.0, 3300.0, 3620.0, 3720.0, 3850.0, 3960.0, 4010.0, 4200.0, 4500.0,
    5000.0, 5500.0, 6200.0, 7000.0, 8000.0, 9000.0, 10_400.0,
];

/// Continuum of each age at [`NODES`]: AB magnitudes relative to 5500 Å, solar metallicity.
#[rustfmt::skip]
const CONTINUA: [[f64; 19]; AGE_COUNT] = [
    [-1.00, -0.85, -0.72, -0.62, -0.50, -0.42, -0.42, -0.40, -0.38, -0.37, -0.32, -0.22, -0.10, 0.0, 0.12, 0.25, 0.38, 0.45, 0.52],
    [-0.75, -0.62, -0.50, -0.42, -0.32, -0.24, -0.36, -0.38, -0.37, -0.36, -0.32, -0.22, -0.10, 0.0, 0.08, 0.15, 0.20, 0.22, 0.20],
    [-0.20, -0.12, -0.05,  0.00,  0.03,  0.06, -0.22, -0.31, -0.33, -0.33, -0.29, -0.20, -0.09, 0.0, 0.08, 0.14, 0.18, 0.20, 0.20],
    [ 0.70,  0.60,  0.60,  0.60,  0.62,  0.62,  0.10, -0.12, -0.20, -0.22, -0.20, -0.13, -0.05, 0.0, 0.02, 0.03, 0.03, 0.02, 0.00],
    [ 2.60,  2.00,  1.70,  1.45,  1.25,  1.15,  0.50,  0.15,  0.02, -0.03, -0.01,  0.02,  0.01, 0.0, -0.08, -0.14, -0.20, -0.25, -0.30],
    [ 5.20,  4.10,  3.10,  2.25,  1.61,  1.45,  1.05,  0.73,  0.55,  0.35,  0.31,  0.21,  0.08, 0.0, -0.18, -0.31, -0.43, -0.52, -0.63],
    [ 6.20,  5.10,  3.90,  2.65,  1.80,  1.58,  1.34,  1.05,  0.86,  0.50,  0.45,  0.33,  0.13, 0.0, -0.23, -0.40, -0.57, -0.69, -0.82],
    [ 6.30,  5.50,  4.30,  2.95,  1.96,  1.77,  1.57,  1.29,  1.13,  0.65,  0.58,  0.42,  0.17, 0.0, -0.27, -0.48, -0.68, -0.82, -0.97],
    [ 5.80,  5.40,  4.60,  3.15,  2.11,  1.91,  1.73,  1.46,  1.29,  0.77,  0.69,  0.50,  0.20, 0.0, -0.30, -0.54, -0.76, -0.92, -1.08],
    [ 5.30,  5.20,  4.70,  3.30,  2.21,  2.00,  1.82,  1.55,  1.38,  0.83,  0.74,  0.54,  0.22, 0.0, -0.32, -0.57, -0.81, -0.97, -1.14],
];

/// How far one dex of metallicity reddens each age: magnitudes per unit of (5500 Å / λ − 1).
const METALLICITY_SLOPE: [f64; AGE_COUNT] = [0.1, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 0.9, 0.9, 0.9];

/// Equivalent width of Hβ in absorption, Å (Worthey & Ottaviani 1997; González Delgado et al. 2005).
const BALMER_WIDTH: [f64; AGE_COUNT] = [2.5, 3.5, 4.8, 6.8, 8.8, 7.0, 3.6, 2.3, 1.8, 1.6];
/// Dispersion of the Balmer lines, Å: pressure broadening in A stars.
const BALMER_DISPERSION: [f64; AGE_COUNT] = [5.0, 6.0, 7.0, 8.5, 9.0, 8.0, 5.5, 4.0, 3.5, 3.5];
/// Depth of the metal features relative to an old population.
const METAL_DEPTH: [f64; AGE_COUNT] = [0.04, 0.07, 0.10, 0.13, 0.22, 0.50, 0.75, 0.90, 1.0, 1.05];

/// The Balmer series: vacuum wavelength in Å, equivalent width relative to Hβ in hot stars.
const BALMER_SERIES: [(f64, f64); 11] = [
    (6564.61, 0.72),
    (4862.68, 1.0),
    (4341.68, 1.02),
    (4102.89, 1.05),
    (3971.20, 0.95),
    (3890.15, 0.88),
    (3836.47, 0.80),
    (3798.98, 0.68),
    (3771.70, 0.55),
    (3751.22, 0.42),
    (3735.43, 0.32),
];

/// Metal features: vacuum wavelength Å, dispersion Å, depth in an old solar population.
#[rustfmt::skip]
const METAL_FEATURES: [(f64, f64, f64); 78] = [
    // Ultraviolet: Fe II, Mg II h and k, Mg I, and the 2640 and 2900 Å breaks.
    (2402.0, 22.0, 0.35), (2609.0, 18.0, 0.40), (2745.0, 16.0, 0.28), (2796.4, 4.5, 0.60), (2803.5, 4.5, 0.58), (2852.9, 6.0, 0.48), (2967.0, 12.0, 0.20),
    (3021.0, 12.0, 0.25), (3096.0, 14.0, 0.20), (3160.0, 10.0, 0.15), (3230.0, 14.0, 0.15), (3360.0, 14.0, 0.20), (3441.0, 10.0, 0.18), (3490.0, 8.0, 0.15),
    (3522.0, 8.0, 0.14), (3582.0, 12.0, 0.26), (3619.0, 6.0, 0.18), (3648.0, 6.0, 0.15),
    // Fe I blends and the CN band head below the break.
    (3681.0, 5.0, 0.12), (3706.0, 5.0, 0.12), (3736.0, 9.0, 0.26), (3749.0, 5.0, 0.18), (3765.0, 4.0, 0.14), (3816.0, 6.0, 0.18), (3827.0, 6.0, 0.26),
    (3839.0, 6.0, 0.30), (3860.0, 9.0, 0.18), (3879.0, 7.0, 0.17), (3906.0, 4.0, 0.12),
    // Ca II K and H.
    (3934.8, 5.0, 0.62), (3969.6, 4.6, 0.58),
    (4046.9, 3.0, 0.16), (4064.8, 3.0, 0.12), (4078.9, 2.5, 0.12), (4132.0, 4.0, 0.10), (4144.0, 5.0, 0.13), (4172.0, 14.0, 0.10), (4203.0, 4.0, 0.10),
    (4216.0, 3.0, 0.11), (4227.9, 3.0, 0.30), (4251.0, 4.0, 0.12), (4272.0, 4.0, 0.15),
    // CH: the G band.
    (4300.5, 8.0, 0.26), (4312.0, 5.0, 0.12), (4326.9, 3.0, 0.14), (4384.8, 4.0, 0.22), (4405.8, 4.0, 0.12), (4416.0, 4.0, 0.09), (4456.0, 5.0, 0.10),
    (4531.0, 9.0, 0.10), (4554.0, 4.0, 0.06), (4590.0, 8.0, 0.05), (4668.0, 15.0, 0.09), (4735.0, 9.0, 0.05), (4891.5, 4.0, 0.07), (4921.5, 4.0, 0.09),
    (4958.5, 4.0, 0.11), (5017.0, 9.0, 0.09), (5042.0, 4.0, 0.06), (5110.0, 22.0, 0.08),
    // Mg b.
    (5168.8, 3.2, 0.24), (5174.1, 3.2, 0.22), (5185.1, 3.2, 0.22), (5208.0, 4.0, 0.09),
    // Fe.
    (5271.0, 4.5, 0.16), (5329.6, 4.5, 0.12), (5373.0, 4.0, 0.06), (5406.5, 4.0, 0.08), (5449.0, 4.0, 0.06), (5711.0, 4.0, 0.045),
    // Na D, TiO, Ca and the calcium triplet.
    (5891.6, 2.6, 0.30), (5897.6, 2.6, 0.26), (6233.0, 30.0, 0.045), (6497.0, 5.0, 0.06), (7110.0, 45.0, 0.06),
    (8500.4, 3.0, 0.18), (8544.4, 3.4, 0.30), (8664.5, 3.4, 0.26),
];

/// The grid of simple populations.
struct Templates {
    /// Luminosity per solar mass formed, in [`LUMINOSITY_UNIT`]s, `[metallicity][age][wavelength]`.
    light: Vec<[Vec<f32>; AGE_COUNT]>,
    /// Calzetti's k(λ) in units of ln(10) 0.4, so that the transmission is exp(−k E(B−V)).
    opacity: Vec<f32>,
}

static TEMPLATES: LazyLock<Templates> = LazyLock::new(|| Templates {
    light: METALLICITIES
        .map(|metallicity| std::array::from_fn(|age| template(age, metallicity)))
        .into(),
    opacity: (0..template_length())
        .map(|pixel| (0.4 * std::f64::consts::LN_10 * dust::calzetti(wavelength(pixel))) as f32)
        .collect(),
});

fn template_length() -> usize {
    ((LAST_WAVELENGTH / FIRST_WAVELENGTH).ln() / LOG_STEP) as usize
}

/// Rest wavelength of a template's pixel, Å.
fn wavelength(pixel: usize) -> f64 {
    FIRST_WAVELENGTH * (pixel as f64 * LOG_STEP).exp()
}

/// Linear interpolation in ln λ through the nodes.
fn continuum(age: usize, wavelength: f64) -> f64 {
    let upper = NODES
        .partition_point(|&node| node < wavelength)
        .clamp(1, NODES.len() - 1);
    let [low, high] = [NODES[upper - 1], NODES[upper]];
    let weight = (wavelength / low).ln() / (high / low).ln();
    CONTINUA[age][upper - 1] * (1.0 - weight) + CONTINUA[age][upper] * weight
}

/// One simple population on the template grid.
fn template(age: usize, metallicity: f64) -> Vec<f32> {
    // L_ν of one solar luminosity in V: absolute magnitude 4.80 (AB) at 10 pc.
    const SOLAR_V: f64 = 5.22e18;
    const LIGHT_SPEED_ANGSTROM: f64 = 2.997_924_58e18;
    let metal = METAL_DEPTH[age] * 10f64.powf(0.3 * metallicity);
    // Cool stars keep Hα and Hβ; their higher Balmer lines drown in metal lines.
    let coolness = METAL_DEPTH[age].min(1.0);
    let features: Vec<(f64, f64, f64)> = BALMER_SERIES
        .iter()
        .map(|&(centre, relative)| {
            let fading = if centre < 4800.0 {
                1.0 - 0.65 * coolness
            } else {
                1.0
            };
            let sigma = BALMER_DISPERSION[age];
            let width = BALMER_WIDTH[age] * relative * fading * (1.0 - 0.15 * metallicity);
            (
                centre,
                sigma,
                width / (sigma * (2.0 * std::f64::consts::PI).sqrt()),
            )
        })
        .chain(
            METAL_FEATURES
                .iter()
                .map(|&(centre, sigma, depth)| (centre, sigma, (depth * metal).min(0.9))),
        )
        .collect();
    let mut light: Vec<f64> = (0..template_length())
        .map(|pixel| {
            let wavelength = wavelength(pixel);
            let colour = METALLICITY_SLOPE[age] * metallicity * (5500.0 / wavelength - 1.0);
            let magnitude = continuum(age, wavelength) + colour;
            SOLAR_V / MASS_TO_LIGHT[age] * 10f64.powf(-0.4 * magnitude) * LIGHT_SPEED_ANGSTROM
                / wavelength.powi(2)
                / LUMINOSITY_UNIT
        })
        .collect();
    for (centre, sigma, depth) in features {
        let pixel_of = |edge: f64| ((edge / FIRST_WAVELENGTH).ln() / LOG_STEP).max(0.0) as usize;
        let last = pixel_of(centre + 5.0 * sigma).min(light.len());
        for (pixel, value) in light[..last]
            .iter_mut()
            .enumerate()
            .skip(pixel_of(centre - 5.0 * sigma))
        {
            let offset = (wavelength(pixel) - centre) / sigma;
            *value *= 1.0 - depth * (-0.5 * offset * offset).exp();
        }
    }
    light.into_iter().map(|value| value as f32).collect()
}

/// When the stars of one component formed: solar masses formed at each of [`AGES`], summing to the
/// component's share of the galaxy's formed mass.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct FormationHistory {
    /// Mass formed per age bin.
    pub(super) mass: [f64; AGE_COUNT],
    /// Metallicity [Z/H], dex.
    pub(super) metallicity: f64,
}

/// Edges between the age bins: geometric means of neighbouring ages.
fn bin_edges() -> [f64; AGE_COUNT + 1] {
    std::array::from_fn(|edge| match edge {
        0 => 0.0,
        AGE_COUNT => 20.0,
        _ => (AGES[edge - 1] * AGES[edge]).sqrt(),
    })
}

impl FormationHistory {
    /// Star formation rate ∝ t exp(−t/τ) that began `start` Gyr ago ("delayed tau", e.g. Carnall et
    /// al. 2019), the last 0.17 Gyr multiplied by `burst`, and a `trickle` of constant star formation over
    /// the last 3 Gyr, in units of the whole per Gyr: quenched galaxies are never quite dead (Salim et
    /// al. 2007). Forms one solar mass in all.
    pub(super) fn delayed(
        start: f64,
        tau: f64,
        burst: f64,
        trickle: f64,
        metallicity: f64,
    ) -> Self {
        let formed_before = |age: f64| {
            let x = (start - age).max(0.0) / tau;
            1.0 - (1.0 + x) * (-x).exp()
        };
        let edges = bin_edges();
        let mut mass: [f64; AGE_COUNT] = std::array::from_fn(|bin| {
            let formed = formed_before(edges[bin]) - formed_before(edges[bin + 1]);
            let bursting = if bin < YOUNG { burst } else { 1.0 };
            let covered = edges[bin + 1].min(3.0) - edges[bin].min(3.0);
            formed * bursting + trickle * covered
        });
        let total: f64 = mass.iter().sum();
        mass.iter_mut().for_each(|value| *value /= total);
        Self { mass, metallicity }
    }

    /// The same history, `factor` times as much mass.
    pub(super) fn scaled(mut self, factor: f64) -> Self {
        self.mass.iter_mut().for_each(|value| *value *= factor);
        self
    }

    /// Splits off the stars of the first [`YOUNG`] bins: (young, old).
    pub(super) fn split_young(self) -> (Self, Self) {
        let (mut young, mut old) = (self, self);
        young.mass[YOUNG..].fill(0.0);
        old.mass[..YOUNG].fill(0.0);
        (young, old)
    }

    /// Mass that is still in stars: the rest has been returned to the gas (Leitner & Kravtsov 2011,
    /// eq. 1, Chabrier mass function).
    pub(super) fn surviving_mass(&self) -> f64 {
        self.mass
            .iter()
            .zip(AGES)
            .map(|(mass, age)| mass * (1.0 - 0.046 * (1.0 + age * 1e3 / 0.276).ln()))
            .sum()
    }

    /// Mean star formation rate over the last `span` Gyr, in formed masses per year.
    pub(super) fn formation_rate(&self, span: f64) -> f64 {
        let edges = bin_edges();
        let formed: f64 = (0..AGE_COUNT)
            .map(|bin| {
                let covered = (edges[bin + 1].min(span) - edges[bin]).max(0.0);
                self.mass[bin] * covered / (edges[bin + 1] - edges[bin])
            })
            .sum();
        formed / (span * 1e9)
    }
}

/// A stretch of the rest-frame grid, with light on it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RestSpectrum {
    /// ln of the first pixel's wavelength in Å; pixels are [`LOG_STEP`] apart.
    pub(super) log_start: f64,
    /// Luminosity, [`LUMINOSITY_UNIT`]s.
    pub(super) light: Vec<f32>,
}

impl RestSpectrum {
    /// Light of `history` behind dust of colour excess `reddening`, from `first` to `last` Å.
    pub(super) fn of(history: &FormationHistory, reddening: f64, first: f64, last: f64) -> Self {
        let templates = &*TEMPLATES;
        let pixel_of = |edge: f64| ((edge / FIRST_WAVELENGTH).ln() / LOG_STEP).max(0.0) as usize;
        let range = pixel_of(first)..(pixel_of(last) + 2).min(template_length());
        let upper = METALLICITIES
            .partition_point(|&value| value < history.metallicity)
            .clamp(1, METALLICITIES.len() - 1);
        let [low, high] = [METALLICITIES[upper - 1], METALLICITIES[upper]];
        let weight = ((history.metallicity - low) / (high - low)).clamp(0.0, 1.0);
        let mut light = vec![0f32; range.len()];
        for age in (0..AGE_COUNT).filter(|&age| history.mass[age] > 0.0) {
            let lower_weight = (history.mass[age] * (1.0 - weight)) as f32;
            let upper_weight = (history.mass[age] * weight) as f32;
            let lower = &templates.light[upper - 1][age][range.clone()];
            let upper = &templates.light[upper][age][range.clone()];
            for ((sum, &a), &b) in light.iter_mut().zip(lower).zip(upper) {
                *sum += lower_weight * a + upper_weight * b;
            }
        }
        let reddening = reddening as f32;
        for (value, opacity) in light.iter_mut().zip(&templates.opacity[range.clone()]) {
            *value *= (-opacity * reddening).exp();
        }
        Self {
            log_start: wavelength(range.start).ln(),
            light,
        }
    }

    /// Luminosity at a rest wavelength whose ln is `log_wavelength`, by linear interpolation.
    pub(super) fn at(&self, log_wavelength: f64) -> f32 {
        let position = ((log_wavelength - self.log_start) / LOG_STEP).max(0.0);
        let pixel = (position as usize).min(self.light.len() - 2);
        let weight = (position - pixel as f64) as f32;
        self.light[pixel] * (1.0 - weight) + self.light[pixel + 1] * weight
    }

    /// Fades by `slope` magnitudes per unit of (5500 Å / λ − 1).
    pub(super) fn redden(&mut self, slope: f64) {
        for (pixel, value) in self.light.iter_mut().enumerate() {
            let wavelength = (self.log_start + pixel as f64 * LOG_STEP).exp();
            *value *= 10f64.powf(-0.4 * slope * (5500.0 / wavelength - 1.0)) as f32;
        }
    }

    /// Broadened by a Gaussian of `dispersion` km/s.
    pub(super) fn broadened(&self, dispersion: f64) -> Self {
        let sigma = dispersion / super::cosmology::LIGHT_SPEED / LOG_STEP;
        let radius = (3.5 * sigma).ceil() as usize;
        let mut kernel: Vec<f32> = (0..=2 * radius)
            .map(|tap| {
                let offset = (tap as f64 - radius as f64) / sigma;
                (-0.5 * offset * offset).exp() as f32
            })
            .collect();
        let sum: f32 = kernel.iter().sum();
        kernel.iter_mut().for_each(|value| *value /= sum);
        let mut padded = Vec::with_capacity(self.light.len() + 2 * radius);
        padded.extend(std::iter::repeat_n(self.light[0], radius));
        padded.extend_from_slice(&self.light);
        padded.extend(std::iter::repeat_n(
            self.light[self.light.len() - 1],
            radius,
        ));
        let mut light = vec![0f32; self.light.len()];
        for (tap, weight) in kernel.iter().enumerate() {
            for (sum, value) in light.iter_mut().zip(&padded[tap..]) {
                *sum += weight * value;
            }
        }
        Self {
            log_start: self.log_start,
            light,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean(spectrum: &RestSpectrum, first: f64, last: f64) -> f64 {
        let samples = 200;
        (0..samples)
            .map(|step| {
                let wavelength = first + (last - first) * f64::from(step) / f64::from(samples);
                // D4000 is defined with f_ν.
                f64::from(spectrum.at(wavelength.ln())) * wavelength * wavelength
            })
            .sum::<f64>()
            / f64::from(samples)
    }

    /// D_n(4000) (Balogh et al. 1999): about 1.1–1.3 in star-forming, 1.7–2.1 in old galaxies
    /// (Kauffmann et al. 2003).
    #[test]
    fn the_4000_angstrom_break_grows_with_age() {
        let break_of = |start, tau| {
            let history = FormationHistory::delayed(start, tau, 1.0, 0.0, 0.0);
            let spectrum = RestSpectrum::of(&history, 0.0, 3000.0, 7000.0);
            mean(&spectrum, 4000.0, 4100.0) / mean(&spectrum, 3850.0, 3950.0)
        };
        let old = break_of(11.0, 0.5);
        let young = break_of(5.0, 8.0);
        assert!((1.7..2.2).contains(&old), "old: {old}");
        assert!((1.0..1.4).contains(&young), "young: {young}");
    }

    #[test]
    fn history_forms_its_mass_and_returns_some() {
        let history = FormationHistory::delayed(9.0, 4.0, 1.0, 0.0, -0.3);
        assert!((history.mass.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        assert!((0.5..0.75).contains(&history.surviving_mass()));
        // τ = 4 Gyr, 9 Gyr after the start: t e^(−t/τ) / τ² / (1 − (1 + t/τ) e^(−t/τ)) = 0.090 per Gyr.
        let rate = history.formation_rate(0.01) * 1e9;
        assert!((0.07..0.11).contains(&rate), "{rate}");
    }
}
