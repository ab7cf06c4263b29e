//! Arguments of `quickstart`.

use std::path::PathBuf;

use clap::Args;

use super::DeviceArg;

/// Arguments of `quickstart`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  astroclip quickstart --out quickstart\n  \
    xdg-open quickstart/report.html\n\n\
    Presets: cpu (a quarter of an hour on two cores), smoke (a minute, to see that it runs), \
    large (five times the galaxies, about an hour), gpu (ten minutes on one H100).\n\n\
    Broken off, by Ctrl-C or otherwise, it goes on where it was when the same command is given again.")]
pub struct Quickstart {
    /// Size of the demonstration: cpu, smoke, large or gpu.
    #[arg(long, default_value = "cpu")]
    pub preset: QuickstartPreset,
    /// Override a setting of the preset, such as galaxies=5000; may be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Folder for the survey, runs, embeddings, results.json and report.html.
    #[arg(long, default_value = "quickstart", value_name = "DIR")]
    pub out: PathBuf,
    /// Print the results as JSON.
    #[arg(long)]
    pub json: bool,
    /// Device.
    #[command(flatten)]
    pub device: DeviceArg,
}

/// Sizes of the quickstart.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub enum QuickstartPreset {
    /// A quarter of an hour on two cores.
    Cpu,
    /// About a minute.
    Smoke,
    /// Five times the galaxies: about an hour on two cores.
    Large,
    /// Ten minutes on one H100.
    Gpu,
}
