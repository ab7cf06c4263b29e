//! Arguments of `plot`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{DataArg, DeviceArg, LabelsArg, OneModelArg};
use crate::survey::Modality;

/// What `plot` can draw.
#[derive(Debug, Subcommand)]
pub enum PlotTask {
    /// Parts of spectra that are hidden from the encoder, and what it predicts there (paper Fig. D2).
    #[command(
        after_help = "Examples:\n  astroclip plot reconstruction --out reconstruction.svg\n  \
        astroclip plot reconstruction --weights runs/tiny-specformer/model.safetensors \\\n    \
        --data survey.h5 --out reconstruction.svg"
    )]
    Reconstruction(PlotReconstruction),
    /// What each head of the cross-attention looks at, in spectra or images (paper Fig. D1).
    #[command(
        after_help = "Examples:\n  astroclip plot attention --of spectrum --out attention.svg\n  \
        astroclip plot attention --weights runs/tiny-align/model.safetensors \\\n    \
        --data survey.h5 --of spectrum --out attention.svg"
    )]
    Attention(PlotAttention),
    /// A map of embeddings in two dimensions (t-SNE), coloured by redshift or any column of a table.
    #[command(
        after_help = "Examples:\n  astroclip plot map --out map.png\n  astroclip plot map emb.h5 --of image --out map.png\n  \
        astroclip plot map emb.h5 --labels survey.h5 --colour LOG_MSTAR --out mass.png"
    )]
    Map(PlotMap),
}

/// Arguments of `plot reconstruction`.
#[derive(Debug, Args)]
pub struct PlotReconstruction {
    /// Pretrained spectrum encoder [default: the newest in runs].
    #[arg(long, value_name = "MODEL")]
    pub weights: Option<PathBuf>,
    /// Survey files.
    #[command(flatten)]
    pub data: DataArg,
    /// Picture to write, .svg or .png.
    #[arg(long, value_name = "PICTURE")]
    pub out: PathBuf,
    /// Galaxies to draw, of the test split.
    #[arg(long, default_value_t = 4, value_name = "N")]
    pub galaxies: usize,
    /// Parts that are hidden of each spectrum.
    #[arg(long, default_value_t = 6, value_name = "N")]
    pub segments: usize,
    /// Tokens of a hidden part [default: the fraction of a spectrum that the paper hides].
    #[arg(long, value_name = "TOKENS")]
    pub width: Option<usize>,
    /// Seed of the hidden parts.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Device.
    #[command(flatten)]
    pub device: DeviceArg,
    /// Print the summary as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `plot attention`.
#[derive(Debug, Args)]
pub struct PlotAttention {
    /// Aligned model [default: the newest in runs].
    #[arg(long, value_name = "MODEL")]
    pub weights: Option<PathBuf>,
    /// Survey files.
    #[command(flatten)]
    pub data: DataArg,
    /// Which of the two transformers' tokens.
    #[arg(long, default_value = "spectrum")]
    pub of: Modality,
    /// Picture to write, .svg or .png.
    #[arg(long, value_name = "PICTURE")]
    pub out: PathBuf,
    /// Galaxies to draw, of the test split.
    #[arg(long, default_value_t = 4, value_name = "N")]
    pub galaxies: usize,
    /// Device.
    #[command(flatten)]
    pub device: DeviceArg,
    /// Print the summary as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `plot map`.
#[derive(Debug, Args)]
pub struct PlotMap {
    /// What to draw.
    #[command(flatten)]
    pub drawn: OneModelArg,
    /// Which embeddings.
    #[arg(long, default_value = "image")]
    pub of: Modality,
    /// What the colour shows: redshift, log_mstar, log_z_mw, tage_mw, log_ssfr, or a column of the tables.
    #[arg(long, default_value = "redshift", value_name = "COLUMN")]
    pub colour: String,
    /// Labels.
    #[command(flatten)]
    pub labels: LabelsArg,
    /// Galaxies to draw at most, spread evenly over the file.
    #[arg(long, default_value_t = 5000, value_name = "N")]
    pub galaxies: usize,
    /// Picture to write, .svg or .png.
    #[arg(long, value_name = "PICTURE")]
    pub out: PathBuf,
    /// Print the summary as JSON.
    #[arg(long)]
    pub json: bool,
}
