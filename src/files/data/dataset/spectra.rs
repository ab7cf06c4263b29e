//! Spectra as files have them, brought onto the survey's wavelengths: bad pixels and other wavelengths.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::check::not_usable;
use crate::files::data::describe::PixelCounts;
use crate::files::data::source::{Contents, Wavelengths};
use crate::survey::{
    LEAST_GOOD, LONGEST_BRIDGE, Resampler, WavelengthGrid, bridge, fill_with_median,
};

/// Resamplers that are kept. Surveys have a few sets of wavelengths for many spectra.
const KEPT: usize = 32;

/// Wavelengths of a spectrum, and the resampler from them; `None` where they are the grid's.
type KnownWavelengths = (Vec<f64>, Option<Arc<Resampler>>);

/// How the spectra of one file come onto the survey's wavelengths.
#[derive(Debug)]
pub(super) struct Placing {
    grid: WavelengthGrid,
    /// Those of the file.
    wavelengths: Wavelengths,
    /// Whether the file flags bad pixels.
    pub flags: bool,
    /// To the grid from the wavelengths that all share; `None` where these are the grid's.
    shared: Option<Resampler>,
    /// For spectra with wavelengths of their own.
    resamplers: Arc<Resamplers>,
    counts: Counts,
}

/// The resamplers that spectra with wavelengths of their own needed last, in all files of a data set.
#[derive(Debug, Default)]
pub(super) struct Resamplers(Mutex<Vec<KnownWavelengths>>);

impl Resamplers {
    /// From these wavelengths to the grid; `None` where they are the grid's.
    fn of(
        &self,
        wavelengths: &[f64],
        grid: &WavelengthGrid,
    ) -> Result<Option<Arc<Resampler>>, String> {
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, known)) = lock().iter().rev().find(|(known, _)| known == wavelengths) {
            return Ok(known.clone());
        }
        let resampler = match grid.matches(wavelengths) {
            true => None,
            false => {
                let resampler = Resampler::new(wavelengths, grid);
                Some(Arc::new(resampler.map_err(|message| {
                    format!("its wavelength axis {message}")
                })?))
            }
        };
        let mut kept = lock();
        if kept.len() >= KEPT {
            kept.remove(0);
        }
        kept.push((wavelengths.to_vec(), resampler.clone()));
        Ok(resampler)
    }
}

/// What became of the pixels of the spectra read so far.
#[derive(Debug, Default)]
struct Counts {
    spectra: AtomicU64,
    /// Pixels of the file that are bad and lie on a line now.
    bridged: AtomicU64,
    /// Pixels of the file.
    stored: AtomicU64,
    /// Pixels of the grid without a good one, which got the median.
    filled: AtomicU64,
    /// Whether those of one spectrum were more than a bridge is wide.
    gaps: AtomicBool,
    /// Pixels of the grid outside of the spectra's wavelengths, which got the median too.
    outside: AtomicU64,
}

impl Placing {
    /// `None` for spectra without flags on the survey's own wavelengths, which are read as they are.
    ///
    /// # Errors
    /// Where the wavelengths that all spectra share do not rise or lie outside of the survey's.
    pub fn new(
        contents: &Contents,
        grid: &WavelengthGrid,
        resamplers: &Arc<Resamplers>,
    ) -> Result<Option<Self>, String> {
        let Some(wavelengths) = contents.wavelengths.clone() else {
            return Ok(None);
        };
        let shared = match &wavelengths {
            Wavelengths::Shared(values) if !grid.matches(values) => {
                Some(Resampler::new(values, grid)?)
            }
            Wavelengths::Shared(_) if !contents.bad_pixels => return Ok(None),
            _ => None,
        };
        Ok(Some(Self {
            grid: *grid,
            wavelengths,
            flags: contents.bad_pixels,
            shared,
            resamplers: Arc::clone(resamplers),
            counts: Counts::default(),
        }))
    }

    /// Pixels of a stored spectrum.
    pub fn pixels(&self) -> usize {
        self.wavelengths.pixels()
    }

    /// Whether each spectrum has wavelengths of its own.
    pub fn per_row(&self) -> bool {
        matches!(self.wavelengths, Wavelengths::PerRow { .. })
    }

