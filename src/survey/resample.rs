//! Spectra on other wavelengths, with their flux conserved.

use super::WavelengthGrid;
use super::gaps::fill_with_median;

/// Takes spectra from one set of wavelengths to a grid and conserves flux: a pixel of the grid gets the
/// mean flux density of the pixels that it covers, each by the width that they share (Carnall 2017).
#[derive(Debug, Clone, PartialEq)]
pub struct Resampler {
    /// Pixels of a spectrum that goes in.
    from: usize,
    /// Per pixel of the grid: the first pixel that it covers, and where its weights end.
    rows: Vec<(usize, usize)>,
    /// Weights of all pixels of the grid, which add up to one for each.
    weights: Vec<f32>,
    /// Pixels of the grid that the spectra cover by half or more.
    covered: Vec<bool>,
}

impl Resampler {
    /// From pixels centred on `wavelengths` (Å, rising; edges lie midway) to a grid.
    ///
    /// # Errors
    /// Where the wavelengths do not rise, or cover nothing of the grid; the message is about them.
    pub fn new(wavelengths: &[f64], grid: &WavelengthGrid) -> Result<Self, String> {
        let rises = wavelengths.windows(2).position(|pair| {
            let (first, second) = (pair[0], pair[1]);
            !(first.is_finite() && second.is_finite() && second > first)
        });
        if wavelengths.len() < 2 || rises.is_some() {
            return Err(match rises {
                Some(at) => format!(
                    "must rise from pixel to pixel; place {at} has {} Å, the next {} Å",
                    wavelengths[at],
                    wavelengths[at + 1]
                ),
                None => "needs at least two wavelengths".to_owned(),
            });
        }
        let edges = edges(wavelengths);
        let mut resampler = Self {
            from: wavelengths.len(),
            rows: Vec::with_capacity(grid.len),
            weights: Vec::new(),
            covered: Vec::with_capacity(grid.len),
        };
        let mut first = 0;
        for index in 0..grid.len {
            let centre = grid.wavelength(index);
            let (low, high) = (centre - 0.5 * grid.step, centre + 0.5 * grid.step);
            while first + 1 < wavelengths.len() && edges[first + 1] <= low {
                first += 1;
            }
            let overlaps: Vec<f64> = (first..wavelengths.len())
                .take_while(|&pixel| edges[pixel] < high)
                .map(|pixel| (edges[pixel + 1].min(high) - edges[pixel].max(low)).max(0.0))
                .collect();
            let total: f64 = overlaps.iter().sum();
            let covered = total >= 0.5 * grid.step;
            if covered {
                let weights = overlaps.iter().map(|overlap| (overlap / total) as f32);
                resampler.weights.extend(weights);
            }
            resampler.rows.push((first, resampler.weights.len()));
            resampler.covered.push(covered);
        }
        match resampler.covered.contains(&true) {
            true => Ok(resampler),
            false => Err(format!(
                "runs from {} to {} Å, outside of survey.wavelengths, {} to {} Å",
                wavelengths[0],
                wavelengths[wavelengths.len() - 1],
                grid.start,
                grid.wavelength(grid.len - 1)
            )),
        }
    }

    /// Share of the grid that the spectra cover.
    pub fn coverage(&self) -> f64 {
        let covered = self.covered.iter().filter(|&&covered| covered).count();
        covered as f64 / self.covered.len() as f64
    }

    /// Writes `spectrum` on the grid. Pixels of the grid that it does not cover get the median of those that it does.
    /// `bad`, where it is not empty, says which pixels of the spectrum cover nothing. Returns how many pixels of the
    /// grid got the median because of them.
    ///
    /// # Panics
    /// Where the lengths are not those that the resampler was made for.
    pub fn apply(&self, spectrum: &[f32], bad: &[bool], out: &mut [f32]) -> usize {
        assert_eq!(spectrum.len(), self.from, "pixels of the spectrum");
        assert_eq!(out.len(), self.rows.len(), "pixels of the grid");
        let mut start = 0;
        for (&(first, end), out) in self.rows.iter().zip(&mut *out) {
            let weights = &self.weights[start..end];
            let values = &spectrum[first..first + weights.len()];
            *out = weights.iter().zip(values).map(|(w, v)| w * v).sum();
            start = end;
        }
        match bad.contains(&true) {
            true => self.leave_out(spectrum, bad, out),
            false if self.covered.contains(&false) => {
                fill_with_median(out, |pixel| !self.covered[pixel]);
                0
            }
            false => 0,
        }
    }

