//! Self-distillation of image transformers, DINOv2.

mod config;
mod network;

use std::ops::Range;

use burn::module::Module;
use burn::tensor::{Bool, Device, Int, Tensor, TensorData};
use tracing::debug_span;

pub use config::{
    Centering, DinoConfig, DinoLossConfig, DinoOptimizerConfig, DinoWork, Schedule, TeacherConfig,
    parameter_rule,
};
use network::Network;

use super::trained::{Clip, Compute, Sums, Trained};
use crate::base::error::Result;
use crate::base::random::{Purpose, generator};
use crate::network::loss::{Center, cross_entropy, koleo, masked_patch_loss, sinkhorn_knopp};
use crate::network::model::{Vit, VitInput};
use crate::network::nn::{Initializer, Precision, SampleDropper, probe, widen};
use crate::network::weights::{NamedTensor, TensorMap, assign, host_values, named_parameters};
use crate::training::train::{
    Checkpoint, Gradients, Objective, ParameterRule, StepGradients, StepOutcome, StepUpdate,
    ema_update,
};
use crate::views::augment::GLOBAL_CROPS;
use crate::views::batch::{CropBatch, MaskedPatches};

/// Sweeps of Sinkhorn-Knopp in DINOv2.
const SINKHORN_ITERATIONS: usize = 3;

/// Self-distillation with masked patches, DINOv2 (paper sect. 5.1 and appendix A2).
///
/// In micro-batches the centres move once, towards the mean of all galaxies. But KoLeo, as on each GPU in DINOv2, finds
/// neighbours only among the galaxies that go through at once (none for a single one), and Sinkhorn-Knopp, unlike in
/// DINOv2, balances prototypes only over these.
#[derive(Debug)]
pub struct DinoObjective {
    config: DinoConfig,
    student: Trained<Network>,
    teacher: Network,
    class_center: Center,
    patch_center: Center,
}

/// What the teacher asks of the student, outside automatic differentiation.
struct Targets {
    /// Probabilities of the first and the second global crops, `(samples, prototypes)` each: the teacher's view of one
    /// is the student's target for the other.
    class: [Tensor<2>; GLOBAL_CROPS],
    /// Probabilities of the masked patches.
    patches: Option<Tensor<2>>,
}

/// Some neighbouring galaxies of a batch, which go through student and teacher at once.
struct Part {
    /// Pixel values of the global crops, which both see, outside automatic differentiation.
    global: Tensor<4>,
    /// Pixel values of the local crops.
    local: TensorData,
    /// For every global crop, which of its patches the student does not see.
    masks: Vec<Vec<bool>>,
    masked: Option<Masked>,
    /// The galaxies among those of the batch, and the number of these.
    galaxies: Range<usize>,
    batch: usize,
}

/// The patches that the student does not see, outside automatic differentiation.
struct Masked {
    /// Index of each in `(crops * patches)`.
    index: Tensor<1, Int>,
    /// Weights in the loss, `(masked, 1)`.
    weights: Tensor<2>,
}

impl Part {
    fn new(crops: CropBatch, galaxies: Range<usize>, batch: usize, device: &Device) -> Self {
        let MaskedPatches { index, weights } = crops.masked;
        let count = index.len();
        let masked = (count > 0).then(|| Masked {
            index: Tensor::from_data(TensorData::new(index, [count]), device),
            weights: Tensor::from_data(TensorData::new(weights, [count, 1]), device),
        });
        Self {
            global: Tensor::from_data(crops.global, device),
            local: crops.local,
            masks: crops.masks,
            masked,
            galaxies,
            batch,
        }
    }

    fn samples(&self) -> usize {
        self.galaxies.len()
    }
}

impl DinoObjective {
    /// A fresh student and a teacher with the same weights.
    pub fn new(config: DinoConfig, compute: Compute) -> Self {
        let mut init = Initializer::new(config.seed, &compute.device);
        let student = Network::new(&config, &mut init);
        let inner = compute.inner();
        let center = || Center::new(config.head.prototypes, config.loss.center_momentum, &inner);
        Self {
            teacher: student.valid(),
            class_center: center(),
            patch_center: center(),
            student: Trained::new(student, &config.optimizer.adamw, compute),
            config,
        }
    }