    /// Whether spectra come from other wavelengths.
    pub fn resamples(&self) -> bool {
        match &self.wavelengths {
            Wavelengths::Shared(_) => self.shared.is_some(),
            Wavelengths::PerRow { pixels, ends } => {
                let last = self.grid.wavelength(self.grid.len - 1);
                let same = |a: f64, b: f64| (a - b).abs() <= 0.01 * self.grid.step;
                let is_grid = *pixels == self.grid.len;
                !(is_grid && same(ends[0], self.grid.start) && same(ends[1], last))
            }
        }
    }

    /// Share of the grid that the spectra cover: all of them, or those read so far, or else the first.
    pub fn coverage(&self) -> f64 {
        match &self.wavelengths {
            Wavelengths::Shared(_) => self.shared.as_ref().map_or(1.0, Resampler::coverage),
            Wavelengths::PerRow { ends, .. } => {
                // Pixels of the grid before a wavelength.
                let before = |wavelength: f64| (wavelength - self.grid.start) / self.grid.step;
                let all = self.grid.len as f64;
                let [low, high] =
                    [before(ends[0]), before(ends[1]) + 1.0].map(|at| at.clamp(0.0, all));
                let first = (high - low).max(0.0) / all;
                self.share(&self.counts.outside, self.grid.len)
                    .map_or(first, |outside| 1.0 - outside)
            }
        }
    }

    /// Brings a spectrum onto the grid. `bad` is empty where the file flags nothing, `wavelengths` where all spectra
    /// share theirs. Returns the share of the grid at which nothing was measured: bad pixels, and wavelengths that the
    /// spectrum does not cover.
    ///
    /// # Errors
    /// Says why the spectrum cannot be used.
    pub fn place(
        &self,
        flux: &mut [f32],
        bad: &mut [bool],
        wavelengths: &[f64],
        out: &mut [f32],
    ) -> Result<f32, String> {
        let stored = flux.len();
        let (range, wavelengths, resampler) = match &self.wavelengths {
            Wavelengths::Shared(shared) => (0..stored, shared.as_slice(), None),
            Wavelengths::PerRow { .. } => {
                let range = real(wavelengths, bad)?;
                let wavelengths = &wavelengths[range.clone()];
                let resampler = self.resamplers.of(wavelengths, &self.grid)?;
                (range, wavelengths, resampler)
            }
        };
        let resampler = resampler.as_deref().or(self.shared.as_ref());
        let flux = &mut flux[range.clone()];
        let bad = bad.get_mut(range).unwrap_or_default();
        let (mut bridged, mut unmeasured) = (0, 0.0);
        // Counted once, on whole vectors; what is still bad follows from it.
        let mut left = bad.iter().map(|&bad| usize::from(bad)).sum::<usize>();
        if left > 0 {
            if left == bad.len() {
                return Err(NO_GOOD_PIXEL.to_owned());
            }
            unmeasured = self.width_of(bad, wavelengths);
            bridged = bridge(flux, bad, wavelengths);
            left -= bridged;
            if left > 0 {
                for (flux, _) in flux.iter_mut().zip(&*bad).filter(|(_, bad)| **bad) {
                    *flux = 0.0;
                }
            }
        }
        not_usable(flux).map_or(Ok(()), Err)?;
        let filled = match resampler {
            Some(resampler) => resampler.apply(flux, bad, out),
            None => {
                out.copy_from_slice(flux);
                match left {
                    0 => 0,
                    _ => fill_with_median(out, |pixel| bad[pixel]),
                }
            }
        };
        let coverage = resampler.map_or(1.0, Resampler::coverage);
        let covered = (coverage * self.grid.len as f64).round();
        let good = 1.0 - filled as f64 / covered;
        if good < LEAST_GOOD {
            return Err(format!(
                "only {:.1} % of its pixels are good (a mask, or an inverse variance of 0); at least {:.0} % are \
                 needed; remove the row, or pass --skip-bad",
                100.0 * good,
                100.0 * LEAST_GOOD
            ));
        }
        if filled as f64 * self.grid.step > LONGEST_BRIDGE {
            self.counts.gaps.store(true, Ordering::Relaxed);
        }
        let outside = self.grid.len - covered as usize;
        self.count(stored, bridged, filled, outside);
        let share = (outside as f64 + unmeasured / self.grid.step) / self.grid.len as f64;
        Ok(share.min(1.0) as f32)
    }

