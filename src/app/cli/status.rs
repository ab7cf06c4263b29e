//! Arguments of `status`.

use std::path::PathBuf;

use clap::Args;

/// Arguments of `status`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  astroclip status\n  astroclip status runs/vitl --watch\n  astroclip status runs/vitl --json\n\n\
    Reads what the run writes, from any machine that sees its folder, and disturbs nothing. Whether a process works on it \
    is told by a lock, which ends with the process; on file systems without locks it is not told."
)]
pub struct Status {
    /// Run folders, or folders of them [default: runs].
    #[arg(value_name = "RUN")]
    pub runs: Vec<PathBuf>,
    /// Look again every so many seconds, until no process works on them.
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "5",
        value_parser = clap::value_parser!(u64).range(1..), conflicts_with = "json")]
    pub watch: Option<u64>,
    /// Print as JSON, with all processes that have worked on each run.
    #[arg(long)]
    pub json: bool,
}
