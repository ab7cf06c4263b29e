//! Arguments of `man`.

use std::path::PathBuf;

use clap::Args;

/// Arguments of `man`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  astroclip man eval redshift | man -l -\n  \
    astroclip man --out ~/.local/share/man/man1\n  \
    man astroclip-eval-redshift")]
pub struct Man {
    /// The command whose page is printed [default: astroclip itself].
    #[arg(value_name = "COMMAND")]
    pub command: Vec<String>,
    /// Write the pages of all commands into this folder.
    #[arg(long, value_name = "FOLDER", conflicts_with = "command")]
    pub out: Option<PathBuf>,
}
