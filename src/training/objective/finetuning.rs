//! How a pretrained transformer and its head follow the schedules of fine-tuning.

use serde::{Deserialize, Serialize};

use super::optimizer::{Shared, decays, layer_of};
use crate::base::error::{ABOVE_0_TO_1, Check, Result};
use crate::training::train::{AdamWConfig, ParameterRule, cosine_with_warmup};

/// Optimisation of fine-tuning: first the head alone, then all, the slower the deeper.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FineTuneOptimizerConfig {
    /// Learning rate of the head, 0 or more; a cosine over the whole run.
    pub lr: f64,
    /// Learning rate of the head at the end of the cosine, 0 to `lr`.
    #[serde(default)]
    pub min_lr: f64,
    /// Peak learning rate of the transformer's last layer over that of the head, 0 or more.
    pub backbone_lr_factor: f64,
    /// Learning rate of each layer of the transformer over that of the next, above 0 and at most 1.
    pub layer_decay: f64,
    /// Steps in which the head learns alone, at most those of the run.
    pub frozen_steps: u64,
    /// Steps of the transformer's linear warm-up after that; with `frozen_steps` at most those of the run.
    pub warmup_steps: u64,
    /// Weight decay, 0 or more; not of biases, norms and LayerScale.
    pub weight_decay: f64,
    /// Largest gradient norm, above 0; larger ones are scaled down.
    pub clip_norm: f64,
    /// Constants of AdamW.
    #[serde(default)]
    pub adamw: AdamWConfig,
}

impl FineTuneOptimizerConfig {
    /// Checks all values, for a run of so many steps; `path` stands in front of the fields' names.
    ///
    /// # Errors
    ///
    /// Names the first field that is out of range.
    pub fn check(&self, path: &str, steps: u64) -> Result<()> {
        let check = Check::at(path);
        check.count("frozen_steps", self.frozen_steps, 0..=steps)?;
        check.number("backbone_lr_factor", self.backbone_lr_factor, 0.0..)?;
        check.number("layer_decay", self.layer_decay, ABOVE_0_TO_1)?;
        Shared {
            lr: self.lr,
            min_lr: self.min_lr,
            warmup_steps: self.warmup_steps,
            weight_decay: self.weight_decay,
            clip_norm: Some(self.clip_norm),
            adamw: &self.adamw,
        }
        .check(path, steps - self.frozen_steps)
    }

    /// Learning rate of the head at `step` of a schedule of `total` steps.
    pub(super) fn learning_rate(&self, step: u64, total: u64) -> f64 {
        cosine_with_warmup(step, (self.lr, self.min_lr), 0, total)
    }

    /// How the parameter `name` of a [`FineTuned`](crate::network::model::FineTuned) follows the schedules; its
    /// transformer has `depth` blocks.
    pub fn rule(&self, name: &str, depth: usize, step: u64, total: u64) -> ParameterRule {
        let learning_rate = match place(name, depth) {
            Place::Head => self.learning_rate(step, total),
            Place::Layer(_) if step < self.frozen_steps => 0.0,
            Place::Layer(layer) => {
                let factor =
                    self.backbone_lr_factor * self.layer_decay.powi((depth + 1 - layer) as i32);
                let thawed = cosine_with_warmup(
                    step - self.frozen_steps,
                    (self.lr, self.min_lr),
                    self.warmup_steps,
                    total.saturating_sub(self.frozen_steps),
                );
                factor * thawed
            }
        };
        ParameterRule {
            learning_rate,
            weight_decay: if decays(name) { self.weight_decay } else { 0.0 },
        }
    }
}

/// Where a parameter is.
enum Place {
    /// In the head that is fine-tuned with a transformer.
    Head,
    /// In this layer of the transformer, or in what makes one embedding of its tokens: then after the blocks.
    Layer(usize),
}

fn place(name: &str, depth: usize) -> Place {
    // The kind of backbone stands between.
    let inner = name.strip_prefix("backbone.");
    let Some((_, inner)) = inner.and_then(|inner| inner.split_once('.')) else {
        return Place::Head;
    };
    let is_in = |part: &str| inner.strip_prefix(part);
    if is_in("image_head.").or(is_in("spectrum_head.")).is_some() {
        return Place::Layer(depth + 1);
    }
    let inner = is_in("image.").or(is_in("spectrum.")).unwrap_or(inner);
    Place::Layer(layer_of(inner, depth))
}

#[cfg(test)]
mod tests {
    use super::FineTuneOptimizerConfig;
    use crate::training::train::AdamWConfig;

    #[test]
    fn layers_learn_the_slower_the_deeper_and_not_while_they_are_frozen() {
        let config = FineTuneOptimizerConfig {
            lr: 1.0,
            min_lr: 0.0,
            backbone_lr_factor: 0.5,
            layer_decay: 0.5,
            frozen_steps: 10,
            warmup_steps: 4,
            weight_decay: 0.1,
            clip_norm: 1.0,
            adamw: AdamWConfig::default(),
        };
        let at = |step: u64, name: &str| config.rule(name, 2, step, 110);
        let rate = |step: u64, name: &str| at(step, name).learning_rate;
        let [first, block, norm] = [
            "backbone.Image.patch_embed.weight",
            "backbone.Image.blocks.1.attn.qkv.weight",
            "backbone.Image.norm.weight",
        ];
        assert_eq!([first, block, norm].map(|name| rate(9, name)), [0.0; 3]);
        assert_eq!(rate(12, norm), 0.25, "half of the way up");
        assert_eq!(
            [first, block, norm].map(|name| rate(14, name)),
            [0.0625, 0.25, 0.5]
        );
        assert_eq!(rate(0, "head.output.weight"), 1.0);
        let halfway = rate(55, "head.output.weight");
        assert!((halfway - 0.5).abs() < 1e-12, "{halfway}");
        for (aligned, alone) in [
            ("image.blocks.1.attn.qkv.weight", block),
            ("spectrum.data_embed.weight", first),
            ("spectrum.final_layernorm.bias", norm),
            ("image_head.mlp.fc1.weight", norm),
        ] {
            assert_eq!(
                rate(14, &format!("backbone.Aligned.{aligned}")),
                rate(14, alone),
                "{aligned}"
            );
        }
        assert_eq!(at(14, block).weight_decay, 0.1);
        assert_eq!(at(14, norm).weight_decay, 0.0);
    }
}
