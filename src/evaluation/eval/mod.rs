//! Evaluation of embeddings (paper section 6): what a k-NN (zero-shot) and a small MLP (few-shot) predict
//! from them, posteriors by normalizing flows, and whether a galaxy finds its own counterpart.
//!
//! Reads embedding files and label tables, never models.

mod bootstrap;
pub mod calibration;
mod catalogue;
mod classification;
pub(in crate::evaluation) mod fit_progress;
pub mod flow;
mod labels;
pub(in crate::evaluation) mod left_out;
mod map;
mod metrics;
pub(in crate::evaluation) mod mlp;
pub(in crate::evaluation) mod morphology;
pub(in crate::evaluation) mod posterior;
mod predictions;
pub(in crate::evaluation) mod regression;
mod results;
mod retrieval;
pub(in crate::evaluation) mod sample;
mod scores;
mod source;
mod split;
mod table;
mod task;
pub(in crate::evaluation) mod truth;

pub use crate::survey::{Labels, Target};
pub use bootstrap::{BootstrapConfig, Uncertainty};
pub use catalogue::{
    About, BinScores, Catalogue, CatalogueOptions, CatalogueReport, CatalogueResult, Counts,
    DISTRIBUTION_NAMES, EstimateColumn, EstimateKey, FlagBit, FlagCount, GridDensities, Mean,
    Outlier, POINT_NAMES, Pit, Points, ScoredSplit, Scores, Share, distribution_cells, point_cells,
    render_catalogue_table, score_catalogues,
};
pub use classification::accuracy_of_classes;
pub use left_out::{LeftOut, Reason};
pub use map::embedding_map;
pub use metrics::{Metrics, accuracy_of_properties, accuracy_of_redshifts};
pub use mlp::{Mlp, MlpConfig};
pub use morphology::{MorphologyOptions, MorphologyReport, morphology};
pub use posterior::{
    Interval, PosteriorOptions, PosteriorReport, PosteriorResult, PosteriorSummaries, posterior,
    render_posterior_table,
};
pub use predictions::PredictionTable;
pub use regression::regression;
pub use results::{
    BinnedBy, Gain, Method, Predictions, RegressionOptions, RegressionReport, RegressionResult,
};
pub use retrieval::{RetrievalOptions, RetrievalReport, RetrievalResult, retrieval};
pub use sample::{EvalInputs, Model};
pub use source::{Condition, Source};
pub use split::SplitRule;
pub(in crate::evaluation) use table::remarks;
pub use table::{render_morphology_table, render_regression_table, render_retrieval_table};
pub use task::Subject;
pub use truth::SurveyGalaxies;
pub(crate) use truth::constant;
