//! Settings of DINOv2 and their schedules.

use serde::{Deserialize, Serialize};

use super::super::optimizer::{Shared, decays, layer_of};
use crate::base::error::{ABOVE_0, ABOVE_0_TO_1, Check, Result};
use crate::network::model::VitConfig;
use crate::network::nn::PrototypeHeadConfig;
use crate::training::train::{AdamWConfig, dino_cosine};
use crate::views::augment::GLOBAL_CROPS;

/// How the teacher's scores become probabilities that use all prototypes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Centering {
    /// Subtract a running mean (Caron et al. 2021).
    Center,
    /// Sinkhorn-Knopp on the batch (Caron et al. 2020).
    SinkhornKnopp,
}

/// Among which galaxies KoLeo looks for the nearest, where several ranks train.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KoleoNeighbours {
    /// Those of all ranks: a run does not depend on their number.
    #[default]
    Global,
    /// Those of its own rank, as on each GPU in DINOv2.
    PerRank,
}

/// Loss terms of DINOv2 (paper appendix A2.4, eq. A6 and A7).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DinoLossConfig {
    /// Weight of the class-token loss, 0 or more.
    pub dino_weight: f64,
    /// Weight of the masked-patch loss, 0 or more.
    pub ibot_weight: f64,
    /// Weight of the KoLeo regularizer, per global crop, 0 or more.
    pub koleo_weight: f64,
    /// Among which galaxies of several ranks it looks for neighbours: `global` or `per-rank`.
    #[serde(skip_serializing_if = "is_default")]
    pub koleo_neighbours: KoleoNeighbours,
    /// Temperature of the student's softmax, above 0.
    pub student_temperature: f64,
    /// How the teacher is kept from collapsing.
    pub centering: Centering,
    /// Momentum of the running mean, in [0, 1).
    pub center_momentum: f64,
}

impl DinoLossConfig {
    /// Checks all values; `path` stands in front of the fields' names.
    ///
    /// # Errors
    ///
    /// Names the first field that is out of range.
    pub fn check(&self, path: &str) -> Result<()> {
        let check = Check::at(path);
        check.number("dino_weight", self.dino_weight, 0.0..)?;
        check.number("ibot_weight", self.ibot_weight, 0.0..)?;
        check.number("koleo_weight", self.koleo_weight, 0.0..)?;
        check.number("student_temperature", self.student_temperature, ABOVE_0)?;
        check.number("center_momentum", self.center_momentum, 0.0..1.0)
    }
}

impl Default for DinoLossConfig {
    fn default() -> Self {
        Self {
            dino_weight: 1.0,
            ibot_weight: 1.0,
            koleo_weight: 0.1,
            koleo_neighbours: KoleoNeighbours::Global,
            student_temperature: 0.1,
            centering: Centering::Center,
            center_momentum: 0.9,
        }
    }
}

/// A setting that files of runs from before it do not have is written where it says something.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// The teacher: an average of past students (paper eq. A4).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TeacherConfig {
    /// Momentum at the start, 0 to 1; rises to `momentum_end` by a cosine.
    pub momentum: f64,
    /// Momentum at the end, 0 to 1.
    #[serde(default = "one")]
    pub momentum_end: f64,
    /// Temperature of the teacher's softmax at the start, above 0.
    pub temperature: f64,
    /// Temperature after the warm-up, above 0.
    pub temperature_end: f64,
    /// Steps over which the temperature rises linearly.
    pub temperature_warmup_steps: u64,
}

impl TeacherConfig {
    /// Checks all values; `path` stands in front of the fields' names.
    ///
    /// # Errors
    ///
    /// Names the first field that is out of range.
    pub fn check(&self, path: &str) -> Result<()> {
        let check = Check::at(path);
        check.number("momentum", self.momentum, 0.0..=1.0)?;
        check.number("momentum_end", self.momentum_end, 0.0..=1.0)?;
        check.number("temperature", self.temperature, ABOVE_0)?;
        check.number("temperature_end", self.temperature_end, ABOVE_0)
    }
}

fn one() -> f64 {
    1.0
}

