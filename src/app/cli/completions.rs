//! Arguments of `completions`.

use clap::Args;
use clap_complete::Shell;

/// Arguments of `completions`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    astroclip completions bash > ~/.local/share/bash-completion/completions/astroclip\n  \
    astroclip completions zsh > \"${fpath[1]}/_astroclip\"\n  \
    astroclip completions fish > ~/.config/fish/completions/astroclip.fish\n\n\
    A shell that is started afterwards completes commands, options and their values.")]
pub struct Completions {
    /// The shell.
    pub shell: Shell,
}
