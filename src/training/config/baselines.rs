//! Run files of the supervised baselines.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::StageConfig;
use crate::base::error::{BETWEEN_0_AND_1, Check, Result};
use crate::evaluation::eval::{MlpConfig, Target};
use crate::network::model::{ConvAttentionConfig, ResNetConfig};
use crate::network::nn::Precision;
use crate::survey::Survey;
use crate::training::objective::RegressionOptimizerConfig;
use crate::training::train::RunConfig;
use crate::views::augment::{PixelConfig, RegressionViewConfig};

/// Steps are counted in f32 beside the best weights.
pub(super) const MOST_STEPS: u64 = 1 << 24;

/// The training galaxies that decide which weights are kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValidationSection {
    /// Share of the training galaxies that is set aside, above 0 and below 1.
    pub fraction: f64,
    /// Steps between two looks at them, 1 or more; there is always one at the end.
    pub every: u64,
}

/// How images become what a supervised network sees.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RegressionImageSection {
    /// Crop and augmentation.
    pub view: RegressionViewConfig,
    /// From nanomaggies to what the model sees.
    pub pixels: PixelConfig,
}

/// Run file of `baseline image`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageBaselineRun {
    /// What to predict: redshift, log_mstar, log_z_mw, tage_mw, log_ssfr.
    pub targets: Vec<Target>,
    /// Labelled training galaxies that are used, 4 or more, chosen by the seed; all where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels_limit: Option<usize>,
    /// Length and bookkeeping.
    pub train: RunConfig,
    /// What the cutouts are.
    #[serde(default)]
    pub survey: Survey,
    /// Validation.
    pub validation: ValidationSection,
    /// Network.
    #[serde(default)]
    pub model: ResNetConfig,
    /// Images.
    #[serde(default)]
    pub images: RegressionImageSection,
    /// Optimisation.
    pub optimizer: RegressionOptimizerConfig,
}

impl StageConfig for ImageBaselineRun {
    const STAGE: &'static str = "baseline image";
    const DEFAULT: &'static str = "tiny-baseline-resnet18";

    fn check(&self) -> Result<()> {
        check_targets(&self.targets)?;
        check_labels_limit(self.labels_limit)?;
        check_supervised(&self.train, &self.validation)?;
        // A batch of one has no variance to normalize by.
        Check::at("train").count("batch_size", self.train.batch_size, 2..)?;
        self.model.check("model")?;
        self.survey.check("survey")?;
        let RegressionImageSection { view, pixels } = &self.images;
        view.check("images.view")?;
        // Without a size here, files are asked for theirs.
        if let Some(size) = self.survey.cutout_size {
            view.check_fit("images.view", size)?;
        }
        pixels.check("images.pixels", self.survey.bands.len())?;
        self.optimizer.check("optimizer", self.train.schedule())
    }
}

/// Run file of `baseline spectrum`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpectrumBaselineRun {
    /// What to predict: redshift, log_mstar, log_z_mw, tage_mw, log_ssfr.
    pub targets: Vec<Target>,
    /// Labelled training galaxies that are used, 4 or more, chosen by the seed; all where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels_limit: Option<usize>,
    /// Length and bookkeeping.
    pub train: RunConfig,
    /// What the spectra are.
    #[serde(default)]
    pub survey: Survey,
    /// Validation.
    pub validation: ValidationSection,
    /// Network.
    #[serde(default)]
    pub model: ConvAttentionConfig,
    /// Optimisation.
    pub optimizer: RegressionOptimizerConfig,
}

impl StageConfig for SpectrumBaselineRun {
    const STAGE: &'static str = "baseline spectrum";
    const DEFAULT: &'static str = "tiny-baseline-spectrum";

    fn check(&self) -> Result<()> {
        check_targets(&self.targets)?;
        check_labels_limit(self.labels_limit)?;
        check_supervised(&self.train, &self.validation)?;
        self.survey.check("survey")?;
        self.model.check("model")?;
        self.optimizer.check("optimizer", self.train.schedule())
    }
}

/// Run file of `baseline photometry`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhotometryBaselineRun {
    /// What to predict: redshift, log_mstar, log_z_mw, tage_mw, log_ssfr.
    pub targets: Vec<Target>,
    /// What the files hold.
    #[serde(default)]
    pub survey: Survey,
    /// Network, one per target, and its training.
    #[serde(default)]
    pub mlp: MlpConfig,
}

impl StageConfig for PhotometryBaselineRun {
    const STAGE: &'static str = "baseline photometry";
    const DEFAULT: &'static str = "baseline-photometry";

    fn check(&self) -> Result<()> {
        self.survey.check("survey")?;
        check_targets(&self.targets)?;
        self.mlp.check("mlp")
    }
}

fn check_supervised(train: &RunConfig, validation: &ValidationSection) -> Result<()> {
    train.check("train")?;
    let check = Check::at("train");
    check.count("steps", train.steps, 1..=MOST_STEPS)?;
    check.require(
        train.precision == Precision::F32,
        "precision",
        train.precision,
        "f32, in which a baseline computes",
    )?;
    check.require(
        train.micro_batch_size.is_none(),
        "micro_batch_size",
        train.micro_batch_size.unwrap_or_default(),
        "none: a baseline takes its batches whole; lower train.batch_size",
    )?;
    let check = Check::at("validation");
    check.number("fraction", validation.fraction, BETWEEN_0_AND_1)?;
    check.count("every", validation.every, 1..)
}

/// A target is known of at least 4 training galaxies.
pub(super) fn check_labels_limit(limit: Option<usize>) -> Result<()> {
    match limit {
        Some(limit) => Check::at("").count("labels_limit", limit, 4..),
        None => Ok(()),
    }
}

pub(super) fn check_targets(targets: &[Target]) -> Result<()> {
    let names: Vec<&str> = targets.iter().map(|target| target.name()).collect();
    let (check, value) = (Check::at(""), format!("{names:?}"));
    let expected = "at least one of redshift, log_mstar, log_z_mw, tage_mw, log_ssfr";
    check.require(!names.is_empty(), "targets", &value, expected)?;
    let mut known = HashSet::new();
    let twice = names.iter().find(|name| !known.insert(**name));
    let expected = format!("each once, not {} twice", twice.unwrap_or(&""));
    check.require(twice.is_none(), "targets", &value, expected)
}
