//! Size and training of a perceptron, and what is refused.

use serde::{Deserialize, Serialize};

use crate::base::error::{ABOVE_0, Check, Result};

/// Most units of a layer, and galaxies of a step; more is a slip.
const MOST: usize = 1 << 24;

/// Size and training of an [`Mlp`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MlpConfig {
    /// Width of each hidden layer, 1 or more (paper section 6.2: one of 32).
    pub hidden: Vec<usize>,
    /// Learning rate of Adam at the start, above 0; halved after every `patience / 2` epochs in a row without a
    /// better validation loss.
    pub learning_rate: f32,
    /// Decoupled weight decays per step, in units of the learning rate; not on biases. Each is tried,
    /// and the one with the lowest validation loss is kept: which is best depends on how many galaxies
    /// there are and how much their embeddings know.
    pub weight_decay: Vec<f32>,
    /// Fraction of the hidden units that are switched off in every training step, never in a prediction, in [0, 1).
    pub dropout: f32,
    /// Galaxies per step, 1 to 2^24.
    pub batch_size: usize,
    /// Passes over the training galaxies at most, 1 or more.
    pub max_epochs: usize,
    /// Epochs without a better validation loss after which training stops, 1 or more.
    pub patience: usize,
    /// Fraction of the training galaxies set aside to decide when to stop, in [0, 1).
    pub validation_fraction: f64,
    /// Seed of the initial weights, the validation galaxies and the order of the others.
    pub seed: u64,
}

impl Default for MlpConfig {
    fn default() -> Self {
        Self {
            hidden: vec![32],
            learning_rate: 1e-3,
            weight_decay: vec![0.01, 1.0, 5.0],
            dropout: 0.0,
            batch_size: 128,
            max_epochs: 200,
            patience: 20,
            validation_fraction: 0.1,
            seed: 0,
        }
    }
}

impl MlpConfig {
    /// Checks all values; `path` stands in front of the fields' names.
    ///
    /// # Errors
    /// Names the first field that is out of range.
    pub fn check(&self, path: &str) -> Result<()> {
        let check = Check::at(path);
        for &width in &self.hidden {
            check.count("hidden", width, 1..=MOST)?;
        }
        check.number("learning_rate", self.learning_rate, ABOVE_0)?;
        // Above that a step would turn the weights' sign.
        let bound = 1.0 / self.learning_rate;
        check.require(
            !self.weight_decay.is_empty()
                && self
                    .weight_decay
                    .iter()
                    .all(|decay| (0.0..bound).contains(decay)),
            "weight_decay",
            format!("{:?}", self.weight_decay),
            format!("at least one number from 0 to below 1 / {path}.learning_rate = {bound}"),
        )?;
        check.number("dropout", self.dropout, 0.0..1.0)?;
        check.count("batch_size", self.batch_size, 1..=MOST)?;
        check.count("max_epochs", self.max_epochs, 1..)?;
        check.count("patience", self.patience, 1..)?;
        check.number("validation_fraction", self.validation_fraction, 0.0..1.0)
    }
}
