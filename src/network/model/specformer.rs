//! The transformer of spectra.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::base::error::{Check, Result};
use crate::network::nn::{
    Block, BlockConfig, Factors, Initializer, LayerNorm, Linear, Packed, entering, probe,
};

/// LayerNorm epsilon of the released SpecFormer.
const EPSILON: f64 = 1e-5;

/// Spectrum transformer (paper sect. 3.2 and appendix B2).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpecFormerConfig {
    /// Width of an input token: the section length and two columns for mean and deviation.
    pub token_width: usize,
    /// Longest sequence for which positions are learned.
    pub max_tokens: usize,
    /// Width of a token inside.
    pub width: usize,
    /// Number of blocks.
    pub depth: usize,
    /// Attention heads; `width` is a multiple.
    pub heads: usize,
    /// Hidden width of a block's MLP over `width`.
    pub mlp_ratio: f64,
}

impl SpecFormerConfig {
    /// Checks that such a transformer can be built; `path` stands in front of the fields' names.
    ///
    /// # Errors
    ///
    /// Names the first field that is out of range.
    pub fn check(&self, path: &str) -> Result<()> {
        let check = Check::at(path);
        check.count("width", self.width, 1..=super::MOST)?;
        check.count("depth", self.depth, 1..=super::MOST)?;
        check.count("token_width", self.token_width, 1..=super::MOST)?;
        check.count("max_tokens", self.max_tokens, 1..=super::MOST)?;
        super::check_heads(check, self.width, self.heads)?;
        super::check_mlp_ratio(check, self.width, self.mlp_ratio)
    }
}

/// The spectrum transformer with its reconstruction layer.
#[derive(Module, Debug)]
pub struct SpecFormer {
    /// From an input token to the model's width.
    pub data_embed: Linear,
    /// Learned positions, `(max_tokens, width)`.
    pub position_embed: Param<Tensor<2>>,
    /// Transformer blocks.
    pub blocks: Vec<Block>,
    /// Final norm of all tokens.
    pub final_layernorm: LayerNorm,
    /// Back to an input token, for the reconstruction.
    pub head: Linear,
    #[module(skip)]
    config: SpecFormerConfig,
}

impl SpecFormer {
    /// Fresh weights, normal with deviation (2 · fan-in · depth)^(-1/2) (paper sect. 3.2, note 6).
    pub fn new(config: &SpecFormerConfig, init: &mut Initializer) -> Self {
        let std = |fan_in: f64| (2.0 * fan_in * config.depth as f64).sqrt().recip() as f32;
        let width = config.width as f64;
        let block = BlockConfig {
            width: config.width,
            heads: config.heads,
            mlp_ratio: config.mlp_ratio,
            layer_scale: None,
            epsilon: EPSILON,
            std: (std(width), std(width * config.mlp_ratio)),
        };
        Self {
            data_embed: Linear::new(
                config.token_width,
                config.width,
                std(config.token_width as f64),
                init,
            ),
            position_embed: init.truncated_normal([config.max_tokens, config.width], std(width)),
            blocks: (0..config.depth)
                .map(|_| Block::new(&block, init))
                .collect(),
            final_layernorm: LayerNorm::new(config.width, EPSILON, init),
            head: Linear::new(config.width, config.token_width, std(width), init),
            config: config.clone(),
        }
    }

    /// The architecture.
    pub fn config(&self) -> &SpecFormerConfig {
        &self.config
    }

    /// Normalized tokens `(batch, tokens, width)` of `(batch, tokens, token_width)`.
    pub fn forward(&self, tokens: Tensor<3>) -> Tensor<3> {
        self.transform(tokens).0
    }

    /// [`SpecFormer::forward`], and what layers multiply.
    fn transform(&self, tokens: Tensor<3>) -> (Tensor<3>, Factors) {
        let (tokens, factors) = entering(tokens);
        let [_, count, _] = tokens.dims();
        let positions = self.position_embed.val().narrow(0, 0, count);
        let hidden = self.data_embed.multiply(tokens, factors);
        let positions = positions.cast(hidden.dtype()).unsqueeze();
        let mut hidden = Packed::new(vec![hidden + positions], factors);
        probe::sequences("data_embed", &hidden);
        for (index, block) in self.blocks.iter().enumerate() {
            hidden = probe::scope(format_args!("blocks.{index}"), || {
                let hidden = block.forward(hidden, None);
                probe::sequences("sum", &hidden);
                hidden
            });
        }
        let tokens = hidden.map(|rows| self.final_layernorm.forward(rows));
        probe::sequences("final_layernorm", &tokens);
        (tokens.unpack().remove(0), factors)
    }

    /// Mean tokens `(batch, width)` of `(batch, tokens, token_width)`: the embeddings of spectra.
    pub fn mean_token(&self, tokens: Tensor<3>) -> Tensor<2> {
        self.pooled(self.forward(tokens))
    }

    /// The mean `(batch, width)` of normalized tokens `(batch, tokens, width)`.
    pub fn pooled(&self, tokens: Tensor<3>) -> Tensor<2> {
        tokens.mean_dim(1).squeeze_dim(1)
    }

    /// Input tokens as the model believes them to be, `(batch, tokens, token_width)`.
    pub fn reconstruct(&self, tokens: Tensor<3>) -> Tensor<3> {
        let (tokens, factors) = self.transform(tokens);
        let tokens = self.head.multiply(tokens, factors);
        probe::output_by_galaxy("head", &tokens);
        tokens
    }
}
