//! Arguments of `inspect`.

use std::path::PathBuf;

use clap::Args;

use super::{ReadArg, ShardsArg, SurveyArg};

/// Arguments of `inspect`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  astroclip inspect\n  astroclip inspect survey.h5 --plot survey.png\n  \
    astroclip inspect runs/tiny-align/model.safetensors\n  astroclip inspect 'emb-*.h5'"
)]
pub struct Inspect {
    /// Survey file, embedding file, table, model, checkpoint of a run, or released weights; shards of an embedding, or a
    /// pattern of them, as one [default: all that the current folder holds].
    pub file: Vec<PathBuf>,
    /// Shards.
    #[command(flatten)]
    pub shards: ShardsArg,
    /// Draw some galaxies of a survey file, pictures and spectra, to this PNG or SVG file.
    #[arg(long, value_name = "PICTURE", requires = "file")]
    pub plot: Option<PathBuf>,
    /// What a survey's galaxies are like.
    #[command(flatten)]
    pub survey: SurveyArg,
    /// How a survey file is read.
    #[command(flatten)]
    pub read: ReadArg,
    /// Print as JSON.
    #[arg(long)]
    pub json: bool,
}