    /// The teacher's backbone, which is the trained encoder.
    pub fn encoder(&self) -> &Vit {
        &self.teacher.backbone
    }

    /// Parts of the student that are clipped apart.
    fn clips(&self) -> &'static [Clip] {
        const CLIPS: [Clip; 3] = [
            Clip::of("backbone.", "backbone"),
            Clip::of("dino_head.", "dino_head"),
            Clip::of("ibot_head.", "ibot_head"),
        ];
        match self.config.separate_heads {
            true => &CLIPS,
            false => &CLIPS[..2],
        }
    }

    /// Weights of student and teacher, named `student/…` and `teacher/…`.
    pub fn networks(&self) -> (TensorMap, TensorMap) {
        (
            named_parameters(&self.student.model),
            named_parameters(&self.teacher),
        )
    }

    /// Replaces the weights of student and teacher.
    ///
    /// # Errors
    ///
    /// When a tensor is missing or of another shape.
    pub fn set_networks(&mut self, student: TensorMap, teacher: TensorMap) -> Result<()> {
        self.student.model = assign(self.student.model.clone(), student)?;
        self.teacher = assign(self.teacher.clone(), teacher)?;
        Ok(())
    }

    /// The teacher's targets; the centres take note of its scores.
    fn targets(&mut self, part: &Part, temperature: f64) -> Targets {
        let images = self.precision().of(part.global.clone());
        let tokens = self.teacher.backbone.forward(
            VitInput {
                images,
                masks: None,
            },
            None,
        );
        let masked = part.masked.as_ref().map(|masked| masked.index.clone());
        let (class, patches) = class_and_masked(tokens, masked);
        let (class, patches) = self.to_heads(class, patches);
        let (class, patches) = self.teacher.scores(class, patches);
        let (class, patches) = match self.config.loss.centering {
            Centering::Center => {
                let centered = |center: &mut Center, scores: Tensor<2>| {
                    center.observe(scores.clone());
                    center.probabilities(scores, temperature)
                };
                (
                    centered(&mut self.class_center, class),
                    patches.map(|scores| centered(&mut self.patch_center, scores)),
                )
            }
            Centering::SinkhornKnopp => {
                let balanced = |scores| sinkhorn_knopp(scores, temperature, SINKHORN_ITERATIONS);
                (balanced(class), patches.map(balanced))
            }
        };
        let samples = part.samples();
        let half = |index: usize| class.clone().narrow(0, index * samples, samples);
        Targets {
            class: [half(0), half(1)],
            patches,
        }
    }

    /// The loss terms, means over the galaxies of the part, weighted as they enter the total.
    fn losses(&self, step: u64, part: Part, targets: Targets) -> Vec<(&'static str, Tensor<1>)> {
        let DinoLossConfig {
            dino_weight,
            ibot_weight,
            koleo_weight,
            student_temperature,
            ..
        } = self.config.loss;
        let (samples, device) = (part.samples(), &self.student.compute.device);
        let crops = GLOBAL_CROPS * samples;
        let locals = part.local.shape()[0] / samples;
        let mut dropper = SampleDropper::new(
            self.config.model.drop_path,
            generator(self.config.seed, Purpose::DropPath, step),
        )
        .within(part.galaxies, part.batch);

        let images = self.precision().of(Tensor::from_inner(part.global));
        let masks = Some(mask_tensor(&part.masks, device));
        let mut inputs = vec![VitInput { images, masks }];
        if locals > 0 {
            let images = Tensor::from_data(part.local, device);
            inputs.push(VitInput {
                images: self.precision().of(images),
                masks: None,
            });
        }
        let student = &self.student.model;
        let mut tokens = student
            .backbone
            .forward_all(inputs, Some(&mut dropper))
            .into_iter();
        let (masked, weights) = part
            .masked
            .map(|masked| (masked.index.to_device(device), masked.weights))
            .unzip();
        let global = tokens.next().expect("tokens of the global crops");
        let (global_class, patches) = class_and_masked(global, masked);
        let mut class = global_class.clone();
        if let Some(tokens) = tokens.next() {
            let [rows, _, width] = tokens.dims();
            let local_class = tokens.narrow(1, 0, 1).reshape([rows, width]);
            class = Tensor::cat(vec![class, local_class], 0);
        }
        let (class_tokens, patches) = self.to_heads(class, patches);
        let (class_scores, patch_scores) = student.scores(class_tokens, patches);

        // Pairs of crops that are compared: global with the other global, local with both globals.
        let pairs = (GLOBAL_CROPS * (GLOBAL_CROPS - 1) + GLOBAL_CROPS * locals) as f64;
        let [first, second] = targets.class;
        let swapped = Tensor::from_inner(Tensor::cat(vec![second.clone(), first.clone()], 0));
        let global = cross_entropy(
            swapped,
            class_scores.clone().narrow(0, 0, crops),
            student_temperature,
        ) * (dino_weight * GLOBAL_CROPS as f64 / pairs);
        let mut terms = vec![("dino_global", global)];
        if locals > 0 {
            let both = Tensor::<2>::from_inner(first + second).repeat_dim(0, locals);
            let local = cross_entropy(
                both,
                class_scores.narrow(0, crops, locals * samples),
                student_temperature,
            ) * (dino_weight * locals as f64 / pairs);
            terms.push(("dino_local", local));
        }
        if koleo_weight > 0.0 {
            let features = widen(global_class);
            let crop = |index: usize| features.clone().narrow(0, index * samples, samples);
            terms.push(("koleo", (koleo(crop(0)) + koleo(crop(1))) * koleo_weight));
        }
        if let (Some(wanted), Some(scores), Some(weights)) =
            (targets.patches, patch_scores, weights)
        {
            let (wanted, weights) = (Tensor::from_inner(wanted), Tensor::from_inner(weights));
            let ibot = masked_patch_loss(wanted, scores, weights, crops, student_temperature);
            terms.push(("ibot", ibot * ibot_weight));
        }
        terms
    }
}

