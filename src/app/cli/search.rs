//! Arguments of `search`.

use clap::Args;

use super::OneModelArg;
use crate::survey::Modality;
use crate::survey::ObjectId;

/// Arguments of `search`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  astroclip search --id 39628439081225000\n  \
    astroclip search emb.h5 --id 39628439081225000 --from image --to spectrum -k 8\n  \
    astroclip search galaxies.index --id 39628439081225000 --exact"
)]
pub struct Search {
    /// What to search.
    #[command(flatten)]
    pub within: OneModelArg,
    /// Identifier of the query galaxy.
    #[arg(long, allow_negative_numbers = true)]
    pub id: ObjectId,
    /// Which view of the query galaxy.
    #[arg(long, default_value = "image")]
    pub from: Modality,
    /// Which views to search.
    #[arg(long, default_value = "image")]
    pub to: Modality,
    /// Number of galaxies to find.
    #[arg(short, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..))]
    pub k: u32,
    /// In an index: look at all galaxies rather than at those that are likely near, so that none is missed.
    #[arg(long)]
    pub exact: bool,
    /// Print the results as JSON.
    #[arg(long)]
    pub json: bool,
}
