//! A pretrained transformer with a small head that predicts what labels say.

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::regressor::{Pass, Regressor, regress};
use super::{AstroClip, SpecFormer, Vit};
use crate::base::error::{Check, Result};
use crate::network::nn::{
    Initializer, LayerNorm, Linear, Precision, SampleDropper, dropout, gelu, probe, widen,
};
use crate::survey::Modality;

/// PyTorch's default.
const EPSILON: f64 = 1e-5;

/// The head that predicts from embeddings: norm, at most one hidden layer, dropout, an affine map.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RegressionHeadConfig {
    /// Width of a hidden layer with GELU, 1 or more; without it the head is linear.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hidden: Option<usize>,
    /// Share of the values set to zero before the last layer during training, in [0, 1).
    pub dropout: f64,
}

impl Default for RegressionHeadConfig {
    fn default() -> Self {
        Self {
            hidden: None,
            dropout: 0.1,
        }
    }
}

impl RegressionHeadConfig {
    /// Checks that such a head can be built; `path` stands in front of the fields' names.
    ///
    /// # Errors
    ///
    /// Names the first field that is out of range.
    pub fn check(&self, path: &str) -> Result<()> {
        let check = Check::at(path);
        if let Some(hidden) = self.hidden {
            check.count("hidden", hidden, 1..=super::MOST)?;
        }
        check.number("dropout", self.dropout, 0.0..1.0)
    }
}

/// The head on embeddings.
#[derive(Module, Debug)]
pub struct RegressionHead {
    /// Of the embedding.
    pub norm: LayerNorm,
    /// The hidden layer, if there is one.
    pub hidden: Option<Linear>,
    /// To the targets.
    pub output: Linear,
    #[module(skip)]
    dropout: f64,
}

impl RegressionHead {
    /// Fresh weights, for embeddings of `width` and so many `outputs`.
    pub fn new(
        width: usize,
        outputs: usize,
        config: &RegressionHeadConfig,
        init: &mut Initializer,
    ) -> Self {
        let hidden = config
            .hidden
            .map(|hidden| Linear::new_uniform(width, hidden, init));
        Self {
            norm: LayerNorm::new(width, EPSILON, init),
            hidden,
            output: Linear::new_uniform(config.hidden.unwrap_or(width), outputs, init),
            dropout: config.dropout,
        }
    }

    /// `(batch, width)` to `(batch, outputs)`; a generator switches dropout on.
    pub fn forward(&self, embeddings: Tensor<2>, rng: Option<&mut ChaCha8Rng>) -> Tensor<2> {
        let mut features = self.norm.forward(embeddings);
        if let Some(hidden) = &self.hidden {
            features = gelu(hidden.forward(features));
        }
        let predicted = regress(&self.output, dropout(features, self.dropout, rng));
        probe::output_by_galaxy("head", &predicted);
        predicted
    }
}

/// Pretrained transformers, with what makes one embedding of their tokens.
#[derive(Module, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "a run holds one, and burn has no modules in boxes"
)]
pub enum Backbone {
    /// An image transformer: the class token.
    Image(Vit),
    /// A spectrum transformer: the mean token.
    Spectrum(SpecFormer),
    /// Both with their heads, aligned: what the head of one makes of its tokens.
    Aligned(AstroClip),
}

/// What a backbone is shown, and how it computes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tower {
    /// What it is shown: of an aligned model the one transformer that learns.
    pub source: Modality,
    /// Share of samples that skip a residual branch of an image transformer during training, in [0, 1).
    pub drop_path: f64,
    /// In what numbers it computes during training.
    pub precision: Precision,
}

impl Backbone {
    /// Width of its embeddings.
    pub fn dimension(&self) -> usize {
        match self {
            Self::Image(vit) => vit.config().width,
            Self::Spectrum(specformer) => specformer.config().width,
            Self::Aligned(model) => model.config().image_head.embedding,
        }
    }

    /// Blocks of the transformer of `source`.
    pub fn depth(&self, source: Modality) -> usize {
        match (self, source) {
            (Self::Image(vit), _) => vit.config().depth,
            (Self::Spectrum(specformer), _) => specformer.config().depth,
            (Self::Aligned(model), Modality::Image) => model.image.config().depth,
            (Self::Aligned(model), Modality::Spectrum) => model.spectrum.config().depth,
        }
    }

