//! Arguments of `check`.

use std::path::PathBuf;

use clap::Args;

use super::{ReadArg, SurveyArg};

/// Arguments of `check`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  astroclip check\n  astroclip check survey.h5\n  astroclip check coadds/ --json\n\n\
    A galaxy cannot be used where its image or spectrum holds a NaN, an infinity or a value beyond ±1e10 (nanomaggies, \
    1e-17 erg/s/cm²/Å: brighter than anything in the sky), a band is missing (zero in \
    more than half of its pixels), the spectrum is zero everywhere, or the file is damaged at its place; `embed` and training leave them out with --skip-bad. Exits with 2 where there is \
    one, where the files do not go together, and where values are hardly in the units that they are taken for: images \
    of the Legacy Surveys whose sky is not near 0 nanomaggies, flux that is not in 1e-17 erg/s/cm²/Å."
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
