//! Both transformers with their heads, aligned.

use burn::module::Module;
use burn::tensor::Tensor;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::{
    PhotometryHead, PhotometryHeadConfig, SpecFormer, SpecFormerConfig, Vit, VitConfig, VitInput,
};
use crate::base::error::{Check, Result};
use crate::network::nn::{
    CrossAttention, Initializer, LayerNorm, Mlp, SampleDropper, dropout_mask, probe, widen,
};

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
    /// Share of the attention's and of the MLP's output set to zero during training, in [0, 1).
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

impl EmbeddingHeadConfig {
    /// Checks that such a head can be built; `path` stands in front of the fields' names.
    ///
    /// # Errors
    ///
    /// Names the first field that is out of range.
    pub fn check(&self, path: &str) -> Result<()> {
        let check = Check::at(path);
        check.count("embedding", self.embedding, 1..=super::MOST)?;
        super::check_heads(check, self.embedding, self.heads)?;
        super::check_mlp_ratio(check, self.embedding, self.mlp_ratio)?;
        check.number("dropout", self.dropout, 0.0..1.0)
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

    /// `(batch, tokens, width)` to `(batch, embedding)`, not normalized, in `f32`. Dropout acts on the outputs of
    /// attention and MLP when a generator is given. It is drawn from sample by sample: a batch in parts
    /// loses what the whole batch would.
    pub fn forward(&self, tokens: Tensor<3>, dropout: Option<&mut ChaCha8Rng>) -> Tensor<2> {
        let ([batch, ..], device) = (tokens.dims(), tokens.device());
        let EmbeddingHeadConfig {
            embedding,
            dropout: rate,
            ..
        } = self.config;
        let keep = dropout.filter(|_| rate > 0.0).map(|rng| {
            let mask = dropout_mask([batch, 2 * embedding], rate, rng);
            Tensor::<2>::from_data(mask, &device)
        });
        let drop = |values: Tensor<2>, place: usize| match &keep {
            Some(keep) => values * keep.clone().narrow(1, place * embedding, embedding),
            None => values,
        };
        // A contrastive gradient is a small difference of embeddings; a head is a small part of the work.
        let pooled = drop(self.cross_attention.forward(widen(tokens)), 0);
        probe::output_by_galaxy("head.cross_attention", &pooled);
        let pooled = self.layernorm.forward(pooled);
        let mut output = drop(self.mlp.forward(pooled.clone()), 1);
        if self.config.residual {
            output = pooled + output;
        }
        probe::output_by_galaxy("head", &output);
        output
    }
}

impl EmbeddingHead {
    /// Draws what [`EmbeddingHead::forward`] draws for so many samples that others embed.
    pub fn pass_over(&self, samples: usize, dropout: &mut ChaCha8Rng) {
        let EmbeddingHeadConfig {
            embedding,
            dropout: rate,
            ..
        } = self.config;
        if rate > 0.0 {
            drop(dropout_mask([samples, 2 * embedding], rate, dropout));
        }
    }
}

/// Which tokens of the image transformer its head sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ImageTokens {
    /// All final tokens: class token and patches, with positions (paper sect. 3.3).
    #[default]
    All,
    /// Patches that entered the blocks without class token and positions, as in the released code; its
    /// weights need this.
    BarePatches,
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
    /// What the image head sees.
    #[serde(default)]
    pub image_tokens: ImageTokens,
    /// What the fluxes of an image add to its embedding, if they do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub photometry: Option<PhotometryHeadConfig>,
    /// What the fluxes of a spectrum add to its embedding, if they do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spectrum_photometry: Option<PhotometryHeadConfig>,
}

impl AstroClipConfig {
    /// Checks that such a model can be built; `path` stands in front of the fields' names.
    ///
    /// # Errors
    ///
    /// Names the first field that is out of range.
    pub fn check(&self, path: &str) -> Result<()> {
        self.image.check(&format!("{path}.image"))?;
        self.spectrum.check(&format!("{path}.spectrum"))?;
        let heads = HeadConfigs {
            image: &self.image_head,
            spectrum: &self.spectrum_head,
            image_tokens: self.image_tokens,
            photometry: self.photometry,
            spectrum_photometry: self.spectrum_photometry,
        };
        heads.check(path)
    }
}

/// The heads of an aligned model, to be put on two pretrained transformers.
#[derive(Debug, Clone, Copy)]
pub struct HeadConfigs<'a> {
    /// Head on the image transformer.
    pub image: &'a EmbeddingHeadConfig,
    /// Head on the spectrum transformer.
    pub spectrum: &'a EmbeddingHeadConfig,
    /// What the image head sees.
    pub image_tokens: ImageTokens,
    /// What the fluxes of an image add to its embedding.
    pub photometry: Option<PhotometryHeadConfig>,
    /// What the fluxes of a spectrum add to its embedding.
    pub spectrum_photometry: Option<PhotometryHeadConfig>,
}