/// Optimisation of DINOv2.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DinoOptimizerConfig {
    /// Peak learning rate, 0 or more.
    pub lr: f64,
    /// Learning rate at the end of the cosine, 0 to `lr`.
    pub min_lr: f64,
    /// Steps of linear warm-up from zero, at most those of the run.
    pub warmup_steps: u64,
    /// Weight decay at the start, 0 or more.
    pub weight_decay: f64,
    /// Weight decay at the end, reached by a cosine, 0 or more.
    pub weight_decay_end: f64,
    /// Factor on the learning rate from one block to the one before it, in (0, 1].
    pub layer_decay: f64,
    /// Further factor on the learning rate of the patch embedding, 0 or more.
    pub patch_embed_lr_factor: f64,
    /// Steps at the start during which the prototypes do not move.
    pub freeze_last_layer_steps: u64,
    /// Blocks at the start of the transformer that stay as the run begins with them, 0 to `model.depth`, and with them what
    /// enters the blocks: patch embedding, positions, class and mask token. 0 for none of all that.
    #[serde(default, skip_serializing_if = "is_default")]
    pub frozen_blocks: usize,
    /// Largest gradient norm, above 0, for the backbone and each head apart.
    pub clip_norm: f64,
    /// Constants of AdamW.
    #[serde(default)]
    pub adamw: AdamWConfig,
}

impl DinoOptimizerConfig {
    /// Checks all values, for a run of so many steps; `path` stands in front of the fields' names.
    ///
    /// # Errors
    ///
    /// Names the first field that is out of range.
    pub fn check(&self, path: &str, steps: u64) -> Result<()> {
        Shared {
            lr: self.lr,
            min_lr: self.min_lr,
            warmup_steps: self.warmup_steps,
            weight_decay: self.weight_decay,
            clip_norm: Some(self.clip_norm),
            adamw: &self.adamw,
        }
        .check(path, steps)?;
        let check = Check::at(path);
        check.number("weight_decay_end", self.weight_decay_end, 0.0..)?;
        check.number("layer_decay", self.layer_decay, ABOVE_0_TO_1)?;
        check.number("patch_embed_lr_factor", self.patch_embed_lr_factor, 0.0..)
    }
}

/// What self-distillation needs.
#[derive(Debug, Clone, PartialEq)]
pub struct DinoConfig {
    /// Image transformer.
    pub model: VitConfig,
    /// Heads on class and patch tokens.
    pub head: PrototypeHeadConfig,
    /// Whether patches have a head of their own (paper) or share that of the class token (released).
    pub separate_heads: bool,
    /// Losses.
    pub loss: DinoLossConfig,
    /// Teacher.
    pub teacher: TeacherConfig,
    /// Optimisation.
    pub optimizer: DinoOptimizerConfig,
    /// Steps over which the schedules go; later ones have their last values.
    pub steps: u64,
    /// Seed of weights and stochastic depth.
    pub seed: u64,
}

/// The values of all schedules at one step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Schedule {
    /// Learning rate before layer-wise decay.
    pub learning_rate: f64,
    /// Learning rate of the prototypes.
    pub last_layer_learning_rate: f64,
    /// Weight decay.
    pub weight_decay: f64,
    /// Momentum of the teacher.
    pub momentum: f64,
    /// Temperature of the teacher.
    pub teacher_temperature: f64,
}

impl DinoConfig {
    /// Schedules at `step`, counted from 0.
    pub fn schedule(&self, step: u64) -> Schedule {
        let (optimizer, teacher, steps) = (&self.optimizer, &self.teacher, self.steps);
        let learning_rate = dino_cosine(
            step,
            (0.0, optimizer.lr, optimizer.min_lr),
            optimizer.warmup_steps,
            steps,
        );
        let frozen = step < optimizer.freeze_last_layer_steps;
        let weight_decay = (optimizer.weight_decay, optimizer.weight_decay_end);
        let momentum = (teacher.momentum, teacher.momentum_end);
        let temperature = (teacher.temperature, teacher.temperature_end);
        let warmup = teacher.temperature_warmup_steps;
        Schedule {
            learning_rate,
            last_layer_learning_rate: if frozen { 0.0 } else { learning_rate },
            weight_decay: dino_cosine(step, (0.0, weight_decay.0, weight_decay.1), 0, steps),
            momentum: dino_cosine(step, (0.0, momentum.0, momentum.1), 0, steps),
            teacher_temperature: dino_cosine(
                step,
                (temperature.0, temperature.1, temperature.1),
                warmup,
                warmup,
            ),
        }
    }
}

