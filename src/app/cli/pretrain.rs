//! Arguments of `pretrain-image` and `pretrain-spectrum`.

use std::path::PathBuf;

use clap::Args;

use super::{ConfigArg, DeviceArg, RunArg};

/// Arguments of `pretrain-image`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  astroclip pretrain-image\n  \
    astroclip pretrain-image --resume\n  \
    astroclip pretrain-image --config tiny-vit --data survey.h5 --set train.steps=200\n  \
    astroclip pretrain-image --config vits --data survey.h5 --init dinov2_vits14_pretrain.pth\n\n\
    The paper's recipe: --config vitl.toml. A run file of one's own may start from another: base = \"tiny-vit\", and may \
    name its files: [data] files = [\"survey.h5\"]. The run folder gets config.toml, inputs.json (the files), \
    metrics.jsonl, checkpoints/ and model.safetensors.")]
pub struct PretrainImage {
    /// Configuration.
    #[command(flatten)]
    pub config: ConfigArg,
    /// Run.
    #[command(flatten)]
    pub run: RunArg,
    /// Weights that student and teacher begin with: an image encoder or an aligned model of astroclip, AstroDINO, or a
    /// public DINOv2 ViT (.pth or safetensors) of the width, depth and heads of the run; patches, positions and bands are
    /// fitted to the run's [default: fresh weights].
    #[arg(long, value_name = "FILE")]
    pub init: Option<PathBuf>,
    /// Device.
    #[command(flatten)]
    pub device: DeviceArg,
    /// Print the summary as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `pretrain-spectrum`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  astroclip pretrain-spectrum\n  \
    astroclip pretrain-spectrum --resume\n  \
    astroclip pretrain-spectrum --config tiny-specformer --data survey.h5 --out runs/spectrum\n\n\
    The paper's recipe: --config specformer.toml.")]
pub struct PretrainSpectrum {
    /// Configuration.
    #[command(flatten)]
    pub config: ConfigArg,
    /// Run.
    #[command(flatten)]
    pub run: RunArg,
    /// Device.
    #[command(flatten)]
    pub device: DeviceArg,
    /// Print the summary as JSON.
    #[arg(long)]
    pub json: bool,
}
