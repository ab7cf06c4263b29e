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

/// The layer of a parameter of a transformer of `depth` blocks: 0 before the blocks, then a number for each, `depth + 1`
/// after them. `name` is relative to the transformer, such as `blocks.3.attn.qkv.weight`.
pub(super) fn layer_of(name: &str, depth: usize) -> usize {
    let after = depth + 1;
    match name.strip_prefix("blocks.") {
        Some(block) => (block.split('.').next())
            .and_then(|index| index.parse::<usize>().ok())
            .map_or(after, |index| index + 1),
        None if name.starts_with("norm.") || name.starts_with("final_layernorm.") => after,
        None => 0,
    }
}

/// Whether weight decay acts on a parameter: not on biases, norms and LayerScale.
pub(super) fn decays(name: &str) -> bool {
    !(name.ends_with(".bias") || name.contains("norm") || name.contains("gamma"))
}