/// Multipliers of one parameter, `(learning rate, weight decay)`, in DINOv2: the learning rate decays
/// from the last block to the first; biases, norms and LayerScale do not decay.
///
/// `name` is relative to student or teacher, such as `backbone.blocks.3.attn.qkv.weight`.
pub fn parameter_rule(name: &str, depth: usize, layer_decay: f64, patch_embed: f64) -> (f64, f64) {
    let layer = name
        .strip_prefix("backbone.")
        .map_or(depth + 1, |inner| layer_of(inner, depth));
    let mut learning_rate = layer_decay.powi((depth + 1 - layer) as i32);
    if name.contains("patch_embed") {
        learning_rate *= patch_embed;
    }
    (learning_rate, if decays(name) { 1.0 } else { 0.0 })
}

/// What goes through the networks in one step of self-distillation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DinoWork {
    /// Galaxies.
    pub samples: usize,
    /// Side of a global crop, pixels; each galaxy has two.
    pub global_size: usize,
    /// Side of a local crop, pixels.
    pub local_size: usize,
    /// Local crops of a galaxy.
    pub locals: usize,
    /// Masked patches of all galaxies together.
    pub masked_patches: usize,
}

impl DinoConfig {
    /// Floating-point operations of one step, as `benches/README.md` counts them: samples that stochastic depth
    /// skips are not work.
    pub fn flops(&self, work: &DinoWork) -> f64 {
        const GLOBALS: f64 = GLOBAL_CROPS as f64;
        let samples = work.samples as f64;
        let locals = work.locals as f64;
        let kept = |crops: f64| {
            (crops * samples * (1.0 - self.model.drop_path))
                .floor()
                .max(1.0)
        };
        let (blocks, embedding) = (
            |size| self.model.blocks_flops(size),
            |size| self.model.embedding_flops(size),
        );
        let (global, local) = (work.global_size, work.local_size);
        let teacher_rows = GLOBALS * samples + work.masked_patches as f64;
        let student_rows = teacher_rows + locals * samples;
        let head = self.head.flops(self.model.width);
        let teacher =
            GLOBALS * samples * (blocks(global) + embedding(global)) + teacher_rows * head;
        // The backward pass is twice the forward one; pixels need no gradient.
        let student = 3.0 * (kept(GLOBALS) * blocks(global) + kept(locals) * blocks(local))
            + 2.0 * samples * (GLOBALS * embedding(global) + locals * embedding(local))
            + 3.0 * student_rows * head;
        teacher + student
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::nn::PrototypeHeadConfig;

    /// ViT-L/12 with the released head; what `scripts/bench_torch.py` gives, whose count
    /// `scripts/check_bench_torch.py` compares with PyTorch's own.
    #[test]
    fn operations_of_the_papers_step() {
        let config = DinoConfig {
            model: VitConfig {
                image_size: 144,
                patch_size: 12,
                channels: 3,
                width: 1024,
                depth: 24,
                heads: 16,
                mlp_ratio: 4.0,
                layer_scale: 1e-5,
                drop_path: 0.3,
            },
            head: PrototypeHeadConfig::default(),
            separate_heads: false,
            loss: DinoLossConfig::default(),
            teacher: TeacherConfig {
                momentum: 0.99,
                momentum_end: 1.0,
                temperature: 0.04,
                temperature_end: 0.07,
                temperature_warmup_steps: 0,
            },
            optimizer: DinoOptimizerConfig {
                lr: 1e-3,
                min_lr: 0.0,
                warmup_steps: 0,
                weight_decay: 0.0,
                weight_decay_end: 0.0,
                layer_decay: 0.9,
                patch_embed_lr_factor: 0.2,
                freeze_last_layer_steps: 0,
                frozen_blocks: 0,
                clip_norm: 3.0,
                adamw: AdamWConfig::default(),
            },
            steps: 1,
            seed: 0,
        };
        let work = DinoWork {
            samples: 64,
            global_size: 144,
            local_size: 60,
            locals: 8,
            masked_patches: 64 * 41,
        };
        assert_eq!(config.flops(&work) / 64.0, 828_276_847_104.0);
        let inference = config.model.blocks_flops(144) + config.model.embedding_flops(144);
        assert_eq!(inference, 89_771_311_104.0);
    }
}
