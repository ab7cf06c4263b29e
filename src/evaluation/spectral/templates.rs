//! Templates of galaxies' spectra, learnt from galaxies whose redshifts are known, and redshifts by the best fit of
//! moved templates.

use ndarray::{Array1, Array2, ArrayView2, Axis, s};
use rand::RngExt;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::log_grid::LogGrid;
use crate::base::error::{ABOVE_0_TO_1, Check, Error, Result};
use crate::base::numeric::{Product, orthonormalize, solve};
use crate::base::random::{Purpose, generator};
use crate::survey::WavelengthGrid;

/// Beyond the redshifts of the training galaxies, how far others are looked for, in ln (1 + z).
const MARGIN: f64 = 0.02;
/// A pixel of a template that fewer galaxies than these have seen is drawn towards nothing.
const FEW: f64 = 3.0;
/// No pixel counts as having less noise than this share of the median pixel's: what is interpolated seems to have none.
const LEAST_NOISE: f32 = 0.3;

/// How templates are learnt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TemplateSettings {
    /// Templates, 1 to 64.
    pub templates: usize,
    /// Passes of the fit, 1 to 1000: amplitudes for templates, then templates for amplitudes.
    pub passes: usize,
    /// Width of a pixel in ln λ, from 1e-5 to 1e-2: redshifts are multiples of it, and a fit between.
    pub step: f64,
    /// Width in ln λ over which a continuum is the mean, above 0 and up to 1; it is taken away.
    pub window: f64,
}

impl Default for TemplateSettings {
    fn default() -> Self {
        Self {
            templates: 6,
            passes: 15,
            step: 3e-4,
            window: 0.04,
        }
    }
}

impl TemplateSettings {
    /// Checks all values; `path` stands in front of the fields' names.
    ///
    /// # Errors
    ///
    /// Names the first field that is out of range.
    pub fn check(&self, path: &str) -> Result<()> {
        let check = Check::at(path);
        check.count("templates", self.templates, 1..=64)?;
        check.count("passes", self.passes, 1..=1000)?;
        check.number("step", self.step, 1e-5..=1e-2)?;
        check.number("window", self.window, ABOVE_0_TO_1)
    }
}

/// Templates, and themselves at all redshifts.
#[derive(Debug, Clone, PartialEq)]
pub struct Templates {
    grid: LogGrid,
    step: f64,
    /// Smallest shift, pixels.
    first: i64,
    /// Inverse noise of each pixel of a spectrum, up to a factor.
    weights: Array1<f32>,
    /// At rest, `(templates, pixels)`; the spectrum at shift `first + s` begins at pixel `shifts − 1 − s`.
    pub rest: Array2<f32>,
    /// For each shift what the templates span there, weighted and orthonormal: `(shifts x templates, pixels)`.
    bank: Array2<f32>,
}