impl Objective for DinoObjective {
    type Batch = CropBatch;

    fn gradients(&mut self, step: u64, batch: CropBatch) -> Result<StepGradients> {
        let schedule = self.config.schedule(step);
        Ok(self.gradients_with(step, batch, &schedule))
    }

    fn update(&mut self, step: u64, gradients: Gradients) -> Result<StepUpdate> {
        let schedule = self.config.schedule(step);
        Ok(self.update_with(gradients, &schedule))
    }

    fn skip(&mut self, step: u64) -> Result<StepUpdate> {
        self.class_center.forget();
        self.patch_center.forget();
        Ok(StepUpdate {
            learning_rate: self.config.schedule(step).learning_rate,
            measured: Vec::new(),
        })
    }

    fn checkpoint(&self, step: u64) -> Checkpoint {
        let mut checkpoint = self.student.checkpoint("student", step);
        checkpoint.insert("teacher", named_parameters(&self.teacher));
        let center = |center: &Center| NamedTensor {
            shape: center.value.dims().to_vec(),
            values: host_values(center.value.clone()),
        };
        let centers = TensorMap::from([
            ("class".to_owned(), center(&self.class_center)),
            ("patch".to_owned(), center(&self.patch_center)),
        ]);
        checkpoint.insert("center", centers);
        checkpoint
    }

    fn restore(&mut self, mut checkpoint: Checkpoint) -> Result<()> {
        self.student.restore("student", &mut checkpoint)?;
        self.teacher = assign(self.teacher.clone(), checkpoint.take("teacher"))?;
        for (name, tensor) in checkpoint.take("center") {
            let center = match name.as_str() {
                "class" => &mut self.class_center,
                _ => &mut self.patch_center,
            };
            let data = TensorData::new(tensor.values, tensor.shape);
            center.value = Tensor::from_data(data, &center.value.device());
        }
        Ok(())
    }
}

