//! `astroclip`: parse, run, exit code.

use std::io::{self, Write};
use std::process::ExitCode;

use astroclip::app::cli::Cli;
use astroclip::app::commands;
use astroclip::base::error::{Error, Kind};
use astroclip::base::ranks::Launched;
use astroclip::base::terminal::printable;
use clap::Parser;
use clap::error::ErrorKind;

fn main() -> ExitCode {
    commands::prepare();
    let done = match Cli::try_parse() {
        Ok(cli) => {
            cli.start_logging();
            commands::run(cli)
        }
        Err(refusal) if refusal.use_stderr() => {
            // As below.
            drop(refusal.print());
            return ExitCode::from(2);
        }
        // Help and version are results, as any other on standard output.
        Err(asked) if asked.kind() == ErrorKind::DisplayVersion => commands::version(),
        Err(help) => help
            .print()
            .and_then(|()| io::stdout().flush())
            .map_err(Error::from),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // As the log: where nobody can read it, the exit code says the same.
            let message = error.to_string();
            let message = printable(&message);
            let said = match error.kind() {
                Kind::ClosedPipe => Ok(()),
                // The first of several ranks says it for all.
                Kind::Interrupted if follows() => Ok(()),
                Kind::Interrupted => writeln!(io::stderr(), "stopped: {message}"),
                Kind::Input | Kind::Run => writeln!(io::stderr(), "error: {message}"),
            };
            drop(said);
            ExitCode::from(error.exit_code())
        }
    }
}

/// Whether this process is one of several ranks, and not the first.
fn follows() -> bool {
    Launched::here().is_some_and(|launched| launched.is_follower())
}