impl Templates {
    /// Learns them from spectra `(galaxies, pixels)` on `wavelengths` with known redshifts.
    ///
    /// # Errors
    /// [`Error::input`] where there are too few galaxies, or the redshifts reach too far.
    pub fn learn(
        spectra: ArrayView2<'_, f32>,
        redshifts: &[f64],
        wavelengths: &WavelengthGrid,
        settings: &TemplateSettings,
        seed: u64,
    ) -> Result<Self> {
        /// Most numbers of the bank, 4 GiB.
        const MOST: usize = 1 << 30;
        let count = settings.templates;
        if redshifts.len() < 4 * count {
            return Err(Error::input(format!(
                "{} training galaxies with redshift and spectrum; expected at least {} for {count} templates",
                redshifts.len(),
                4 * count
            )));
        }
        let step = settings.step;
        let grid = LogGrid::new(wavelengths, step, settings.window);
        if grid.len() < 4 * count {
            return Err(Error::input(format!(
                "the survey's wavelengths are {} pixels of `step` = {step}; expected at least {}",
                grid.len(),
                4 * count
            )));
        }
        let shift = |z: f64| z.ln_1p() / step;
        let (low, high) = redshifts
            .iter()
            .fold((f64::MAX, f64::MIN), |(low, high), &z| {
                (low.min(shift(z)), high.max(shift(z)))
            });
        let margin = MARGIN / step;
        let (first, last) = ((low - margin).floor() as i64, (high + margin).ceil() as i64);
        let shifts = (last - first) as usize + 1;
        if shifts.saturating_mul(count * grid.len()) > MOST {
            return Err(Error::input(format!(
                "the redshifts of the training galaxies are {shifts} shifts apart; raise `step` = {step}, or leave out \
                 redshifts that cannot be right"
            )));
        }
        let mut lines = grid.lines(spectra);
        let weights = inverse_noise(&lines);
        lines *= &weights;
        for mut row in lines.rows_mut() {
            let norm = row.dot(&row).sqrt();
            if norm > 0.0 {
                row /= norm;
            }
        }
        let starts = redshifts.iter().map(|&z| {
            let own = shift(z).round() as i64;
            (last - own) as usize
        });
        let starts: Vec<usize> = starts.collect();
        let shape = (count, grid.len() + shifts - 1);
        let rest = Fit {
            lines: lines.view(),
            starts: &starts,
            weights: &weights,
        }
        .run(shape, settings.passes, seed);
        let bank = bank(rest.view(), &weights, shifts);
        Ok(Self {
            grid,
            step,
            first,
            weights,
            rest,
            bank,
        })
    }

    /// Wavelength at which the first pixel of the templates at rest begins, Å, where spectra are on `wavelengths`.
    pub fn start(&self, wavelengths: &WavelengthGrid) -> f64 {
        let shifts = self.bank.nrows() / self.rest.nrows();
        let last = self.first + shifts as i64 - 1;
        let first = wavelengths.start - 0.5 * wavelengths.step;
        first * (-self.step * last as f64).exp()
    }

    /// Redshifts of spectra `(galaxies, pixels)`: where moved templates explain most of them.
    pub fn redshifts(&self, spectra: ArrayView2<'_, f32>) -> Vec<f64> {
        let mut lines = self.grid.lines(spectra);
        lines *= &self.weights;
        let mut products = Array2::zeros((lines.nrows(), self.bank.nrows()));
        Product::of(lines.view(), self.bank.t())
            .on_all_threads()
            .write_to(products.view_mut());
        let rows = products.axis_iter(Axis(0)).into_par_iter();
        rows.map(|row| {
            let explained: Vec<f32> = row
                .exact_chunks(self.rest.nrows())
                .into_iter()
                .map(|of_shift| of_shift.dot(&of_shift))
                .collect();
            let shift = self.first as f64 + peak(&explained);
            (shift * self.step).exp_m1()
        })
        .collect()
    }
}

/// Where values are largest, between places by a parabola.
fn peak(values: &[f32]) -> f64 {
    let best = (0..values.len()).fold(0, |best, place| match values[place] > values[best] {
        true => place,
        false => best,
    });
    let at = |place: usize| f64::from(values[place]);
    let between = match best {
        0 => 0.0,
        best if best + 1 == values.len() => 0.0,
        best => {
            let (before, own, after) = (at(best - 1), at(best), at(best + 1));
            let curvature = before - 2.0 * own + after;
            match curvature < 0.0 {
                true => (0.5 * (before - after) / curvature).clamp(-0.5, 0.5),
                false => 0.0,
            }
        }
    };
    best as f64 + between
}