impl HeadConfigs<'_> {
    /// Checks that such heads can be built and share one space; `path` stands in front of the fields' names.
    ///
    /// # Errors
    ///
    /// Names the first field that is out of range.
    pub fn check(&self, path: &str) -> Result<()> {
        self.image.check(&format!("{path}.image_head"))?;
        self.spectrum.check(&format!("{path}.spectrum_head"))?;
        if let Some(photometry) = &self.photometry {
            photometry.check(&format!("{path}.photometry"))?;
        }
        if let Some(photometry) = &self.spectrum_photometry {
            photometry.check(&format!("{path}.spectrum_photometry"))?;
        }
        let (image, spectrum) = (self.image.embedding, self.spectrum.embedding);
        Check::at(path).require(
            image == spectrum,
            "spectrum_head.embedding",
            spectrum,
            format!("that of the image head, {image}: both share one space"),
        )
    }
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
    /// On the fluxes of an image.
    pub photometry: Option<PhotometryHead>,
    /// On the fluxes of a spectrum.
    pub spectrum_photometry: Option<PhotometryHead>,
    #[module(skip)]
    image_tokens: ImageTokens,
}

impl AstroClip {
    /// Joins two pretrained transformers by fresh heads.
    pub fn join(
        image: Vit,
        spectrum: SpecFormer,
        heads: HeadConfigs<'_>,
        init: &mut Initializer,
    ) -> Self {
        let embedding = heads.image.embedding;
        let on_fluxes = |config: Option<PhotometryHeadConfig>, init: &mut Initializer| {
            config.map(|config| PhotometryHead::new(&config, embedding, init))
        };
        Self {
            image_head: EmbeddingHead::new(image.config().width, heads.image, init),
            spectrum_head: EmbeddingHead::new(spectrum.config().width, heads.spectrum, init),
            photometry: on_fluxes(heads.photometry, init),
            spectrum_photometry: on_fluxes(heads.spectrum_photometry, init),
            image,
            spectrum,
            image_tokens: heads.image_tokens,
        }
    }

    /// Fresh weights throughout.
    pub fn new(config: &AstroClipConfig, init: &mut Initializer) -> Self {
        let image = Vit::new(&config.image, init);
        let spectrum = SpecFormer::new(&config.spectrum, init);
        let heads = HeadConfigs {
            image: &config.image_head,
            spectrum: &config.spectrum_head,
            image_tokens: config.image_tokens,
            photometry: config.photometry,
            spectrum_photometry: config.spectrum_photometry,
        };
        Self::join(image, spectrum, heads, init)
    }

    /// The architecture.
    pub fn config(&self) -> AstroClipConfig {
        AstroClipConfig {
            image: self.image.config().clone(),
            image_head: self.image_head.config.clone(),
            spectrum: self.spectrum.config().clone(),
            spectrum_head: self.spectrum_head.config.clone(),
            image_tokens: self.image_tokens,
            photometry: self.photometry.as_ref().map(PhotometryHead::config),
            spectrum_photometry: (self.spectrum_photometry.as_ref()).map(PhotometryHead::config),
        }
    }

    /// The tokens of images `(batch, channels, side, side)` that the image head sees, `(batch, tokens,
    /// width)`; `dropper` switches stochastic depth on.
    pub fn image_tokens(
        &self,
        images: Tensor<4>,
        dropper: Option<&mut SampleDropper>,
    ) -> Tensor<3> {
        match self.image_tokens {
            ImageTokens::All => {
                let input = VitInput {
                    images,
                    masks: None,
                };
                self.image.forward(input, dropper)
            }
            ImageTokens::BarePatches => self.image.forward_bare_patches(images, dropper),
        }
    }

    /// What the image transformer alone would embed images as, `(batch, width)`, of the tokens that the image head sees:
    /// the class token; the mean of the patches where there is none.
    pub fn image_features(&self, tokens: Tensor<3>) -> Tensor<2> {
        match self.image_tokens {
            ImageTokens::All => tokens.narrow(1, 0, 1).squeeze_dim(1),
            ImageTokens::BarePatches => tokens.mean_dim(1).squeeze_dim(1),
        }
    }

    /// Embeddings `(batch, embedding)` of the tokens and the fluxes of images (paper eq. 4, without fluxes); the head's
    /// dropout acts when a generator is given.
    ///
    /// # Panics
    ///
    /// Where the model takes fluxes and there are none, or the other way round.
    pub fn image_embeddings(
        &self,
        tokens: Tensor<3>,
        fluxes: Option<Tensor<2>>,
        dropout: Option<&mut ChaCha8Rng>,
    ) -> Tensor<2> {
        let of_tokens = self.image_head.forward(tokens, dropout);
        with_fluxes(of_tokens, self.photometry.as_ref(), fluxes)
    }

    /// The same of the tokens `(batch, tokens, width)` that the spectrum transformer makes, and of the fluxes of spectra.
    ///
    /// # Panics
    ///
    /// Where the model takes fluxes and there are none, or the other way round.
    pub fn spectrum_embeddings(
        &self,
        tokens: Tensor<3>,
        fluxes: Option<Tensor<2>>,
        dropout: Option<&mut ChaCha8Rng>,
    ) -> Tensor<2> {
        let of_tokens = self.spectrum_head.forward(tokens, dropout);
        with_fluxes(of_tokens, self.spectrum_photometry.as_ref(), fluxes)
    }
}

/// The sum of what tokens and fluxes give.
fn with_fluxes(
    of_tokens: Tensor<2>,
    head: Option<&PhotometryHead>,
    fluxes: Option<Tensor<2>>,
) -> Tensor<2> {
    match (head, fluxes) {
        (None, None) => of_tokens,
        (Some(head), Some(fluxes)) => of_tokens + head.forward(fluxes),
        (Some(_), None) => panic!("the model takes fluxes"),
        (None, Some(_)) => panic!("the model takes no fluxes"),
    }
}
