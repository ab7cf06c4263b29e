//! Contrastive alignment of images and spectra.

use std::ops::Range;

use burn::module::Module;
use burn::tensor::{Tensor, TensorData};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::across::{part_of_whole_loss, whole_loss};
use super::optimizer::Shared;
use super::trained::{Clip, Compute, Sums, Trained};
use crate::base::error::{Check, Result};
use crate::base::random::{Purpose, generator};
use crate::network::loss::{distillation, info_nce};
use crate::network::model::AstroClip;
use crate::network::nn::{SampleDropper, probe};
use crate::survey::Modality;
use crate::training::train::{
    AdamWConfig, Checkpoint, Gradients, Objective, ParameterRule, StepGradients, StepUpdate,
    cosine_with_warmup,
};
use crate::views::batch::{OfTeacher, PairBatch, take_rows};

/// Optimisation of the alignment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlignOptimizerConfig {
    /// Peak learning rate of the heads, 0 or more.
    pub lr: f64,
    /// Learning rate at the end of the cosine, 0 to `lr`.
    #[serde(default)]
    pub min_lr: f64,
    /// Learning rate of the transformers over that of the heads, 0 or more; 0 freezes them.
    pub backbone_lr_factor: f64,
    /// Steps of linear warm-up, at most those of the run.
    pub warmup_steps: u64,
    /// Weight decay of all parameters, 0 or more.
    pub weight_decay: f64,
    /// Largest gradient norm, above 0; larger ones are scaled down.
    pub clip_norm: f64,
    /// Constants of AdamW.
    #[serde(default)]
    pub adamw: AdamWConfig,
}

impl AlignOptimizerConfig {
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
        Check::at(path).number("backbone_lr_factor", self.backbone_lr_factor, 0.0..)
    }
}

/// What the alignment needs beside the model.
#[derive(Debug, Clone, PartialEq)]
pub struct AlignConfig {
    /// Optimisation.
    pub optimizer: AlignOptimizerConfig,
    /// Factor on cosine similarities (15.5 in the paper).
    pub logit_scale: f64,
    /// Factor on how far embeddings are from those of a teacher, on top of `logit_scale`.
    pub teacher_weight: f64,
    /// Steps over which the schedule goes; later ones have its last value.
    pub steps: u64,
    /// Seed of stochastic depth and dropout.
    pub seed: u64,
}