/// The inverse noise of each pixel, from differences of neighbours in all spectra, each in units of its own noise.
fn inverse_noise(lines: &Array2<f32>) -> Array1<f32> {
    let (galaxies, pixels) = lines.dim();
    let median = |values: &mut Vec<f32>| {
        let middle = values.len() / 2;
        *values.select_nth_unstable_by(middle, f32::total_cmp).1
    };
    let difference = |row: usize, pixel: usize| {
        let next = if pixel + 1 < pixels {
            pixel + 1
        } else {
            pixel - 1
        };
        (lines[[row, next]] - lines[[row, pixel]]).abs()
    };
    let own: Vec<f32> = (0..galaxies)
        .into_par_iter()
        .map(|row| median(&mut (0..pixels).map(|pixel| difference(row, pixel)).collect()))
        .collect();
    let noise: Vec<f32> = (0..pixels)
        .into_par_iter()
        .map(|pixel| {
            let known = (0..galaxies).filter(|&row| own[row] > 0.0);
            let mut scaled: Vec<f32> = known.map(|row| difference(row, pixel) / own[row]).collect();
            match scaled.is_empty() {
                true => 1.0,
                false => median(&mut scaled),
            }
        })
        .collect();
    let least = (LEAST_NOISE * median(&mut noise.clone())).max(f32::MIN_POSITIVE);
    noise
        .iter()
        .map(|&noise| noise.max(least).recip())
        .collect()
}

/// Templates at each shift, weighted as spectra are, and orthonormal.
fn bank(rest: ArrayView2<'_, f32>, weights: &Array1<f32>, shifts: usize) -> Array2<f32> {
    let (count, pixels) = (rest.nrows(), weights.len());
    let mut bank = Array2::zeros((shifts * count, pixels));
    bank.axis_chunks_iter_mut(Axis(0), count)
        .into_par_iter()
        .enumerate()
        .for_each(|(shift, mut own)| {
            let start = shifts - 1 - shift;
            own.assign(&rest.slice(s![.., start..start + pixels]));
            own *= weights;
            orthonormalize(&mut own);
        });
    bank
}

/// Spectra as sums of templates: weighted least squares, for amplitudes and templates by turns.
struct Fit<'a> {
    /// Weighted, `(galaxies, pixels)`.
    lines: ArrayView2<'a, f32>,
    /// The rest-frame pixel of each spectrum's first.
    starts: &'a [usize],
    /// `(pixels)`
    weights: &'a Array1<f32>,
}

