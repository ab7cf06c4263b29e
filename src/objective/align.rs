use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::loss::info_nce;
use crate::model::AstroClip;
use crate::nn::SampleDropper;
use crate::random::{Purpose, generator};
use crate::train::{
    AdamW, AdamWConfig, Checkpoint, Gradients, Objective, ParameterRule, StepReport,
    cosine_with_warmup,
};
use crate::weights::{assign, named_parameters};

/// Optimisation of the alignment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlignOptimizerConfig {
    /// Peak learning rate of the heads.
    pub lr: f64,
    /// Learning rate at the end of the cosine.
    #[serde(default)]
    pub min_lr: f64,
    /// Learning rate of the transformers over that of the heads; 0 freezes them.
    pub backbone_lr_factor: f64,
    /// Steps of linear warm-up.
    pub warmup_steps: u64,
    /// Weight decay of all parameters.
    pub weight_decay: f64,
    /// Largest gradient norm; larger ones are scaled down.
    pub clip_norm: f64,
    /// Constants of AdamW.
    #[serde(default)]
    pub adamw: AdamWConfig,
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

/// Contrastive alignment of images and spectra (paper sect. 5.3, eq. 1).
#[derive(Debug)]
pub struct AlignObjective {
    model: AstroClip,
    optimizer: AdamW,
    config: AlignConfig,
    device: Device,
}

impl AlignObjective {
    /// Trains `model`, which lives on `device` with automatic differentiation.
    pub fn new(model: AstroClip, config: AlignConfig, device: &Device) -> Self {
        Self {
            optimizer: AdamW::new(config.optimizer.adamw.clone(), device),
            model,
            config,
            device: device.clone(),
        }
    }

    /// The model as trained so far.
    pub fn model(&self) -> &AstroClip {
        &self.model
    }

    /// Final-layer tokens of both transformers; without a tape where they are frozen.
    fn tokens(&self, step: u64, batch: AlignBatch) -> (Tensor<3>, Tensor<3>) {
        let frozen = self.config.optimizer.backbone_lr_factor == 0.0;
        if frozen {
            let device = self.device.clone().inner();
            let images = Tensor::from_data(batch.images, &device);
            let spectra = Tensor::from_data(batch.tokens, &device);
            let model = self.model.valid();
            return (
                Tensor::from_inner(model.image_tokens(images, None)),
                Tensor::from_inner(model.spectrum.forward(spectra)),
            );
        }
        let images = Tensor::from_data(batch.images, &self.device);
        let spectra = Tensor::from_data(batch.tokens, &self.device);
        let mut dropper = SampleDropper::new(
            self.model.image.config().drop_path,
            generator(self.config.seed, Purpose::DropPath, step),
        );
        (
            self.model.image_tokens(images, Some(&mut dropper)),
            self.model.spectrum.forward(spectra),
        )
    }
}

impl Objective for AlignObjective {
    type Batch = AlignBatch;

    fn step(&mut self, step: u64, batch: AlignBatch) -> Result<StepReport> {
        let samples = batch.images.shape()[0];
        let mut dropout = generator(self.config.seed, Purpose::Dropout, step);
        let (image, spectrum) = self.tokens(step, batch);
        let image = self.model.image_head.forward(image, Some(&mut dropout));
        let spectrum = self
            .model
            .spectrum_head
            .forward(spectrum, Some(&mut dropout));
        let loss = info_nce(image, spectrum, self.config.logit_scale);

        let mut tape = loss.backward();
        let mut gradients = Gradients::collect(&self.model, &mut tape);
        let optimizer = &self.config.optimizer;
        let grad_norm = gradients.clip("", optimizer.clip_norm);
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
        Ok(StepReport {
            terms: vec![("info_nce", f64::from(loss.into_scalar::<f32>()))],
            learning_rate,
            grad_norm,
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
