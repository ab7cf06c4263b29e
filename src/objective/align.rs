use std::ops::Range;

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::optimizer::Shared;
use crate::batch::{micro_batches, take_rows};
use crate::error::{Check, Result};
use crate::loss::info_nce;
use crate::model::AstroClip;
use crate::nn::{Precision, SampleDropper};
use crate::random::{Purpose, generator};
use crate::survey::Modality;
use crate::train::{
    AdamW, AdamWConfig, Checkpoint, Gradients, Objective, ParameterRule, StepOutcome,
    cosine_with_warmup,
};
use crate::weights::{assign, named_parameters};

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
    /// Steps of the whole run, for the schedule.
    pub steps: u64,
    /// Seed of stochastic depth and dropout.
    pub seed: u64,
}

/// A batch of pairs.
#[derive(Debug, Clone)]
pub struct AlignBatch {
    /// Pixel values `(batch, channels, side, side)`.
    pub images: TensorData,
    /// Spectrum tokens `(batch, tokens, width)`.
    pub tokens: TensorData,
}

/// Whether what is computed is kept for a backward pass.
#[derive(Debug, Clone, Copy)]
enum Tape {
    On,
    Off,
}

/// Contrastive alignment of images and spectra (paper sect. 5.3, eq. 1).
#[derive(Debug)]
pub struct AlignObjective {
    model: AstroClip,
    optimizer: AdamW,
    config: AlignConfig,
    micro_batch: Option<usize>,
    precision: Precision,
    device: Device,
}

impl AlignObjective {
    /// Trains `model`, which lives on `device` with automatic differentiation.
    pub fn new(model: AstroClip, config: AlignConfig, device: &Device) -> Self {
        Self {
            optimizer: AdamW::new(config.optimizer.adamw.clone(), device),
            model,
            config,
            micro_batch: None,
            precision: Precision::F32,
            device: device.clone(),
        }
    }

    /// Lets at most so many pairs go through the model at once. Loss and gradients are those of
    /// the whole batch, up to rounding, at the price of a second forward pass.
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

    /// The model as trained so far.
    pub fn model(&self) -> &AstroClip {
        &self.model
    }

    /// Loss and gradients of a batch that goes through the model at once.
    fn whole_batch(&self, step: u64, batch: &AlignBatch) -> (Tensor<1>, Gradients) {
        let mut dropout = generator(self.config.seed, Purpose::Dropout, step);
        let whole = 0..batch.images.shape()[0];
        let [image, spectrum] = Modality::ALL
            .map(|modality| self.embed(step, batch, (modality, &whole), Tape::On, &mut dropout));
        let loss = info_nce(image, spectrum, self.config.logit_scale);
        let mut tape = loss.backward();
        let gradients = Gradients::collect(&self.model, &mut tape);
        (loss.without_autodiff(), gradients)
    }

    /// The same loss and gradients in the memory of one of the `parts`, by gradient caching (Gao et al.
    /// 2021): all embeddings come first, without a tape; the loss of the whole batch says what each is to
    /// become; then every part goes through the model again and takes its gradient down to the weights.
    fn in_parts(
        &self,
        step: u64,
        batch: &AlignBatch,
        parts: &[Range<usize>],
    ) -> (Tensor<1>, Gradients) {
        let mut dropout = generator(self.config.seed, Purpose::Dropout, step);
        // Each part with the random numbers that it begins with, for the second time.
        let mut passes = Vec::new();
        let [image, spectrum] = Modality::ALL.map(|modality| {
            let embeddings = parts.iter().map(|part| {
                passes.push(((modality, part), dropout.clone()));
                self.embed(step, batch, (modality, part), Tape::Off, &mut dropout)
            });
            let embeddings = Tensor::cat(embeddings.collect(), 0);
            Tensor::<2>::from_inner(embeddings).require_grad()
        });
        let loss = info_nce(image.clone(), spectrum.clone(), self.config.logit_scale);
        let mut tape = loss.backward();
        let mut cached = |embeddings: Tensor<2>| {
            let gradient = embeddings.grad_remove(&mut tape);
            gradient.expect("the loss is of all embeddings")
        };
        let (image, spectrum) = (cached(image), cached(spectrum));

        let mut gradients = Gradients::default();
        for ((modality, part), mut dropout) in passes {
            let cached = match modality {
                Modality::Image => &image,
                Modality::Spectrum => &spectrum,
            };
            let cached = cached.clone().narrow(0, part.start, part.len());
            let embeddings = self.embed(step, batch, (modality, part), Tape::On, &mut dropout);
            let mut tape = (embeddings * Tensor::from_inner(cached)).sum().backward();
            gradients.add(Gradients::collect(&self.model, &mut tape));
        }
        (loss.without_autodiff(), gradients)
    }

