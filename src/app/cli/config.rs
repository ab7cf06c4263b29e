//! Arguments of `config`.

use clap::{Args, Subcommand};

/// Arguments of `config`.
#[derive(Debug, Args)]
pub struct Config {
    /// What to do with the presets.
    #[command(subcommand)]
    pub action: ConfigAction,
}

/// What `config` can do.
#[derive(Debug, Subcommand)]
pub enum ConfigAction {
    /// List the presets.
    #[command(after_help = "Examples:\n  astroclip config list\n  astroclip config list --json")]
    List {
        /// Print as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print a preset, to be changed and passed back with --config.
    #[command(
        after_help = "Example:\n  astroclip config show tiny-vit > mine.toml\n  \
        astroclip pretrain-image --config mine.toml --data survey.h5"
    )]
    Show {
        /// Name of the preset, with or without .toml.
        name: String,
    },
}
