//! What a spectrum says of itself, whatever a model makes of it: how much signal it holds, how its continuum runs, and
//! whether it is a star's.

mod star_lines;

use std::ops::Range;

use super::WavelengthGrid;
use crate::base::numeric::{median, vectorized};
use star_lines::StarLines;

/// Bands of as many pixels each, in which a continuum is told.
pub const CONTINUUM_BANDS: usize = 60;

/// Below this signal to noise per pixel a spectrum is taken for an empty fibre's. Sky that is not taken away to a per cent
/// leaves some tenths; a galaxy of emission lines alone has as little.
pub const NO_SIGNAL: f32 = 0.3;

/// Above this significance, absorption lines of stars at redshift 0 are taken for such.
pub const STAR_LINES: f32 = 5.0;

/// Å between the pixels whose differences tell the noise: more than the pixels of any survey that is resampled.
const APART: f64 = 3.2;
/// Blocks of pixels that a band is of, at most twice as many: medians of their means hold for what lies in less than half of
/// a band, as lines do.
const BLOCKS: usize = 32;
/// Of differences 2 f(λ) − f(λ − d) − f(λ + d) of normal noise, the standard deviation over that of a pixel (√6; Stoehr et
/// al. 2008, eq. 2).
const OF_DIFFERENCES: f32 = 2.449_49;
/// The mean of what is normal without its sign, over the standard deviation, √(2/π); and how much less the median is. The
/// median of means of n is less by an n-th of it.
const WITHOUT_SIGN: [f32; 2] = [0.797_884_6, 0.123_394_8];
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
    /// Flux of each band, the median of means over a few pixels, and its standard deviation; NaN where less than half of a
    /// band was measured.
    pub continuum: [[f32; CONTINUUM_BANDS]; 2],
}

/// Measures spectra on one grid of wavelengths.
#[derive(Debug, Clone)]
pub struct SpectrumMeter {
    /// Pixels of a spectrum.
    pixels: usize,
    /// Pixels of a block.
    block: usize,
    /// The blocks of each band.
    bands: Vec<Range<usize>>,
    lines: StarLines,
    /// Pixels in [`APART`].
    apart: usize,
}

/// Sums over the measured pixels of a block.
#[derive(Debug, Clone, Copy, Default)]
struct Block {
    flux: f32,
    difference: f32,
    measured: f32,
}

impl Block {
    fn is_known(&self, pixels: usize) -> bool {
        self.measured > 0.0 && 2.0 * self.measured >= pixels as f32
    }
}

impl SpectrumMeter {
    /// For spectra on `grid`.
    pub fn new(grid: &WavelengthGrid) -> Self {
        let block = (grid.len / (BLOCKS * CONTINUUM_BANDS)).max(1);
        let edge = |band: usize| band * (grid.len / block) / CONTINUUM_BANDS;
        Self {
            pixels: grid.len,
            block,
            bands: (0..CONTINUUM_BANDS)
                .map(|band| edge(band)..edge(band + 1))
                .collect(),
            lines: StarLines::new(grid),
            apart: ((APART / grid.step).round() as usize).max(1),
        }
    }

    /// What a spectrum says of itself. Its noise is that of neighbouring pixels, so that spectra with and without inverse
    /// variances tell the same. Pixels on a line between others, or of one value, count as not measured.
    ///
    /// # Panics
    /// Where the spectrum has other pixels than the grid.
    pub fn measure(&self, spectrum: &[f32]) -> SpectrumQuality {
        assert_eq!(spectrum.len(), self.pixels, "a spectrum on the grid");
        let differences = self.differences(spectrum);
        let blocks = self.blocks(spectrum, &differences);
        let most = self.bands.iter().map(Range::len).max().unwrap_or(0);
        // By place within a band, then by band: all medians are found together.
        let mut flux = vec![[f32::INFINITY; CONTINUUM_BANDS]; most];
        let mut noise = flux.clone();
        let mut measured = [0.0; CONTINUUM_BANDS];
        let mut known = [0; CONTINUUM_BANDS];
        for (band, range) in self.bands.iter().enumerate() {
            for block in blocks[range.clone()]
                .iter()
                .filter(|block| block.is_known(self.block))
            {
                flux[known[band]][band] = block.flux / block.measured;
                noise[known[band]][band] = block.difference / block.measured;
                measured[band] += block.measured;
                known[band] += 1;
            }
            if 2 * known[band] < range.len() {
                known[band] = 0;
            }
        }
        let [mut flux, mut noise] = [flux, noise].map(|values| medians(values, &known));
        let [mean, less] = WITHOUT_SIGN;
        let of_pixel = OF_DIFFERENCES * (mean - less / self.block as f32);
        noise.iter_mut().for_each(|noise| *noise /= of_pixel);
        let least = LEAST_NOISE * median(noise.iter().copied());
        let mut ratio = [f32::NAN; CONTINUUM_BANDS];
        for band in 0..CONTINUUM_BANDS {
            // A NaN stays.
            if noise[band] < least {
                noise[band] = least;
            }
            ratio[band] = flux[band] / noise[band];
            noise[band] *= OF_MEDIAN / measured[band].sqrt();
            if !(flux[band].is_finite() && noise[band].is_finite()) {
                [flux[band], noise[band]] = [f32::NAN; 2];
            }
        }
        let told = ratio.iter().filter(|ratio| ratio.is_finite()).count();
        SpectrumQuality {
            signal_to_noise: match 4 * told < CONTINUUM_BANDS {
                true => f32::NAN,
                false => median(ratio.iter().copied()),
            },
            star_lines: self
                .lines
                .significance(spectrum, |pixel| differences[pixel].is_nan()),
            continuum: [flux, noise],
        }
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

    fn blocks(&self, spectrum: &[f32], differences: &[f32]) -> Vec<Block> {
        let blocks = spectrum.chunks_exact(self.block);
        let blocks = blocks.zip(differences.chunks_exact(self.block));
        blocks
            .map(|(flux, differences)| {
                let mut block = Block::default();
                for (flux, difference) in flux.iter().zip(differences) {
                    // Without a branch, which noise would mislead.
                    let known = f32::from(u8::from(!difference.is_nan()));
                    block.flux += flux * known;
                    block.difference += difference.max(0.0);
                    block.measured += known;
                }
                block
            })
            .collect()
    }
}

/// The median of each column's first `known` values, of which the others are infinite; NaN of none.
fn medians(
    mut rows: Vec<[f32; CONTINUUM_BANDS]>,
    known: &[usize; CONTINUUM_BANDS],
) -> [f32; CONTINUUM_BANDS] {
    sort_columns(&mut rows);
    std::array::from_fn(|column| match known[column] {
        0 => f32::NAN,
        known => 0.5 * (rows[(known - 1) / 2][column] + rows[known / 2][column]),
    })
}

vectorized! {
    /// Brings every column into rising order: neighbours change places, those of all columns at once.
    fn sort_columns<'a>(rows: &'a mut [[f32; CONTINUUM_BANDS]]) {
        for pass in 0..rows.len() {
            for pair in rows[pass % 2..].chunks_exact_mut(2) {
                let [lower, upper] = pair else { unreachable!() };
                exchange(lower, upper);
            }
        }
    }
}

