//! Evaluation of embeddings (paper sections 6.2 to 6.4): what a k-NN (zero-shot) and a small MLP
//! (few-shot) predict from them, posteriors by normalizing flows, and whether a galaxy finds its own
//! counterpart.
//!
//! Reads embedding files and label tables, never models.

pub mod calibration;
pub mod flow;
mod labels;
mod metrics;
mod mlp;
mod posterior;
mod regression;
mod retrieval;
mod table;
mod target;

pub use labels::Labels;
pub use metrics::{Metrics, accuracy_of_properties, accuracy_of_redshifts};
pub use mlp::{Mlp, MlpConfig};
pub use posterior::{
    Example, FlowResult, Interval, LeftOut, MeanAndDeviation, PosteriorEvaluation,
    PosteriorOptions, PosteriorReport, PosteriorResult, PosteriorSummaries, TargetPosterior,
    render_posterior_table,
};
pub use regression::{
    Dropped, EvalOptions, EvalReport, Evaluation, Method, Predictions, Source, TaskResult,
};
pub use retrieval::{RecallAt, RetrievalResult, retrieval};
pub use table::{render_retrieval_table, render_table};
pub use target::Target;
