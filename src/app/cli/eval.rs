//! Arguments of `eval`.

mod catalogue;

use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::{Args, Subcommand, ValueEnum};

pub use catalogue::EvalCatalogue;

use super::{DataArg, DeviceArg, LabelsArg, PosteriorArg, ShardsArg};
use crate::evaluation::eval::Source;
use crate::evaluation::knn::Weights;
use crate::files::embeddings::{EmbeddingKey, Keys};

/// Arguments of `eval`.
#[derive(Debug, Args)]
pub struct Eval {
    /// What to estimate.
    #[command(subcommand)]
    pub task: EvalTask,
}

/// What `eval` can estimate.
#[derive(Debug, Subcommand)]
pub enum EvalTask {
    /// Redshift from image and spectrum embeddings, zero- and few-shot.
    #[command(after_help = "Examples:\n  astroclip eval redshift\n  \
        astroclip eval redshift --embeddings emb.h5 --labels survey.h5 --seeds 5 --bins 5\n  \
        astroclip eval redshift --embeddings emb.h5 before=unaligned.h5 --labels survey.h5 \\\n    \
        --predictions image=runs/resnet18/predictions.csv --split hash\n\n\
        Beside every number stands its bootstrap error; R² over magnitudes is the gain over k-NN and MLP on g, r, z.")]
    Redshift(EvalArg),
    /// Stellar mass, metallicity, age and specific star-formation rate from embeddings.
    #[command(after_help = "Examples:\n  astroclip eval properties\n  \
        astroclip eval properties --embeddings emb.h5 --labels survey.h5\n  \
        astroclip eval properties --embeddings provabgs_train_embeddings.hdf5 \\\n    \
        --test provabgs_test_embeddings.hdf5 --labels provabgs_train.hdf5 provabgs_test.hdf5\n\n\
        The first table has the layout of the paper's Table 2.")]
    Properties(EvalArg),
    /// Morphology: the ten questions of Galaxy Zoo DECaLS.
    #[command(
        after_help = "Examples:\n  astroclip eval morphology\n  astroclip eval morphology --embeddings emb.h5 --labels gz_decals_volunteers_5.csv ids.csv\n\n\
        Votes are columns as in the GZD-5 catalogue: QUESTION_total-votes and QUESTION_ANSWER_debiased or _fraction; a \
        table with positions alone joins another that has identifiers and positions. A four-layer MLP is fitted to \
        vote fractions, as in section 6.5 of the paper; the table has the layout of its Table E1."
    )]
    Morphology(EvalMorphology),
    /// How often a galaxy's own image or spectrum is found, in all four directions.
    #[command(
        after_help = "Examples:\n  astroclip eval retrieval\n  astroclip eval retrieval --embeddings emb.h5 --at 1,10,100\n\n\
        Galaxies of the test split look among each other; --all takes all galaxies."
    )]
    Retrieval(EvalRetrieval),
    /// Everything above and posteriors, on one page with the paper's numbers beside: its tables and figures.
    #[command(after_help = "Examples:\n  astroclip eval all\n  \
        astroclip eval all --embeddings emb.h5 --labels survey.h5 --report report.html\n  \
        astroclip eval all --embeddings aligned=emb.h5 images=image.h5 --labels survey.h5 \\\n    \
        --predictions image=runs/baseline-resnet18/predictions.csv --data survey.h5 \\\n    \
        --model runs/align/model.safetensors --spectrum-model runs/specformer/model.safetensors\n\n\
        Writes the page, every number as report.json, and every drawing as SVG and PNG into report-figures. The survey \
        files and models are for the drawings of galaxies and encoders.")]
    All(Box<EvalAll>),
    /// Posteriors of redshift and properties by normalizing flows: likelihood, calibration, summaries.
    #[command(after_help = "Examples:\n  astroclip eval posterior\n  \
        astroclip eval posterior --embeddings emb.h5 --labels survey.h5 --out posterior.csv\n  \
        astroclip eval posterior --embeddings emb.h5 --targets redshift --source spectrum\n  \
        astroclip eval posterior --embeddings emb.h5 --labels survey.h5 \\\n    \
        --predictions image=runs/resnet18/predictions.csv spectrum=runs/conv/predictions.csv\n\n\
        Ten conditional flows of rational-quadratic spline coupling layers are fitted to the train split for \
        each source. Those on predictions of a supervised network are fitted to the train galaxies that the network \
        was not fitted to (validation in its table), if there are 100 of them. -ln p says how likely the truth of the \
        test galaxies is; TARP and the ranks of the truth say whether the posteriors are as wide as they should be. --out gets median, 68 % and 95 % interval \
        of every target for every test galaxy, also those without labels; --json has the calibration curves, \
        the rank histograms and the samples of one galaxy.")]
    Posterior(PosteriorArg),
    /// How good the estimates of a catalogue are, ours or another's, against truth; several side by side.
    #[command(
        after_help = "Examples:\n  astroclip eval catalogue catalogue.fits --labels truth.fits\n  \
        astroclip eval catalogue ours=catalogue.fits legacy=photoz.fits --labels truth.fits --bins 5 --outliers 20\n  \
        astroclip eval catalogue photoz.csv --labels truth.fits --column redshift=zphot --column redshift_p160=zlow \\\n    \
        --column redshift_p840=zhigh --report scores.html\n\n\
        Galaxies are joined by identifier, or by position (0.5 arcsec) where identifiers have none in common. Truth comes \
        from --labels alone. Where a catalogue says by a column `split` which galaxies its estimator was fitted to, those \
        are left out. Coverage, CRPS and PIT come from the percentiles, between which distributions are taken for \
        Gaussian; CRPS and PIT from the density `pz` where there is one."
    )]
    Catalogue(Box<EvalCatalogue>),
}

