//! `astroclip`: parse, run, exit code.

use std::process::ExitCode;

use astroclip::app::cli::Cli;
use astroclip::base::error::Kind;
use clap::Parser;

fn main() -> ExitCode {
    astroclip::app::commands::ignore_environment();
    let cli = Cli::parse();
    cli.start_logging();
    // A survey may come in thousands of files; where the limit stays as it is, opening says so.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
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
