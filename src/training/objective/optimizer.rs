//! What the optimisers of all objectives have in common, and its ranges.

use crate::base::error::{ABOVE_0, Check, Result};
use crate::training::train::AdamWConfig;

/// The settings that each of them has, as its own struct documents them.
pub(super) struct Shared<'a> {
    pub lr: f64,
    pub min_lr: f64,
    pub warmup_steps: u64,
    pub weight_decay: f64,
    pub clip_norm: Option<f64>,
    pub adamw: &'a AdamWConfig,
}

impl Shared<'_> {
    /// Checks all values, for a run of so many steps; `path` stands in front of the fields' names.
    pub(super) fn check(&self, path: &str, steps: u64) -> Result<()> {
        let check = Check::at(path);
        check.number("lr", self.lr, 0.0..)?;
        check.number("min_lr", self.min_lr, 0.0..=self.lr)?;
        check.count("warmup_steps", self.warmup_steps, 0..=steps)?;
        check.number("weight_decay", self.weight_decay, 0.0..)?;
        if let Some(clip_norm) = self.clip_norm {
            check.number("clip_norm", clip_norm, ABOVE_0)?;
        }
        self.adamw.check(&format!("{path}.adamw"))
    }
}