impl DinoObjective {
    /// One step under given values of the schedules.
    pub fn step_with(&mut self, step: u64, batch: CropBatch, schedule: Schedule) -> StepOutcome {
        let StepGradients {
            numbers, gradients, ..
        } = self.gradients_with(step, batch, &schedule);
        let update = self.update_with(gradients, &schedule);
        StepOutcome { numbers, update }
    }

    fn gradients_with(
        &mut self,
        step: u64,
        batch: CropBatch,
        schedule: &Schedule,
    ) -> StepGradients {
        let (samples, inner) = (batch.samples, self.student.compute.inner());
        let mut sums = Sums::default();
        for (galaxies, crops) in batch.into_parts(self.student.compute.micro_batch) {
            let weight = galaxies.len() as f64 / samples as f64;
            let part = Part::new(crops, galaxies, samples, &inner);
            probe::galaxies(part.galaxies.clone());
            let targets = debug_span!("teacher").in_scope(|| {
                probe::scope("teacher", || {
                    self.targets(&part, schedule.teacher_temperature)
                })
            });
            let losses = debug_span!("student")
                .in_scope(|| probe::scope("student", || self.losses(step, part, targets)));
            sums.add(&self.student.model, losses, weight);
        }
        let (clips, limit) = (self.clips(), self.config.optimizer.clip_norm);
        let computed = sums.into_parts();
        self.student.clipped(computed, clips, limit, samples)
    }

    fn update_with(&mut self, gradients: Gradients, schedule: &Schedule) -> StepUpdate {
        self.class_center.update();
        self.patch_center.update();
        let optimizer = &self.config.optimizer;
        let depth = self.config.model.depth;
        let rule = |name: &str| {
            let (rate, decay) = parameter_rule(
                name,
                depth,
                optimizer.layer_decay,
                optimizer.patch_embed_lr_factor,
            );
            let base = if name.contains("last_layer") {
                schedule.last_layer_learning_rate
            } else {
                schedule.learning_rate
            };
            ParameterRule {
                learning_rate: base * rate,
                weight_decay: schedule.weight_decay * decay,
            }
        };
        self.student.update(gradients, rule);
        let student = &self.student.model;
        self.teacher = debug_span!("average")
            .in_scope(|| ema_update(self.teacher.clone(), student, schedule.momentum));
        StepUpdate {
            learning_rate: schedule.learning_rate,
            measured: Vec::new(),
        }
    }

    /// Tokens as heads take them.
    fn to_heads(
        &self,
        class: Tensor<2>,
        patches: Option<Tensor<2>>,
    ) -> (Tensor<2>, Option<Tensor<2>>) {
        let precision = self.precision();
        (
            precision.of(class),
            patches.map(|patches| precision.of(patches)),
        )
    }

    fn precision(&self) -> Precision {
        self.student.compute.precision
    }
}

/// Class tokens `(crops, width)` and the patch tokens at `masked`, indices in `(crops * patches)`.
fn class_and_masked(
    tokens: Tensor<3>,
    masked: Option<Tensor<1, Int>>,
) -> (Tensor<2>, Option<Tensor<2>>) {
    let [crops, count, width] = tokens.dims();
    let class = tokens.clone().narrow(1, 0, 1).reshape([crops, width]);
    let patches = tokens
        .narrow(1, 1, count - 1)
        .reshape([crops * (count - 1), width]);
    (class, masked.map(|index| patches.select(0, index)))
}

fn mask_tensor(masks: &[Vec<bool>], device: &Device) -> Tensor<2, Bool> {
    let shape = [masks.len(), masks.first().map_or(0, Vec::len)];
    let values: Vec<bool> = masks.iter().flatten().copied().collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}
