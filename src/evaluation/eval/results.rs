//! Settings and results of an evaluation of regression.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{
    bootstrap::{BootstrapConfig, Uncertainty},
    left_out::LeftOut,
    metrics::Metrics,
    mlp::MlpConfig,
    source::Source,
};
use crate::evaluation::knn::Weights;
use crate::survey::{ObjectId, Target};

/// How a prediction is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// k-nearest-neighbour regression: nothing is trained.
    ZeroShot,
    /// A small MLP.
    FewShot,
    /// A network trained end to end, whose predictions come from a file.
    Supervised,
}

impl fmt::Display for Method {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::ZeroShot => "zero-shot",
            Self::FewShot => "few-shot",
            Self::Supervised => "supervised",
        })
    }
}

/// Settings of the evaluation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RegressionOptions {
    /// What is predicted; as the paper does it, redshift alone or the properties alone.
    pub targets: Vec<Target>,
    /// Neighbours of the k-NN.
    pub k: usize,
    /// How the neighbours are weighted.
    pub weights: Weights,
    /// The few-shot MLP.
    pub mlp: MlpConfig,
    /// MLPs fitted, each with a seed one above the last.
    pub seeds: usize,
    /// Resampling of the test galaxies.
    pub bootstrap: BootstrapConfig,
    /// Bins of redshift, and of magnitude, with equal numbers of test galaxies; 0 for none.
    pub bins: usize,
}

impl Default for RegressionOptions {
    fn default() -> Self {
        Self {
            targets: vec![Target::Redshift],
            k: 16,
            weights: Weights::default(),
            mlp: MlpConfig::default(),
            seeds: 1,
            bootstrap: BootstrapConfig::default(),
            bins: 0,
        }
    }
}

/// One line of the results.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RegressionResult {
    /// Name of the model whose embeddings or predictions these are; `magnitudes` for photometry.
    pub model: String,
    /// What the prediction is made from.
    pub source: Source,
    /// How it is made.
    pub method: Method,
    /// What is predicted.
    pub target: Target,
    /// How good it is on the test galaxies; the mean over seeds.
    #[serde(flatten)]
    pub metrics: Metrics,
    /// Standard deviation over seeds, where there are several.
    pub over_seeds: Option<Metrics>,
    /// Bootstrap over the test galaxies, of the mean over seeds.
    pub uncertainty: Option<Uncertainty<Metrics>>,
    /// How much better it is than magnitudes, where both predict for the same galaxies.
    pub over_photometry: Option<Gain>,
    /// Galaxies fitted to; 0 where a file of predictions does not say.
    pub n_train: usize,
    /// Galaxies tested on.
    pub n_test: usize,
    /// The same in bins, where they were asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bins: Vec<Bin>,
}

/// R² less that of the magnitudes by the same method (the few-shot MLP for supervised networks).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Gain {
    /// Difference of R².
    pub r2: f64,
    /// Bootstrap over the galaxies, paired: both methods see the same resamples.
    pub uncertainty: Option<Uncertainty<f64>>,
    /// Test galaxies that both predict for.
    pub galaxies: usize,
}

/// What galaxies are binned by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BinnedBy {
    /// True redshift.
    Redshift,
    /// Apparent magnitude in r.
    MagnitudeR,
}

impl BinnedBy {
    /// What to call it at an axis.
    pub fn axis(self) -> &'static str {
        match self {
            Self::Redshift => "true z",
            Self::MagnitudeR => "r magnitude",
        }
    }
}

impl fmt::Display for BinnedBy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Redshift => "z",
            Self::MagnitudeR => "r mag",
        })
    }
}

/// Results for the galaxies of one bin.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bin {
    /// What is binned.
    pub by: BinnedBy,
    /// Lower edge, in the bin.
    pub low: f64,
    /// Upper edge, in the next bin but for the last.
    pub high: f64,
    /// Test galaxies in the bin.
    pub n_test: usize,
    /// How good the predictions are, for two or more galaxies.
    pub metrics: Option<Metrics>,
    /// Bootstrap over the bin's galaxies.
    pub uncertainty: Option<Uncertainty<Metrics>>,
}

/// Predictions for the test galaxies, for plots.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Predictions {
    /// Name of the model.
    pub model: String,
    /// What they are made from.
    pub source: Source,
    /// How they are made.
    pub method: Method,
    /// What is predicted.
    pub target: Target,
    /// Galaxy of each prediction.
    pub object_id: Vec<ObjectId>,
    /// True values.
    pub truth: Vec<f64>,
    /// Predicted values, of the first seed.
    pub predicted: Vec<f64>,
    /// Predicted values of each further seed.
    pub further_seeds: Vec<Vec<f64>>,
}

/// A baseline that cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotMade {
    /// What would be predicted.
    pub target: Target,
    /// What it would be made from.
    pub source: Source,
    /// Name of the model.
    pub model: String,
    /// Why it cannot be made.
    pub reason: String,
}

/// All results of an evaluation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RegressionReport {
    /// The settings used.
    pub options: RegressionOptions,
    /// One per target, source, model and method, in this order.
    pub results: Vec<RegressionResult>,
    /// What should stand among the results and cannot be made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_made: Vec<NotMade>,
    /// Tasks that left out galaxies.
    #[serde(rename = "dropped")]
    pub left_out: Vec<LeftOut>,
    /// What else the reader of the results must know.
    pub notes: Vec<String>,
    /// The predictions behind `results`, in the same order; not part of the JSON.
    #[serde(skip)]
    pub predictions: Vec<Predictions>,
}
