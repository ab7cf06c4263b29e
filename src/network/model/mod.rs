//! The paper's models at full definition: image transformer, spectrum transformer, the two joined by
//! cross-attention heads, what is fine-tuned of these, and the networks of the supervised baselines.

mod astroclip;
mod conv_attention;
mod finetuned;
mod flops;
mod image_features;
mod parameters;
mod photometry_head;
mod regressor;
mod resnet;
mod specformer;
mod token_segments;
mod vit;

pub use astroclip::{AstroClip, AstroClipConfig, EmbeddingHeadConfig, HeadConfigs, ImageTokens};
pub use conv_attention::{ConvAttention, ConvAttentionConfig};
pub use finetuned::{Backbone, FineTuned, RegressionHead, RegressionHeadConfig, Tower};
pub use image_features::ImageFeaturesConfig;
pub use photometry_head::{PhotometryHead, PhotometryHeadConfig};
pub use regressor::{Pass, Regressor};
pub use resnet::{ResNet18, ResNetConfig};
pub use specformer::{SpecFormer, SpecFormerConfig};
pub use token_segments::{SpectrumFeaturesConfig, segment_means};
pub use vit::{POSITION_OFFSET, Vit, VitConfig, VitInput};

use crate::base::error::{Check, Result};

/// Largest extent of anything in a model; what is larger is a slip or a damaged file.
const MOST: usize = 1 << 16;
/// Largest ratio of widths.
const MOST_RATIO: f64 = 64.0;

fn check_heads(check: Check<'_>, width: usize, heads: usize) -> Result<()> {
    let holds = heads > 0 && width.is_multiple_of(heads);
    check.require(
        holds,
        "heads",
        heads,
        format!("a divisor of the width {width}"),
    )
}

/// A hidden layer has at least one unit.
fn check_mlp_ratio(check: Check<'_>, width: usize, ratio: f64) -> Result<()> {
    let holds = ratio <= MOST_RATIO && (width as f64 * ratio).round() >= 1.0;
    check.require(
        holds,
        "mlp_ratio",
        ratio,
        format!("a number of at most {MOST_RATIO} that leaves a hidden width of at least 1"),
    )
}
