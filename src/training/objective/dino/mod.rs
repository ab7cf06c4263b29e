//! Self-distillation of image transformers, DINOv2.

mod config;
mod network;
mod part;

use burn::module::Module;
use burn::tensor::{Bool, Device, Int, Tensor, TensorData};
use tracing::debug_span;

pub use config::{
    Centering, DinoConfig, DinoLossConfig, DinoOptimizerConfig, DinoWork, KoleoNeighbours,
    Schedule, TeacherConfig, parameter_rule,
};
use network::Network;
use part::Part;

use super::across::{balanced_over_all, part_of_whole_loss, share_center};
use super::trained::{Clip, Compute, Sums, Trained};
use crate::base::error::Result;
use crate::base::random::{Purpose, generator};
use crate::base::ranks::Ranks;
use crate::network::loss::{Center, cross_entropy, koleo, masked_patch_loss, sinkhorn_knopp};
use crate::network::model::{Vit, VitInput};
use crate::network::nn::{Initializer, Precision, SampleDropper, probe, widen};
use crate::network::weights::{NamedTensor, TensorMap, assign, host_values, named_parameters};
use crate::training::train::{
    Checkpoint, Gradients, Objective, ParameterRule, StepGradients, StepOutcome, StepUpdate,
    ema_update,
};
use crate::views::augment::GLOBAL_CROPS;
use crate::views::batch::CropBatch;

/// Sweeps of Sinkhorn-Knopp in DINOv2.
const SINKHORN_ITERATIONS: usize = 3;

/// Self-distillation with masked patches, DINOv2 (paper sect. 5.1 and appendix A2).
///
/// In micro-batches the centres move once, towards the mean of all galaxies. But KoLeo, as on each GPU in DINOv2, finds
/// neighbours only among the galaxies that go through at once (none for a single one), and Sinkhorn-Knopp, unlike in
/// DINOv2, balances prototypes only over these.
///
/// The step of several ranks is that of one: centres move towards the mean of all galaxies, and without micro-batches
/// KoLeo, unless [`KoleoNeighbours`] says otherwise, and Sinkhorn-Knopp look at the galaxies of all ranks.
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

    /// Lets student and teacher begin with the weights of an image transformer; their heads stay as they are.
    ///
    /// # Errors
    ///
    /// When a tensor is missing or of another shape.
    pub fn set_backbone(&mut self, tensors: TensorMap) -> Result<()> {
        let student = &mut self.student.model;
        student.backbone = assign(student.backbone.clone(), tensors)?;
        self.teacher.backbone = student.backbone.valid();
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
                let ranks = self.whole_batch_ranks();
                if ranks.is_alone() {
                    let balanced =
                        |scores| sinkhorn_knopp(scores, temperature, SINKHORN_ITERATIONS);
                    (balanced(class), patches.map(balanced))
                } else {
                    let (prototypes, device) = (class.dims()[1], class.device());
                    let balanced = |scores| {
                        let none = || Tensor::full([1, prototypes], f32::NEG_INFINITY, &device);
                        balanced_over_all(&ranks, (scores, none), temperature, SINKHORN_ITERATIONS)
                    };
                    let class = balanced(Some(class)).expect("every rank has galaxies");
                    (class, balanced(patches))
                }
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
            let ranks = match self.config.loss.koleo_neighbours {
                KoleoNeighbours::Global => self.whole_batch_ranks(),
                KoleoNeighbours::PerRank => Ranks::alone(),
            };
            let spread = |index: usize| {
                let crop = features.clone().narrow(0, index * samples, samples);
                part_of_whole_loss(&ranks, [crop], |[crop]| koleo(crop))
            };
            terms.push(("koleo", (spread(0) + spread(1)) * koleo_weight));
        }
        if let (Some(wanted), Some(scores), Some(weights)) =
            (targets.patches, patch_scores, weights)
        {
            let (wanted, weights) = (Tensor::from_inner(wanted), Tensor::from_inner(weights));
            let ibot = masked_patch_loss(wanted, scores, weights, crops, student_temperature);
            terms.push(("ibot", ibot * ibot_weight));
        } else if !self.student.compute.ranks.is_alone() {
            // Other ranks may have some, and all tell of the same terms.
            terms.push(("ibot", Tensor::zeros([1], device)));
        }
        terms
    }

    /// The ranks whose galaxies are looked at together: all, where none computes in micro-batches.
    fn whole_batch_ranks(&self) -> Ranks {
        match self.student.compute.micro_batch {
            None => self.student.compute.ranks.clone(),
            Some(_) => Ranks::alone(),
        }
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

    fn lend(&self) {
        self.student.lend();
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
        let ranks = self.student.compute.ranks.clone();
        let (first, whole) = (ranks.seat().place(samples).start, samples * ranks.size());
        let mut sums = Sums::default();
        for (galaxies, crops) in batch.into_parts(self.student.compute.micro_batch) {
            let weight = galaxies.len() as f64 / whole as f64;
            let galaxies = first + galaxies.start..first + galaxies.end;
            let part = Part::new(crops, galaxies, whole, &inner);
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
        if self.config.loss.centering == Centering::Center {
            share_center(&ranks, &mut self.class_center);
            share_center(&ranks, &mut self.patch_center);
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