    /// Numbers in the weights of the transformer of `source` and its head.
    pub fn parameters(&self, source: Modality) -> usize {
        match (self, source) {
            (Self::Image(vit), _) => vit.num_params(),
            (Self::Spectrum(specformer), _) => specformer.num_params(),
            (Self::Aligned(model), Modality::Image) => {
                model.image.num_params() + model.image_head.num_params()
            }
            (Self::Aligned(model), Modality::Spectrum) => {
                model.spectrum.num_params() + model.spectrum_head.num_params()
            }
        }
    }

    /// Embeddings `(batch, dimension)`, `f32`, of images `(batch, channels, side, side)` or spectrum tokens `(batch,
    /// tokens, token_width)` on its device; a generator switches on what is random in training.
    fn embed(
        &self,
        inputs: TensorData,
        device: &Device,
        tower: &Tower,
        mut rng: Option<&mut ChaCha8Rng>,
    ) -> Tensor<2> {
        let precision = match rng {
            Some(_) => tower.precision,
            None => Precision::F32,
        };
        let mut dropper = match rng.as_deref_mut() {
            Some(rng) if tower.drop_path > 0.0 => Some(SampleDropper::new(
                tower.drop_path,
                ChaCha8Rng::from_rng(rng),
            )),
            _ => None,
        };
        let dropper = dropper.as_mut();
        let embeddings = match (self, tower.source) {
            (Self::Image(vit), _) => {
                vit.class_token(precision.of(Tensor::from_data(inputs, device)), dropper)
            }
            (Self::Spectrum(specformer), _) => {
                specformer.mean_token(precision.of(Tensor::from_data(inputs, device)))
            }
            (Self::Aligned(model), Modality::Image) => {
                let images = precision.of(Tensor::from_data(inputs, device));
                let tokens = model.image_tokens(images, dropper);
                // What fluxes add to an embedding does not learn, and is no part of what is shown.
                model.image_head.forward(tokens, rng)
            }
            (Self::Aligned(model), Modality::Spectrum) => {
                let tokens = precision.of(Tensor::from_data(inputs, device));
                model
                    .spectrum_head
                    .forward(model.spectrum.forward(tokens), rng)
            }
        };
        widen(embeddings)
    }
}

/// A pretrained transformer with the head that is fine-tuned with it.
#[derive(Module, Debug)]
pub struct FineTuned {
    /// The transformer.
    pub backbone: Backbone,
    /// The head.
    pub head: RegressionHead,
    #[module(skip)]
    tower: Tower,
}

impl FineTuned {
    /// Puts a fresh head for so many `outputs` on a pretrained transformer.
    pub fn new(
        backbone: Backbone,
        tower: Tower,
        outputs: usize,
        head: &RegressionHeadConfig,
        init: &mut Initializer,
    ) -> Self {
        Self {
            head: RegressionHead::new(backbone.dimension(), outputs, head, init),
            backbone,
            tower,
        }
    }

    /// Numbers in the weights that learn.
    pub fn trained_parameters(&self) -> usize {
        self.backbone.parameters(self.tower.source) + self.head.num_params()
    }
}

impl Regressor for FineTuned {
    fn predict(&self, inputs: TensorData, device: &Device, pass: Pass<'_>) -> Tensor<2> {
        match pass {
            Pass::Training(rng) => {
                let embeddings = self
                    .backbone
                    .embed(inputs, device, &self.tower, Some(&mut *rng));
                self.head.forward(embeddings, Some(rng))
            }
            Pass::HeadTraining(rng) => {
                let untaped = self.backbone.valid();
                let embeddings = untaped.embed(inputs, &device.clone().inner(), &self.tower, None);
                self.head.forward(Tensor::from_inner(embeddings), Some(rng))
            }
            Pass::Inference => {
                let embeddings = self.backbone.embed(inputs, device, &self.tower, None);
                self.head.forward(embeddings, None)
            }
        }
    }
}
