//! Training of one flow.

use std::f64::consts::TAU;

use ndarray::{Array2, ArrayView2, Axis, s};
use rand::{RngExt, seq::SliceRandom};
use rayon::prelude::*;

use super::{
    conditional::{ConditionalFlow, FlowSummary},
    config::FlowConfig,
    density::{BLOCK, Batch, gradient, log_density, padded, project},
    held_out::HeldOut,
    layer::Shape,
    network::Weights,
    reduction::Reduction,
    variates::Variates,
};
use crate::base::error::{Error, Result};
use crate::base::numeric::{Adam, Parameter, Product, Standardizer};
use crate::base::random::{Purpose, generator};

/// Galaxies to fit flows to.
pub(super) struct TrainingSet<'a> {
    /// Embeddings (N, C) as they are.
    embeddings: ArrayView2<'a, f32>,
    /// Standardised targets (D, N).
    targets: Array2<f32>,
    context_units: Standardizer,
    target_units: Standardizer,
    reduction: Option<Reduction>,
    /// The last so many numbers of the embeddings, which no reduction leaves out.
    kept: usize,
    /// ln of the derivatives (N) of what flows are fitted to by the galaxies' own targets.
    log_derivative: Vec<f64>,
}

/// What a flow is conditioned on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Inputs {
    /// The embedding.
    All,
    /// The first numbers, as many, of the reduced embedding.
    Reduced(usize),
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
            reduction: None,
            kept: 0,
            log_derivative: vec![0.0; rows],
        })
    }

    /// The last so many numbers of the embeddings are kept whatever they are reduced to, and targets are variates that
    /// neighbours give, with ln of their derivatives (N) by the targets themselves.
    pub fn about_neighbours(self, kept: usize, log_derivative: Vec<f64>) -> Self {
        Self {
            kept,
            log_derivative,
            ..self
        }
    }

    /// What may be fitted to: all of the embeddings, and if they are wide, what they are reduced to.
    pub fn reduce(&mut self, config: &FlowConfig) -> Vec<Inputs> {
        let width = self.embeddings.ncols() - self.kept;
        let reduces = |components: &&usize| 2 * **components <= width;
        let components: Vec<usize> = config.components.iter().filter(reduces).copied().collect();
        let mut inputs = vec![Inputs::All];
        if let Some(&most) = components.iter().max() {
            self.reduction = Some(Reduction::new(
                self.embeddings,
                &self.context_units,
                self.targets.view(),
                (self.kept, most),
                config.seed,
            ));
            let others = self.targets.nrows() + self.kept;
            inputs.extend(
                components
                    .iter()
                    .map(|components| Inputs::Reduced(others + components)),
            );
        }
        inputs
    }

    fn reduction(&self) -> &Reduction {
        self.reduction.as_ref().expect("reduced before")
    }

    /// The galaxies of `rows`, filled up to whole lanes.
    fn batch(&self, inputs: Inputs, rows: &[usize]) -> Batch {
        let columns = padded(rows.len());
        let mut targets = Array2::zeros((self.targets.nrows(), columns));
        for (mut out, source) in targets.rows_mut().into_iter().zip(self.targets.rows()) {
            for (out, &row) in out.iter_mut().zip(rows) {
                *out = source[row];
            }
        }
        let mut context = Array2::zeros((columns, self.width(inputs)));
        match inputs {
            Inputs::All => context
                .axis_chunks_iter_mut(Axis(0), BLOCK)
                .into_par_iter()
                .zip(rows.par_chunks(BLOCK))
                .for_each(|(out, rows)| self.context_units.gather(self.embeddings, rows, out)),
            Inputs::Reduced(count) => {
                let reduced = self.reduction().training.slice(s![.., ..count]);
                for (mut out, &row) in context.rows_mut().into_iter().zip(rows) {
                    out.assign(&reduced.row(row));
                }
            }
        }
        Batch {
            context,
            targets,
            galaxies: rows.len(),
        }
    }

    fn width(&self, inputs: Inputs) -> usize {
        match inputs {
            Inputs::All => self.embeddings.ncols(),
            Inputs::Reduced(count) => count,
        }
    }

    /// Mean negative log density, standardised units.
    fn loss(&self, weights: &Weights, inputs: Inputs, rows: &[usize]) -> f64 {
        let sums: Vec<f64> = rows
            .par_chunks(BLOCK)
            .map(|rows| {
                let Batch {
                    context,
                    mut targets,
                    ..
                } = self.batch(inputs, rows);
                let projection = project(weights, context.view());
                let logs = log_density(weights, projection.view(), &mut targets);
                let logs = logs.slice(s![.., ..rows.len()]);
                logs.iter().map(|&log| f64::from(log)).sum()
            })
            .collect();
        -sums.iter().sum::<f64>() / rows.len() as f64
    }

    /// The density of `rows` in parts.
    fn held_out(&self, weights: &Weights, inputs: Inputs, rows: Vec<usize>) -> HeldOut {
        let Batch {
            context,
            mut targets,
            ..
        } = self.batch(inputs, &rows);
        let mut derivatives = Array2::zeros(targets.dim());
        // Rows of the context, columns of the targets.
        let blocks = context.axis_chunks_iter(Axis(0), BLOCK);
        let of_targets = targets.axis_chunks_iter_mut(Axis(1), BLOCK);
        let of_derivatives = derivatives.axis_chunks_iter_mut(Axis(1), BLOCK);
        for ((context, mut targets), mut derivatives) in blocks.zip(of_targets).zip(of_derivatives)
        {
            let projection = project(weights, context);
            let mut values = targets.to_owned();
            let mut logs = Array2::zeros(values.dim());
            weights.forward(projection.view(), &mut values, &mut logs, drop);
            targets.assign(&values);
            derivatives.assign(&logs);
        }
        let constant = self.target_units.log_volume() + 0.5 * TAU.ln() * targets.nrows() as f64;
        let columns = derivatives.columns().into_iter().take(rows.len());
        let sums = columns.map(|column| column.iter().map(|&log| f64::from(log)).sum::<f64>());
        HeldOut {
            log_derivative: Iterator::zip(sums, &rows)
                .map(|(sum, &row)| sum - constant + self.log_derivative[row])
                .collect(),
            variates: targets
                .slice(s![.., ..rows.len()])
                .t()
                .as_standard_layout()
                .into_owned(),
            rows,
        }
    }

    /// Fits flow number `index` of an ensemble to these inputs. `on_epoch` hears of each epoch its number and validation
    /// loss (standardised units).
    pub fn fit(
        &self,
        config: &FlowConfig,
        index: usize,
        inputs: Inputs,
        mut on_epoch: impl FnMut(usize, f64),
    ) -> Result<(ConditionalFlow, HeldOut)> {
        let mut rng = generator(config.seed, Purpose::FlowTraining, index as u64);
        let [fewest, most] = config.transforms;
        let transforms = rng.random_range(fewest..=most);
        let [narrowest, widest] = config.hidden;
        let hidden = rng.random_range(narrowest..=widest);
        let (mut order, validation) = config.divide(self.embeddings.nrows(), index);
        let shape = Shape {
            context: self.width(inputs),
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
                gradient(&weights, &self.batch(inputs, rows), &mut step_gradient);
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
            let loss = self.loss(&average, inputs, &validation);
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
        let (mut weights, validation_loss, best_epoch) = best;
        let derivatives = validation.iter().map(|&row| self.log_derivative[row]);
        let derivative = derivatives.sum::<f64>() / validation.len() as f64;
        let held_out = self.held_out(&weights, inputs, validation);
        if let Inputs::Reduced(count) = inputs {
            let map = self.reduction().map.slice(s![..count, ..]);
            let reduced = weights.context;
            weights.context = Array2::zeros((reduced.nrows(), map.ncols()));
            Product::of(reduced.view(), map).write_to(weights.context.view_mut());
        }
        let flow = ConditionalFlow {
            weights,
            context_units: self.context_units.clone(),
            target_units: self.target_units.clone(),
            summary: FlowSummary {
                transforms,
                hidden,
                inputs: shape.context,
                epochs,
                best_epoch,
                validation_nll: validation_loss + self.target_units.log_volume() - derivative,
                variates: Variates::standard(shape.dimensions),
            },
        };
        Ok((flow, held_out))
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
        let (flow, _) =
            TrainingSet::new(embeddings, targets)?.fit(config, 0, Inputs::All, |_, _| {})?;
        Ok(flow)
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
