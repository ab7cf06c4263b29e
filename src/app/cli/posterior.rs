//! Arguments of `eval posterior`.

use std::path::PathBuf;

use clap::Args;

use super::LabelsArg;
use super::eval::{EmbeddingsArg, PredictionsArg};
use crate::evaluation::eval::{Source, Target};

/// Inputs and settings of posteriors.
#[derive(Debug, Args)]
pub struct PosteriorArg {
    /// Embeddings.
    #[command(flatten)]
    pub embeddings: EmbeddingsArg,
    /// Labels.
    #[command(flatten)]
    pub labels: LabelsArg,
    /// Predictions.
    #[command(flatten)]
    pub predictions: PredictionsArg,
    /// What the posterior is of, jointly [default: all that the labels know]. The former names mass, metallicity, age
    /// and ssfr are understood for one more version.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "TARGET")]
    pub targets: Vec<Target>,
    /// What it is conditioned on; may be repeated [default: all that there are].
    #[arg(long, value_enum, num_args = 1.., value_name = "SOURCE")]
    pub source: Vec<Source>,
    /// Flows in the ensemble.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    pub flows: u32,
    /// Passes over the training galaxies at most; a flow stops 20 after its best.
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..))]
    pub epochs: u32,
    /// Samples of each galaxy's posterior.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    pub samples: u32,
    /// Seed; the same seed gives the same posteriors.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Table of posteriors to write: .fits, .parquet, .vot, .h5 or .csv.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Print the results as JSON.
    #[arg(long)]
    pub json: bool,
}
