//! Sizes and training of the MLP.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Size and training of an [`Mlp`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MlpConfig {
    /// Width of each hidden layer (paper section 6.2: one of 32).
    pub hidden: Vec<usize>,
    /// Learning rate of Adam at the start; halved after every `patience / 2` epochs in a row without a
    /// better validation loss.
    pub learning_rate: f32,
    /// Decoupled weight decays per step, in units of the learning rate; not on biases. Each is tried,
    /// and the one with the lowest validation loss is kept: which is best depends on how many galaxies
    /// there are and how much their embeddings know.
    pub weight_decay: Vec<f32>,
    /// Fraction of the hidden units that are switched off in every training step, never in a prediction.
    pub dropout: f32,
    /// Galaxies per step.
    pub batch_size: usize,
    /// Passes over the training galaxies at most.
    pub max_epochs: usize,
    /// Epochs without a better validation loss after which training stops.
    pub patience: usize,
    /// Fraction of the training galaxies set aside to decide when to stop.
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

/// Refuses settings that make no sense, and too few galaxies.
pub(super) fn check(config: &MlpConfig, rows: usize) -> Result<()> {
    if rows < 4 {
        return Err(Error::Input(format!(
            "an MLP cannot be fitted to {rows} galaxies; expected at least 4, better some hundred"
        )));
    }
    let refuse = |key: &str, value: &dyn std::fmt::Display, expected: &str| {
        Err(Error::Input(format!(
            "mlp.{key} = {value}; expected {expected}"
        )))
    };
    if config.hidden.contains(&0) {
        return refuse("hidden", &"0", "widths of at least 1");
    }
    if !(config.learning_rate > 0.0 && config.learning_rate.is_finite()) {
        return refuse("learning_rate", &config.learning_rate, "a number above 0");
    }
    let decay_is_good = |&decay: &f32| decay >= 0.0 && decay * config.learning_rate < 1.0;
    if config.weight_decay.is_empty() || !config.weight_decay.iter().all(decay_is_good) {
        let expected = "at least one number from 0 to below 1 / learning_rate";
        return refuse(
            "weight_decay",
            &format!("{:?}", config.weight_decay),
            expected,
        );
    }
    if !(0.0..1.0).contains(&config.dropout) {
        return refuse("dropout", &config.dropout, "a fraction from 0 to below 1");
    }
    if config.batch_size == 0 {
        return refuse("batch_size", &0, "at least 1");
    }
    if config.max_epochs == 0 {
        return refuse("max_epochs", &0, "at least 1");
    }
    if config.patience == 0 {
        return refuse("patience", &0, "at least 1");
    }
    if !(0.0..1.0).contains(&config.validation_fraction) {
        let expected = "a fraction from 0 to below 1";
        return refuse("validation_fraction", &config.validation_fraction, expected);
    }
    Ok(())
}
