use serde::{Deserialize, Serialize};

use crate::eval::{
    bootstrap::{BootstrapConfig, Uncertainty},
    classification::ClassMetrics,
    mlp::MlpConfig,
    results::Source,
};
use crate::survey::{ObjectId, Split};

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
    /// Share of the volunteers who must have been asked the question.
    pub asked_share: f64,
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
            asked_share: 0.5,
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
    /// The commonest answer of the volunteers, by its place among the question's answers.
    pub truth: Vec<usize>,
    /// The answer predicted, one list per seed.
    pub predicted: Vec<Vec<usize>>,
}

/// Galaxies that a question left out, by the first reason that holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MorphologyDropped {
    /// Name of the question.
    pub question: String,
    /// Name of the model.
    pub model: String,
    /// What the answer is predicted from.
    pub source: Source,
    /// Train or test galaxies.
    pub split: Split,
    /// Their identifier is not in the label table, or without votes there.
    pub without_votes: usize,
    /// Too few volunteers saw them.
    pub too_few_votes: usize,
    /// Too small a share of the volunteers was asked the question.
    pub rarely_asked: usize,
    /// Another model has them, but not this one.
    pub not_in_file: usize,
    /// The embedding or a magnitude is not finite.
    pub without_features: usize,
}

/// All results for morphology.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MorphologyReport {
    /// The settings used.
    pub options: MorphologyOptions,
    /// One per question and model, in the order of the questions.
    pub results: Vec<MorphologyResult>,
    /// Questions that left out galaxies.
    pub dropped: Vec<MorphologyDropped>,
    /// What else the reader of the results must know.
    pub notes: Vec<String>,
    /// The answers behind `results`, in the same order; not part of the JSON.
    #[serde(skip)]
    pub predictions: Vec<MorphologyPredictions>,
}

impl MorphologyDropped {
    /// The number of galaxies left out.
    pub fn total(&self) -> usize {
        self.reasons().iter().map(|(count, _)| count).sum()
    }

    /// How many were left out for each reason.
    pub fn reasons(&self) -> [(usize, &'static str); 5] {
        [
            (self.without_votes, "without votes"),
            (self.too_few_votes, "seen by too few volunteers"),
            (self.rarely_asked, "of which too few were asked"),
            (self.not_in_file, "not in this model's file"),
            (self.without_features, "embedding or magnitude not finite"),
        ]
    }
}
