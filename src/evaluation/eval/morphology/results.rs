//! Settings and results of morphology.

use serde::{Deserialize, Serialize};

use crate::evaluation::eval::{
    bootstrap::{BootstrapConfig, Uncertainty},
    classification::ClassMetrics,
    left_out::LeftOut,
    mlp::MlpConfig,
    source::Source,
};
use crate::survey::ObjectId;

/// Settings of [`morphology`](super::morphology).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MorphologyOptions {
    /// The classifier.
    pub mlp: MlpConfig,
    /// Classifiers fitted, each with a seed one above the last.
    pub seeds: usize,
    /// Volunteers who must have seen a galaxy that is trained on (paper section 4.2.3).
    pub train_votes: f64,
    /// Volunteers who must have seen a galaxy that is tested on.
    pub test_votes: f64,
    /// Fraction of the volunteers who must have been asked the question.
    #[serde(rename = "asked_share")]
    pub asked_fraction: f64,
    /// Resampling of the test galaxies.
    pub bootstrap: BootstrapConfig,
}

impl Default for MorphologyOptions {
    /// As in the paper: four layers, the hidden ones 128 wide; dropout of the released code.
    fn default() -> Self {
        Self {
            mlp: MlpConfig {
                hidden: vec![128; 3],
                dropout: 0.2,
                weight_decay: vec![0.01, 1.0],
                batch_size: 64,
                ..MlpConfig::default()
            },
            seeds: 1,
            train_votes: 3.0,
            test_votes: 34.0,
            asked_fraction: 0.5,
            bootstrap: BootstrapConfig::default(),
        }
    }
}

/// How well one question is answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MorphologyResult {
    /// Name of the question in the GZD-5 catalogue.
    pub question: String,
    /// Name of the model; `magnitudes` for photometry.
    pub model: String,
    /// What the answer is predicted from.
    pub source: Source,
    /// Predicted against commonest answer of the test galaxies; the mean over seeds.
    #[serde(flatten)]
    pub metrics: ClassMetrics,
    /// Standard deviation over seeds, where there are several.
    pub over_seeds: Option<ClassMetrics>,
    /// Bootstrap over the test galaxies, of the mean over seeds.
    pub uncertainty: Option<Uncertainty<ClassMetrics>>,
    /// What always saying the commonest answer of the training galaxies gives.
    pub majority: ClassMetrics,
    /// Galaxies fitted to.
    pub n_train: usize,
    /// Galaxies tested on.
    pub n_test: usize,
    /// Test galaxies of each answer, in the order of the question's answers.
    pub support: Vec<usize>,
}

/// Answers for the test galaxies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MorphologyPredictions {
    /// Name of the question.
    pub question: String,
    /// Name of the model.
    pub model: String,
    /// What the answer is predicted from.
    pub source: Source,
    /// Galaxies.
    pub object_id: Vec<ObjectId>,
    /// The commonest answer of the volunteers, by its index among the question's answers.
    pub truth: Vec<usize>,
    /// The answer predicted, one list per seed.
    pub predicted: Vec<Vec<usize>>,
}

/// All results for morphology.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MorphologyReport {
    /// The settings used.
    pub options: MorphologyOptions,
    /// One per question and model, in the order of the questions.
    pub results: Vec<MorphologyResult>,
    /// Questions that left out galaxies.
    #[serde(rename = "dropped")]
    pub left_out: Vec<LeftOut>,
    /// What else the reader of the results must know.
    pub notes: Vec<String>,
    /// The answers behind `results`, in the same order; not part of the JSON.
    #[serde(skip)]
    pub predictions: Vec<MorphologyPredictions>,
}
