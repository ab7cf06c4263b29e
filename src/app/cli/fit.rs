//! Arguments of `fit`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::LabelsArg;
use super::eval::{EmbeddingsArg, MlpArg};
use crate::evaluation::estimator::Regressor;
use crate::evaluation::eval::{Source, Target};
use crate::evaluation::knn::Weights;

/// How quantities are estimated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum MethodChoice {
    /// The mean over the nearest training galaxies.
    Knn,
    /// An ensemble of small perceptrons.
    Mlp,
    /// Posteriors by normalizing flows, of all quantities together.
    Flow,
    /// All three.
    All,
}

impl MethodChoice {
    /// The methods that are meant.
    pub fn methods(self) -> Vec<Regressor> {
        match self {
            Self::Knn => vec![Regressor::Knn],
            Self::Mlp => vec![Regressor::Mlp],
            Self::Flow => vec![Regressor::Flow],
            Self::All => Regressor::ALL.to_vec(),
        }
    }
}

/// Inputs and settings of an estimator.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  astroclip fit --out estimator.safetensors\n  \
    astroclip fit --embeddings emb.h5 --labels cat.fits --targets redshift,log_mstar --method all --out estimator.safetensors\n  \
    astroclip predict --estimator estimator.safetensors --embeddings new.h5 --out catalogue.fits\n\n\
    It is fitted to the train split; the test split says how good it is. Where files hold vectors from before the heads \
    as well (image_features, spectrum_features) and --embedding-key names none, those are taken that tell more of training \
    galaxies left out. Intervals hold the truth as often as they say: of \
    posteriors by a distribution that galaxies set aside decide, of the k-NN and the perceptrons by the errors for \
    galaxies that they were not fitted to (split conformal prediction). Where votes of Galaxy Zoo are among the labels, \
    it learns to tell them too.\n\n\
    The file keeps all that is needed, and the hash of the model whose embeddings it knows."
)]
pub struct Fit {
    /// Embeddings.
    #[command(flatten)]
    pub embeddings: EmbeddingsArg,
    /// Labels.
    #[command(flatten)]
    pub labels: LabelsArg,
    /// What is estimated [default: all that the labels know].
    #[arg(long, value_enum, value_delimiter = ',', value_name = "TARGET")]
    pub targets: Vec<Target>,
    /// What from: `both` are image and spectrum embeddings of a galaxy together [default: image, spectrum and both, as far
    /// as the embedding file has them; a catalogue then takes for each galaxy what knows most].
    #[arg(long, value_enum, value_delimiter = ',', num_args = 1.., value_name = "SOURCE")]
    pub source: Vec<Source>,
    /// How; may be several.
    #[arg(long, value_enum, value_delimiter = ',', num_args = 1.., value_name = "METHOD", default_value = "flow")]
    pub method: Vec<MethodChoice>,
    /// Neighbours of the k-NN, and of the measure of how unlike the training galaxies one is.
    #[arg(short, default_value_t = 16, value_parser = clap::value_parser!(u32).range(2..))]
    pub k: u32,
    /// How much each neighbour counts: uniform, or by the inverse of its distance.
    #[arg(long, default_value = "distance")]
    pub weights: Weights,
    /// MLP: --seeds is the size of the ensemble.
    #[command(flatten)]
    pub mlp: MlpArg,
    /// Flows in the ensemble.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub flows: u32,
    /// Passes of a flow over the training galaxies at most.
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..))]
    pub epochs: u32,
    /// Samples of each posterior, for the scores here and for catalogues.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(40..=1_000_000))]
    pub samples: u32,
    /// Do not learn morphology, though there are votes.
    #[arg(long)]
    pub no_morphology: bool,
    /// Estimator to write.
    #[arg(long, value_name = "FILE", default_value = "estimator.safetensors")]
    pub out: PathBuf,
    /// Print the scores as JSON.
    #[arg(long)]
    pub json: bool,
}
