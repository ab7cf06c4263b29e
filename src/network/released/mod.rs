//! Weights of the released PyTorch models, in and out (PolymathicAI/AstroCLIP, commit 9d85069), and of public image
//! transformers, to begin a run with (facebookresearch/dinov2).
//!
//! Files are read as data: nothing in them is executed, and what they claim is checked against their size
//! before memory is taken. The pickle reader is our own: `pytorch-reader` 0.22.1 refuses the released aligned model
//! (objects of unknown classes with state: "unexpected pickle opcode SetItems"), other readers bring a second tensor
//! library.

mod export;
mod file;
mod fit;
mod import;
mod inference;
mod model;
mod names;
mod public;
mod start;
mod torch_file;
mod write;

/// Key of an exported file under which our header lies, so that an import gives the model back as it was;
/// the released code does not look at it.
const HEADER_KEY: &str = "astroclip_header";

pub use export::{ExportFormat, export, is_export};
pub use import::{ImportSummary, ReleasedWeights};
pub use inference::AttentionHeads;
pub use start::{ImageStart, StartWeights};
