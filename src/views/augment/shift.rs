//! Spectra as if their galaxies were farther away or nearer.

use crate::survey::WavelengthGrid;

/// Pixels at either end whose mean stands for what lies beyond it.
const EDGE: usize = 25;

/// A spectrum on `grid` with all wavelengths times e^`shift`: between pixels, flux is interpolated; what lies beyond the
/// ends is the mean near the end.
pub fn shifted(spectrum: &[f32], grid: &WavelengthGrid, shift: f64) -> Vec<f32> {
    let edge = EDGE.min(spectrum.len());
    let mean = |values: &[f32]| values.iter().sum::<f32>() / values.len() as f32;
    let (first, last) = (
        mean(&spectrum[..edge]),
        mean(&spectrum[spectrum.len() - edge..]),
    );
    let factor = (-shift).exp();
    let pixels = 0..spectrum.len();
    pixels
        .map(|pixel| {
            let place = (grid.wavelength(pixel) * factor - grid.start) / grid.step;
            let below = place.floor();
            if below < 0.0 {
                return first;
            }
            let index = below as usize;
            match spectrum.get(index..index + 2) {
                Some(&[own, next]) => own + (place - below) as f32 * (next - own),
                _ => last,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_move_and_what_is_beyond_the_ends_is_level() {
        let grid = WavelengthGrid {
            start: 4000.0,
            step: 1.0,
            len: 2000,
        };
        let spectrum: Vec<f32> = (0..grid.len)
            .map(|pixel| {
                let away = (grid.wavelength(pixel) - 5000.0) / 5.0;
                1.0 + (-0.5 * away * away).exp() as f32
            })
            .collect();
        let peak = |values: &[f32]| {
            let places = 0..values.len();
            let best = places.max_by(|&a, &b| values[a].total_cmp(&values[b]));
            grid.wavelength(best.unwrap())
        };
        let moved = shifted(&spectrum, &grid, 0.05);
        assert!((peak(&moved) - 5000.0 * 0.05_f64.exp()).abs() <= 1.0);
        assert!(moved[..150].iter().all(|flux| (flux - 1.0).abs() < 1e-6));
        assert_eq!(shifted(&spectrum, &grid, 0.0)[..1999], spectrum[..1999]);
        let back = shifted(&spectrum, &grid, -0.1);
        assert!((peak(&back) - 5000.0 * (-0.1_f64).exp()).abs() <= 1.0);
        assert!((back[1999] - 1.0).abs() < 1e-6);
    }
}
