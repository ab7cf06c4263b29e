//! The transformer block.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::{Initializer, LayerNorm, Mlp, Packed, SampleDropper, SelfAttention, probe};

/// Shape of a transformer block and its initial weights.
#[derive(Debug, Clone, Copy)]
pub struct BlockConfig {
    /// Width of a token.
    pub width: usize,
    /// Attention heads; `width` is a multiple.
    pub heads: usize,
    /// Hidden width of the MLP over `width`.
    pub mlp_ratio: f64,
    /// Initial LayerScale, none without.
    pub layer_scale: Option<f32>,
    /// LayerNorm epsilon.
    pub epsilon: f64,
    /// Standard deviation of the initial weights of layers with `width` inputs, and of the MLP's
    /// second layer.
    pub std: (f32, f32),
}

/// A pre-norm transformer block: attention and MLP, each on a residual branch.
#[derive(Module, Debug)]
pub struct Block {
    /// Before the attention.
    pub norm1: LayerNorm,
    /// Self-attention.
    pub attn: SelfAttention,
    /// LayerScale of the attention branch.
    pub ls1: Option<LayerScale>,
    /// Before the MLP.
    pub norm2: LayerNorm,
    /// Token-wise MLP.
    pub mlp: Mlp,
    /// LayerScale of the MLP branch.
    pub ls2: Option<LayerScale>,
}

/// A learned factor per channel on a residual branch (Touvron et al. 2021).
#[derive(Module, Debug)]
pub struct LayerScale {
    /// `(width,)`.
    pub gamma: Param<Tensor<1>>,
}

impl Block {
    /// A block with fresh weights.
    pub fn new(config: &BlockConfig, init: &mut Initializer) -> Self {
        let BlockConfig {
            width,
            heads,
            mlp_ratio,
            layer_scale,
            epsilon,
            std,
        } = *config;
        let hidden = (width as f64 * mlp_ratio).round() as usize;
        let scale = |init: &mut Initializer| {
            layer_scale.map(|value| LayerScale {
                gamma: init.constant([width], value),
            })
        };
        Self {
            norm1: LayerNorm::new(width, epsilon, init),
            attn: SelfAttention::new(width, heads, std.0, init),
            ls1: scale(init),
            norm2: LayerNorm::new(width, epsilon, init),
            mlp: Mlp::new(width, hidden, std, init),
            ls2: scale(init),
        }
    }

    /// Sequences to the same; `dropper` switches stochastic depth on.
    pub fn forward(&self, input: Packed, dropper: Option<&mut SampleDropper>) -> Packed {
        let attention = |x: Packed| {
            let normalized = self.norm1.forward(x.rows());
            let output = self.attn.forward(normalized, x.groups(), x.factors());
            probe::output("attn", &output);
            output
        };
        let mlp = |x: Packed| {
            let normalized = self.norm2.forward(x.rows());
            let output = self.mlp.multiply(normalized, x.factors());
            probe::output("mlp", &output);
            output
        };
        let [first, second] =
            [&self.ls1, &self.ls2].map(|scale| scale.as_ref().map(|scale| scale.gamma.val()));
        match dropper {
            Some(dropper) => {
                let middle = dropper.residual(input, first, attention);
                dropper.residual(middle, second, mlp)
            }
            None => input.residual(first, attention).residual(second, mlp),
        }
    }
}
