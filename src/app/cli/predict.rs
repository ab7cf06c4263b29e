//! Arguments of `predict`.

use std::path::PathBuf;

use clap::Args;

use super::eval::EmbeddingKeysArg;
use super::{DataArg, DeviceArg, LabelsArg, ShardsArg};
use crate::base::shard::Shard;
use crate::evaluation::estimator::Grid;
use crate::network::nn::Precision;

/// Inputs and settings of a catalogue.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  astroclip predict --estimator estimator.safetensors --embeddings emb.h5 --out catalogue.fits\n  \
    astroclip predict --estimator estimator.safetensors --data new.h5 --weights model.safetensors --out catalogue.parquet\n  \
    astroclip predict --estimator estimator.safetensors --embeddings 'emb-*.h5' --pz 0:1:201 --shard 3/8 --out catalogue.fits\n\n\
    One row for each galaxy, labelled or not: identifier, position where it is known, estimates with the points of their \
    distribution at 2.5, 16, 50, 84 and 97.5 per cent, fractions of Galaxy Zoo's answers where the estimator knows them, \
    and `flag`, the sum of reasons not to rely on them. What the columns mean, their units and what all was made from is \
    in the file.\n\n\
    If it is killed, the same command with --resume goes on where it was."
)]
pub struct Predict {
    /// Estimator that `astroclip fit` wrote [default: estimator.safetensors in the current folder].
    #[arg(long, value_name = "FILE")]
    pub estimator: Option<PathBuf>,
    /// Embedding files of the model that the estimator was fitted to, or patterns of them [default without --data: the
    /// newest of ours in the current folder].
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with = "data")]
    pub embeddings: Vec<PathBuf>,
    /// Shards.
    #[command(flatten)]
    pub shards: ShardsArg,
    /// What the files call their datasets.
    #[command(flatten)]
    pub keys: EmbeddingKeysArg,
    /// Survey files, which are embedded first.
    #[command(flatten)]
    pub data: DataArg,
    /// With --data: the model that the estimator was fitted to [default: the newest aligned one in runs, or the newest
    /// encoder].
    #[arg(long, value_name = "MODEL", requires = "data")]
    pub weights: Option<PathBuf>,
    /// With --data: take images that lack a band as they are, as far as the model goes; they are flagged.
    #[arg(long, requires = "data")]
    pub missing_bands: bool,
    /// With --data: keep the embeddings in this file [default: they are removed].
    #[arg(long, value_name = "FILE", requires = "data")]
    pub keep_embeddings: Option<PathBuf>,
    /// With --data: galaxies that go through the model at once.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    pub batch_size: u32,
    /// With --data: f32 or bf16.
    #[arg(long, default_value_t = Precision::F32, value_name = "PRECISION")]
    pub precision: Precision,
    /// With --data: device.
    #[command(flatten)]
    pub device: DeviceArg,
    /// Tables of magnitudes, for an estimator from photometry, and of positions that the embedding files do not know.
    #[command(flatten)]
    pub labels: LabelsArg,
    /// Catalogue to write, as its name ends: .fits, .parquet, .vot, .h5 or .csv.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Also the probability density of the redshift, at POINTS redshifts from START to END [without values: 201, from 0 to
    /// a quarter more than the training galaxies have].
    #[arg(long, value_name = "START:END:POINTS", num_args = 0..=1, default_missing_value = "")]
    pub pz: Option<GridChoice>,
    /// Also the estimates of each source by each method, in columns of their own.
    #[arg(long)]
    pub each: bool,
    /// Samples of each posterior [default: as for the fit].
    #[arg(long, value_parser = clap::value_parser!(u32).range(40..=1_000_000))]
    pub samples: Option<u32>,
    /// Only the i-th of n parts, such as 3/8, which goes to FILE-3-of-8; together they are the whole [default: in a task of a
    /// Slurm job array its part, else the whole].
    #[arg(long, value_name = "I/N")]
    pub shard: Option<Shard>,
    /// Go on with FILE.part, which a killed program has left, to the same catalogue; without one begin anew.
    #[arg(long)]
    pub resume: bool,
    /// Print the summary as JSON.
    #[arg(long)]
    pub json: bool,
}

/// The redshifts of a density.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum GridChoice {
    /// As the training galaxies suggest.
    Usual,
    /// These.
    Of(Grid),
}

impl std::str::FromStr for GridChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self::Usual);
        }
        let parts: Vec<&str> = text.split(':').collect();
        let numbers = || match parts[..] {
            [start, end, points] => Some((
                start.parse::<f64>().ok()?,
                end.parse::<f64>().ok()?,
                points.parse::<usize>().ok()?,
            )),
            _ => None,
        };
        let (start, end, points) = numbers()
            .ok_or_else(|| format!("`{text}`: expected START:END:POINTS, such as 0:1.5:301"))?;
        Grid::new(start, end, points)
            .map(Self::Of)
            .map_err(|error| error.to_string())
    }
}
