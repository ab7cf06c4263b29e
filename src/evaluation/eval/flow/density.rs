//! The density of standardised targets, blocks of galaxies at a time.

use std::f32::consts::TAU;

use ndarray::{Array2, ArrayView2, Axis, parallel::prelude::*, s};

use super::{layer::CouplingLayer, network::Weights, spline::LANES};
use crate::base::numeric::Product;

/// Galaxies or samples that go through the layers together: what they need stays in the cache.
pub(super) const BLOCK: usize = 256;
/// Rows of the context's weights whose gradient is one product. The size of a product decides in which
/// order it is summed up, so this must not hang on the number of threads.
const GRADIENT_ROWS: usize = 128;

/// The number of columns that so many rows need.
pub(super) fn padded(rows: usize) -> usize {
    rows.next_multiple_of(LANES)
}

/// The context's part (transforms · H, N) of the first hidden layers, of standardised embeddings (N, C).
pub(super) fn project(weights: &Weights, context: ArrayView2<'_, f32>) -> Array2<f32> {
    let mut projection = Array2::zeros((weights.context.nrows(), context.nrows()));
    Product::of(weights.context.view(), context.t()).write_to(projection.view_mut());
    projection
}

/// ln of the density of standardised targets (D, N), as the sum over D of what is returned (D, N): the
/// normal density of the variate and ln of the derivative, dimension by dimension. `targets` become the
/// variates.
pub(super) fn log_density(
    weights: &Weights,
    projection: ArrayView2<'_, f32>,
    targets: &mut Array2<f32>,
) -> Array2<f32> {
    let mut logs = Array2::zeros(targets.dim());
    weights.forward(projection, targets, &mut logs, drop);
    let constant = -0.5 * TAU.ln();
    logs.zip_mut_with(targets, |log, &value| {
        *log += constant - 0.5 * value * value
    });
    logs
}

/// A step's galaxies.
pub(super) struct Batch {
    /// Standardised embeddings, or what they are reduced to, (N, C), filled up to whole lanes.
    pub context: Array2<f32>,
    /// Targets (D, N), filled up likewise.
    pub targets: Array2<f32>,
    /// How many there are.
    pub galaxies: usize,
}

/// The gradient, by all weights, of the mean negative log density.
pub(super) fn gradient(weights: &Weights, batch: &Batch, into: &mut Weights) {
    let Batch {
        context,
        targets,
        galaxies,
    } = batch;
    let mut by_projection = Array2::zeros((weights.context.nrows(), targets.ncols()));
    let parts: Vec<Vec<CouplingLayer>> = by_projection
        .axis_chunks_iter_mut(Axis(1), BLOCK)
        .into_par_iter()
        .zip(context.axis_chunks_iter(Axis(0), BLOCK))
        .zip(targets.axis_chunks_iter(Axis(1), BLOCK))
        .enumerate()
        .map(|(block, ((mut by_projection, context), targets))| {
            let projection = project(weights, context);
            let mut values = targets.to_owned();
            let mut logs = Array2::zeros(values.dim());
            let mut records = Vec::with_capacity(weights.layers.len());
            weights.forward(projection.view(), &mut values, &mut logs, |record| {
                records.push(record);
            });
            // Columns that only fill the last lanes count nothing.
            let weight: Vec<f32> = (block * BLOCK..)
                .take(values.ncols())
                .map(|column| {
                    if column < *galaxies {
                        1.0 / *galaxies as f32
                    } else {
                        0.0
                    }
                })
                .collect();
            for mut row in values.rows_mut() {
                for (value, weight) in row.iter_mut().zip(&weight) {
                    *value *= weight;
                }
            }
            let by_log: Vec<f32> = weight.iter().map(|weight| -weight).collect();
            let mut layers = weights.zero_layers();
            let gradient = weights.backward(&records, values, &by_log, &mut layers);
            by_projection.assign(&gradient);
            layers
        })
        .collect();
    into.set_layers(parts);
    into.context
        .axis_chunks_iter_mut(Axis(0), GRADIENT_ROWS)
        .into_par_iter()
        .zip(by_projection.axis_chunks_iter(Axis(0), GRADIENT_ROWS))
        .for_each(|(into, by_projection)| {
            Product::of(by_projection, context.view()).write_to(into)
        });
}

