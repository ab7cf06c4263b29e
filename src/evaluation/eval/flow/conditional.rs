//! One conditional flow: the density of targets given an embedding.

use ndarray::{Array2, ArrayView2, Axis, parallel::prelude::*, s};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{
    density::{BLOCK, log_density, padded, project, sample},
    network::Weights,
    variates::Variates,
};
use crate::base::numeric::Standardizer;

/// A normalizing flow: rational-quadratic spline coupling layers (Durkan et al. 2019) that turn the targets
/// of a galaxy, given its embedding, into independent normal variates. A single target goes through
/// conditional splines alone.
#[derive(Debug, Clone, PartialEq)]
pub struct ConditionalFlow {
    pub(super) weights: Weights,
    pub(super) context_units: Standardizer,
    pub(super) target_units: Standardizer,
    pub(super) summary: FlowSummary,
}

/// Size of a flow, and how its training went.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FlowSummary {
    /// Coupling layers.
    pub transforms: usize,
    /// Width of the hidden layers.
    pub hidden: usize,
    /// Numbers of a galaxy that it was fitted to; what turns an embedding into these is part of its weights.
    pub inputs: usize,
    /// Epochs trained.
    pub epochs: usize,
    /// Epoch whose weights were kept.
    pub best_epoch: usize,
    /// Mean −ln p of the validation galaxies with those weights, nats, in the targets' own units.
    pub validation_nll: f64,
    /// Distribution of its normal variates: standard, or in an ensemble that with which galaxies held out are
    /// likeliest.
    #[serde(alias = "temperature")]
    pub variates: Variates,
}

/// ln of the densities of N galaxies' targets, nats, in the targets' own units.
#[derive(Debug, Clone, PartialEq)]
pub struct LogProb {
    /// Of all targets together (N).
    pub joint: Vec<f64>,
    /// What each dimension contributes (N, D): ln of its normal density, derivatives and unit. The sum
    /// over D is `joint`. Without coupling it is the dimension's own density; with coupling the parts hang
    /// on the order of the layers, and only their sum is a density.
    pub by_dimension: Array2<f64>,
}

impl LogProb {
    /// Of what each dimension contributes (N, D).
    pub(super) fn of(by_dimension: Array2<f64>) -> Self {
        Self {
            joint: by_dimension.sum_axis(Axis(1)).to_vec(),
            by_dimension,
        }
    }
}

impl ConditionalFlow {
    /// Its size, and how its training went.
    pub fn summary(&self) -> &FlowSummary {
        &self.summary
    }

    /// ln of the density of `targets` (N, D) given `embeddings` (N, C).
    pub fn log_prob(
        &self,
        embeddings: ArrayView2<'_, f32>,
        targets: ArrayView2<'_, f64>,
    ) -> LogProb {
        let (rows, dimensions) = targets.dim();
        let all: Vec<usize> = (0..rows).collect();
        let mut by_dimension = Array2::zeros((rows, dimensions));
        by_dimension
            .axis_chunks_iter_mut(Axis(0), BLOCK)
            .into_par_iter()
            .zip(all.par_chunks(BLOCK))
            .for_each(|(mut out, rows)| {
                let mut context = Array2::zeros((padded(rows.len()), embeddings.ncols()));
                self.context_units
                    .gather(embeddings, rows, context.view_mut());
                let standard = self
                    .target_units
                    .apply(targets.select(Axis(0), rows).view());
                let mut values = Array2::zeros((dimensions, context.nrows()));
                values.slice_mut(s![.., ..rows.len()]).assign(&standard.t());
                let projection = project(&self.weights, context.view());
                let logs = log_density(&self.weights, projection.view(), &mut values);
                let variates = &self.summary.variates;
                for (row, mut out) in out.rows_mut().into_iter().enumerate() {
                    let before: Vec<f64> = values.column(row).mapv(f64::from).to_vec();
                    let mut white = before.clone();
                    variates.whiten(&mut white);
                    for (dimension, out) in out.iter_mut().enumerate() {
                        let unit = self.target_units.scale[dimension].ln();
                        let squares = before[dimension].powi(2) - white[dimension].powi(2);
                        let wider = 0.5 * squares - variates.log_scale(dimension);
                        *out = f64::from(logs[[dimension, row]]) + wider - unit;
                    }
                }
            });
        LogProb::of(by_dimension)
    }

    /// Turns standard normal variates into targets, standardised units, in place: `values` (D, n · `each`) holds
    /// `each` columns for each of the n standardised embeddings (n, C), and may hold more to fill up lanes.
    pub(super) fn sample(&self, context: &Array2<f32>, each: usize, values: &mut Array2<f32>) {
        self.summary.variates.colour(values);
        let by_galaxy = project(&self.weights, context.view());
        let mut projection = Array2::zeros((by_galaxy.nrows(), values.ncols()));
        for (mut out, row) in projection.rows_mut().into_iter().zip(by_galaxy.rows()) {
            let out = out.as_slice_mut().expect("row-major");
            for (out, &value) in out.chunks_mut(each).zip(row) {
                out.fill(value);
            }
        }
        sample(&self.weights, projection.view(), values);
    }
}
