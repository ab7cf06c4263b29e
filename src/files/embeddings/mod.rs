//! The embedding file: one row per galaxy, written in batches by `embed`, read by `eval` and `search`.
//!
//! An HDF5 file with these datasets, rows in the same order in all of them:
//!
//! | dataset | type | meaning |
//! |---|---|---|
//! | `image_embeddings` | f32 (N, D) | absent where the input had no images |
//! | `spectrum_embeddings` | f32 (N, D) | absent where the input had no spectra |
//! | `image_features`, `spectrum_features` | f32 (N, D') | from before the heads of an aligned model, where they are kept |
//! | `object_id` | i64 (N) | the survey's identifier; u64 or UTF-8 text where one is no i64 |
//! | `split` | u8 (N) | 0 train, 1 test |
//! | `redshift` | f32 (N) | NaN where unknown |
//! | `ra`, `dec` | f64 (N) | degrees, NaN where unknown; absent where no galaxy has a position |
//! | `spectrum_filled` | f32 (N) | see [`Observed`]; absent without spectra |
//! | `spectrum_snr`, `star_lines` | f32 (N) | see [`Observed`], NaN where unknown; absent without spectra |
//! | `spectrum_continuum` | f32 (N, 2, 60) | see [`SpectrumQuality`](crate::survey::SpectrumQuality); absent without spectra |
//! | `bands_missing` | u8 (N) | see [`Observed`], 255 where unknown; absent without images |
//!
//! The root's attributes say where the embeddings come from: see [`Provenance`]. Files of other
//! programs need an embedding dataset and identifiers only, see [`ModelEmbeddings`].

mod columns;
mod continuum;
mod features;
mod file;
mod ids;
mod keys;
mod layer;
mod lookup;
mod models;
mod observed;
mod plan;
mod reader;
mod rows;
mod sets;
mod shards;
mod unfinished;
mod writer;

pub use features::Features;
pub use file::{EmbeddingFile, features_in, is_embedding_file, read_provenance};
pub use keys::{EmbeddingKey, Keys};
pub use layer::Layer;
pub use lookup::VectorLookup;
pub use models::ModelEmbeddings;
pub use observed::Observed;
pub use plan::{Layout, Plan};
pub use rows::{EmbeddingBlock, EmbeddingRows};
pub use shards::{EmbeddingSet, Part};
pub use unfinished::{Done, Unfinished};
pub use writer::{EmbeddingBatch, EmbeddingWriter};

use crate::files::inputs::Inputs;
use crate::survey::{Modality, Target};

/// Version of the layout, in the attribute `format_version`. Raised when older readers would misread.
pub const FORMAT_VERSION: u32 = 1;

const OBJECT_ID: &str = "object_id";
const SPLIT: &str = "split";
const REDSHIFT: &str = "redshift";

const FORMAT_VERSION_ATTRIBUTE: &str = "format_version";
const MODEL_SHA256: &str = "model_sha256";
const MODEL_CONFIG: &str = "model_config";
const PROGRAM_VERSION: &str = "program_version";
const NORMALIZED: &str = "normalized";
const INPUTS: &str = "inputs";
const SHARD: &str = "shard";
const EMBEDDING: &str = "embedding_sha256";

/// Where the embeddings of a file come from.
#[derive(Debug, Clone, PartialEq)]
pub struct Provenance {
    /// SHA-256 of the model's weights file, hexadecimal.
    pub model_sha256: String,
    /// The model's configuration as JSON.
    pub model_config: String,
    /// Version of the program that wrote the file.
    pub program_version: String,
    /// Whether every embedding was divided by its Euclidean norm.
    pub normalized: bool,
    /// The survey, its labels and the model, as JSON in the attribute `inputs`; older files do not say.
    pub inputs: Option<Inputs>,
    /// Which part of an embedding the file is, in the attributes `shard` and `embedding_sha256`; none where it is the whole.
    pub part: Option<Part>,
}

/// The dataset that holds a modality's embeddings.
pub fn dataset_name(modality: Modality) -> &'static str {
    Layer::Embeddings.dataset(modality)
}

/// Redshifts as a file has them; NaN for those that no galaxy can have, such as −99.
fn known_redshifts(redshifts: impl Iterator<Item = f32>) -> Vec<f32> {
    let known = |redshift: f32| Target::Redshift.known(f64::from(redshift)) as f32;
    redshifts.map(known).collect()
}
