//! Training of one flow.

use ndarray::{Array2, ArrayView2, Axis, s};
use rand::{RngExt, seq::SliceRandom};
use rayon::prelude::*;

use super::{
    conditional::{ConditionalFlow, FlowSummary},
    config::FlowConfig,
    density::{BLOCK, Batch, gradient, log_density, padded, project},
    layer::Shape,
    network::Weights,
};
use crate::base::error::{Error, Result};
use crate::base::numeric::{Adam, Parameter, Standardizer};
use crate::base::random::{Purpose, generator};

/// Galaxies to fit flows to.
pub(super) struct TrainingSet<'a> {
    /// Embeddings (N, C) as they are.
    embeddings: ArrayView2<'a, f32>,
    /// Standardised targets (D, N).
    targets: Array2<f32>,
    context_units: Standardizer,
    target_units: Standardizer,
}

impl<'a> TrainingSet<'a> {
    /// # Errors
    /// [`Error::input`] where there are too few galaxies, a value is not finite, or a target has one value
    /// only.
    pub fn new(embeddings: ArrayView2<'a, f32>, targets: ArrayView2<'_, f64>) -> Result<Self> {
        const FEWEST: usize = 20;
        let (rows, dimensions) = targets.dim();
        assert_eq!(
            embeddings.nrows(),
            rows,
            "an embedding for each row of targets"
        );
        if rows < FEWEST {
            return Err(Error::input(format!(
                "a flow cannot be fitted to {rows} galaxies; expected at least {FEWEST}, better some \
                 thousand"
            )));
        }
        if let Some(row) = first_not_finite(embeddings, targets) {
            return Err(Error::input(format!(
                "an embedding or a target of training galaxy {row} is not finite; leave it out"
            )));
        }
        for dimension in 0..dimensions {
            let first = targets[[0, dimension]];
            if targets
                .column(dimension)
                .iter()
                .all(|&value| value == first)
            {
                return Err(Error::input(format!(
                    "target {dimension} is {first} for all {rows} training galaxies; a density needs \
                     values that differ"
                )));
            }
        }
        let target_units = Standardizer::fit(targets);
        Ok(Self {
            embeddings,
            targets: target_units
                .apply(targets)
                .reversed_axes()
                .as_standard_layout()
                .into_owned(),
            context_units: Standardizer::fit(embeddings),
            target_units,
        })
    }

    /// The standardised galaxies of `rows`, filled up to whole lanes.
    fn batch(&self, rows: &[usize]) -> Batch {
        let columns = padded(rows.len());
        let mut targets = Array2::zeros((self.targets.nrows(), columns));
        for (mut out, source) in targets.rows_mut().into_iter().zip(self.targets.rows()) {
            for (out, &row) in out.iter_mut().zip(rows) {
                *out = source[row];
            }
        }
        let mut context = Array2::zeros((columns, self.embeddings.ncols()));
        context
            .axis_chunks_iter_mut(Axis(0), BLOCK)
            .into_par_iter()
            .zip(rows.par_chunks(BLOCK))
            .for_each(|(out, rows)| self.context_units.gather(self.embeddings, rows, out));
        Batch {
            context,
            targets,
            galaxies: rows.len(),
        }
    }

    /// Mean negative log density, standardised units.
    fn loss(&self, weights: &Weights, rows: &[usize]) -> f64 {
        let sums: Vec<f64> = rows
            .par_chunks(BLOCK)
            .map(|rows| {
                let Batch {
                    context,
                    mut targets,
                    ..
                } = self.batch(rows);
                let projection = project(weights, context.view());
                let logs = log_density(weights, projection.view(), &mut targets);
                let logs = logs.slice(s![.., ..rows.len()]);
                logs.iter().map(|&log| f64::from(log)).sum()
            })
            .collect();
        -sums.iter().sum::<f64>() / rows.len() as f64
    }

