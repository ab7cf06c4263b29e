//! Arguments of `index`.

use std::path::PathBuf;

use clap::Args;

use super::ShardsArg;

/// Arguments of `index`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  astroclip index emb.h5 --out galaxies.index\n  \
    astroclip index 'emb-*.h5' --out galaxies.index --recall 0.99\n  \
    astroclip search galaxies.index --id 39628439081225000\n  \
    astroclip serve galaxies.index\n\n\
    Worth it from about a million galaxies on; without an index, searches look at all. The embedding files stay what is \
    searched: an index is of no use without them, and is made again where they have changed."
)]
pub struct Index {
    /// Embedding files of one model, or patterns, as one behind the other [default: the newest of ours in the current
    /// folder].
    #[arg(value_name = "FILE")]
    pub embeddings: Vec<PathBuf>,
    /// Shards.
    #[command(flatten)]
    pub shards: ShardsArg,
    /// The index to write.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// What searches: `qdrant=http://HOST:PORT/COLLECTION` sends the embeddings to a Qdrant server or cluster, in a
    /// collection that is made; its key, where it asks for one, is taken from ASTROCLIP_QDRANT_KEY. The index then says no
    /// more than where they are [default: lists in the index itself].
    #[arg(long, value_name = "ENGINE", value_parser = engine)]
    pub engine: Option<String>,
    /// Share of the ten nearest galaxies that a search is to find, measured with galaxies of the files; more takes longer.
    #[arg(long, default_value_t = 0.97, value_name = "FRACTION", value_parser = fraction)]
    pub recall: f64,
    /// Print what was made as JSON.
    #[arg(long)]
    pub json: bool,
}

fn engine(text: &str) -> Result<String, String> {
    let address = text.strip_prefix("qdrant=").map(str::to_owned);
    address.ok_or_else(|| "expected qdrant=http://HOST:PORT/COLLECTION".to_owned())
}

fn fraction(text: &str) -> Result<f64, String> {
    let value = text
        .parse()
        .ok()
        .filter(|value| *value > 0.0 && *value <= 1.0);
    value.ok_or_else(|| "expected a number above 0, at most 1".to_owned())
}
