//! `astroclip man`.

use std::fs;
use std::path::Path;

use clap::{Command, CommandFactory};

use super::print;
use crate::app::cli::{Cli, Man};
use crate::base::error::{Error, Result};
use crate::base::output::{check_folder, write_whole};

pub(super) fn run(args: &Man) -> Result<()> {
    let mut program = Cli::command().disable_help_subcommand(true);
    // Gives every command its whole name.
    program.build();
    match &args.out {
        Some(folder) => {
            check_folder(folder)?;
            fs::create_dir_all(folder).map_err(|source| Error::writing(folder, source))?;
            let written = write_pages(&program, folder)?;
            tracing::info!("{written} pages written to {}", folder.display());
            Ok(())
        }
        None => print(&page(find(&program, &args.command)?)?),
    }
}

/// The command of that name, in words.
fn find<'a>(program: &'a Command, words: &[String]) -> Result<&'a Command> {
    words.iter().try_fold(program, |command, word| {
        command.find_subcommand(word).ok_or_else(|| {
            let known: Vec<&str> = command.get_subcommands().map(Command::get_name).collect();
            Error::input(match known.is_empty() {
                true => format!("`{}` has no commands of its own", full_name(command)),
                false => format!(
                    "`{}` has no command `{word}`; expected one of {}",
                    full_name(command),
                    known.join(", ")
                ),
            })
        })
    })
}

fn full_name(command: &Command) -> &str {
    command.get_bin_name().unwrap_or(command.get_name())
}

/// Writes the pages of a command and of all below it; returns their number.
fn write_pages(command: &Command, folder: &Path) -> Result<usize> {
    let name = command.get_display_name().unwrap_or(command.get_name());
    write_whole(&folder.join(format!("{name}.1")), page(command)?.as_bytes())?;
    command.get_subcommands().try_fold(
        1,
        |written, below| Ok(written + write_pages(below, folder)?),
    )
}

/// The page in roff.
fn page(command: &Command) -> Result<String> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone())
        .source(concat!("astroclip ", env!("CARGO_PKG_VERSION")))
        .manual("astroclip")
        .render(&mut page)?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}
