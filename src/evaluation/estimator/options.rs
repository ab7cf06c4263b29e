//! What is fitted, and how.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::base::error::{Check, Result};
use crate::evaluation::eval::flow::FlowConfig;
use crate::evaluation::eval::{MlpConfig, MorphologyOptions, Source};
use crate::evaluation::knn::Weights;
use crate::survey::Target;

/// How a quantity is estimated.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum Regressor {
    /// The mean over the nearest training galaxies.
    Knn,
    /// The mean of an ensemble of small perceptrons.
    Mlp,
    /// The median of a posterior by an ensemble of normalizing flows, of all quantities together.
    Flow,
}

impl Regressor {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Knn, Self::Mlp, Self::Flow];

    /// Its name in files and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Knn => "knn",
            Self::Mlp => "mlp",
            Self::Flow => "flow",
        }
    }
}

impl fmt::Display for Regressor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

/// Settings of a fit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FitOptions {
    /// What is estimated; empty for all that is known of enough galaxies.
    pub targets: Vec<Target>,
    /// What it is estimated from; empty for all that the embedding file has.
    pub sources: Vec<Source>,
    /// By which methods.
    pub methods: Vec<Regressor>,
    /// Neighbours of the k-NN, and of the measure of how unlike the training galaxies one is.
    pub k: usize,
    /// How the neighbours are weighted.
    pub weights: Weights,
    /// A perceptron.
    pub mlp: MlpConfig,
    /// Perceptrons of an ensemble, each with a seed one above the last.
    pub members: usize,
    /// The flows.
    pub flow: FlowConfig,
    /// Samples of each posterior.
    pub samples: usize,
    /// Morphology: `None` where it is not to be estimated.
    pub morphology: Option<MorphologyOptions>,
}

impl Default for FitOptions {
    fn default() -> Self {
        Self {
            targets: Vec::new(),
            sources: Vec::new(),
            methods: vec![Regressor::Flow],
            k: 16,
            weights: Weights::default(),
            mlp: MlpConfig::default(),
            members: 5,
            flow: FlowConfig::default(),
            samples: 1000,
            morphology: Some(MorphologyOptions::default()),
        }
    }
}

impl FitOptions {
    /// Refuses settings that make no sense.
    pub(super) fn check(&self) -> Result<()> {
        /// Fewest samples that quantiles of 2.5 % can be taken of.
        const FEWEST_SAMPLES: usize = 40;
        let check = Check::at("fit");
        check.count("k", self.k, 2..)?;
        check.count("members", self.members, 1..)?;
        check.count("samples", self.samples, FEWEST_SAMPLES..)?;
        check.require(
            !self.methods.is_empty(),
            "methods",
            "[]".to_owned(),
            "one or more of knn, mlp, flow".to_owned(),
        )
    }
}
