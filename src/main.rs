//! `astroclip`: parse, run, exit code.

use std::process::ExitCode;

use astroclip::app::cli::Cli;
use astroclip::base::error::Kind;
use clap::Parser;

fn main() -> ExitCode {
    astroclip::app::commands::prepare();
    let cli = Cli::parse();
    cli.start_logging();
    match astroclip::app::commands::run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if error.kind() != Kind::ClosedPipe {
                eprintln!("error: {error}");
            }
            ExitCode::from(error.exit_code())
        }
    }
}
