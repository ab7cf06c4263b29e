mod config;
mod network;

use std::collections::BTreeMap;
use std::ops::Range;

use burn::module::Module;
use burn::tensor::{Bool, Device, Int, Tensor, TensorData};
use tracing::debug_span;

pub use config::{
    Centering, DinoConfig, DinoLossConfig, DinoOptimizerConfig, DinoWork, Schedule, TeacherConfig,
    parameter_rule,
};
use network::Network;

use super::add;
use crate::batch::{CropBatch, micro_batches};
use crate::error::Result;
use crate::loss::{Center, cross_entropy, koleo, masked_patch_loss, sinkhorn_knopp};
use crate::model::{Vit, VitInput};
use crate::nn::{Initializer, Precision, SampleDropper, widen};
use crate::random::{Purpose, generator};
use crate::train::{
    AdamW, Checkpoint, Gradients, Objective, ParameterRule, StepOutcome, ema_update,
};
use crate::weights::{NamedTensor, TensorMap, assign, host_values, named_parameters};

/// Sweeps of Sinkhorn-Knopp in DINOv2.
const SINKHORN_ITERATIONS: usize = 3;
/// Global crops of a galaxy; the teacher's view of one is the student's target for the other.
const GLOBAL_CROPS: usize = 2;

/// Self-distillation with masked patches, DINOv2 (paper sect. 5.1 and appendix A2).
#[derive(Debug)]
pub struct DinoObjective {
    config: DinoConfig,
    student: Network,
    teacher: Network,
    class_center: Center,
    patch_center: Center,
    optimizer: AdamW,
    micro_batch: Option<usize>,
    precision: Precision,
    device: Device,
}

/// What the teacher asks of the student, outside automatic differentiation.
struct Targets {
    /// Probabilities of the first and the second global crops, `(samples, prototypes)` each.
    class: [Tensor<2>; GLOBAL_CROPS],
    /// Probabilities of the masked patches.
    patches: Option<Tensor<2>>,
}

/// Some neighbouring galaxies of a batch, which go through student and teacher at once.
struct Part {
    crops: CropBatch,
    /// Pixel values of the global crops, which both see, outside automatic differentiation.
    global: Tensor<4>,
    /// Place of the galaxies in the whole batch, and size of that.
    galaxies: Range<usize>,
    samples: usize,
    masked: Option<MaskedPatches>,
}

/// The patches that the student does not see, outside automatic differentiation.
struct MaskedPatches {
    /// Places in `(crops * patches)`.
    places: Tensor<1, Int>,
    /// Weights in the loss, `(masked, 1)`.
    weights: Tensor<2>,
}

impl Part {
    fn new(batch: &CropBatch, galaxies: Range<usize>, device: &Device) -> Self {
        let crops = batch.part(&galaxies);
        let (places, weights) = crops.masked_patches();
        let count = places.len();
        let masked = (count > 0).then(|| MaskedPatches {
            places: Tensor::from_data(TensorData::new(places, [count]), device),
            weights: Tensor::from_data(TensorData::new(weights, [count, 1]), device),
        });
        Self {
            global: Tensor::from_data(crops.global.clone(), device),
            crops,
            samples: batch.samples,
            galaxies,
            masked,
        }
    }
}

impl DinoObjective {
    /// A fresh student and a teacher with the same weights. `device` has automatic differentiation.
    pub fn new(config: DinoConfig, device: &Device) -> Self {
        let student = Network::new(&config, &mut Initializer::new(config.seed, device));
        let inner = device.clone().inner();
        let center = || Center::new(config.head.prototypes, config.loss.center_momentum, &inner);
        Self {
            teacher: student.valid(),
            student,
            class_center: center(),
            patch_center: center(),
            optimizer: AdamW::new(config.optimizer.adamw.clone(), device),
            micro_batch: None,
            precision: Precision::F32,
            device: device.clone(),
            config,
        }
    }

    /// Lets at most so many galaxies go through the model at once. Loss terms and gradients are those of
    /// the whole batch, up to rounding, and the centres move once, towards the mean of all. But KoLeo, as on
    /// each GPU in DINOv2, finds neighbours only among the galaxies that go through at once (none for a single
    /// one), and Sinkhorn-Knopp, unlike in DINOv2, balances prototypes only over these.
    pub fn in_micro_batches(self, size: Option<usize>) -> Self {
        Self {
            micro_batch: size,
            ..self
        }
    }

    /// Lets the transformers compute in `precision`.
    pub fn in_precision(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }

    /// The teacher's backbone, which is the trained encoder.
    pub fn encoder(&self) -> &Vit {
        &self.teacher.backbone
    }

