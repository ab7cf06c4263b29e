//! Arguments of `check`.

use std::path::PathBuf;

use clap::Args;

use super::{ReadArg, SurveyArg};

/// Arguments of `check`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  astroclip check\n  astroclip check survey.h5\n  astroclip check coadds/ --json\n\n\
    A galaxy cannot be used where its image or spectrum holds a NaN or an infinity, a band is missing (zero in \
    more than half of its pixels), the spectrum is zero everywhere, or the file is damaged at its place. Exits with 2 where there is one; `embed` and training leave \
    them out with --skip-bad."
)]
pub struct Check {
    /// Survey files, folders of them, or patterns [default: those of ASTROCLIP_DATA, else the one survey in the current
    /// folder].
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// What the galaxies are like.
    #[command(flatten)]
    pub survey: SurveyArg,
    /// How the files are read.
    #[command(flatten)]
    pub read: ReadArg,
    /// Print as JSON.
    #[arg(long)]
    pub json: bool,
}
