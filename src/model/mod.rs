//! The paper's models at full definition: image transformer, spectrum transformer, the two joined by
//! cross-attention heads, and the networks of the supervised baselines.

mod astroclip;
mod conv_attention;
mod flops;
mod regressor;
mod resnet;
mod specformer;
mod vit;

pub use astroclip::{
    AstroClip, AstroClipConfig, EmbeddingHead, EmbeddingHeadConfig, HeadConfigs, ImageTokens,
};
pub use conv_attention::{ConvAttention, ConvAttentionConfig, ConvolutionBlock, HiddenLayer};
pub use regressor::{Pass, Regressor};
pub use resnet::{BasicBlock, ResNet18, ResNetConfig};
pub use specformer::{SpecFormer, SpecFormerConfig};
pub use vit::{Vit, VitConfig, VitInput};

use crate::error::{Error, Result};

/// Largest extent of anything in a model; what is larger is a slip or a damaged file.
const MOST: usize = 1 << 16;

fn check_size(key: &str, field: &str, value: usize) -> Result<()> {
    match (1..=MOST).contains(&value) {
        true => Ok(()),
        false => Err(Error::input(format!(
            "`{key}.{field}` is {value}; expected 1 to {MOST}"
        ))),
    }
}

fn check_heads(key: &str, width: usize, heads: usize) -> Result<()> {
    match heads > 0 && width.is_multiple_of(heads) {
        true => Ok(()),
        false => Err(Error::input(format!(
            "`{key}.heads` is {heads}; expected a divisor of the width {width}"
        ))),
    }
}

fn check_mlp_ratio(key: &str, ratio: f64) -> Result<()> {
    match ratio > 0.0 && ratio <= 64.0 {
        true => Ok(()),
        false => Err(Error::input(format!(
            "`{key}.mlp_ratio` is {ratio}; expected a number above 0 and at most 64"
        ))),
    }
}

fn check_share(key: &str, field: &str, value: f64) -> Result<()> {
    match (0.0..1.0).contains(&value) {
        true => Ok(()),
        false => Err(Error::input(format!(
            "`{key}.{field}` is {value}; expected a share in [0, 1)"
        ))),
    }
}
