//! What a spectrum says of itself, whatever a model makes of it: how much signal it holds, how its continuum runs, and
//! whether it is a star's.

use std::ops::Range;

use super::WavelengthGrid;

/// Bands of as many pixels each, in which a continuum is told.
pub const CONTINUUM_BANDS: usize = 60;

/// Below this signal to noise per pixel a spectrum is taken for an empty fibre's. Sky that is not taken away to a per cent
/// leaves some tenths; a galaxy of emission lines alone has as little.
pub const NO_SIGNAL: f32 = 0.3;

/// Above this significance, absorption lines of stars at redshift 0 are taken for such.
pub const STAR_LINES: f32 = 5.0;

/// Absorption lines that stars of most types have some of: Ca II K and H, Hδ, Hβ, Mg b, Na D, Hα and the Ca II triplet.
/// Wavelength in vacuum and half of the width over which they are measured, Å.
const LINES: [(f64, f64); 10] = [
    (3934.8, 8.0),
    (3969.6, 8.0),
    (4102.9, 8.0),
    (4862.7, 8.0),
    (5175.0, 13.0),
    (5894.6, 8.0),
    (6564.6, 8.0),
    (8500.4, 8.0),
    (8544.4, 8.0),
    (8664.5, 8.0),
];
/// Fewest of the lines that tell anything together.
const FEWEST_LINES: usize = 6;
/// From where to where beside a line its continuum is measured, Å.
const BESIDE: [f64; 2] = [6.0, 36.0];
/// What one line may say, in standard deviations: an emission line, or an absorption line of a galaxy that happens to lie
/// there, decides nothing alone.
const OF_ONE_LINE: [f64; 2] = [-3.0, 5.0];

/// Å between the pixels whose differences tell the noise: more than the pixels of any survey that is resampled.
const APART: f64 = 3.2;
/// The standard deviation of a pixel over the median of |2 f(λ) − f(λ − d) − f(λ + d)|, for normal noise: √6 times the
/// quartile (Stoehr et al. 2008, eq. 2).
const NOISE_OF_DIFFERENCES: f32 = 0.605_269_7;
/// The standard deviation of a median over that of a mean, √(π/2).
const OF_MEDIAN: f32 = 1.253_314;
/// No band is taken to have less noise than this share of the median band's: what is left in it may be interpolated.
const LEAST_NOISE: f32 = 0.1;
/// Differences relative to the flux that are of rounding: pixels on a line, which nobody measured.
const ROUNDING: f32 = 1e-5;

/// What a spectrum says of itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SpectrumQuality {
    /// Signal to noise of a pixel, in the median of the bands; NaN where it cannot be told.
    pub signal_to_noise: f32,
    /// Significance of the absorption lines of stars at redshift 0, standard deviations; NaN where it cannot be told.
    pub star_lines: f32,
    /// Median flux of each band, and the standard deviation of that; NaN where less than half of a band was measured.
    pub continuum: [[f32; CONTINUUM_BANDS]; 2],
}

impl SpectrumQuality {
    /// Of a spectrum that tells nothing.
    pub const UNKNOWN: Self = Self {
        signal_to_noise: f32::NAN,
        star_lines: f32::NAN,
        continuum: [[f32::NAN; CONTINUUM_BANDS]; 2],
    };
}

/// Measures spectra on one grid of wavelengths.
#[derive(Debug, Clone)]
pub struct SpectrumMeter {
    bands: Vec<Range<usize>>,
    lines: Vec<Line>,
    /// Pixels in [`APART`].
    apart: usize,
    step: f64,
}

/// The pixels of a line, and those beside it.
#[derive(Debug, Clone)]
struct Line {
    within: Range<usize>,
    beside: [Range<usize>; 2],
}

