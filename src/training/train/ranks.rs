//! Settings of several ranks that train together.

use serde::{Deserialize, Serialize};

/// In what numbers gradients travel between ranks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GradientNumbers {
    /// As they are.
    #[default]
    F32,
    /// Rounded, in half the bytes.
    Bf16,
}

/// How several ranks train together; one process alone does not look at it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RanksConfig {
    /// In what numbers gradients travel: `f32` or `bf16`.
    #[serde(skip_serializing_if = "is_default")]
    pub gradients: GradientNumbers,
    /// Whether each rank keeps the optimiser's moments of its share of the parameters alone, and updates these for all.
    #[serde(skip_serializing_if = "is_default")]
    pub shard_optimizer: bool,
}

/// Whether a setting says nothing: run files are without it then, as those from before it.
pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
