//! Arguments of `import`.

use std::path::PathBuf;

use clap::Args;

/// Arguments of `import`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  astroclip import astroclip.ckpt --out astroclip.safetensors\n  \
    astroclip embed --weights astroclip.safetensors --data survey.h5 --out emb.h5\n\n\
    Reads astrodino, specformer and astroclip checkpoints (.ckpt, .pth, .pt) and safetensors files with the same \
    names; which it is follows from the tensors. Nothing in the file is executed."
)]
pub struct Import {
    /// Released weights.
    pub file: PathBuf,
    /// Model file to write.
    #[arg(long, value_name = "MODEL")]
    pub out: PathBuf,
    /// Attention heads of the image transformer [default: what the file says, else its width / 64].
    #[arg(long, value_name = "N")]
    pub image_heads: Option<usize>,
    /// Attention heads of the spectrum transformer [default: what the file says, else 6].
    #[arg(long, value_name = "N")]
    pub spectrum_heads: Option<usize>,
    /// Heads of the cross-attention [default: what the file says, else 4].
    #[arg(long, value_name = "N")]
    pub embedding_heads: Option<usize>,
    /// Print the summary as JSON.
    #[arg(long)]
    pub json: bool,
}