/// Turns normal variates (D, N) into standardised targets, in place.
pub(super) fn sample(weights: &Weights, projection: ArrayView2<'_, f32>, values: &mut Array2<f32>) {
    for start in (0..values.ncols()).step_by(BLOCK) {
        let columns = s![.., start..(start + BLOCK).min(values.ncols())];
        let mut block = values.slice(columns).to_owned();
        weights.inverse(projection.slice(columns), &mut block);
        values.slice_mut(columns).assign(&block);
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array1;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::evaluation::eval::flow::layer::Shape;

    const ROWS: usize = 300;

    /// A flow whose splines bend, a context and targets of which some lie outside the splines' box.
    fn problem(dimensions: usize) -> (Weights, Batch) {
        let mut rng = ChaCha8Rng::seed_from_u64(dimensions as u64);
        let shape = Shape {
            context: 3,
            dimensions,
            transforms: 4,
            hidden: 7,
            bins: 5,
        };
        let mut weights = Weights::random(shape, &mut rng);
        for values in weights.slices_mut() {
            for value in values {
                *value += rng.random_range(-0.2..0.2);
            }
        }
        let columns = padded(ROWS);
        let context = Array2::from_shape_simple_fn((columns, 3), || rng.random_range(-1.5..1.5));
        let targets =
            Array2::from_shape_simple_fn((dimensions, columns), || rng.random_range(-5.5..5.5));
        let batch = Batch {
            context,
            targets,
            galaxies: ROWS,
        };
        (weights, batch)
    }

    #[test]
    fn gradients_equal_finite_differences() {
        for dimensions in [1, 3] {
            let (mut weights, batch) = problem(dimensions);
            let mut analytic = weights.zeros_like();
            gradient(&weights, &batch, &mut analytic);
            let loss = |weights: &Weights| {
                let mut values = batch.targets.clone();
                let projection = project(weights, batch.context.view());
                let logs = log_density(weights, projection.view(), &mut values);
                let logs = logs.slice(s![.., ..ROWS]).mapv(f64::from);
                -logs.sum() / ROWS as f64
            };
            let analytic: Vec<Vec<f32>> = analytic
                .slices_mut()
                .into_iter()
                .map(|slice| slice.to_vec())
                .collect();
            for (part, analytic) in analytic.iter().enumerate() {
                // The change along the gradient, of all numbers of a part at once. The loss has kinks
                // (rectifiers, knots), and some galaxy is always near one.
                let norm = analytic.iter().map(|g| g * g).sum::<f32>().sqrt();
                if norm == 0.0 {
                    continue;
                }
                let mut shifted = |step: f32| {
                    for (value, slope) in weights.slices_mut()[part].iter_mut().zip(analytic) {
                        *value += step * slope / norm;
                    }
                    loss(&weights)
                };
                let step = 1e-3;
                let (above, below) = (shifted(step), shifted(-2.0 * step));
                shifted(step);
                let numeric = (above - below) / f64::from(2.0 * step);
                let relative = (numeric / f64::from(norm) - 1.0).abs();
                assert!(
                    relative < 0.03,
                    "{dimensions} dimensions, part {part}: {numeric} against {norm}"
                );
            }
        }
    }

    #[test]
    fn sampling_undoes_the_density_transform() {
        for dimensions in [1, 5] {
            let (weights, batch) = problem(dimensions);
            let targets = batch.targets;
            let projection = project(&weights, batch.context.view());
            let mut values = targets.clone();
            log_density(&weights, projection.view(), &mut values);
            assert!((&values - &targets).iter().any(|d| d.abs() > 0.5));
            sample(&weights, projection.view(), &mut values);
            let worst = (&values - &targets)
                .iter()
                .fold(0.0_f32, |worst, d| worst.max(d.abs()));
            assert!(worst < 1e-5, "{dimensions} dimensions: {worst}");
        }
    }

    #[test]
    fn densities_integrate_to_one() {
        // By the midpoint rule over a box that holds all but 10⁻⁸ of the probability.
        let side = 512_usize;
        let (low, step) = (-6.0, 12.0 / side as f64);
        let position = |index: usize| (low + (index as f64 + 0.5) * step) as f32;
        for dimensions in [1_u32, 2] {
            let (weights, batch) = problem(dimensions as usize);
            let points = side.pow(dimensions);
            let mut targets = Array2::from_shape_fn((dimensions as usize, points), |(d, point)| {
                position(point / side.pow(d as u32) % side)
            });
            let one = project(&weights, batch.context.view()).column(0).to_owned();
            let projection = one
                .insert_axis(Axis(1))
                .dot(&Array1::ones(points).insert_axis(Axis(0)));
            let density = log_density(&weights, projection.view(), &mut targets).sum_axis(Axis(0));
            let total: f64 = density.iter().map(|&log| f64::from(log).exp()).sum();
            let integral = total * step.powi(dimensions as i32);
            assert!((integral - 1.0).abs() < 1e-3, "{dimensions}: {integral}");
        }
    }
}