    /// Embeddings `(part, embedding)`, `f32`, of some neighbouring pairs' images or spectra; frozen transformers
    /// compute without a tape in any case. Part by part, the same samples and channels are dropped as in
    /// the whole batch.
    fn embed(
        &self,
        step: u64,
        batch: &AlignBatch,
        (modality, part): (Modality, &Range<usize>),
        tape: Tape,
        dropout: &mut ChaCha8Rng,
    ) -> Tensor<2> {
        let untaped = self.model.valid();
        let frozen = self.config.optimizer.backbone_lr_factor == 0.0;
        let inner = self.device.clone().inner();
        let (backbone, device) = match tape {
            Tape::On if !frozen => (&self.model, &self.device),
            _ => (&untaped, &inner),
        };
        let tokens = match modality {
            Modality::Image => {
                let images = Tensor::from_data(take_rows(&batch.images, [part.clone()]), device);
                let samples = batch.images.shape()[0];
                let mut dropper = (!frozen).then(|| {
                    let rng = generator(self.config.seed, Purpose::DropPath, step);
                    let rate = backbone.image.config().drop_path;
                    SampleDropper::new(rate, rng).within(part.clone(), samples)
                });
                backbone.image_tokens(self.precision.of(images), dropper.as_mut())
            }
            Modality::Spectrum => {
                let tokens = Tensor::from_data(take_rows(&batch.tokens, [part.clone()]), device);
                backbone.spectrum.forward(self.precision.of(tokens))
            }
        };
        let (heads, tokens) = match tape {
            Tape::On if frozen => (&self.model, Tensor::from_inner(tokens)),
            _ => (backbone, tokens),
        };
        let head = match modality {
            Modality::Image => &heads.image_head,
            Modality::Spectrum => &heads.spectrum_head,
        };
        head.forward(tokens, Some(dropout))
    }
}

impl Objective for AlignObjective {
    type Batch = AlignBatch;

    fn step(&mut self, step: u64, batch: AlignBatch) -> Result<StepOutcome> {
        let samples = batch.images.shape()[0];
        let parts = micro_batches(samples, self.micro_batch);
        let (loss, mut gradients) = match parts.len() {
            1 => self.whole_batch(step, &batch),
            _ => self.in_parts(step, &batch, &parts),
        };
        let optimizer = &self.config.optimizer;
        let norm = gradients.clip("", optimizer.clip_norm, &self.device);
        let learning_rate = cosine_with_warmup(
            step,
            (optimizer.lr, optimizer.min_lr),
            optimizer.warmup_steps,
            self.config.steps,
        );
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
        self.model = self.optimizer.step(self.model.clone(), gradients, rule);
        Ok(StepOutcome {
            terms: vec![("info_nce", loss)],
            norms: vec![("all", norm)],
            learning_rate,
            measured: Vec::new(),
            samples,
        })
    }

    fn checkpoint(&self, step: u64) -> Checkpoint {
        let (optimizer_steps, moments) = self.optimizer.state();
        let mut checkpoint = Checkpoint {
            step,
            optimizer_steps,
            ..Checkpoint::default()
        };
        checkpoint.insert("model", named_parameters(&self.model));
        checkpoint.insert("optimizer", moments);
        checkpoint
    }

    fn restore(&mut self, mut checkpoint: Checkpoint) -> Result<()> {
        self.model = assign(self.model.clone(), checkpoint.take("model"))?;
        self.optimizer
            .restore(checkpoint.optimizer_steps, checkpoint.take("optimizer"))
    }
}
