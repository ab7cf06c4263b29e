//! The paper's three models at full definition: image transformer, spectrum transformer, and the two
//! joined by cross-attention heads.

mod astroclip;
mod specformer;
mod vit;

pub use astroclip::{
    AstroClip, AstroClipConfig, EmbeddingHead, EmbeddingHeadConfig, HeadConfigs, ImageTokens,
};
pub use specformer::{SpecFormer, SpecFormerConfig};
pub use vit::{Vit, VitConfig, VitInput};
