//! Numbers of a model's weights, known before it is built. As floating-point numbers: settings that nobody can build
//! have counts beyond all integers.

use super::{
    AstroClipConfig, ConvAttentionConfig, EmbeddingHeadConfig, PhotometryHeadConfig, ResNetConfig,
    SpecFormerConfig, VitConfig,
};

/// Of a layer with bias.
fn linear(inputs: f64, outputs: f64) -> f64 {
    (inputs + 1.0) * outputs
}

/// Of attention, MLP and two norms.
fn block(width: f64, mlp_ratio: f64) -> f64 {
    let hidden = (width * mlp_ratio).round();
    let attention = linear(width, 3.0 * width) + linear(width, width);
    attention + linear(width, hidden) + linear(hidden, width) + 4.0 * width
}

impl VitConfig {
    /// Numbers in its weights.
    pub fn parameters(&self) -> f64 {
        let width = self.width as f64;
        let patch = self.channels as f64 * (self.patch_size as f64).powi(2);
        let patches = (self.image_size as f64 / self.patch_size as f64).powi(2);
        let layer_scales = 2.0 * width;
        // Class token, mask token, positions; embedding; final norm.
        (3.0 + patches) * width
            + linear(patch, width)
            + self.depth as f64 * (block(width, self.mlp_ratio) + layer_scales)
            + 2.0 * width
    }
}

impl SpecFormerConfig {
    /// Numbers in its weights.
    pub fn parameters(&self) -> f64 {
        let (width, token) = (self.width as f64, self.token_width as f64);
        linear(token, width)
            + self.max_tokens as f64 * width
            + self.depth as f64 * block(width, self.mlp_ratio)
            + 2.0 * width
            + linear(width, token)
    }
}

impl EmbeddingHeadConfig {
    /// Numbers in its weights, on tokens of `width`.
    pub fn parameters(&self, width: usize) -> f64 {
        let embedding = self.embedding as f64;
        let hidden = (embedding * self.mlp_ratio).round();
        let (same, other) = (
            linear(embedding, embedding),
            linear(width as f64, embedding),
        );
        // Query; projections of query and output, of keys and values; norm; MLP.
        embedding
            + 2.0 * (same + other)
            + 2.0 * embedding
            + linear(embedding, hidden)
            + linear(hidden, embedding)
    }
}

impl PhotometryHeadConfig {
    /// Numbers in its weights, for embeddings that are so wide.
    pub fn parameters(&self, embedding: usize) -> f64 {
        let [inputs, hidden] = [self.inputs, self.hidden].map(|size| size as f64);
        linear(inputs, hidden) + linear(hidden, hidden) + linear(hidden, embedding as f64)
    }
}

impl AstroClipConfig {
    /// Numbers in its weights.
    pub fn parameters(&self) -> f64 {
        self.image.parameters()
            + self.image_head.parameters(self.image.width)
            + self.spectrum.parameters()
            + self.spectrum_head.parameters(self.spectrum.width)
            + [self.photometry, self.spectrum_photometry]
                .into_iter()
                .flatten()
                .map(|head| head.parameters(self.image_head.embedding))
                .sum::<f64>()
    }
}

impl ResNetConfig {
    /// Numbers in its weights, from images of so many bands to so many outputs.
    pub fn parameters(&self, bands: usize, outputs: usize) -> f64 {
        let width = self.width as f64;
        // Two convolutions and their norms, of which each has means and variances too.
        let half = |inputs: f64, outputs: f64| 9.0 * (inputs + outputs) * outputs + 8.0 * outputs;
        let shortcut = |inputs: f64, outputs: f64| inputs * outputs + 4.0 * outputs;
        let mut count = 49.0 * bands as f64 * width + 4.0 * width + 2.0 * half(width, width);
        for inputs in [width, 2.0 * width, 4.0 * width] {
            let outputs = 2.0 * inputs;
            count += half(inputs, outputs) + shortcut(inputs, outputs) + half(outputs, outputs);
        }
        count + linear(8.0 * width, outputs as f64)
    }
}

impl ConvAttentionConfig {
    /// Numbers in its weights, to so many outputs.
    pub fn parameters(&self, outputs: usize) -> f64 {
        let (mut count, mut inputs) = (0.0, 1.0);
        // A slope beside each bias.
        for (&channels, &kernel) in self.channels.iter().zip(&self.kernels) {
            count += (inputs * kernel as f64 + 2.0) * channels as f64;
            inputs = channels as f64;
        }
        inputs /= 2.0;
        for &hidden in &self.hidden {
            count += (inputs + 2.0) * hidden as f64;
            inputs = hidden as f64;
        }
        count + linear(inputs, outputs as f64)
    }
}

#[cfg(test)]
mod tests {
    use burn::module::Module;
    use burn::tensor::Device;

    use super::super::{AstroClip, ConvAttention, ImageTokens, ResNet18};
    use super::*;
    use crate::network::nn::{Initializer, PrototypeHead, PrototypeHeadConfig};

    #[test]
    fn counts_are_those_of_models_that_are_built() {
        let head = |embedding, mlp_ratio| EmbeddingHeadConfig {
            embedding,
            heads: 2,
            mlp_ratio,
            dropout: 0.0,
            residual: true,
        };
        let config = AstroClipConfig {
            image: VitConfig {
                image_size: 24,
                patch_size: 6,
                channels: 4,
                width: 10,
                depth: 3,
                heads: 2,
                mlp_ratio: 2.55,
                layer_scale: 0.1,
                drop_path: 0.0,
            },
            image_head: head(8, 3.0),
            spectrum: SpecFormerConfig {
                token_width: 7,
                max_tokens: 9,
                width: 6,
                depth: 2,
                heads: 3,
                mlp_ratio: 4.0,
            },
            spectrum_head: head(8, 1.5),
            image_tokens: ImageTokens::All,
            photometry: Some(PhotometryHeadConfig {
                inputs: 5,
                hidden: 3,
            }),
            spectrum_photometry: Some(PhotometryHeadConfig {
                inputs: 4,
                hidden: 7,
            }),
        };
        let mut init = Initializer::new(0, &Device::flex());
        let model = AstroClip::new(&config, &mut init);
        assert_eq!(config.image.parameters(), model.image.num_params() as f64);
        assert_eq!(
            config.spectrum.parameters(),
            model.spectrum.num_params() as f64
        );
        assert_eq!(config.parameters(), model.num_params() as f64);

        let config = ResNetConfig { width: 2 };
        let count = ResNet18::new(&config, (3, 5), &mut init).num_params();
        assert_eq!(config.parameters(3, 5), count as f64);

        let config = ConvAttentionConfig::default();
        let count = ConvAttention::new(&config, 5, &mut init).num_params();
        assert_eq!(config.parameters(5), count as f64);

        let config = PrototypeHeadConfig {
            hidden: 5,
            layers: 3,
            bottleneck: 4,
            prototypes: 9,
        };
        let count = PrototypeHead::new(7, &config, &mut init).num_params();
        assert_eq!(config.parameters(7), count as f64);
    }
}
