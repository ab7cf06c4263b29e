//! Arguments of `align`.

use std::path::PathBuf;

use clap::Args;

use super::{ConfigArg, DeviceArg, RunArg};

/// Arguments of `align`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  astroclip align\n  astroclip align --data survey.h5 \\\n    \
    --image-encoder runs/tiny-vit/model.safetensors \\\n    \
    --spectrum-encoder runs/tiny-specformer/model.safetensors\n  \
    astroclip align --teacher large.emb.h5\n\n\
    Without --image-encoder or --spectrum-encoder the newest of the runs folder are taken, without --data what they \
    were trained on. Where only one encoder is there, the other is pretrained first, by its default preset."
)]
pub struct Align {
    /// Configuration.
    #[command(flatten)]
    pub config: ConfigArg,
    /// Run.
    #[command(flatten)]
    pub run: RunArg,
    /// Pretrained image encoder [default: the newest beside the run folder].
    #[arg(long, value_name = "MODEL")]
    pub image_encoder: Option<PathBuf>,
    /// Pretrained spectrum encoder [default: the newest beside the run folder].
    #[arg(long, value_name = "MODEL")]
    pub spectrum_encoder: Option<PathBuf>,
    /// Embeddings of the same galaxies by another model, which those of this one shall come near to.
    #[arg(long, value_name = "EMBEDDINGS")]
    pub teacher: Option<PathBuf>,
    /// Device.
    #[command(flatten)]
    pub device: DeviceArg,
    /// Print the summary as JSON.
    #[arg(long)]
    pub json: bool,
}