    /// The wavelengths of the grid, Å, that bad pixels hold: each from midway to its neighbours.
    fn width_of(&self, bad: &[bool], wavelengths: &[f64]) -> f64 {
        let half = 0.5 * self.grid.step;
        let (low, high) = (
            self.grid.start - half,
            self.grid.wavelength(self.grid.len - 1) + half,
        );
        let last = wavelengths.len() - 1;
        let is_bad = |&pixel: &usize| bad[pixel];
        let widths = (0..=last).filter(is_bad).map(|pixel| {
            let here = wavelengths[pixel];
            // The outer pixels reach as far out as in.
            let before = match pixel {
                0 => 2.0 * here - wavelengths[1.min(last)],
                _ => wavelengths[pixel - 1],
            };
            let after = match pixel {
                _ if pixel == last => 2.0 * here - before,
                _ => wavelengths[pixel + 1],
            };
            let ends = [before, after].map(|other| (0.5 * (here + other)).clamp(low, high));
            ends[1] - ends[0]
        });
        widths.sum()
    }

    fn count(&self, stored: usize, bridged: usize, filled: usize, outside: usize) {
        let counts = &self.counts;
        for (count, more) in [
            (&counts.spectra, 1),
            (&counts.stored, stored),
            (&counts.bridged, bridged),
            (&counts.filled, filled),
            (&counts.outside, outside),
        ] {
            count.fetch_add(more as u64, Ordering::Relaxed);
        }
    }

    /// Whether a spectrum was read of which more than a bridge's width holds the median.
    pub fn has_gaps(&self) -> bool {
        self.counts.gaps.load(Ordering::Relaxed)
    }

    /// The mean share of a count, of `pixels` for every spectrum read; `None` before the first.
    fn share(&self, count: &AtomicU64, pixels: usize) -> Option<f64> {
        let read = self.counts.spectra.load(Ordering::Relaxed);
        let all = read as f64 * pixels as f64;
        (read > 0).then(|| count.load(Ordering::Relaxed) as f64 / all)
    }

    /// What became of the pixels of the spectra read so far.
    pub fn pixel_counts(&self) -> PixelCounts {
        let counts = &self.counts;
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        PixelCounts {
            spectra: read(&counts.spectra),
            stored: read(&counts.stored),
            interpolated: read(&counts.bridged),
            placed: read(&counts.spectra) * self.grid.len as u64,
            filled: read(&counts.filled),
        }
    }

    /// What a user should know of the wavelengths.
    pub fn note(&self) -> Option<String> {
        self.per_row()
            .then(|| "every spectrum has wavelengths of its own".to_owned())
    }
}

/// What is said of a spectrum of bad pixels alone.
const NO_GOOD_PIXEL: &str =
    "every pixel is bad (a mask, or an inverse variance of 0); remove the row, or pass --skip-bad";

/// The pixels of a spectrum with wavelengths of its own, without those that fill its row at either end: those have no
/// positive wavelength, or are bad at a wavelength that does not rise.
fn real(wavelengths: &[f64], bad: &[bool]) -> Result<std::ops::Range<usize>, String> {
    let is_real = |&wavelength: &f64| wavelength.is_finite() && wavelength > 0.0;
    let is_bad = |pixel: usize| bad.get(pixel).copied().unwrap_or(false);
    let ends = (
        wavelengths.iter().position(is_real),
        wavelengths.iter().rposition(is_real),
    );
    let (Some(mut first), Some(mut last)) = ends else {
        return Err("has no wavelengths".to_owned());
    };
    while last > first && is_bad(last) && wavelengths[last] <= wavelengths[last - 1] {
        last -= 1;
    }
    while first < last && is_bad(first) && wavelengths[first] >= wavelengths[first + 1] {
        first += 1;
    }
    Ok(first..last + 1)
}

#[cfg(test)]
mod tests {
    use super::real;

    #[test]
    fn pixels_that_fill_a_row_are_none() {
        let nan = f64::NAN;
        assert_eq!(real(&[-1.0, 4.0, 5.0, 6.0, nan, 0.0], &[]), Ok(1..4));
        // Filled with the last wavelength and masked; a masked pixel of its own wavelength stays.
        let bad = [true, true, false, true, true, true];
        assert_eq!(real(&[3.0, 3.0, 4.0, 5.0, 5.0, 5.0], &bad), Ok(1..4));
        assert!(real(&[nan, -1.0], &[]).is_err());
    }
}