/// Embedding files, which columns of them, and which galaxies are held out.
#[derive(Debug, Args)]
pub struct EmbeddingsArg {
    /// Embedding files, or patterns of them, each with the name to call its model if that is not the file's. Ours (shards
    /// as one), the released ones, or any HDF5 file with vectors and identifiers [default: the newest of ours in the current
    /// folder].
    #[arg(long, value_name = "[NAME=]FILE", num_args = 1..)]
    pub embeddings: Vec<NamedFile>,
    /// Shards.
    #[command(flatten)]
    pub shards: ShardsArg,
    /// What the files call their datasets.
    #[command(flatten)]
    pub keys: EmbeddingKeysArg,
    /// Test on these embedding files instead, one (or the shards of one) for each of --embeddings, and fit to those.
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with = "split")]
    pub test: Vec<PathBuf>,
    /// With --test: fit to all galaxies of --embeddings, or leave out those of its own test split.
    #[arg(long, default_value = "all", requires = "test")]
    pub fit: FitTo,
    /// Which galaxies test: `file`, as the embedding file says; `hash`, by a hash of the identifier; or a file with the
    /// identifiers of those that do. Only the first knows which galaxies the model itself was trained on.
    #[arg(long, default_value = "file", value_name = "file|hash|FILE")]
    pub split: SplitChoice,
    /// Fraction of the galaxies that test, for --split hash.
    #[arg(long, default_value_t = 0.1, value_name = "FRACTION")]
    pub test_fraction: f64,
    /// Seed of --split hash.
    #[arg(long, default_value_t = 0, value_name = "SEED")]
    pub split_seed: u64,
}

/// Which galaxies are fitted to where others test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FitTo {
    /// Those of the train split.
    Train,
    /// All.
    All,
}

/// What embedding files of other programs call their datasets.
#[derive(Debug, Args)]
pub struct EmbeddingKeysArg {
    /// Dataset or field of the embeddings [default: image_embeddings, spectrum_embeddings, …_embeddings,
    /// embeddings, representations, … whichever there is]; may be repeated.
    #[arg(long, value_name = "[image=|spectrum=]KEY")]
    pub embedding_key: Vec<EmbeddingKey>,
    /// Dataset or field of the identifiers in embedding files [default: object_id, targetid, inds, …].
    #[arg(long, value_name = "KEY")]
    pub embedding_id_key: Option<String>,
}

impl EmbeddingKeysArg {
    /// As the reader of embedding files takes them.
    pub fn keys(&self) -> Keys {
        Keys {
            embeddings: self.embedding_key.clone(),
            id: self.embedding_id_key.clone(),
        }
    }
}

