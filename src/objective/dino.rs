use std::collections::BTreeMap;
use std::ops::Range;

use burn::module::Module;
use burn::tensor::{Bool, Device, Int, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::add;
use crate::batch::{CropBatch, micro_batches};
use crate::error::Result;
use crate::loss::{Center, cross_entropy, koleo, masked_patch_loss, sinkhorn_knopp};
use crate::model::{Vit, VitConfig, VitInput};
use crate::nn::{Initializer, Precision, PrototypeHead, PrototypeHeadConfig, SampleDropper, widen};
use crate::random::{Purpose, generator};
use crate::train::{
    AdamW, AdamWConfig, Checkpoint, Gradients, Objective, ParameterRule, StepOutcome, dino_cosine,
    ema_update,
};
use crate::weights::{NamedTensor, TensorMap, assign, host_values, named_parameters};

/// Sweeps of Sinkhorn-Knopp in DINOv2.
const SINKHORN_ITERATIONS: usize = 3;
/// Global crops of a galaxy; the teacher's view of one is the student's target for the other.
const GLOBAL_CROPS: usize = 2;

/// How the teacher's scores become probabilities that use all prototypes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Centering {
    /// Subtract a running mean (Caron et al. 2021).
    Center,
    /// Sinkhorn-Knopp on the batch (Caron et al. 2020).
    SinkhornKnopp,
}

/// Loss terms of DINOv2 (paper appendix A2.4, eq. A6 and A7).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DinoLossConfig {
    /// Weight of the class-token loss.
    pub dino_weight: f64,
    /// Weight of the masked-patch loss.
    pub ibot_weight: f64,
    /// Weight of the KoLeo regularizer, per global crop.
    pub koleo_weight: f64,
    /// Temperature of the student's softmax.
    pub student_temperature: f64,
    /// How the teacher is kept from collapsing.
    pub centering: Centering,
    /// Momentum of the running mean, in [0, 1).
    pub center_momentum: f64,
}

impl Default for DinoLossConfig {
    fn default() -> Self {
        Self {
            dino_weight: 1.0,
            ibot_weight: 1.0,
            koleo_weight: 0.1,
            student_temperature: 0.1,
            centering: Centering::Center,
            center_momentum: 0.9,
        }
    }
}

/// The teacher: an average of past students (paper eq. A4).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TeacherConfig {
    /// Momentum at the start; rises to `momentum_end` by a cosine.
    pub momentum: f64,
    /// Momentum at the end.
    #[serde(default = "one")]
    pub momentum_end: f64,
    /// Temperature of the teacher's softmax at the start.
    pub temperature: f64,
    /// Temperature after the warm-up.
    pub temperature_end: f64,
    /// Steps over which the temperature rises linearly.
    pub temperature_warmup_steps: u64,
}

fn one() -> f64 {
    1.0
}

/// Optimisation of DINOv2.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DinoOptimizerConfig {
    /// Peak learning rate.
    pub lr: f64,
    /// Learning rate at the end of the cosine.
    pub min_lr: f64,
    /// Steps of linear warm-up from zero.
    pub warmup_steps: u64,
    /// Weight decay at the start.
    pub weight_decay: f64,
    /// Weight decay at the end, reached by a cosine.
    pub weight_decay_end: f64,
    /// Factor on the learning rate from one block to the one before it, in (0, 1].
    pub layer_decay: f64,
    /// Further factor on the learning rate of the patch embedding.
    pub patch_embed_lr_factor: f64,
    /// Steps at the start during which the prototypes do not move.
    pub freeze_last_layer_steps: u64,
    /// Largest gradient norm, for the backbone and each head apart.
    pub clip_norm: f64,
    /// Constants of AdamW.
    #[serde(default)]
    pub adamw: AdamWConfig,
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
    /// Steps of the whole run, for the schedules.
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
    let backbone = name.strip_prefix("backbone.");
    let layer = match backbone {
        Some(inner) => match inner.strip_prefix("blocks.") {
            Some(block) => block
                .split('.')
                .next()
                .and_then(|index| index.parse::<usize>().ok())
                .map_or(depth + 1, |index| index + 1),
            None if inner.starts_with("norm.") => depth + 1,
            None => 0,
        },
        None => depth + 1,
    };
    let mut learning_rate = layer_decay.powi((depth + 1 - layer) as i32);
    if name.contains("patch_embed") {
        learning_rate *= patch_embed;
    }
    let undecayed = name.ends_with(".bias") || name.contains("norm") || name.contains("gamma");
    (learning_rate, if undecayed { 0.0 } else { 1.0 })
}

