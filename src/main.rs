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
            match error.kind() {
                Kind::ClosedPipe => {}
                Kind::Interrupted => eprintln!("stopped: {error}"),
                Kind::Input | Kind::Run => eprintln!("error: {error}"),
            }
            ExitCode::from(error.exit_code())
        }
    }
}
