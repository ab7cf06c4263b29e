//! Evaluation of embeddings (paper section 6): what a k-NN (zero-shot) and a small MLP (few-shot) predict
//! from them, posteriors by normalizing flows, and whether a galaxy finds its own counterpart.
//!
//! Reads embedding files and label tables, never models.

mod bootstrap;
pub mod calibration;
mod classification;
mod fit_progress;
pub mod flow;
mod labels;
mod map;
mod metrics;
mod mlp;
mod morphology;
mod posterior;
mod predictions;
mod regression;
mod results;
mod retrieval;
mod sample;
mod scores;
mod split;
mod table;
mod target;
mod tasks;
mod truth;

pub use bootstrap::{BootstrapConfig, Uncertainty};
pub use classification::{ClassMetrics, accuracy_of_classes};
pub use labels::Labels;
pub use map::embedding_map;
pub use metrics::{Metrics, accuracy_of_properties, accuracy_of_redshifts};
pub use mlp::{Mlp, MlpConfig};
pub use morphology::{
    MorphologyDropped, MorphologyOptions, MorphologyPredictions, MorphologyReport,
    MorphologyResult, morphology,
};
pub use posterior::{
    Condition, Example, FlowResult, Interval, LeftOut, MeanAndDeviation, PosteriorEvaluation,
    PosteriorOptions, PosteriorReport, PosteriorResult, PosteriorSummaries, TargetPosterior,
    render_posterior_table,
};
pub use predictions::PredictionTable;
pub use regression::Evaluation;
pub use results::{
    Bin, BinnedBy, Dropped, EvalOptions, EvalReport, Gain, Method, Predictions, Source, TaskResult,
};
pub use retrieval::{RecallAt, RetrievalOptions, RetrievalResult, retrieval};
pub use sample::Model;
pub use split::SplitRule;
pub use table::{render_morphology_table, render_retrieval_table, render_table};
pub use target::Target;
pub use truth::SurveyGalaxies;
