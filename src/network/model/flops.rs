//! Floating-point operations, as `benches/README.md` counts them: two for a multiply-add, none for element-wise work.

use super::{SpecFormerConfig, VitConfig};

impl VitConfig {
    /// Of the blocks, forward, for an image of `size * size` pixels.
    pub fn blocks_flops(&self, size: usize) -> f64 {
        self.depth as f64 * block(self.width, self.mlp_ratio, 1 + self.patches(size))
    }

    /// Of the patch embedding, forward, for an image of `size * size` pixels.
    pub fn embedding_flops(&self, size: usize) -> f64 {
        let pixels = self.channels * self.patch_size.pow(2);
        (2 * self.patches(size) * pixels * self.width) as f64
    }
}

impl SpecFormerConfig {
    /// Of one inference of a spectrum of `tokens`.
    pub fn inference_flops(&self, tokens: usize) -> f64 {
        self.blocks_flops(tokens) + self.layer_flops(tokens)
    }

    /// Of one step of masked modelling, for a spectrum of `tokens`: the backward pass is twice the forward one, and
    /// the input needs no gradient.
    pub fn step_flops(&self, tokens: usize) -> f64 {
        let (embedding, head) = (2.0, 3.0);
        3.0 * self.blocks_flops(tokens) + (embedding + head) * self.layer_flops(tokens)
    }

    fn blocks_flops(&self, tokens: usize) -> f64 {
        self.depth as f64 * block(self.width, self.mlp_ratio, tokens)
    }

    /// Of the layer before the blocks, or of the one after them.
    fn layer_flops(&self, tokens: usize) -> f64 {
        (2 * tokens * self.token_width * self.width) as f64
    }
}

/// Of one block: per token 3 w² + w² multiply-adds for queries, keys, values and projection, 2 r w² for the MLP; and
/// 2 t² w for the scores and the weighted values.
fn block(width: usize, mlp_ratio: f64, tokens: usize) -> f64 {
    let (width, tokens) = (width as f64, tokens as f64);
    2.0 * tokens * (4.0 + 2.0 * mlp_ratio) * width.powi(2) + 4.0 * tokens.powi(2) * width
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `scripts/bench_torch.py` gives, whose count `scripts/check_bench_torch.py` compares with PyTorch's own.
    #[test]
    fn operations_of_the_papers_spectrum_transformer() {
        let config = SpecFormerConfig {
            token_width: 22,
            max_tokens: 800,
            width: 768,
            depth: 6,
            heads: 6,
            mlp_ratio: 4.0,
        };
        assert_eq!(config.step_flops(778), 231_838_722_048.0);
        assert_eq!(config.inference_flops(778), 77_262_047_232.0);
    }
}
