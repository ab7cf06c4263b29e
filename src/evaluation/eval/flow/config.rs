//! Sizes and training of flows, and what is refused.

use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use crate::base::error::{Error, Result};
use crate::base::random::{Purpose, generator};

/// Sizes and training of an ensemble of flows (paper appendix B6).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FlowConfig {
    /// Flows in the ensemble.
    pub flows: usize,
    /// Coupling layers, from and to; drawn for each flow.
    pub transforms: [usize; 2],
    /// Width of the two hidden layers of each coupling layer's network, from and to; drawn for each flow.
    pub hidden: [usize; 2],
    /// Numbers of principal components that flows may be conditioned on, beside a linear regression's predictions of
    /// the targets, instead of on all of an embedding that is at least twice as wide. Each is tried with one flow, all
    /// of the embedding too. The others take what makes that flow's validation galaxies likeliest, or less where this
    /// is no worse by more than chance.
    pub components: Vec<usize>,
    /// Bins of the splines.
    pub bins: usize,
    /// Learning rate of Adam at the start; halved after every `patience / 2` epochs in a row without a
    /// better validation loss.
    pub learning_rate: f32,
    /// Decoupled weight decay per step, in units of the learning rate.
    pub weight_decay: f32,
    /// Epochs over which the weights are averaged, exponentially; the average is what is validated and
    /// kept. It takes out the noise of the last steps.
    pub averaging: f32,
    /// Galaxies per step at most; fewer where an epoch would have less than 32 steps.
    pub batch_size: usize,
    /// Passes over the training galaxies at most.
    pub max_epochs: usize,
    /// Epochs without a better validation loss after which training stops.
    pub patience: usize,
    /// Fraction of the training galaxies set aside to decide when to stop, what to condition on, and how wide
    /// the posteriors have to be; another part for each flow, until all galaxies have been set aside once.
    pub validation_fraction: f64,
    /// Seed of all that is drawn.
    pub seed: u64,
}

impl Default for FlowConfig {
    fn default() -> Self {
        Self {
            flows: 10,
            transforms: [3, 6],
            hidden: [32, 128],
            components: vec![32, 128],
            bins: 8,
            learning_rate: 3e-3,
            weight_decay: 0.3,
            averaging: 5.0,
            batch_size: 512,
            max_epochs: 300,
            patience: 20,
            validation_fraction: 0.2,
            seed: 0,
        }
    }
}

impl FlowConfig {
    /// Refuses settings that make no sense.
    pub(super) fn check(&self) -> Result<()> {
        let refuse = |key: &str, value: &dyn std::fmt::Debug, expected: &str| {
            Err(Error::input(format!(
                "flow.{key} = {value:?}; expected {expected}"
            )))
        };
        for (key, value) in [
            ("flows", self.flows),
            ("batch_size", self.batch_size),
            ("max_epochs", self.max_epochs),
            ("patience", self.patience),
        ] {
            if value == 0 {
                return refuse(key, &value, "at least 1");
            }
        }
        for (key, range) in [("transforms", self.transforms), ("hidden", self.hidden)] {
            if range[0] == 0 || range[0] > range[1] {
                return refuse(key, &range, "two numbers from 1, the larger one last");
            }
        }
        if self.components.contains(&0) {
            return refuse("components", &self.components, "numbers from 1");
        }
        if self.bins < 2 {
            return refuse("bins", &self.bins, "at least 2");
        }
        if !(self.learning_rate > 0.0 && self.learning_rate.is_finite()) {
            return refuse("learning_rate", &self.learning_rate, "a number above 0");
        }
        if !(self.weight_decay >= 0.0 && self.weight_decay * self.learning_rate < 1.0) {
            let expected = "a number from 0 to below 1 / learning_rate";
            return refuse("weight_decay", &self.weight_decay, expected);
        }
        if !(self.averaging >= 0.0 && self.averaging.is_finite()) {
            return refuse("averaging", &self.averaging, "a number of epochs, or 0");
        }
        if !(self.validation_fraction > 0.0 && self.validation_fraction < 1.0) {
            let expected = "a fraction between 0 and 1";
            return refuse("validation_fraction", &self.validation_fraction, expected);
        }
        Ok(())
    }

    /// Galaxies to fit to and validation galaxies among so many, for the part of this number.
    pub(super) fn divide(&self, rows: usize, part: usize) -> (Vec<usize>, Vec<usize>) {
        let held_out = (rows as f64 * self.validation_fraction).round() as usize;
        let held_out = held_out.clamp(1, rows - 1);
        let parts = rows / held_out;
        let mut order: Vec<usize> = (0..rows).collect();
        order.shuffle(&mut generator(
            self.seed,
            Purpose::Validation,
            (part / parts) as u64,
        ));
        let part = part % parts;
        let (from, to) = (rows * part / parts, rows * (part + 1) / parts);
        let validation = order.drain(from..to).collect();
        (order, validation)
    }

    /// Galaxies per step for so many training galaxies.
    pub(super) fn batch_size_for(&self, rows: usize) -> usize {
        const STEPS: usize = 32;
        const SMALLEST: usize = 16;
        self.batch_size.min((rows / STEPS).max(SMALLEST))
    }
}
