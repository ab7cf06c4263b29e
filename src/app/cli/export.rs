//! Arguments of `export`.

use std::path::PathBuf;

use clap::Args;

use crate::network::released::ExportFormat;

/// Arguments of `export`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  astroclip export --to released --out astroclip.ckpt\n  \
    astroclip export runs/align/model.safetensors --to released --out astroclip.ckpt\n  \
    python -c \"import torch; print(torch.load('astroclip.ckpt')['state_dict'].keys())\"\n\n\
    Names and shapes are those of the released code in both formats, so that load_state_dict takes them."
)]
pub struct Export {
    /// Model file [default: the newest aligned one in runs, or the newest encoder if none is aligned].
    pub model: Option<PathBuf>,
    /// released: a PyTorch checkpoint, nested as the released ones; safetensors: its state dictionary.
    #[arg(long, value_name = "FORMAT")]
    pub to: ExportFormat,
    /// File to write.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Print the summary as JSON.
    #[arg(long)]
    pub json: bool,
}
