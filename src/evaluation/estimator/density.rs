//! The density of a posterior's samples on a grid, and whether it has more than one summit.

use serde::{Deserialize, Serialize};

use crate::base::error::{Error, Result};

/// Redshifts at which a density is told.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Grid {
    /// The first.
    pub start: f64,
    /// From one to the next.
    pub step: f64,
    /// How many.
    pub points: usize,
}

impl Grid {
    /// Most points.
    const MOST: usize = 10_000;

    /// From `start` to `end`, both included.
    ///
    /// # Errors
    /// [`Error::input`] for fewer than 2 points or more than 10 000, and where `end` is not above `start`.
    pub fn new(start: f64, end: f64, points: usize) -> Result<Self> {
        let is_range = start.is_finite() && end.is_finite() && start < end;
        if !is_range || !(2..=Self::MOST).contains(&points) {
            return Err(Error::input(format!(
                "a grid of {points} points from {start} to {end}; expected 2 to {} points and an end above the start",
                Self::MOST
            )));
        }
        Ok(Self {
            start,
            step: (end - start) / (points - 1) as f64,
            points,
        })
    }
}

/// The width of the kernel for samples in ascending order: Silverman's rule of thumb (1986, eq. 3.31).
fn bandwidth(sorted: &[f64]) -> f64 {
    let count = sorted.len() as f64;
    let mean = sorted.iter().sum::<f64>() / count;
    let variance = sorted.iter().map(|s| (s - mean).powi(2)).sum::<f64>() / count;
    let at = |level: f64| sorted[(level * (count - 1.0)).round() as usize];
    let quartiles = (at(0.75) - at(0.25)) / 1.34;
    let spread = match quartiles > 0.0 {
        true => variance.sqrt().min(quartiles),
        false => variance.sqrt(),
    };
    0.9 * spread * count.powf(-0.2)
}

/// The density at the points of a grid: each sample is shared by the two points beside it, and what results is smoothed
/// by a Gaussian. What lies beyond the grid is lost; the rest has the integral 1 where nothing does.
fn on_grid(sorted: &[f64], grid: Grid, width: f64) -> Vec<f64> {
    let mut counts = vec![0.0; grid.points];
    let weight = 1.0 / (sorted.len() as f64 * grid.step);
    for sample in sorted {
        let place = (sample - grid.start) / grid.step;
        if place < 0.0 || place > (grid.points - 1) as f64 {
            continue;
        }
        let (below, rest) = (place as usize, place.fract());
        counts[below] += weight * (1.0 - rest);
        if rest > 0.0 {
            counts[below + 1] += weight * rest;
        }
    }
    let sigma = width / grid.step;
    let reach = (4.0 * sigma).ceil() as usize;
    if reach == 0 {
        return counts;
    }
    let mut kernel: Vec<f64> = (0..=reach)
        .map(|step| (-0.5 * (step as f64 / sigma).powi(2)).exp())
        .collect();
    let total = kernel[0] + 2.0 * kernel[1..].iter().sum::<f64>();
    kernel.iter_mut().for_each(|value| *value /= total);
    let mut density = vec![0.0; grid.points];
    for (place, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0.0) {
        let from = place.saturating_sub(reach);
        let to = (place + reach).min(grid.points - 1);
        for (point, value) in density.iter_mut().enumerate().take(to + 1).skip(from) {
            *value += count * kernel[point.abs_diff(place)];
        }
    }
    density
}

/// The density of samples in ascending order at the points of a grid.
pub(super) fn density(sorted: &[f64], grid: Grid) -> Vec<f32> {
    let density = on_grid(sorted, grid, bandwidth(sorted));
    density.into_iter().map(|value| value as f32).collect()
}

/// Whether samples in ascending order have two summits or more: the lower of two at least a quarter as high as the
/// highest of all, with a valley between them that is less than half as high as it.
pub(super) fn has_summits(sorted: &[f64]) -> bool {
    /// Points of the grid on which they are looked for.
    const POINTS: usize = 128;
    const LEAST_SUMMIT: f64 = 0.25;
    const DEEPEST_SADDLE: f64 = 0.5;
    let width = bandwidth(sorted);
    let (first, last) = (sorted[0], sorted[sorted.len() - 1]);
    let Ok(grid) = Grid::new(first - width, last + width, POINTS) else {
        return false;
    };
    let density = on_grid(sorted, grid, width);
    let highest = density.iter().copied().fold(0.0, f64::max);
    // From left to right: the highest summit so far, and the lowest point behind it.
    let (mut summit, mut valley) = (0.0, f64::INFINITY);
    for value in density {
        if valley < DEEPEST_SADDLE * value.min(summit)
            && value.min(summit) >= LEAST_SUMMIT * highest
        {
            return true;
        }
        if value > summit {
            (summit, valley) = (value, value);
        }
        valley = valley.min(value);
    }
    false
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution, Normal};

    use super::*;

    fn samples(parts: &[(f64, f64, usize)], seed: u64) -> Vec<f64> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut all = Vec::new();
        for &(mean, deviation, count) in parts {
            let normal = Normal::new(mean, deviation).unwrap();
            all.extend((0..count).map(|_| normal.sample(&mut rng)));
        }
        all.sort_unstable_by(f64::total_cmp);
        all
    }

    #[test]
    fn densities_are_those_of_the_samples() {
        let grid = Grid::new(0.0, 1.0, 201).unwrap();
        let density = density(&samples(&[(0.4, 0.05, 20_000)], 1), grid);
        let integral: f64 = density
            .iter()
            .map(|&value| f64::from(value) * grid.step)
            .sum();
        assert!((integral - 1.0).abs() < 1e-6, "{integral}");
        for (point, value) in density.iter().enumerate() {
            let z = (grid.start + point as f64 * grid.step - 0.4) / 0.05;
            let truth = (-0.5 * z * z).exp() / (0.05 * std::f64::consts::TAU.sqrt());
            assert!(
                (f64::from(*value) - truth).abs() < 0.3,
                "{point}: {value} {truth}"
            );
        }
        // Narrower than a step, and beyond the grid.
        let narrow = super::density(&samples(&[(0.4021, 1e-6, 1000)], 2), grid);
        let mass: f32 = narrow[80..=81].iter().sum();
        assert!((mass * grid.step as f32 - 1.0).abs() < 1e-4);
        assert!(
            super::density(&[2.0; 100], grid)
                .iter()
                .all(|&value| value == 0.0)
        );
    }

    #[test]
    fn summits_are_told_from_noise() {
        let one = (0..500).filter(|&seed| has_summits(&samples(&[(0.3, 0.02, 1000)], seed)));
        assert!(one.count() <= 2);
        assert!(!has_summits(&[0.5; 100]));
        let minor = samples(&[(0.3, 0.02, 980), (0.6, 0.02, 20)], 1);
        assert!(!has_summits(&minor), "2 % are a tail");
        for seed in 0..20 {
            let two = samples(&[(0.3, 0.02, 600), (0.6, 0.03, 400)], seed);
            assert!(has_summits(&two));
        }
    }

    #[test]
    fn grids_make_sense() {
        assert!(Grid::new(0.0, f64::NAN, 10).is_err());
        assert!(Grid::new(0.5, 0.5, 10).is_err());
        assert!(Grid::new(0.0, 1.0, 1).is_err());
        assert_eq!(Grid::new(0.0, 1.0, 11).unwrap().step, 0.1);
    }
}