impl Fit<'_> {
    /// Templates at rest, of this shape.
    fn run(&self, shape: (usize, usize), passes: usize, seed: u64) -> Array2<f32> {
        let (count, _) = shape;
        let mut rng = generator(seed, Purpose::Components, 2);
        let galaxies = self.lines.nrows();
        let mut amplitudes =
            Array2::from_shape_simple_fn((galaxies, count), || rng.random_range(-1.0_f64..1.0));
        // What all have in common is one of them.
        amplitudes.column_mut(0).fill(1.0);
        let mut rest = self.templates(&amplitudes, shape);
        for _ in 1..passes {
            amplitudes = self.amplitudes(&rest);
            rest = self.templates(&amplitudes, shape);
        }
        rest
    }

    /// Amplitudes `(galaxies, templates)` that fit the spectra best.
    fn amplitudes(&self, rest: &Array2<f32>) -> Array2<f64> {
        let (count, pixels) = (rest.nrows(), self.weights.len());
        let mut amplitudes = Array2::zeros((self.lines.nrows(), count));
        amplitudes
            .axis_iter_mut(Axis(0))
            .into_par_iter()
            .enumerate()
            .for_each(|(galaxy, mut amplitudes)| {
                let start = self.starts[galaxy];
                let own = &rest.slice(s![.., start..start + pixels]) * self.weights;
                let mut square = own.dot(&own.t()).mapv(f64::from);
                let ridge = 1e-6 * square.diag().sum() + f64::MIN_POSITIVE;
                square.diag_mut().mapv_inplace(|value| value + ridge);
                let right = own.dot(&self.lines.row(galaxy)).mapv(f64::from);
                let mut right = right.insert_axis(Axis(1));
                solve(square, &mut right);
                amplitudes.assign(&right.column(0));
            });
        amplitudes
    }

    /// Templates that fit the spectra best with these amplitudes.
    fn templates(&self, amplitudes: &Array2<f64>, shape: (usize, usize)) -> Array2<f32> {
        let (count, length) = shape;
        let pixels = self.weights.len();
        let typical = self.weights.iter().map(|&w| f64::from(w * w)).sum::<f64>() / pixels as f64;
        let power = amplitudes.iter().map(|a| a * a).sum::<f64>() / amplitudes.len() as f64;
        let ridge = FEW * typical * power + f64::MIN_POSITIVE;
        let columns: Vec<Array1<f64>> = (0..length)
            .into_par_iter()
            .map(|place| {
                let mut square = Array2::<f64>::eye(count) * ridge;
                let mut right = Array2::<f64>::zeros((count, 1));
                for (galaxy, &start) in self.starts.iter().enumerate() {
                    let Some(pixel) = place.checked_sub(start).filter(|&pixel| pixel < pixels)
                    else {
                        continue;
                    };
                    let weight = f64::from(self.weights[pixel]);
                    let line = f64::from(self.lines[[galaxy, pixel]]);
                    let own = amplitudes.row(galaxy);
                    for row in 0..count {
                        let scaled = weight * own[row];
                        right[[row, 0]] += scaled * line;
                        for column in 0..=row {
                            square[[row, column]] += scaled * weight * own[column];
                        }
                    }
                }
                for row in 0..count {
                    for column in row + 1..count {
                        square[[row, column]] = square[[column, row]];
                    }
                }
                solve(square, &mut right);
                right.column(0).to_owned()
            })
            .collect();
        Array2::from_shape_fn(shape, |(template, place)| columns[place][template] as f32)
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution, StandardNormal};

    use super::*;

    /// Galaxies with lines of two kinds, in noise, at redshifts from 0.05 to 0.35.
    fn galaxies(count: usize, seed: u64) -> (Array2<f32>, Vec<f64>, WavelengthGrid) {
        let grid = WavelengthGrid {
            start: 4000.0,
            step: 2.0,
            len: 1500,
        };
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let redshifts: Vec<f64> = (0..count).map(|_| rng.random_range(0.05..0.35)).collect();
        let mut spectra = Array2::zeros((count, grid.len));
        for (mut spectrum, &z) in spectra.rows_mut().into_iter().zip(&redshifts) {
            let (blue, red) = (rng.random_range(0.0..6.0), rng.random_range(-6.0..-1.0));
            for (pixel, flux) in spectrum.iter_mut().enumerate() {
                let line = |centre: f64| {
                    let away = (grid.wavelength(pixel) / (1.0 + z) - centre) / 4.0;
                    (-0.5 * away * away).exp()
                };
                let noise: f64 = StandardNormal.sample(&mut rng);
                let lines =
                    blue * (line(3727.0) + line(5007.0)) + red * (line(3933.0) + line(5175.0));
                *flux = (10.0 + z * 20.0 + lines + noise) as f32;
            }
        }
        (spectra, redshifts, grid)
    }

    #[test]
    fn redshifts_are_found_by_lines_that_nobody_named() {
        let settings = TemplateSettings {
            templates: 2,
            step: 6e-4,
            ..TemplateSettings::default()
        };
        let (spectra, redshifts, grid) = galaxies(150, 0);
        let templates = Templates::learn(spectra.view(), &redshifts, &grid, &settings, 0).unwrap();
        let (others, truth, _) = galaxies(60, 1);
        let found = templates.redshifts(others.view());
        let right = found.iter().zip(&truth);
        let right = right.filter(|(z, truth)| (*z - *truth).abs() < 0.002 * (1.0 + *truth));
        assert!(right.clone().count() >= 55, "{}", right.count());
        let few = Templates::learn(
            spectra.slice(s![..7, ..]),
            &redshifts[..7],
            &grid,
            &settings,
            0,
        );
        assert!(few.unwrap_err().to_string().contains("at least 8"));
    }

    #[test]
    fn a_peak_lies_between_pixels() {
        let values = [0.0_f32, 1.0, 3.0, 2.0, 0.0];
        assert!((peak(&values) - (2.0 + 1.0 / 6.0)).abs() < 1e-9);
        assert_eq!(peak(&[4.0, 1.0]), 0.0);
    }
}
