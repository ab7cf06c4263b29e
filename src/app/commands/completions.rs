//! `astroclip completions`.

use clap::CommandFactory;

use super::print;
use crate::app::cli::{Cli, Completions};
use crate::base::error::Result;

pub(super) fn run(args: &Completions) -> Result<()> {
    let mut script = Vec::new();
    let mut command = Cli::command();
    let name = command.get_name().to_owned();
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    print(&String::from_utf8_lossy(&script))
}
