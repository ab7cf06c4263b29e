//! Densities of the redshift on a grid: where the truth lies in them, and how far they are from it.

use ndarray::{Array2, ArrayView1};

use super::quantiles::Assessed;

/// Abscissae on (0, 1) and weights of Gauss and Legendre, exact for polynomials of the fifth degree.
const NODES: [(f64, f64); 3] = [
    (0.112_701_665_379_258_31, 5.0 / 18.0),
    (0.5, 8.0 / 18.0),
    (0.887_298_334_620_741_7, 5.0 / 18.0),
];

/// Densities of the redshifts of a catalogue's galaxies on one grid: linear between its redshifts, none beyond.
#[derive(Debug, Clone)]
pub struct GridDensities {
    /// First redshift of the grid.
    pub start: f64,
    /// Step of the grid.
    pub step: f64,
    /// The row of `values` of each galaxy of the catalogue.
    pub row_of: Vec<Option<usize>>,
    /// Densities (rows, redshifts), of any sum; NaN where unknown.
    pub values: Array2<f32>,
}

impl GridDensities {
    /// The density of a galaxy at the truth; `None` where it is not known.
    pub(super) fn assess(&self, galaxy: usize, truth: f64) -> Option<Assessed> {
        let density = self.values.row(self.row_of[galaxy]?);
        let is_known = density
            .iter()
            .all(|value| value.is_finite() && *value >= 0.0);
        let below = self.below(density);
        let total = *below.last()?;
        if !is_known || density.len() < 2 || total <= 0.0 {
            return None;
        }
        let of = |cell: usize, share: f64| {
            let [left, right] = [density[cell], density[cell + 1]].map(f64::from);
            let within = self.step * (left * share + 0.5 * (right - left) * share * share);
            (below[cell] + within) / total
        };
        // Where the truth is, in steps of the grid.
        let cells = density.len() - 1;
        let place = (truth - self.start) / self.step;
        let outside = self.step * ((-place).max(0.0) + (place - cells as f64).max(0.0));
        let integral: f64 = (0..cells)
            .map(|cell| {
                let split = (place - cell as f64).clamp(0.0, 1.0);
                let part = |low: f64, high: f64, step: f64| -> f64 {
                    let terms = NODES.iter().map(|(node, weight)| {
                        let share = low + node * (high - low);
                        weight * (of(cell, share) - step).powi(2)
                    });
                    (high - low) * terms.sum::<f64>()
                };
                self.step * (part(0.0, split, 0.0) + part(split, 1.0, 1.0))
            })
            .sum();
        let pit = match place {
            place if place <= 0.0 => 0.0,
            place if place >= cells as f64 => 1.0,
            place => of(place as usize, place.fract()),
        };
        Some(Assessed {
            pit,
            crps: integral + outside,
        })
    }

    /// What lies below each redshift of the grid.
    fn below(&self, density: ArrayView1<'_, f32>) -> Vec<f64> {
        let mut sum = 0.0;
        let cells = density.windows(2);
        let sums = cells.into_iter().map(|pair| {
            sum += 0.5 * self.step * (f64::from(pair[0]) + f64::from(pair[1]));
            sum
        });
        std::iter::once(0.0).chain(sums).collect()
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn even_and_sloping_densities_are_met_by_hand() {
        let densities = GridDensities {
            start: 1.0,
            step: 0.5,
            row_of: vec![Some(0), Some(1), Some(2), Some(3), None],
            values: array![
                [2.0, 2.0, 2.0],
                [0.0, 1.0, 2.0],
                [1.0, f32::NAN, 1.0],
                [0.0, 0.0, 0.0]
            ],
        };
        // Even from 1 to 2, truth at 1 + t: t³/3 + (1 − t)³/3.
        for (truth, pit, crps) in [
            (1.3, 0.3, (0.3_f64.powi(3) + 0.7_f64.powi(3)) / 3.0),
            (0.8, 0.0, 0.2 + 1.0 / 3.0),
            (2.5, 1.0, 0.5 + 1.0 / 3.0),
        ] {
            let found = densities.assess(0, truth).unwrap();
            assert!((found.pit - pit).abs() < 1e-12 && (found.crps - crps).abs() < 1e-12);
        }
        // F = t²; at t = 0.6: 0.6⁵/5 + ∫ from 0.6 of (t² − 1)².
        let rest = |t: f64| t.powi(5) / 5.0 - 2.0 * t.powi(3) / 3.0 + t;
        let found = densities.assess(1, 1.6).unwrap();
        assert!((found.pit - 0.36).abs() < 1e-12);
        assert!((found.crps - (0.6_f64.powi(5) / 5.0 + rest(1.0) - rest(0.6))).abs() < 1e-12);
        assert!((2..5).all(|galaxy| densities.assess(galaxy, 1.5).is_none()));
    }
}
