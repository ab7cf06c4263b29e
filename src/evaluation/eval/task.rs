//! What is predicted from what, of which galaxies.

use serde::{Deserialize, Serialize};

use super::source::{Condition, Source};
use crate::survey::{Split, Target};

/// What is predicted from what, of which galaxies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// Name of the model.
    pub model: String,
    /// What is predicted from.
    pub source: Source,
    /// What is predicted.
    #[serde(flatten)]
    pub subject: Subject,
    /// Train or test galaxies.
    pub split: Split,
}

/// What is predicted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// A quantity.
    Target(Target),
    /// Posteriors, conditioned on such numbers.
    Condition(Condition),
    /// The answer to the question of this name.
    Question(String),
}
