//! Spectra on other wavelengths, with their flux conserved.

use super::WavelengthGrid;

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

    /// Pixels of a spectrum that goes in.
    pub fn pixels(&self) -> usize {
        self.from
    }

    /// Share of the grid that the spectra cover.
    pub fn coverage(&self) -> f64 {
        let covered = self.covered.iter().filter(|&&covered| covered).count();
        covered as f64 / self.covered.len() as f64
    }

    /// Writes `spectrum` on the grid. Pixels that it does not cover get the median of those that it does,
    /// which is no feature to a model that sees spectra relative to their mean.
    ///
    /// # Panics
    /// Where the lengths are not those that the resampler was made for.
    pub fn apply(&self, spectrum: &[f32], out: &mut [f32]) {
        assert_eq!(spectrum.len(), self.from, "pixels of the spectrum");
        assert_eq!(out.len(), self.rows.len(), "pixels of the grid");
        let mut start = 0;
        for (&(first, end), out) in self.rows.iter().zip(&mut *out) {
            let weights = &self.weights[start..end];
            let values = &spectrum[first..first + weights.len()];
            *out = weights.iter().zip(values).map(|(w, v)| w * v).sum();
            start = end;
        }
        if self.covered.contains(&false) {
            let mut known: Vec<f32> = (self.covered.iter().zip(&*out))
                .filter_map(|(&covered, &value)| covered.then_some(value))
                .collect();
            let middle = known.len() / 2;
            let (_, &mut median, _) = known.select_nth_unstable_by(middle, f32::total_cmp);
            for (out, _) in (out.iter_mut().zip(&self.covered)).filter(|(_, covered)| !**covered) {
                *out = median;
            }
        }
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

/// Fills places of `spectrum` for which `bad` holds by the line between the nearest good ones, or the
/// nearest good one at the ends, and says how many. Nothing happens without a good one.
///
/// # Panics
/// Where the lengths differ.
pub fn interpolate(spectrum: &mut [f32], bad: &[bool]) -> usize {
    assert_eq!(spectrum.len(), bad.len(), "one flag per pixel");
    let count = bad.iter().filter(|&&bad| bad).count();
    if count == bad.len() {
        return count;
    }
    let mut at = 0;
    while at < bad.len() {
        if !bad[at] {
            at += 1;
            continue;
        }
        let end = (at..bad.len()).find(|&place| !bad[place]);
        let before = at.checked_sub(1).map(|place| spectrum[place]);
        let after = end.map(|place| spectrum[place]);
        let end = end.unwrap_or(bad.len());
        let (left, right) = match (before, after) {
            (Some(left), Some(right)) => (left, right),
            (Some(one), None) | (None, Some(one)) => (one, one),
            (None, None) => return count,
        };
        let width = (end - at + 1) as f32;
        for (step, value) in spectrum[at..end].iter_mut().enumerate() {
            *value = left + (right - left) * (step + 1) as f32 / width;
        }
        at = end;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::{Resampler, WavelengthGrid, interpolate};

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
        resampler.apply(&spectrum, &mut out);
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
        resampler.apply(&constant, &mut out);
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
        resampler.apply(&spectrum, &mut out);
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
    fn bad_pixels_lie_on_the_line_between_good_ones() {
        let mut spectrum = [9.0, 1.0, 9.0, 9.0, 4.0, 9.0];
        let bad = [true, false, true, true, false, true];
        assert_eq!(interpolate(&mut spectrum, &bad), 4);
        assert_eq!(spectrum, [1.0, 1.0, 2.0, 3.0, 4.0, 4.0]);
    }
}