/// Terms of a loss by name, `(1,)` each.
type Terms = Vec<(&'static str, Tensor<1>)>;

/// Whether what is computed is kept for a backward pass.
#[derive(Debug, Clone, Copy)]
enum Tape {
    On,
    Off,
}

/// Which pairs of a batch go through the model.
struct View {
    step: u64,
    /// The pairs among those of the batch.
    part: Range<usize>,
    /// Pairs of the batch, of all ranks.
    samples: usize,
}

/// One kind of data of some neighbouring pairs.
enum Side {
    /// Images, and their fluxes where the model takes them.
    Images(TensorData, Option<TensorData>),
    /// Tokens of spectra, and their fluxes where the model takes them.
    Spectra(TensorData, Option<TensorData>),
}

impl Side {
    fn of(batch: &PairBatch, (modality, part): (Modality, &Range<usize>)) -> Self {
        let rows = |data| take_rows(data, [part.clone()]);
        match modality {
            Modality::Image => Self::Images(rows(&batch.images), batch.fluxes.as_ref().map(rows)),
            Modality::Spectrum => Self::Spectra(
                rows(&batch.tokens),
                batch.spectrum_fluxes.as_ref().map(rows),
            ),
        }
    }

    fn modality(&self) -> Modality {
        match self {
            Self::Images(..) => Modality::Image,
            Self::Spectra(..) => Modality::Spectrum,
        }
    }
}

/// Contrastive alignment of images and spectra (paper sect. 5.3, eq. 1). In micro-batches, at the price of a second
/// forward pass. Each pair is told apart from those of all ranks. Where batches have embeddings of a teacher, those of the
/// model are drawn to them.
#[derive(Debug)]
pub struct AlignObjective {
    trained: Trained<AstroClip>,
    config: AlignConfig,
}

impl AlignObjective {
    /// Trains `model`, which lives on the device of `compute`.
    pub fn new(model: AstroClip, config: AlignConfig, compute: Compute) -> Self {
        Self {
            trained: Trained::new(model, &config.optimizer.adamw, compute),
            config,
        }
    }

    /// The model as trained so far.
    pub fn model(&self) -> &AstroClip {
        &self.trained.model
    }

    fn learning_rate(&self, step: u64) -> f64 {
        let optimizer = &self.config.optimizer;
        cosine_with_warmup(
            step,
            (optimizer.lr, optimizer.min_lr),
            optimizer.warmup_steps,
            self.config.steps,
        )
    }

    /// The rows of a step that are this rank's, or a part of them.
    fn view(&self, step: u64, own: usize, part: &Range<usize>) -> View {
        let seat = self.trained.compute.ranks.seat();
        let first = seat.place(own).start;
        View {
            step,
            part: first + part.start..first + part.end,
            samples: own * seat.size,
        }
    }

    /// Draws the dropout of the samples of other ranks, those before or those after this one's.
    fn pass_over(&self, modality: Modality, samples: usize, dropout: &mut ChaCha8Rng) {
        let model = self.model();
        let head = match modality {
            Modality::Image => &model.image_head,
            Modality::Spectrum => &model.spectrum_head,
        };
        head.pass_over(samples, dropout);
    }

    /// How far embeddings of a part of this rank's pairs are from those of the teacher, `(1,)`, as a term of a mean over
    /// both kinds of data of all `samples` of the batch, in units of the logits.
    fn lesson(
        &self,
        embeddings: Tensor<2>,
        modality: Modality,
        of: (&OfTeacher, &Range<usize>, usize),
    ) -> Tensor<1> {
        let (teacher, part, samples) = of;
        let taught = match modality {
            Modality::Image => &teacher.images,
            Modality::Spectrum => &teacher.spectra,
        };
        let taught = Tensor::from_data(take_rows(taught, [part.clone()]), &embeddings.device());
        let factor = self.config.teacher_weight * self.config.logit_scale;
        distillation(embeddings, taught) * (factor / (2 * samples) as f64)
    }

    /// Terms of the loss and gradients of a batch of which this rank's share goes through the model at once, as parts of
    /// sums over the ranks.
    fn whole_batch(&self, step: u64, batch: PairBatch) -> (Terms, Gradients) {
        let mut dropout = generator(self.config.seed, Purpose::Dropout, step);
        let own = batch.images.shape()[0];
        let view = self.view(step, own, &(0..own));
        let mut embed = |side: Side| {
            let modality = side.modality();
            self.pass_over(modality, view.part.start, &mut dropout);
            let embeddings = self.embed(side, &view, Tape::On, &mut dropout);
            self.pass_over(modality, view.samples - view.part.end, &mut dropout);
            embeddings
        };
        let PairBatch {
            images,
            tokens,
            fluxes,
            spectrum_fluxes,
            teacher,
        } = batch;
        let image = embed(Side::Images(images, fluxes));
        let spectrum = embed(Side::Spectra(tokens, spectrum_fluxes));
        let lesson = teacher.map(|teacher| {
            let lesson = |embeddings: &Tensor<2>, modality| {
                self.lesson(
                    embeddings.clone(),
                    modality,
                    (&teacher, &(0..own), view.samples),
                )
            };
            lesson(&image, Modality::Image) + lesson(&spectrum, Modality::Spectrum)
        });
        let ranks = &self.trained.compute.ranks;
        let mut loss = part_of_whole_loss(ranks, [image, spectrum], |[image, spectrum]| {
            info_nce(image, spectrum, self.config.logit_scale)
        });
        if !ranks.is_alone() {
            loss = loss / ranks.size() as f64;
        }
        let terms: Terms = [
            Some(("info_nce", loss)),
            lesson.map(|it| ("distillation", it)),
        ]
        .into_iter()
        .flatten()
        .collect();
        let mut sums = Sums::default();
        sums.add(self.model(), terms, 1.0);
        sums.into_parts()
    }

    /// The same in the memory of one of the `parts`, by gradient caching (Gao et al. 2021): all embeddings come first,
    /// without a tape; the loss of the whole batch says what each is to become; then every part goes through the model
    /// again and takes its gradient down to the weights.
    fn in_parts(&self, step: u64, batch: &PairBatch, parts: &[Range<usize>]) -> (Terms, Gradients) {
        let mut dropout = generator(self.config.seed, Purpose::Dropout, step);
        let own = batch.images.shape()[0];
        let share = self.view(step, own, &(0..own));
        // Each part with the random numbers that it begins with, for the second time.
        let mut passes = Vec::new();
        let embeddings = Modality::ALL.map(|modality| {
            self.pass_over(modality, share.part.start, &mut dropout);
            let embeddings = parts.iter().map(|part| {
                passes.push(((modality, part), dropout.clone()));
                let (of, view) = (
                    Side::of(batch, (modality, part)),
                    self.view(step, own, part),
                );
                self.embed(of, &view, Tape::Off, &mut dropout)
            });
            let embeddings = Tensor::cat(embeddings.collect(), 0);
            self.pass_over(modality, share.samples - share.part.end, &mut dropout);
            embeddings
        });
        let ranks = &self.trained.compute.ranks;
        let (mut loss, [image, spectrum]) = whole_loss(ranks, embeddings, |[image, spectrum]| {
            info_nce(image, spectrum, self.config.logit_scale)
        });
        if !ranks.is_alone() {
            loss = loss / ranks.size() as f64;
        }

        let mut gradients = Gradients::default();
        let mut lessons: Option<Tensor<1>> = None;
        for ((modality, part), mut dropout) in passes {
            let cached = match modality {
                Modality::Image => &image,
                Modality::Spectrum => &spectrum,
            };
            let cached = cached.clone().narrow(0, part.start, part.len());
            let (of, view) = (
                Side::of(batch, (modality, part)),
                self.view(step, own, part),
            );
            let embeddings = self.embed(of, &view, Tape::On, &mut dropout);
            let lesson = batch.teacher.as_ref().map(|teacher| {
                self.lesson(embeddings.clone(), modality, (teacher, part, share.samples))
            });
            let mut sum = (embeddings * Tensor::from_inner(cached)).sum();
            if let Some(lesson) = lesson {
                sum = sum + lesson.clone();
                let lesson = lesson.without_autodiff();
                lessons = Some(match lessons {
                    Some(before) => before + lesson,
                    None => lesson,
                });
            }
            let mut tape = sum.backward();
            gradients.add(Gradients::collect(self.model(), &mut tape));
        }
        let lessons = lessons.map(|sum| ("distillation", sum));
        // In the order of the names, as the whole batch has them.
        let terms = [lessons, Some(("info_nce", loss))];
        (terms.into_iter().flatten().collect(), gradients)
    }

    /// Embeddings `(part, embedding)`, `f32`, of some neighbouring pairs' images or spectra; frozen transformers
    /// compute without a tape in any case. Part by part, the same samples and channels are dropped as in
    /// the whole batch.
    fn embed(&self, side: Side, view: &View, tape: Tape, dropout: &mut ChaCha8Rng) -> Tensor<2> {
        probe::galaxies(view.part.clone());
        probe::scope(side.modality(), || {
            self.embed_part(side, view, tape, dropout)
        })
    }

    fn embed_part(
        &self,
        side: Side,
        view: &View,
        tape: Tape,
        dropout: &mut ChaCha8Rng,
    ) -> Tensor<2> {
        let (model, compute) = (self.model(), &self.trained.compute);
        let untaped = model.valid();
        let frozen = self.config.optimizer.backbone_lr_factor == 0.0;
        let inner = compute.inner();
        let (backbone, device) = match tape {
            Tape::On if !frozen => (model, &compute.device),
            _ => (&untaped, &inner),
        };
        let heads_on = |tokens: Tensor<3>| match tape {
            Tape::On if frozen => (model, Tensor::from_inner(tokens)),
            _ => (backbone, tokens),
        };
        match side {
            Side::Images(images, fluxes) => {
                let images = Tensor::from_data(images, device);
                let mut dropper = (!frozen).then(|| {
                    let rng = generator(self.config.seed, Purpose::DropPath, view.step);
                    let rate = backbone.image.config().drop_path;
                    SampleDropper::new(rate, rng).within(view.part.clone(), view.samples)
                });
                let images = compute.precision.of(images);
                let (heads, tokens) = heads_on(backbone.image_tokens(images, dropper.as_mut()));
                let fluxes = fluxes.map(|of| Tensor::from_data(of, &tokens.device()));
                heads.image_embeddings(tokens, fluxes, Some(dropout))
            }
            Side::Spectra(tokens, fluxes) => {
                let tokens = compute.precision.of(Tensor::from_data(tokens, device));
                let (heads, tokens) = heads_on(backbone.spectrum.forward(tokens));
                let fluxes = fluxes.map(|of| Tensor::from_data(of, &tokens.device()));
                heads.spectrum_embeddings(tokens, fluxes, Some(dropout))
            }
        }
    }
}

impl Objective for AlignObjective {
    type Batch = PairBatch;

    fn gradients(&mut self, step: u64, batch: PairBatch) -> Result<StepGradients> {
        let samples = batch.images.shape()[0];
        let parts = self.trained.compute.parts(samples);
        let computed = match parts.len() {
            1 => self.whole_batch(step, batch),
            _ => self.in_parts(step, &batch, &parts),
        };
        let limit = self.config.optimizer.clip_norm;
        Ok(self.trained.clipped(computed, &Clip::ALL, limit, samples))
    }

    fn update(&mut self, step: u64, gradients: Gradients) -> Result<StepUpdate> {
        let learning_rate = self.learning_rate(step);
        let optimizer = &self.config.optimizer;
        let rule = |name: &str| {
            let is_backbone = name.starts_with("image.") || name.starts_with("spectrum.");
            let factor = if is_backbone {
                optimizer.backbone_lr_factor
            } else {
                1.0
            };
            ParameterRule {
                learning_rate: learning_rate * factor,
                weight_decay: optimizer.weight_decay,
            }
        };
        self.trained.update(gradients, rule);
        Ok(StepUpdate {
            learning_rate,
            measured: Vec::new(),
        })
    }

    fn skip(&mut self, step: u64) -> Result<StepUpdate> {
        Ok(StepUpdate {
            learning_rate: self.learning_rate(step),
            measured: Vec::new(),
        })
    }

    fn lend(&self) {
        self.trained.lend();
    }

    fn checkpoint(&self, step: u64) -> Checkpoint {
        self.trained.checkpoint("model", step)
    }

    fn restore(&mut self, mut checkpoint: Checkpoint) -> Result<()> {
        self.trained.restore("model", &mut checkpoint)
    }
}
