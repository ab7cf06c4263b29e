//! The command line: what may be said, and how it is explained. One file per command or group of commands.

mod align;
mod baseline;
mod bench;
mod check;
mod completions;
mod config;
mod embed;
mod eval;
mod export;
mod finetune;
mod fit;
mod import;
mod index;
mod inspect;
mod labels;
mod man;
mod matching;
mod plot;
mod posterior;
mod predict;
mod pretrain;
mod quickstart;
mod replay;
mod search;
mod serve;
mod shared;
mod simulate;
mod status;

use std::io::IsTerminal;

use clap::{Parser, Subcommand};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::base::log::log;
use crate::base::ranks::Launched;

pub use align::Align;
pub use baseline::{
    BaselinePhotometry, BaselineSpectrum, BaselineTask, BaselineTraining, SpectrumMethod,
};
pub use bench::{BenchData, BenchEmbed, BenchModel, BenchTask};
pub use check::Check;
pub use completions::Completions;
pub use config::{Config, ConfigAction};
pub use embed::Embed;
pub use eval::{
    BootstrapArg, EmbeddingsArg, Eval, EvalAll, EvalArg, EvalCatalogue, EvalMorphology,
    EvalRetrieval, EvalTask, FitTo, MlpArg, NamedFile, OneModelArg, PredictionsArg,
    PredictionsFile, SplitChoice,
};
pub use export::Export;
pub use finetune::Finetune;
pub use fit::Fit;
pub use import::Import;
pub use index::Index;
pub use inspect::Inspect;
pub use labels::{LabelsArg, SupervisedLabels};
pub use man::Man;
pub use matching::Match;
pub use plot::{PlotAttention, PlotMap, PlotReconstruction, PlotTask};
pub use posterior::PosteriorArg;
pub use predict::{GridChoice, Predict};
pub use pretrain::{PretrainImage, PretrainSpectrum};
pub use quickstart::{Quickstart, QuickstartPreset};
pub use replay::Replay;
pub use search::Search;
pub use serve::Serve;
pub use shared::{ConfigArg, DataArg, DeviceArg, ReadArg, RunArg, ShardsArg, SurveyArg};
pub use simulate::Simulate;
pub use status::Status;

/// Where the options of every command stand in its help: after its own.
const LAST: usize = 900;

/// Galaxy images and spectra in one embedding space: pretrain, align, embed, search, evaluate.
#[derive(Debug, Parser)]
#[command(
    version,
    about,
    after_help = "From nothing to a galaxy search engine:\n  astroclip quickstart\n\n\
    Your own survey, step by step, in its folder:\n  \
    astroclip pretrain-image\n  \
    astroclip pretrain-spectrum\n  \
    astroclip align\n  \
    astroclip embed --out emb.h5\n  \
    astroclip eval redshift\n  \
    astroclip search --id 39628439081225000 --from image --to spectrum\n\n\
    Each takes what the one before left, says what it took, and takes any other by --data, --weights, --embeddings, \
    --labels. `astroclip` alone says what the current folder holds and what to type next; \
    `astroclip COMMAND --help` shows worked examples of each command.\n\n\
    An output appears whole or not at all. It replaces an earlier one of its kind, and no other file: never what the \
    command reads. Where it is named by a link, it goes where the link leads."
)]
pub struct Cli {
    /// Say more (-v) or much more (-vv) on stderr.
    #[arg(short, long, action = clap::ArgAction::Count, global = true, display_order = LAST)]
    pub verbose: u8,
    /// Say nothing on stderr but warnings and errors.
    #[arg(short, long, global = true, conflicts_with = "verbose", display_order = LAST + 1)]
    pub quiet: bool,
    /// Follow HDF5 files' links, virtual datasets and external storage wherever they lead; else only within the folder of
    /// the file that is named.
    #[arg(long, global = true, display_order = LAST + 2)]
    pub follow_links: bool,
    /// What to do; without it, what the current folder holds and what to type next.
    #[command(subcommand)]
    pub command: Option<Command>,
}

impl Cli {
    /// Logs go to stderr, as `-q`, `-v` or `RUST_LOG` say, as long as they can be written there.
    pub fn start_logging(&self) {
        // The first of several ranks tells of what all do.
        let is_follower = Launched::here().is_some_and(|launched| launched.is_follower());
        let level = match (self.quiet || is_follower, self.verbose) {
            (true, _) => "warn",
            (false, 0) => "warn,astroclip=info",
            (false, 1) => "info,astroclip=debug",
            (false, _) => "trace",
        };
        let filter = std::env::var("RUST_LOG")
            .ok()
            .and_then(|filter| filter.parse().ok())
            .unwrap_or_else(|| level.parse::<Targets>().expect("levels by module"));
        let lines = tracing_subscriber::fmt::layer()
            .with_writer(log)
            .with_ansi(std::io::stderr().is_terminal())
            .with_target(false)
            .without_time();
        tracing_subscriber::registry()
            .with(filter)
            .with(lines)
            .init();
    }
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Simulate, pretrain, align, embed, evaluate and search a small survey; write a report.
    Quickstart(Quickstart),
    /// Simulate a survey of paired images and spectra with known properties.
    Simulate(Simulate),
    /// Pretrain an image transformer by self-distillation (DINOv2).
    PretrainImage(PretrainImage),
    /// Pretrain a spectrum transformer by masked modelling.
    PretrainSpectrum(PretrainSpectrum),
    /// Align an image and a spectrum transformer by contrastive learning (CLIP).
    Align(Align),
    /// Embed the galaxies of survey files.
    Embed(Embed),
    /// Estimate redshift, physical properties or morphology from embeddings, and say how well.
    Eval(Eval),
    /// Fit an estimator of redshift, physical properties and morphology to galaxies with labels, and keep it.
    Fit(Fit),
    /// Write a catalogue of estimates for any galaxies, with intervals and flags.
    Predict(Box<Predict>),
    /// Train a supervised network from images, spectra or magnitudes to redshift and physical properties.
    #[command(subcommand)]
    Baseline(BaselineTask),
    /// Train an encoder on with a small head, from images or spectra to redshift and physical properties.
    Finetune(Finetune),
    /// Take over the weights of the released PyTorch models.
    Import(Import),
    /// Write a model's weights for the released PyTorch code, or as safetensors.
    Export(Export),
    /// Make searches among millions of galaxies fast.
    Index(Index),
    /// Find similar galaxies, within or across images and spectra.
    Search(Search),
    /// Search in a browser: a page on this machine, and an interface for programs.
    Serve(Box<Serve>),
    /// Join two catalogues by identifier or by position on the sky.
    Match(Match),
    /// Say how far runs are, and whether anyone works on them.
    Status(Status),
    /// Say what a survey file, an embedding file, a table, a model or a checkpoint holds.
    Inspect(Inspect),
    /// Read survey files from end to end and list every galaxy that cannot be used.
    Check(Check),
    /// Take a step of a run again whose loss was not finite, and say where it turned.
    Replay(Replay),
    /// Draw what the encoders do: hidden parts of spectra, attention, maps of embeddings.
    #[command(subcommand)]
    Plot(PlotTask),
    /// Measure how fast data are read and augmented, and models trained and run.
    #[command(subcommand)]
    Bench(BenchTask),
    /// List and show the presets.
    Config(Config),
    /// Print what a shell needs to complete commands and options.
    Completions(Completions),
    /// Print the manual page of a command, or write those of all.
    Man(Man),
}
