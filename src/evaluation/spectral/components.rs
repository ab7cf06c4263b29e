//! Principal components of spectra.

use ndarray::{Array1, Array2, ArrayView2, Axis};
use rand::RngExt;

use super::orthonormal::orthonormalize;
use super::standardized;
use crate::base::numeric::{Product, eigen};
use crate::base::random::{Purpose, generator};

/// Directions beyond those that are asked for, which make these more exact.
const SPARE: usize = 10;
/// Passes of the iteration (Halko, Martinsson & Tropp 2011, algorithm 4.4).
const PASSES: usize = 4;

/// The leading principal components of standardised spectra.
#[derive(Debug, Clone, PartialEq)]
pub struct Components {
    /// Mean spectrum `(pixels)`, each with mean 0 and standard deviation 1.
    pub mean: Array1<f32>,
    /// Orthonormal, those along which spectra vary most first, `(components, pixels)`.
    pub axes: Array2<f32>,
    /// Variance along each.
    pub variances: Vec<f64>,
}

impl Components {
    /// The first so many, or as many as there can be, of spectra `(galaxies, pixels)`.
    pub fn fit(spectra: ArrayView2<'_, f32>, components: usize, seed: u64) -> Self {
        let mut values = standardized(spectra);
        let (galaxies, pixels) = values.dim();
        let mean = values.mean_axis(Axis(0)).expect("there are spectra");
        values -= &mean;
        let most = pixels.min(galaxies.saturating_sub(1)).max(1);
        let width = (components + SPARE).min(most);
        let mut rng = generator(seed, Purpose::Components, 0);
        let mut axes =
            Array2::from_shape_simple_fn((width, pixels), || rng.random_range(-1.0_f32..1.0));
        orthonormalize(&mut axes);
        for _ in 0..PASSES {
            let scores = product(values.view(), axes.t());
            axes = product(scores.t(), values.view());
            orthonormalize(&mut axes);
        }
        // Within what they span, the axes of the variance.
        let scores = product(values.view(), axes.t()).mapv(f64::from);
        let (variances, vectors) = eigen(scores.t().dot(&scores) / galaxies as f64);
        let mut order: Vec<usize> = (0..width).collect();
        order.sort_by(|&a, &b| variances[b].total_cmp(&variances[a]));
        order.truncate(components.min(width));
        let rotation = vectors.select(Axis(1), &order).mapv(|value| value as f32);
        Self {
            mean,
            axes: product(rotation.t(), axes.view()),
            variances: order.iter().map(|&index| variances[index]).collect(),
        }
    }

    /// Coordinates `(galaxies, components)` of spectra `(galaxies, pixels)`.
    pub fn project(&self, spectra: ArrayView2<'_, f32>) -> Array2<f32> {
        let mut values = standardized(spectra);
        values -= &self.mean;
        product(values.view(), self.axes.t())
    }
}

fn product(left: ArrayView2<'_, f32>, right: ArrayView2<'_, f32>) -> Array2<f32> {
    let mut output = Array2::zeros((left.nrows(), right.ncols()));
    Product::of(left, right)
        .on_all_threads()
        .write_to(output.view_mut());
    output
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Spectra in which three shapes have amplitudes of 4, 2 and 1, in units of a fourth that all have.
    fn spectra(galaxies: usize) -> Array2<f32> {
        Array2::from_shape_fn((galaxies, 200), |(galaxy, pixel)| {
            let wave = |k: usize| (std::f64::consts::TAU * (k * pixel) as f64 / 200.0).sin();
            let amplitude = |k: usize| ((galaxy * k * k + 3 * galaxy) as f64).sin();
            let sum = 20.0 * wave(1)
                + 4.0 * amplitude(2) * wave(2)
                + 2.0 * amplitude(5) * wave(3)
                + amplitude(9) * wave(4);
            (7.0 + 3.0 * sum) as f32
        })
    }

    #[test]
    fn components_are_orthonormal_ordered_and_hold_what_varies() {
        let spectra = spectra(120);
        let found = Components::fit(spectra.view(), 4, 0);
        assert_eq!(found.axes.dim(), (4, 200));
        let square = found.axes.dot(&found.axes.t()) - Array2::<f32>::eye(4);
        assert!(square.iter().all(|value| value.abs() < 1e-4), "{square}");
        assert!(found.variances.is_sorted_by(|a, b| a >= b));
        let scores = found.project(spectra.view());
        let rest = standardized(spectra.view()) - &found.mean - scores.dot(&found.axes);
        let share = |values: &Array2<f32>| values.iter().map(|v| f64::from(v * v)).sum::<f64>();
        assert!(share(&rest) < 1e-4 * share(&scores));
        let variance = scores
            .column(1)
            .iter()
            .map(|v| f64::from(v * v))
            .sum::<f64>()
            / 120.0;
        assert!((variance / found.variances[1] - 1.0).abs() < 1e-3);
    }

    #[test]
    fn few_or_constant_spectra_are_no_hindrance() {
        let constant = Array2::from_elem((3, 50), 2.0);
        let found = Components::fit(constant.view(), 10, 0);
        assert!(
            found
                .project(constant.view())
                .iter()
                .all(|value| *value == 0.0)
        );
        let two = Components::fit(spectra(2).view(), 10, 0);
        assert_eq!(two.axes.nrows(), 1);
        assert!(two.axes.iter().all(|value| value.is_finite()));
    }
}