/// The embeddings of one model in a file.
#[derive(Debug, Args)]
pub struct OneModelArg {
    /// Embedding file: ours, a released one, or any HDF5 file with vectors and identifiers; shards, or a pattern of them, as
    /// one [default: the newest of ours in the current folder].
    #[arg(value_name = "EMBEDDINGS")]
    pub embeddings: Vec<PathBuf>,
    /// Shards.
    #[command(flatten)]
    pub shards: ShardsArg,
    /// Whose embeddings, where the file holds those of several models.
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
    /// What the file calls its datasets.
    #[command(flatten)]
    pub keys: EmbeddingKeysArg,
}

/// The MLP; what is not given is as in the paper.
#[derive(Debug, Args)]
pub struct MlpArg {
    /// Width of the MLP's hidden layers.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub mlp_width: Option<u32>,
    /// Number of the MLP's hidden layers; 0 is a linear fit.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=64))]
    pub mlp_depth: Option<u32>,
    /// Fraction of the hidden units that are switched off in every training step.
    #[arg(long, value_name = "FRACTION")]
    pub mlp_dropout: Option<f32>,
    /// MLPs fitted, each with another seed; results are means, with the standard deviation where there are several.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub seeds: u32,
    /// Seed of the first MLP.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
}

/// The bootstrap.
#[derive(Debug, Args)]
pub struct BootstrapArg {
    /// Resamples of the test galaxies behind every error; 0 for none.
    #[arg(long, default_value_t = 1000, value_name = "N", value_parser = clap::value_parser!(u32).range(..=1_000_000))]
    pub bootstrap: u32,
}

/// Predictions of supervised networks.
#[derive(Debug, Args)]
pub struct PredictionsArg {
    /// Tables of predictions of networks trained end to end, as `astroclip baseline` writes: object_id and a column per
    /// target (redshift, log_mstar, log_z_mw, tage_mw, log_ssfr), and split: train for galaxies that the network was
    /// fitted to, validation, test. Only test galaxies are scored. Say what they predict from.
    #[arg(long, value_name = "image|spectrum|photometry=FILE", num_args = 1..)]
    pub predictions: Vec<PredictionsFile>,
}

/// Arguments of `eval redshift` and `eval properties`.
#[derive(Debug, Args)]
pub struct EvalArg {
    /// Embeddings.
    #[command(flatten)]
    pub embeddings: EmbeddingsArg,
    /// Labels.
    #[command(flatten)]
    pub labels: LabelsArg,
    /// Predictions.
    #[command(flatten)]
    pub predictions: PredictionsArg,
    /// Neighbours of the zero-shot k-NN.
    #[arg(short, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..))]
    pub k: u32,
    /// How much each neighbour counts: uniform, or by the inverse of its distance.
    #[arg(long, default_value = "distance")]
    pub weights: Weights,
    /// MLP.
    #[command(flatten)]
    pub mlp: MlpArg,
    /// Bootstrap.
    #[command(flatten)]
    pub bootstrap: BootstrapArg,
    /// Also in so many bins of redshift and of r magnitude, with equal numbers of test galaxies.
    #[arg(long, value_name = "N", default_value_t = 0, default_missing_value = "5", num_args = 0..=1, value_parser = clap::value_parser!(u32).range(..=1000))]
    pub bins: u32,
    /// Also write the truth and the prediction for every test galaxy to this table (.fits, .parquet, .vot, .h5, .csv).
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Print the results as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `eval all`.
#[derive(Debug, Args)]
pub struct EvalAll {
    /// What is evaluated, and how.
    #[command(flatten)]
    pub eval: EvalArg,
    /// The page to write; every number goes beside it as NAME.json, every drawing into NAME-figures.
    #[arg(
        long,
        default_value = "evaluation/report.html",
        value_name = "NAME.html"
    )]
    pub report: PathBuf,
    /// Flows in each ensemble; 0 for no posteriors.
    #[arg(long, default_value_t = 10, value_name = "N")]
    pub flows: u32,
    /// Passes of a flow over the training galaxies at most.
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..))]
    pub epochs: u32,
    /// Samples of each galaxy's posterior.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(40..))]
    pub samples: u32,
    /// Survey files that were embedded [default: as the embedding file says].
    #[command(flatten)]
    pub data: DataArg,
    /// Aligned model, for drawings of its attention [default: what the embeddings were made with].
    #[arg(long, value_name = "MODEL")]
    pub model: Option<PathBuf>,
    /// Spectrum encoder before alignment, for drawings of what it predicts in hidden parts [default: what the model was
    /// aligned from].
    #[arg(long, value_name = "MODEL")]
    pub spectrum_model: Option<PathBuf>,
    /// Device.
    #[command(flatten)]
    pub device: DeviceArg,
}