/// The lesser of each column to one row, the greater to the other.
#[inline(always)]
fn exchange(lower: &mut [f32; CONTINUUM_BANDS], upper: &mut [f32; CONTINUUM_BANDS]) {
    for (lower, upper) in lower.iter_mut().zip(upper) {
        let (one, other) = (*lower, *upper);
        *lower = if one < other { one } else { other };
        *upper = if one < other { other } else { one };
    }
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
    fn medians_of_all_columns_are_those_of_sorted_values() {
        let value =
            |row: usize, column: usize| ((7 * row + 3 * column + row * column) as f32).sin();
        let known: [usize; CONTINUUM_BANDS] = std::array::from_fn(|column| column % 14);
        let rows = (0..13).map(|row| {
            std::array::from_fn(|column| match row < known[column] {
                true => value(row, column),
                false => f32::INFINITY,
            })
        });
        let found = medians(rows.collect(), &known);
        assert!(found[0].is_nan());
        for column in (1..CONTINUUM_BANDS).filter(|&column| known[column] > 0) {
            let rows = 0..known[column];
            let mut sorted: Vec<f32> = rows.map(|row| value(row, column)).collect();
            sorted.sort_unstable_by(f32::total_cmp);
            let half = sorted.len() / 2;
            let expected = match sorted.len() % 2 {
                0 => 0.5 * (sorted[half - 1] + sorted[half]),
                _ => sorted[half],
            };
            assert_eq!(found[column], expected, "{column}");
        }
    }

    #[test]
    fn emission_lines_are_no_continuum() {
        let meter = SpectrumMeter::new(&DESI_GRID);
        let line = |wavelength: f64| {
            let away = (wavelength - 6700.0) / 3.0;
            4.0 + 300.0 * (-0.5 * away * away).exp()
        };
        let [[without, _], [with, noise]] =
            [observed(|_| 4.0, 8), observed(line, 8)].map(|flux| meter.measure(&flux).continuum);
        let change = without.iter().zip(&with).zip(&noise);
        for ((without, with), noise) in change {
            assert!(
                (with - without).abs() < 3.0 * noise,
                "{without} {with} {noise}"
            );
        }
    }

    #[test]
    fn signal_and_continuum_are_those_that_were_put_in() {
        let meter = SpectrumMeter::new(&DESI_GRID);
        let slope = |wavelength: f64| 2.0 + wavelength / 1000.0;
        let quality = meter.measure(&observed(slope, 1));
        let middle = slope(DESI_GRID.wavelength(DESI_GRID.len / 2)) as f32;
        assert!((quality.signal_to_noise / middle - 1.0).abs() < 0.03);
        let [flux, error] = quality.continuum;
        let pixels = DESI_GRID.len as f64 / CONTINUUM_BANDS as f64;
        let expected = (1.2533 / pixels.sqrt()) as f32;
        for band in 0..CONTINUUM_BANDS {
            let truth = slope(DESI_GRID.start + DESI_GRID.step * pixels * (band as f64 + 0.5));
            assert!((flux[band] - truth as f32).abs() < 4.5 * expected, "{band}");
            assert!((error[band] / expected - 1.0).abs() < 0.5, "{band}");
        }
        let mean = error.iter().sum::<f32>() / CONTINUUM_BANDS as f32;
        assert!((mean / expected - 1.0).abs() < 0.03, "{mean}");
        let sky = meter.measure(&observed(|_| 0.0, 2));
        assert!(sky.signal_to_noise.abs() < NO_SIGNAL / 3.0);
        assert!(sky.star_lines.abs() < STAR_LINES);
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
