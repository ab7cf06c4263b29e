//! Spectra without their continua on wavelengths that are even in logarithm, on which a redshift is a shift.

use ndarray::{Array2, ArrayView2, Axis, Zip};

use crate::survey::WavelengthGrid;

/// Pixels of even width in ln λ, from the first of a survey's pixels to the last.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct LogGrid {
    /// Where each pixel begins and the last one ends, in pixels of the survey.
    edges: Vec<f64>,
    /// Pixels on either side over which a continuum is the mean.
    reach: usize,
}

impl LogGrid {
    /// Pixels of `step` in ln λ; a continuum is the mean over `window` of it.
    pub fn new(grid: &WavelengthGrid, step: f64, window: f64) -> Self {
        let first = grid.start - 0.5 * grid.step;
        let last = first + grid.step * grid.len as f64;
        let pixels = ((last / first).ln() / step).floor() as usize;
        let edges = (0..=pixels).map(|pixel| {
            let wavelength = first * (step * pixel as f64).exp();
            ((wavelength - first) / grid.step).clamp(0.0, grid.len as f64)
        });
        Self {
            edges: edges.collect(),
            reach: (0.5 * window / step).round().max(1.0) as usize,
        }
    }

    /// Number of pixels.
    pub fn len(&self) -> usize {
        self.edges.len() - 1
    }

    /// Spectra `(galaxies, pixels of the survey)` without their continua, `(galaxies, pixels)`.
    pub fn lines(&self, spectra: ArrayView2<'_, f32>) -> Array2<f32> {
        let mut lines = Array2::zeros((spectra.nrows(), self.len()));
        Zip::from(lines.axis_iter_mut(Axis(0)))
            .and(spectra.axis_iter(Axis(0)))
            .par_for_each(|mut lines, spectrum| {
                let until = sums(spectrum.iter().map(|&flux| f64::from(flux)));
                let at = |edge: f64| {
                    let pixel = (edge as usize).min(spectrum.len() - 1);
                    until[pixel] + (edge - pixel as f64) * f64::from(spectrum[pixel])
                };
                let flux = self.edges.windows(2).map(|edges| {
                    let [start, end] = [edges[0], edges[1]];
                    (at(end) - at(start)) / (end - start)
                });
                let flux: Vec<f64> = flux.collect();
                let until = sums(flux.iter().copied());
                for (pixel, (line, flux)) in lines.iter_mut().zip(&flux).enumerate() {
                    let start = pixel.saturating_sub(self.reach);
                    let end = (pixel + self.reach + 1).min(flux_count(&until));
                    let continuum = (until[end] - until[start]) / (end - start) as f64;
                    *line = (flux - continuum) as f32;
                }
            });
        lines
    }
}

/// The sums of all values before each place, and of all.
fn sums(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut sum = 0.0;
    std::iter::once(0.0)
        .chain(values.map(|value| {
            sum += value;
            sum
        }))
        .collect()
}

fn flux_count(sums: &[f64]) -> usize {
    sums.len() - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::survey::DESI_GRID;

    #[test]
    fn a_redshift_is_a_shift_and_a_continuum_nothing() {
        let step = 3e-4;
        let grid = LogGrid::new(&DESI_GRID, step, 0.04);
        let line = |centre: f64, wavelength: f64| {
            5.0 + wavelength / 1e4 + (-0.5 * ((wavelength / centre).ln() / 1e-3).powi(2)).exp()
        };
        let spectra = Array2::from_shape_fn((2, DESI_GRID.len), |(galaxy, pixel)| {
            let centre = 5007.0 * (1.0 + [0.1, 0.25][galaxy]);
            line(centre, DESI_GRID.wavelength(pixel)) as f32
        });
        let lines = grid.lines(spectra.view());
        let peak = |galaxy: usize| {
            let row = lines.row(galaxy);
            let places = 0..row.len();
            places.max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap()
        };
        let shift = (1.25_f64 / 1.1).ln() / step;
        assert!((peak(1) as f64 - peak(0) as f64 - shift).abs() <= 1.0);
        assert!((lines[[0, peak(0)]] - 0.95).abs() < 0.05);
        assert!(lines[[0, peak(0) + 600]].abs() < 1e-3);
    }
}
