//! Arguments of `embed`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{DataArg, DeviceArg};
use crate::base::shard::Shard;
use crate::network::nn::Precision;
use crate::survey::Modality;

/// Arguments of `embed`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  astroclip embed --out emb.h5\n  \
    astroclip embed --data new.h5 --out new-emb.h5\n  \
    astroclip embed --weights runs/tiny-align/model.safetensors --data survey.h5 --out emb.h5\n  \
    astroclip embed --data 'south/*.h5' --out emb.h5 --resume\n  \
    astroclip embed --data 'south/*.h5' --out emb.h5 --shard 3/8\n\n\
    If it is killed, the same command with --resume goes on where it was. On disk it takes twice the room of the \
    embeddings until it is done.\n\n\
    Files may hold pairs, images only or spectra only. An encoder before alignment works too: images \
    are then embedded as the class token, spectra as the mean token.")]
pub struct Embed {
    /// Exported model [default: the newest aligned one in runs, or the newest encoder if none is aligned].
    #[arg(long, value_name = "MODEL")]
    pub weights: Option<PathBuf>,
    /// Survey files.
    #[command(flatten)]
    pub data: DataArg,
    /// Embedding file to write; until it is whole, what is done is kept in FILE.part.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Only the i-th of n parts, such as 3/8, which goes to FILE-3-of-8; other commands read all parts as one [default: in a
    /// task of a Slurm job array its part, else the whole].
    #[arg(long, value_name = "I/N")]
    pub shard: Option<Shard>,
    /// Go on with FILE.part, which a killed program has left, to the same embeddings; without one begin anew, unless it is a
    /// shard and whole. Model, data and options must be the former.
    #[arg(long)]
    pub resume: bool,
    /// Take images with bands that were not observed (zeros or NaN alone) as they are, instead of refusing them; the column
    /// `bands_missing` says how many.
    #[arg(long)]
    pub missing_bands: bool,
    /// Leave the embeddings as the model gives them, not scaled to unit length.
    #[arg(long)]
    pub raw: bool,
    /// Of what to keep the vectors from before an aligned model's heads, too: both, image, spectrum or none. What alignment
    /// does not need is still in them; `--embedding-key spectrum_features` of other commands takes them. They need the room
    /// of the transformers' widths, 4 bytes a number.
    #[arg(long, default_value = "both", value_name = "WHICH")]
    pub features: FeaturesKept,
    /// Galaxies that go through the model at once.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    pub batch_size: u32,
    /// f32 or bf16; in bf16 a GPU and a CPU with AVX512-BF16 are faster, and an embedding differs by about 1 %.
    #[arg(long, default_value_t = Precision::F32, value_name = "PRECISION")]
    pub precision: Precision,
    /// Device.
    #[command(flatten)]
    pub device: DeviceArg,
    /// Print the summary as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Of what vectors from before the heads are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FeaturesKept {
    /// Of images and of spectra.
    Both,
    /// Of images.
    Image,
    /// Of spectra.
    Spectrum,
    /// None.
    None,
}

impl FeaturesKept {
    /// What they are of.
    pub fn modalities(self) -> Vec<Modality> {
        match self {
            Self::Both => Modality::ALL.into(),
            Self::Image => vec![Modality::Image],
            Self::Spectrum => vec![Modality::Spectrum],
            Self::None => Vec::new(),
        }
    }
}
