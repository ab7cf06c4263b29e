//! Arguments of `serve`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use super::{DeviceArg, LabelsArg, OneModelArg, ReadArg};

/// Arguments of `serve`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  astroclip serve\n  \
    astroclip serve emb.h5 --data survey.h5 --labels properties.fits\n  \
    astroclip serve galaxies.index\n  \
    astroclip serve emb.h5 --bind 0.0.0.0:8080 --token-file token.txt\n\n\
    Programs ask the same address: /openapi.json says how. /cone is a Simple Cone Search for TOPCAT and pyvo. \
    Ctrl-C or SIGTERM ends the service once it has answered what is under way.")]
pub struct Serve {
    /// What to search.
    #[command(flatten)]
    pub within: OneModelArg,
    /// Survey files with the galaxies' images and spectra [default: those that were embedded, where they still are].
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub data: Vec<PathBuf>,
    /// How they are read.
    #[command(flatten)]
    pub read: ReadArg,
    /// Labels.
    #[command(flatten)]
    pub labels: LabelsArg,
    /// The model of the embeddings, which embeds what is uploaded [default: the one that made them, where it still is].
    #[arg(long, value_name = "MODEL")]
    pub weights: Option<PathBuf>,
    /// In an index: look at all galaxies rather than at those that are likely near, so that none is missed.
    #[arg(long)]
    pub exact: bool,
    /// Where to listen; port 0 takes any that is free. Other than loopback needs --token-file.
    #[arg(long, default_value = "127.0.0.1:8686", value_name = "ADDRESS:PORT")]
    pub bind: SocketAddr,
    /// File with a token of 16 letters or more, which every request must show: anyone who can reach the address and has it
    /// may look and search.
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Let pages of this origin ask too, such as https://example.org; may be repeated.
    #[arg(long, value_name = "ORIGIN")]
    pub allow_origin: Vec<String>,
    /// Device that embeds uploads.
    #[command(flatten)]
    pub device: DeviceArg,
}
