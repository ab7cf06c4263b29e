//! Arguments of `eval catalogue`.

use std::path::PathBuf;

use clap::Args;

use super::{BootstrapArg, NamedFile};
use crate::app::cli::{LabelsArg, ShardsArg};
use crate::evaluation::eval::{EstimateColumn, ScoredSplit, Target};

/// Arguments of `eval catalogue`.
#[derive(Debug, Args)]
pub struct EvalCatalogue {
    /// Catalogues (CSV, FITS, HDF5, Parquet, HATS folders), each with the name to call it if that is not the file's.
    #[arg(value_name = "[NAME=]CATALOGUE", required_unless_present = "estimator", num_args = 1..)]
    pub catalogues: Vec<NamedFile>,
    /// Estimators of `astroclip fit`, whose catalogues of --embeddings are scored with the others.
    #[arg(long, value_name = "[NAME=]FILE", num_args = 1..)]
    pub estimator: Vec<NamedFile>,
    /// Embedding files of the estimators' model [default: the newest of ours in the current folder].
    #[arg(long, value_name = "FILE", num_args = 1.., requires = "estimator")]
    pub embeddings: Vec<PathBuf>,
    /// Shards.
    #[command(flatten)]
    pub shards: ShardsArg,
    /// Truth.
    #[command(flatten)]
    pub labels: LabelsArg,
    /// What is scored [default: what catalogues and truth have in common].
    #[arg(long, value_delimiter = ',', value_name = "TARGET,…")]
    pub targets: Vec<Target>,
    /// A column of estimates by its name: redshift=NAME, log_mstar=NAME, …, or a percentile of their distributions,
    /// redshift_p025=NAME, _p160, _p500, _p840, _p975; may be repeated. Counts for every catalogue that has it [default:
    /// our names, those of `eval posterior`, and Z_PHOT_MEDIAN, Z_PHOT_L68, … of the Legacy Surveys].
    #[arg(long, value_name = "KEY=NAME")]
    pub column: Vec<EstimateColumn>,
    /// Identifier column of the catalogues [default: object_id, TARGETID, … whichever there is; else by position].
    #[arg(long, value_name = "NAME")]
    pub catalogue_id_column: Option<String>,
    /// Also score the estimates from other sources or by other methods that a catalogue has (redshift_image_knn, …).
    #[arg(long)]
    pub all_estimates: bool,
    /// Which galaxies, where a catalogue has a column `split`: those that the estimator never saw (test, or unknown to
    /// it), those of validation, those that it was fitted to, or all.
    #[arg(long, default_value = "test")]
    pub split: ScoredSplit,
    /// Also in so many bins of true redshift and of r magnitude, with equal numbers of galaxies.
    #[arg(long, value_name = "N", default_value_t = 0, default_missing_value = "5", num_args = 0..=1, value_parser = clap::value_parser!(u32).range(..=1000))]
    pub bins: u32,
    /// Also list so many galaxies that are farthest from the truth, with pages that show them.
    #[arg(long, value_name = "N", default_value_t = 0, default_missing_value = "10", num_args = 0..=1, value_parser = clap::value_parser!(u32).range(..=100_000))]
    pub outliers: u32,
    /// Bootstrap.
    #[command(flatten)]
    pub bootstrap: BootstrapArg,
    /// Also write a page with drawings: estimates against truth, distributions, scores by bin.
    #[arg(long, value_name = "NAME.html")]
    pub report: Option<PathBuf>,
    /// Print the results as JSON.
    #[arg(long)]
    pub json: bool,
}