    /// Parts of the student that are clipped apart.
    fn parts(&self) -> &'static [&'static str] {
        match self.config.separate_heads {
            true => &["backbone", "dino_head", "ibot_head"],
            false => &["backbone", "dino_head"],
        }
    }

    /// Weights of student and teacher, named `student/…` and `teacher/…`.
    pub fn networks(&self) -> (TensorMap, TensorMap) {
        (
            named_parameters(&self.student),
            named_parameters(&self.teacher),
        )
    }

    /// Replaces the weights of student and teacher.
    ///
    /// # Errors
    ///
    /// When a tensor is missing or of another shape.
    pub fn set_networks(&mut self, student: TensorMap, teacher: TensorMap) -> Result<()> {
        self.student = assign(self.student.clone(), student)?;
        self.teacher = assign(self.teacher.clone(), teacher)?;
        Ok(())
    }

    /// The teacher's targets; the centres take note of its scores.
    fn targets(&mut self, part: &Part, temperature: f64) -> Targets {
        let images = self.precision.of(part.global.clone());
        let tokens = self.teacher.backbone.forward(
            VitInput {
                images,
                masks: None,
            },
            None,
        );
        let places = part.masked.as_ref().map(|masked| masked.places.clone());
        let (class, patches) = class_and_masked(tokens, places);
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
        let samples = part.crops.samples;
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
        let Part {
            crops: batch,
            global,
            galaxies,
            ..
        } = part;
        let samples = batch.samples;
        let crops = GLOBAL_CROPS * samples;
        let locals = batch.local.shape()[0] / samples;
        let mut dropper = SampleDropper::new(
            self.config.model.drop_path,
            generator(self.config.seed, Purpose::DropPath, step),
        )
        .within(galaxies, part.samples);

        let images = self.precision.of(Tensor::from_inner(global));
        let masks = Some(mask_tensor(&batch.masks, &self.device));
        let mut inputs = vec![VitInput { images, masks }];
        if locals > 0 {
            let images = Tensor::from_data(batch.local, &self.device);
            inputs.push(VitInput {
                images: self.precision.of(images),
                masks: None,
            });
        }
        let backbone = &self.student.backbone;
        let mut tokens = backbone.forward_all(inputs, Some(&mut dropper)).into_iter();
        let (places, weights) = part
            .masked
            .map(|masked| (masked.places.to_device(&self.device), masked.weights))
            .unzip();
        let global = tokens.next().expect("tokens of the global crops");
        let (global_class, patches) = class_and_masked(global, places);
        let mut class = global_class.clone();
        if let Some(tokens) = tokens.next() {
            let [rows, _, width] = tokens.dims();
            let local_class = tokens.narrow(1, 0, 1).reshape([rows, width]);
            class = Tensor::cat(vec![class, local_class], 0);
        }
        let (class_scores, patch_scores) = self.student.scores(class, patches);

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

    fn step(&mut self, step: u64, batch: CropBatch) -> Result<StepOutcome> {
        let schedule = self.config.schedule(step);
        self.step_with(step, &batch, schedule)
    }

    fn checkpoint(&self, step: u64) -> Checkpoint {
        let (optimizer_steps, moments) = self.optimizer.state();
        let mut checkpoint = Checkpoint {
            step,
            optimizer_steps,
            ..Checkpoint::default()
        };
        let (student, teacher) = self.networks();
        checkpoint.insert("student", student);
        checkpoint.insert("teacher", teacher);
        checkpoint.insert("optimizer", moments);
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
        self.set_networks(checkpoint.take("student"), checkpoint.take("teacher"))?;
        self.optimizer
            .restore(checkpoint.optimizer_steps, checkpoint.take("optimizer"))?;
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
    ///
    /// # Errors
    ///
    /// None of its own; the signature is that of a step.
    pub fn step_with(
        &mut self,
        step: u64,
        batch: &CropBatch,
        schedule: Schedule,
    ) -> Result<StepOutcome> {
        let mut terms: BTreeMap<_, Tensor<1>> = BTreeMap::new();
        let mut gradients = Gradients::default();
        for galaxies in micro_batches(batch.samples, self.micro_batch) {
            let share = galaxies.len() as f64 / batch.samples as f64;
            let part = Part::new(batch, galaxies, &self.device.clone().inner());
            let targets = debug_span!("teacher")
                .in_scope(|| self.targets(&part, schedule.teacher_temperature));
            let losses = debug_span!("student").in_scope(|| self.losses(step, part, targets));
            let total = losses
                .iter()
                .map(|(_, term)| term.clone())
                .reduce(|sum, term| sum + term)
                .expect("there is always the loss between global crops");
            debug_span!("backward").in_scope(|| {
                let mut tape = (total * share).backward();
                gradients.add(Gradients::collect(&self.student, &mut tape));
            });
            for (name, term) in losses {
                let term = term.without_autodiff() * share;
                let sum = add(terms.remove(name), term).expect("a term");
                terms.insert(name, sum);
            }
        }
        self.class_center.update();
        self.patch_center.update();
        let optimizer = &self.config.optimizer;
        let clip = debug_span!("clip").entered();
        let norms = self
            .parts()
            .iter()
            .map(|&part| {
                (
                    part,
                    gradients.clip(&format!("{part}."), optimizer.clip_norm, &self.device),
                )
            })
            .collect();
        drop(clip);
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
        self.student = debug_span!("optimizer")
            .in_scope(|| self.optimizer.step(self.student.clone(), gradients, rule));
        self.teacher = debug_span!("average")
            .in_scope(|| ema_update(self.teacher.clone(), &self.student, schedule.momentum));
        Ok(StepOutcome {
            terms: terms.into_iter().collect(),
            learning_rate: schedule.learning_rate,
            norms,
            measured: Vec::new(),
            samples: batch.samples,
        })
    }
}

/// Class tokens `(crops, width)` and the patch tokens at `masked`, places in `(crops * patches)`.
fn class_and_masked(
    tokens: Tensor<3>,
    masked: Option<Tensor<1, Int>>,
) -> (Tensor<2>, Option<Tensor<2>>) {
    let [crops, count, width] = tokens.dims();
    let class = tokens.clone().narrow(1, 0, 1).reshape([crops, width]);
    let patches = tokens
        .narrow(1, 1, count - 1)
        .reshape([crops * (count - 1), width]);
    (class, masked.map(|places| patches.select(0, places)))
}

fn mask_tensor(masks: &[Vec<bool>], device: &Device) -> Tensor<2, Bool> {
    let shape = [masks.len(), masks.first().map_or(0, Vec::len)];
    let values: Vec<bool> = masks.iter().flatten().copied().collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}
