use burn::module::Module;
use burn::tensor::{Tensor, TensorData};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::{SpecFormer, SpecFormerConfig, Vit, VitConfig, VitInput};
use crate::nn::{CrossAttention, Initializer, LayerNorm, Mlp};

/// PyTorch's default LayerNorm epsilon, which the released heads use.
const EPSILON: f64 = 1e-5;

/// The head that pools a transformer's tokens into one embedding (paper sect. 3.3, appendix B3).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EmbeddingHeadConfig {
    /// Width of the shared embedding space.
    pub embedding: usize,
    /// Heads of the cross-attention; `embedding` is a multiple.
    pub heads: usize,
    /// Hidden width of the MLP over `embedding`.
    pub mlp_ratio: f64,
    /// Share of the attention's output set to zero during training, in [0, 1).
    pub dropout: f64,
    /// Whether the MLP sits on a residual branch.
    pub residual: bool,
}

impl Default for EmbeddingHeadConfig {
    fn default() -> Self {
        Self {
            embedding: 512,
            heads: 4,
            mlp_ratio: 4.0,
            dropout: 0.1,
            residual: true,
        }
    }
}

/// Cross-attention with a learned query, norm, MLP.
#[derive(Module, Debug)]
pub struct EmbeddingHead {
    /// Pools the tokens.
    pub cross_attention: CrossAttention,
    /// After the attention.
    pub layernorm: LayerNorm,
    /// After the norm.
    pub mlp: Mlp,
    #[module(skip)]
    config: EmbeddingHeadConfig,
}

impl EmbeddingHead {
    /// A head on tokens of `width`.
    pub fn new(width: usize, config: &EmbeddingHeadConfig, init: &mut Initializer) -> Self {
        let embedding = config.embedding;
        let hidden = (embedding as f64 * config.mlp_ratio).round() as usize;
        let std = |fan_in: usize| (fan_in as f32).sqrt().recip();
        Self {
            cross_attention: CrossAttention::new(width, embedding, config.heads, init),
            layernorm: LayerNorm::new(embedding, EPSILON, init),
            mlp: Mlp::new(embedding, hidden, (std(embedding), std(hidden)), init),
            config: config.clone(),
        }
    }

    /// `(batch, tokens, width)` to `(batch, embedding)`, not normalized. Dropout acts when a generator
    /// is given.
    pub fn forward(&self, tokens: Tensor<3>, dropout: Option<&mut ChaCha8Rng>) -> Tensor<2> {
        let mut pooled = self.cross_attention.forward(tokens);
        if let Some(rng) = dropout.filter(|_| self.config.dropout > 0.0) {
            let keep = dropout_mask(pooled.dims(), self.config.dropout, rng);
            pooled = pooled.clone() * Tensor::from_data(keep, &pooled.device());
        }
        let pooled = self.layernorm.forward(pooled);
        let output = self.mlp.forward(pooled.clone());
        if self.config.residual {
            pooled + output
        } else {
            output
        }
    }
}

fn dropout_mask([rows, columns]: [usize; 2], rate: f64, rng: &mut ChaCha8Rng) -> TensorData {
    let kept = (1.0 - rate).recip() as f32;
    let values: Vec<f32> = (0..rows * columns)
        .map(|_| if rng.random_bool(rate) { 0.0 } else { kept })
        .collect();
    TensorData::new(values, [rows, columns])
}

/// Architecture of the aligned model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AstroClipConfig {
    /// Image transformer.
    pub image: VitConfig,
    /// Head on the image transformer.
    pub image_head: EmbeddingHeadConfig,
    /// Spectrum transformer.
    pub spectrum: SpecFormerConfig,
    /// Head on the spectrum transformer.
    pub spectrum_head: EmbeddingHeadConfig,
}

/// Both transformers with their heads: the paper's final model.
#[derive(Module, Debug)]
pub struct AstroClip {
    /// Image transformer.
    pub image: Vit,
    /// Head on the image transformer.
    pub image_head: EmbeddingHead,
    /// Spectrum transformer.
    pub spectrum: SpecFormer,
    /// Head on the spectrum transformer.
    pub spectrum_head: EmbeddingHead,
}

impl AstroClip {
    /// Joins two pretrained transformers by fresh heads.
    pub fn join(
        image: Vit,
        spectrum: SpecFormer,
        (image_head, spectrum_head): (&EmbeddingHeadConfig, &EmbeddingHeadConfig),
        init: &mut Initializer,
    ) -> Self {
        Self {
            image_head: EmbeddingHead::new(image.config().width, image_head, init),
            spectrum_head: EmbeddingHead::new(spectrum.config().width, spectrum_head, init),
            image,
            spectrum,
        }
    }

    /// Fresh weights throughout.
    pub fn new(config: &AstroClipConfig, init: &mut Initializer) -> Self {
        let image = Vit::new(&config.image, init);
        let spectrum = SpecFormer::new(&config.spectrum, init);
        Self::join(
            image,
            spectrum,
            (&config.image_head, &config.spectrum_head),
            init,
        )
    }

    /// The architecture.
    pub fn config(&self) -> AstroClipConfig {
        AstroClipConfig {
            image: self.image.config().clone(),
            image_head: self.image_head.config.clone(),
            spectrum: self.spectrum.config().clone(),
            spectrum_head: self.spectrum_head.config.clone(),
        }
    }

    /// Embeddings `(batch, embedding)` of images `(batch, channels, side, side)` (paper eq. 4).
    pub fn embed_images(&self, images: Tensor<4>) -> Tensor<2> {
        let tokens = self.image.forward(
            VitInput {
                images,
                masks: None,
            },
            None,
        );
        self.image_head.forward(tokens, None)
    }

    /// Embeddings `(batch, embedding)` of spectrum tokens `(batch, tokens, token_width)` (paper eq. 4).
    pub fn embed_spectra(&self, tokens: Tensor<3>) -> Tensor<2> {
        self.spectrum_head
            .forward(self.spectrum.forward(tokens), None)
    }
}