    /// Fits flow number `index` of an ensemble. `on_epoch` hears of each epoch its number and validation
    /// loss (standardised units).
    pub fn fit(
        &self,
        config: &FlowConfig,
        index: usize,
        mut on_epoch: impl FnMut(usize, f64),
    ) -> Result<ConditionalFlow> {
        let mut rng = generator(config.seed, Purpose::FlowTraining, index as u64);
        let [fewest, most] = config.transforms;
        let transforms = rng.random_range(fewest..=most);
        let [narrowest, widest] = config.hidden;
        let hidden = rng.random_range(narrowest..=widest);
        let mut order: Vec<usize> = (0..self.embeddings.nrows()).collect();
        order.shuffle(&mut rng);
        let held_out = (order.len() as f64 * config.validation_fraction).round() as usize;
        let validation = order.split_off(order.len() - held_out.clamp(1, order.len() - 1));
        let shape = Shape {
            context: self.embeddings.ncols(),
            dimensions: self.targets.nrows(),
            transforms,
            hidden,
            bins: config.bins,
        };
        let mut weights = Weights::random(shape, &mut rng);
        let mut average = weights.clone();
        let mut step_gradient = weights.zeros_like();
        let mut adam = Adam::default();
        let mut rate = config.learning_rate;
        let mut best = (weights.clone(), f64::INFINITY, 0);
        let batch_size = config.batch_size_for(order.len());
        let steps_averaged = config.averaging * order.len().div_ceil(batch_size) as f32;
        let weight = steps_averaged.max(1.0).recip();
        let (mut epochs, mut steps) = (0, 0_u32);
        for epoch in 1..=config.max_epochs {
            epochs = epoch;
            order.shuffle(&mut rng);
            for rows in order.chunks(batch_size) {
                gradient(&weights, &self.batch(rows), &mut step_gradient);
                let slices = weights.slices_mut().into_iter();
                let parameters =
                    slices
                        .zip(step_gradient.slices_mut())
                        .map(|(values, gradient)| Parameter {
                            values,
                            gradient,
                            decay: config.weight_decay,
                        });
                adam.step(parameters, rate);
                steps += 1;
                // The mean of all steps at first, for the start to be forgotten.
                average.approach(&mut weights, weight.max(1.0 / steps as f32));
            }
            let loss = self.loss(&average, &validation);
            if !loss.is_finite() {
                return Err(Error::run(format!(
                    "flow {index}: the validation loss is {loss} in epoch {epoch}; lower the learning \
                     rate ({})",
                    config.learning_rate
                )));
            }
            on_epoch(epoch, loss);
            if loss < best.1 {
                best.0.clone_from(&average);
                (best.1, best.2) = (loss, epoch);
            }
            let waited = epoch - best.2;
            if waited >= config.patience {
                break;
            }
            if waited > 0 && waited.is_multiple_of((config.patience / 2).max(1)) {
                rate /= 2.0;
            }
        }
        let (weights, validation_loss, best_epoch) = best;
        Ok(ConditionalFlow {
            weights,
            context_units: self.context_units.clone(),
            target_units: self.target_units.clone(),
            summary: FlowSummary {
                transforms,
                hidden,
                epochs,
                best_epoch,
                validation_nll: validation_loss + self.target_units.log_volume(),
            },
        })
    }
}

impl ConditionalFlow {
    /// Fits a flow to embeddings (N, C) and targets (N, D): maximum likelihood by Adam on 80 % of the
    /// galaxies, until the likelihood of the others has not risen for `patience` epochs; the weights with
    /// the best are kept. The same seed gives the same bits.
    ///
    /// # Errors
    /// [`Error::input`](crate::base::error::Error::input) where the settings make no sense, there are fewer than
    /// 20 galaxies, a value is not finite or a target has one value only;
    /// [`Error::run`](crate::base::error::Error::run) where the loss is not finite.
    pub fn fit(
        embeddings: ArrayView2<'_, f32>,
        targets: ArrayView2<'_, f64>,
        config: &FlowConfig,
    ) -> Result<Self> {
        config.check()?;
        TrainingSet::new(embeddings, targets)?.fit(config, 0, |_, _| {})
    }
}

fn first_not_finite(
    embeddings: ArrayView2<'_, f32>,
    targets: ArrayView2<'_, f64>,
) -> Option<usize> {
    let rows = embeddings
        .axis_iter(Axis(0))
        .zip(targets.axis_iter(Axis(0)));
    rows.into_iter().position(|(embedding, target)| {
        !(embedding.iter().all(|value| value.is_finite())
            && target.iter().all(|value| value.is_finite()))
    })
}