impl SpectrumMeter {
    /// For spectra on `grid`.
    pub fn new(grid: &WavelengthGrid) -> Self {
        let edge = |band: usize| band * grid.len / CONTINUUM_BANDS;
        // The pixels from one wavelength to another, where the grid has them all.
        let pixels = |from: f64, to: f64| {
            let place = |wavelength: f64| (wavelength - grid.start) / grid.step;
            let (first, end) = (place(from).ceil(), place(to).floor() + 1.0);
            (first >= 0.0 && end <= grid.len as f64).then_some(first as usize..end as usize)
        };
        let lines = LINES.iter().filter_map(|&(centre, half)| {
            let [near, far] = BESIDE.map(|away| half + away);
            let line = Line {
                within: pixels(centre - half, centre + half)?,
                beside: [
                    pixels(centre - far, centre - near)?,
                    pixels(centre + near, centre + far)?,
                ],
            };
            // On a coarse grid nothing of a line is left.
            let enough = line.within.len() >= 3 && line.beside.iter().all(|side| side.len() >= 4);
            enough.then_some(line)
        });
        Self {
            bands: (0..CONTINUUM_BANDS)
                .map(|band| edge(band)..edge(band + 1))
                .collect(),
            lines: lines.collect(),
            apart: ((APART / grid.step).round() as usize).max(1),
            step: grid.step,
        }
    }

    /// What a spectrum says of itself. Its noise is that of neighbouring pixels, so that spectra with and without inverse
    /// variances tell the same. Pixels on a line between others, or of one value, count as not measured.
    ///
    /// # Panics
    /// Where the spectrum has other pixels than the grid.
    pub fn measure(&self, spectrum: &[f32]) -> SpectrumQuality {
        let pixels = self.bands.last().map_or(0, |band| band.end);
        assert_eq!(spectrum.len(), pixels, "a spectrum on the grid");
        let differences = self.differences(spectrum);
        let mut quality = SpectrumQuality {
            star_lines: self.star_lines(spectrum, &differences),
            ..SpectrumQuality::UNKNOWN
        };
        let mut scratch = Vec::new();
        let mut of_pixel = [f32::NAN; CONTINUUM_BANDS];
        let mut measured = [0.0; CONTINUUM_BANDS];
        for (band, range) in self.bands.iter().enumerate() {
            let pixels = spectrum[range.clone()]
                .iter()
                .zip(&differences[range.clone()]);
            let known = pixels.filter(|(_, difference)| !difference.is_nan());
            let flux = median(known.clone().map(|(flux, _)| *flux), &mut scratch);
            let count = scratch.len();
            if 2 * count < range.len() || count < 4 {
                continue;
            }
            let noise = median(known.step_by(2).map(|(_, of)| *of), &mut scratch);
            quality.continuum[0][band] = flux;
            of_pixel[band] = NOISE_OF_DIFFERENCES * noise;
            measured[band] = count as f32;
        }
        let known = |values: &[f32]| -> Vec<f32> {
            let known = values.iter().copied();
            known.filter(|value| !value.is_nan()).collect()
        };
        let least = LEAST_NOISE * median(known(&of_pixel).into_iter(), &mut scratch);
        let mut ratio = [f32::NAN; CONTINUUM_BANDS];
        for (band, noise) in of_pixel.iter_mut().enumerate() {
            // A NaN stays.
            *noise = if *noise < least { least } else { *noise };
            quality.continuum[1][band] = OF_MEDIAN * *noise / measured[band].sqrt();
            ratio[band] = quality.continuum[0][band] / *noise;
        }
        let ratio = known(&ratio);
        if 4 * ratio.len() >= CONTINUUM_BANDS {
            quality.signal_to_noise = median(ratio.into_iter(), &mut scratch);
        }
        quality
    }

    /// By pixel the difference that tells the noise, NaN where it was not measured and at the ends.
    fn differences(&self, spectrum: &[f32]) -> Vec<f32> {
        let (apart, pixels) = (self.apart, spectrum.len());
        let mut differences = vec![f32::NAN; pixels];
        if pixels <= 2 * apart {
            return differences;
        }
        let sides = spectrum.iter().zip(&spectrum[2 * apart..]);
        let middle = &spectrum[apart..pixels - apart];
        let inner = &mut differences[apart..pixels - apart];
        for ((out, flux), (before, after)) in inner.iter_mut().zip(middle).zip(sides) {
            let difference = (2.0 * flux - before - after).abs();
            let is_measured = difference > ROUNDING * (before.abs() + after.abs());
            *out = if is_measured { difference } else { f32::NAN };
        }
        differences
    }

