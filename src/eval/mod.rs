//! Evaluation of embeddings (paper sections 6.2 and 6.3): what a k-NN (zero-shot) and a small MLP
//! (few-shot) predict from them, and whether a galaxy finds its own counterpart.
//!
//! Reads embedding files and label tables, never models.

mod labels;
mod metrics;
mod mlp;
mod regression;
mod retrieval;
mod table;
mod target;
mod truth;

pub use labels::Labels;
pub use metrics::{Metrics, accuracy_of_properties, accuracy_of_redshifts};
pub use mlp::{Mlp, MlpConfig};
pub use regression::{
    Dropped, EvalOptions, EvalReport, Evaluation, Method, Predictions, Source, TaskResult,
};
pub use retrieval::{RecallAt, RetrievalResult, retrieval};
pub use table::{render_retrieval_table, render_table};
pub use target::Target;
pub use truth::Galaxies;
