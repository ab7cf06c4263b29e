//! Arguments of `simulate`.

use std::path::PathBuf;

use clap::Args;

use crate::simulate::Variant;

/// Arguments of `simulate`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  astroclip simulate --out survey.h5\n  \
    astroclip simulate --galaxies 2000 --seed 1 --out survey.h5\n  \
    astroclip simulate --galaxies 400 --seed 2 --variant dusty --out dusty.h5     a survey that no model was trained on")]
pub struct Simulate {
    /// Number of galaxies.
    #[arg(long, default_value_t = 2000)]
    pub galaxies: usize,
    /// Seed; the same seed gives the same survey.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// In what the survey differs from the usual one.
    #[arg(long, default_value = "standard", value_name = "NAME")]
    pub variant: Variant,
    /// Survey file to write.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Print the summary as JSON.
    #[arg(long)]
    pub json: bool,
}