    fn star_lines(&self, spectrum: &[f32], differences: &[f32]) -> f32 {
        let lines = self.lines.iter();
        let depths = lines.filter_map(|line| line.depth(spectrum, differences, self.step));
        let [least, most] = OF_ONE_LINE;
        let (sum, count) = depths.fold((0.0, 0_usize), |(sum, count), depth| {
            (sum + depth.clamp(least, most), count + 1)
        });
        match count < FEWEST_LINES {
            true => f32::NAN,
            false => (sum / (count as f64).sqrt()) as f32,
        }
    }
}

impl Line {
    /// How much light is missing below the straight line through what is beside, in standard deviations; `None` where too
    /// little was measured.
    fn depth(&self, spectrum: &[f32], differences: &[f32], step: f64) -> Option<f64> {
        let whole = self.beside[0].start..self.beside[1].end;
        let measured = differences[whole.clone()].iter();
        if 4 * measured.filter(|value| value.is_nan()).count() > whole.len() {
            return None;
        }
        let middle = 0.5 * (whole.start + whole.end - 1) as f64;
        let at = |pixel: usize| (step * (pixel as f64 - middle), f64::from(spectrum[pixel]));
        let beside = || self.beside.iter().cloned().flatten().map(at);
        let (mut n, mut x, mut y, mut xx, mut xy) = (0.0, 0.0, 0.0, 0.0, 0.0);
        for (place, flux) in beside() {
            n += 1.0;
            x += place;
            y += flux;
            xx += place * place;
            xy += place * flux;
        }
        let slope = (n * xy - x * y) / (n * xx - x * x);
        let level = (y - slope * x) / n;
        let above = |(place, flux): (f64, f64)| level + slope * place - flux;
        let mut scatter: Vec<f64> = beside().map(|pixel| above(pixel).abs()).collect();
        let half = scatter.len() / 2;
        let (_, &mut scatter, _) = scatter.select_nth_unstable_by(half, f64::total_cmp);
        let missing: f64 = self.within.clone().map(at).map(above).sum();
        let within = self.within.len() as f64;
        // The standard deviation of a pixel from the median deviation; the line has an error of its own.
        let error = 1.482_6 * scatter * (within + within * within / n).sqrt();
        (error > 0.0).then(|| missing / error)
    }
}