    /// Mends the pixels of the grid in which bad pixels have a share.
    fn leave_out(&self, spectrum: &[f32], bad: &[bool], out: &mut [f32]) -> usize {
        assert_eq!(bad.len(), self.from, "one flag per pixel");
        let mut known = self.covered.clone();
        let mut start = 0;
        for ((&(first, end), out), known) in self.rows.iter().zip(&mut *out).zip(&mut known) {
            let weights = &self.weights[start..end];
            start = end;
            let pixels = first..first + weights.len();
            let bad = &bad[pixels.clone()];
            if !bad.contains(&true) {
                continue;
            }
            let good = weights.iter().zip(&spectrum[pixels]).zip(bad);
            let (share, flux) = good
                .filter(|(_, bad)| !**bad)
                .fold((0.0, 0.0), |(share, flux), ((w, v), _)| {
                    (share + w, flux + w * v)
                });
            match share >= 0.5 {
                true => *out = flux / share,
                false => *known = false,
            }
        }
        let missing = fill_with_median(out, |pixel| !known[pixel]);
        missing - self.covered.iter().filter(|&&covered| !covered).count()
    }
}

/// Edges midway between the pixels' centres; the outer ones as far out as the next inner ones are in.
fn edges(centres: &[f64]) -> Vec<f64> {
    let last = centres.len() - 1;
    let mut edges = vec![centres[0] - 0.5 * (centres[1] - centres[0])];
    edges.extend(centres.windows(2).map(|pair| 0.5 * (pair[0] + pair[1])));
    edges.push(centres[last] + 0.5 * (centres[last] - centres[last - 1]));
    edges
}

#[cfg(test)]
mod tests {
    use super::{Resampler, WavelengthGrid};

    #[test]
    fn flux_is_conserved_from_coarse_and_uneven_pixels() {
        let grid = WavelengthGrid {
            start: 4000.0,
            step: 0.8,
            len: 1000,
        };
        // Steps that grow with wavelength, as SDSS has them.
        let wavelengths: Vec<f64> = (0..1200)
            .map(|i| 3990.0 * (1.9e-4 * f64::from(i)).exp())
            .collect();
        let spectrum: Vec<f32> = wavelengths
            .iter()
            .map(|w| (w / 300.0).sin() as f32)
            .collect();
        let resampler = Resampler::new(&wavelengths, &grid).unwrap();
        assert_eq!(resampler.coverage(), 1.0);
        let mut out = vec![0.0; grid.len];
        resampler.apply(&spectrum, &[], &mut out);
        let sum = |values: &[f32]| values.iter().map(|&v| f64::from(v)).sum::<f64>();
        // The integral of the sine over the grid, edge to edge.
        let (low, high) = (3999.6, 4799.6);
        let exact = 300.0 * ((low / 300.0_f64).cos() - (high / 300.0_f64).cos());
        assert!(
            (sum(&out) * 0.8 - exact).abs() < 0.05,
            "{} {exact}",
            sum(&out) * 0.8
        );
        let constant = vec![3.5; 1200];
        resampler.apply(&constant, &[], &mut out);
        assert!(out.iter().all(|value| (value - 3.5).abs() < 1e-6));
    }

    #[test]
    fn what_is_not_covered_is_reported_and_gets_the_median() {
        let grid = WavelengthGrid {
            start: 100.0,
            step: 1.0,
            len: 10,
        };
        let wavelengths: Vec<f64> = (105..120).map(f64::from).collect();
        let resampler = Resampler::new(&wavelengths, &grid).unwrap();
        assert_eq!(resampler.coverage(), 0.5);
        let spectrum: Vec<f32> = (0..15).map(|i| i as f32).collect();
        let mut out = [0.0; 10];
        resampler.apply(&spectrum, &[], &mut out);
        assert_eq!(out, [2.0, 2.0, 2.0, 2.0, 2.0, 0.0, 1.0, 2.0, 3.0, 4.0]);
        assert!(
            Resampler::new(&[1.0, 2.0, 3.0], &grid)
                .unwrap_err()
                .contains("outside")
        );
        assert!(
            Resampler::new(&[101.0, 101.0], &grid)
                .unwrap_err()
                .contains("rise")
        );
    }

    #[test]
    fn bad_pixels_cover_nothing() {
        let grid = WavelengthGrid {
            start: 100.0,
            step: 2.0,
            len: 6,
        };
        // Two pixels to one of the grid, from 103 Å on.
        let wavelengths: Vec<f64> = (0..20).map(|i| 103.5 + f64::from(i)).collect();
        let resampler = Resampler::new(&wavelengths, &grid).unwrap();
        let mut spectrum: Vec<f32> = (0..20).map(|i| i as f32).collect();
        let mut bad = vec![false; 20];
        for pixel in [0, 2, 3] {
            (spectrum[pixel], bad[pixel]) = (f32::NAN, true);
        }
        let mut out = [0.0; 6];
        assert_eq!(resampler.apply(&spectrum, &bad, &mut out), 1);
        // Two pixels of the grid are not covered, the third by half, the fourth not at all.
        assert_eq!(out, [4.5, 4.5, 1.0, 4.5, 4.5, 6.5]);
    }
}