/// Arguments of `eval morphology`.
#[derive(Debug, Args)]
pub struct EvalMorphology {
    /// Embeddings.
    #[command(flatten)]
    pub embeddings: EmbeddingsArg,
    /// Labels.
    #[command(flatten)]
    pub labels: LabelsArg,
    /// MLP.
    #[command(flatten)]
    pub mlp: MlpArg,
    /// Volunteers who must have seen a galaxy that is tested on.
    #[arg(long, default_value_t = 34, value_name = "N")]
    pub min_votes: u32,
    /// Bootstrap.
    #[command(flatten)]
    pub bootstrap: BootstrapArg,
    /// Also write the true and the predicted answer for every test galaxy to this table (.fits, .parquet, .vot, .h5, .csv).
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Print the results as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `eval retrieval`.
#[derive(Debug, Args)]
pub struct EvalRetrieval {
    /// Embeddings.
    #[command(flatten)]
    pub embeddings: EmbeddingsArg,
    /// Numbers of nearest galaxies that the counterpart is looked for among.
    #[arg(long, value_name = "K,K,…", value_delimiter = ',', default_value = "1,5,10,50", value_parser = clap::value_parser!(u32).range(1..))]
    pub at: Vec<u32>,
    /// Among all galaxies, not the test split alone.
    #[arg(long)]
    pub all: bool,
    /// Bootstrap.
    #[command(flatten)]
    pub bootstrap: BootstrapArg,
    /// Also write the rank of every galaxy's counterpart to this table (.fits, .parquet, .vot, .h5, .csv).
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Print the results as JSON.
    #[arg(long)]
    pub json: bool,
}

/// A file, and what to call what is in it: `NAME=FILE`, or `FILE` and its name without the ending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedFile {
    /// The name.
    pub name: String,
    /// The file.
    pub path: PathBuf,
}

impl NamedFile {
    /// A file that is called as it is.
    pub fn of(path: PathBuf) -> Self {
        Self {
            name: stem(&path),
            path,
        }
    }
}

impl FromStr for NamedFile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some(("", _) | (_, "")) => Err(format!("`{text}`: expected FILE or NAME=FILE")),
            // A folder in front of the sign is part of a path.
            Some((name, path)) if !name.contains('/') => Ok(Self {
                name: name.to_owned(),
                path: path.into(),
            }),
            _ => Ok(Self::of(text.into())),
        }
    }
}

/// A table of predictions, and what they are made from. The network is called as the file, or as its folder where
/// the file is called `predictions`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PredictionsFile {
    /// What the network predicts from.
    pub source: Source,
    /// What to call the network.
    pub name: String,
    /// The file.
    pub path: PathBuf,
}

impl FromStr for PredictionsFile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refuse = || {
            format!(
                "`{text}`: expected image=FILE, spectrum=FILE or photometry=FILE: what are these predictions made from?"
            )
        };
        let (source, path) = text.split_once('=').ok_or_else(refuse)?;
        let source = Source::from_str(source, false).ok();
        let source = source
            .filter(|source| *source != Source::Both)
            .ok_or_else(refuse)?;
        let path = PathBuf::from(path);
        let name = match (stem(&path), path.parent()) {
            (name, Some(folder)) if name == "predictions" && folder.file_name().is_some() => {
                stem(folder)
            }
            (name, _) => name,
        };
        Ok(Self { source, name, path })
    }
}

/// Which galaxies test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SplitChoice {
    /// As the embedding file says.
    File,
    /// By a hash of the identifier.
    Hash,
    /// Those in a list.
    List(PathBuf),
}

impl FromStr for SplitChoice {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "file" => Self::File,
            "hash" => Self::Hash,
            path => Self::List(path.into()),
        })
    }
}

fn stem(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or(path.as_os_str());
    stem.to_string_lossy().into_owned()
}