/// The upper median of values without NaN, which `scratch` holds in another order afterwards; NaN of none.
fn median(values: impl Iterator<Item = f32>, scratch: &mut Vec<i32>) -> f32 {
    // As integers of the same order, which are compared in one step; the mapping is its own inverse.
    let order = |bits: i32| bits ^ ((bits >> 31) & i32::MAX);
    scratch.clear();
    scratch.extend(values.map(|value| order(value.to_bits() as i32)));
    if scratch.is_empty() {
        return f32::NAN;
    }
    let half = scratch.len() / 2;
    let (_, &mut middle, _) = scratch.select_nth_unstable(half);
    f32::from_bits(order(middle) as u32)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution, StandardNormal};

    use super::*;
    use crate::survey::DESI_GRID;

    /// Noise of one standard deviation about `flux` by wavelength.
    fn observed(flux: impl Fn(f64) -> f64, seed: u64) -> Vec<f32> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let wavelengths = DESI_GRID.wavelengths().into_iter();
        wavelengths
            .map(|wavelength| {
                let noise: f64 = StandardNormal.sample(&mut rng);
                (flux(wavelength) + noise) as f32
            })
            .collect()
    }

    #[test]
    fn medians_are_those_of_sorted_values() {
        let mut scratch = Vec::new();
        let mut of = |values: &[f32]| median(values.iter().copied(), &mut scratch);
        assert_eq!(of(&[3.0, -7.5, 1e-3, -0.0, 2.0]), 1e-3);
        assert_eq!(of(&[-3.0, -1.0, -2.0]), -2.0);
        assert_eq!(of(&[4.0, 1.0]), 4.0);
        assert!(of(&[]).is_nan());
    }

    #[test]
    fn signal_and_continuum_are_those_that_were_put_in() {
        let meter = SpectrumMeter::new(&DESI_GRID);
        let slope = |wavelength: f64| 2.0 + wavelength / 1000.0;
        let quality = meter.measure(&observed(slope, 1));
        // Medians over 7781 pixels, and over 130 of a band.
        let middle = slope(DESI_GRID.wavelength(DESI_GRID.len / 2)) as f32;
        assert!((quality.signal_to_noise / middle - 1.0).abs() < 0.03);
        let [flux, error] = quality.continuum;
        let expected = 1.2533 / (DESI_GRID.len as f32 / CONTINUUM_BANDS as f32).sqrt();
        for band in 0..CONTINUUM_BANDS {
            let range = &meter.bands[band];
            let truth =
                slope(DESI_GRID.wavelength(range.start) + 0.4 * (range.len() - 1) as f64) as f32;
            assert!((flux[band] - truth).abs() < 4.5 * expected, "{band}");
            assert!((error[band] / expected - 1.0).abs() < 0.5, "{band}");
        }
        let sky = meter.measure(&observed(|_| 0.0, 2));
        assert!(sky.signal_to_noise.abs() < NO_SIGNAL / 3.0);
        assert!(sky.star_lines.abs() < STAR_LINES);
    }

    #[test]
    fn absorption_at_redshift_0_is_a_stars_and_that_of_a_galaxy_is_not() {
        let meter = SpectrumMeter::new(&DESI_GRID);
        let lines = |redshift: f64| {
            move |wavelength: f64| {
                let depth = LINES.iter().map(|(centre, _)| {
                    let away = (wavelength - centre * (1.0 + redshift)) / 2.5;
                    0.3 * (-0.5 * away * away).exp()
                });
                5.0 * (1.0 - depth.sum::<f64>())
            }
        };
        let star = meter.measure(&observed(lines(0.0), 3)).star_lines;
        // Equivalent widths of 1.9 Å at 5 standard deviations per pixel of 0.8 Å: 11.7 of one pixel's, over 21 pixels and
        // a continuum of 74, so 2.3 for one line and 7 for ten, each with an error of 1.
        assert!((5.0..9.0).contains(&star), "{star}");
        for redshift in [0.02, 0.1, 0.26, 0.4] {
            let galaxy = meter.measure(&observed(lines(redshift), 4)).star_lines;
            assert!(galaxy < 3.0, "{redshift}: {galaxy}");
        }
        let coarse = WavelengthGrid {
            step: 40.0,
            len: 150,
            ..DESI_GRID
        };
        let flux: Vec<f32> = observed(|_| 3.0, 5).into_iter().take(150).collect();
        assert!(
            SpectrumMeter::new(&coarse)
                .measure(&flux)
                .star_lines
                .is_nan()
        );
    }

    #[test]
    fn what_was_not_measured_tells_nothing() {
        let meter = SpectrumMeter::new(&DESI_GRID);
        let mut spectrum = observed(|_| 4.0, 6);
        let whole = meter.measure(&spectrum);
        // An arm of the median, and a bridge over a band and more.
        spectrum[..2600].fill(4.0);
        for (step, flux) in spectrum[5000..5300].iter_mut().enumerate() {
            *flux = 3.0 + 0.01 * step as f32;
        }
        let part = meter.measure(&spectrum);
        let unknown = |quality: &SpectrumQuality| -> Vec<usize> {
            let flux = quality.continuum[0].iter().enumerate();
            flux.filter(|(_, flux)| flux.is_nan())
                .map(|(band, _)| band)
                .collect()
        };
        assert_eq!(unknown(&whole), [0_usize; 0]);
        let bridged = unknown(&part).into_iter().filter(|&band| band > 19);
        assert!(bridged.count() >= 1);
        assert_eq!(unknown(&part)[..20], (0..20).collect::<Vec<_>>());
        assert!((part.signal_to_noise / whole.signal_to_noise - 1.0).abs() < 0.05);
        // Of the ten lines five are left.
        assert!(part.star_lines.is_nan() && whole.star_lines.is_finite());
        let nothing = meter.measure(&vec![1.0; DESI_GRID.len]);
        assert!(nothing.signal_to_noise.is_nan());
    }
}