/// Backbone and heads: what student and teacher both are.
#[derive(Module, Debug)]
struct Network {
    backbone: Vit,
    dino_head: PrototypeHead,
    ibot_head: Option<PrototypeHead>,
}

impl Network {
    fn new(config: &DinoConfig, init: &mut Initializer) -> Self {
        let head =
            |init: &mut Initializer| PrototypeHead::new(config.model.width, &config.head, init);
        Self {
            backbone: Vit::new(&config.model, init),
            dino_head: head(init),
            ibot_head: config.separate_heads.then(|| head(init)),
        }
    }

    /// Scores of class tokens `(crops, prototypes)` and of patch tokens `(patches, prototypes)`, in `f32`.
    fn scores(
        &self,
        class: Tensor<2>,
        patches: Option<Tensor<2>>,
    ) -> (Tensor<2>, Option<Tensor<2>>) {
        let Some(patches) = patches else {
            return (widen(self.dino_head.forward(class)), None);
        };
        match &self.ibot_head {
            Some(ibot) => (
                widen(self.dino_head.forward(class)),
                Some(widen(ibot.forward(patches))),
            ),
            None => {
                let [rows, _] = class.dims();
                let [masked, _] = patches.dims();
                let scores = Tensor::cat(vec![class, patches], 0);
                let scores = widen(self.dino_head.forward(scores));
                (
                    scores.clone().narrow(0, 0, rows),
                    Some(scores.narrow(0, rows, masked)),
                )
            }
        }
    }
}

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
        let images = Tensor::from_data(part.crops.global.clone(), &self.device.clone().inner());
        let images = self.precision.of(images);
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

        let images = self
            .precision
            .of(Tensor::from_data(batch.global, &self.device));
        let masks = Some(mask_tensor(&batch.masks, &self.device));
        let tokens = self
            .student
            .backbone
            .forward(VitInput { images, masks }, Some(&mut dropper));
        let (places, weights) = part
            .masked
            .map(|masked| (masked.places.to_device(&self.device), masked.weights))
            .unzip();
        let (global_class, patches) = class_and_masked(tokens, places);
        let mut class = global_class.clone();
        if locals > 0 {
            let images = self
                .precision
                .of(Tensor::from_data(batch.local, &self.device));
            let tokens = self.student.backbone.forward(
                VitInput {
                    images,
                    masks: None,
                },
                Some(&mut dropper),
            );
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
            let targets = self.targets(&part, schedule.teacher_temperature);
            let losses = self.losses(step, part, targets);
            let total = losses
                .iter()
                .map(|(_, term)| term.clone())
                .reduce(|sum, term| sum + term)
                .expect("there is always the loss between global crops");
            let mut tape = (total * share).backward();
            gradients.add(Gradients::collect(&self.student, &mut tape));
            for (name, term) in losses {
                let term = term.without_autodiff() * share;
                let sum = add(terms.remove(name), term).expect("a term");
                terms.insert(name, sum);
            }
        }
        self.class_center.update();
        self.patch_center.update();
        let optimizer = &self.config.optimizer;
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
        self.student = self.optimizer.step(self.student.clone(), gradients, rule);
        self.teacher = ema_update(self.teacher.clone(), &self.student, schedule.momentum);
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
