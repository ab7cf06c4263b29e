use serde::{Deserialize, Serialize};

use super::StageConfig;
use super::stages::{check_run, require};
use crate::augment::{PixelConfig, RegressionViewConfig};
use crate::error::Result;
use crate::eval::{MlpConfig, Target};
use crate::model::{ConvAttentionConfig, ResNetConfig};
use crate::nn::Precision;
use crate::objective::RegressionOptimizerConfig;
use crate::survey::Survey;
use crate::train::RunConfig;

/// Steps are counted in f32 beside the best weights.
const MOST_STEPS: u64 = 1 << 24;

/// The training galaxies that decide which weights are kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValidationSection {
    /// Share of the training galaxies that is set aside, above 0 and below 1.
    pub fraction: f64,
    /// Steps between two looks at them; there is always one at the end.
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
        check_supervised(&self.targets, &self.train, &self.validation)?;
        require(self.train.batch_size >= 2, || {
            "`train.batch_size` is 1; batch normalization needs at least 2 galaxies".into()
        })?;
        self.model.check("model")?;
        check_optimizer(&self.optimizer)?;
        self.survey.check()?;
        self.images.pixels.check(self.survey.bands.len())
    }
}

/// Run file of `baseline spectrum`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpectrumBaselineRun {
    /// What to predict: redshift, log_mstar, log_z_mw, tage_mw, log_ssfr.
    pub targets: Vec<Target>,
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
        check_supervised(&self.targets, &self.train, &self.validation)?;
        self.survey.check()?;
        self.model.check("model")?;
        check_optimizer(&self.optimizer)
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
        self.survey.check()?;
        check_targets(&self.targets)
    }
}

fn check_supervised(
    targets: &[Target],
    train: &RunConfig,
    validation: &ValidationSection,
) -> Result<()> {
    check_targets(targets)?;
    check_run(train)?;
    require(train.steps <= MOST_STEPS, || {
        format!(
            "`train.steps` is {}; expected at most {MOST_STEPS}",
            train.steps
        )
    })?;
    require(train.precision == Precision::F32, || {
        format!(
            "`train.precision` is {}; a baseline computes in f32",
            train.precision
        )
    })?;
    require(train.micro_batch_size.is_none(), || {
        "`train.micro_batch_size` is set; a baseline takes its batches whole: lower `train.batch_size`".into()
    })?;
    let fraction = validation.fraction;
    require(fraction > 0.0 && fraction < 1.0, || {
        format!("`validation.fraction` is {fraction}; expected a share above 0 and below 1")
    })?;
    require(validation.every > 0, || {
        "`validation.every` is 0; expected at least 1".into()
    })
}

fn check_targets(targets: &[Target]) -> Result<()> {
    require(!targets.is_empty(), || {
        "`targets` is empty; expected at least one of redshift, log_mstar, log_z_mw, tage_mw, log_ssfr".into()
    })?;
    for (place, target) in targets.iter().enumerate() {
        require(!targets[..place].contains(target), || {
            format!("`targets` names {} twice", target.name())
        })?;
    }
    Ok(())
}

fn check_optimizer(optimizer: &RegressionOptimizerConfig) -> Result<()> {
    for (key, value) in [
        ("lr", Some(optimizer.lr)),
        ("min_lr", optimizer.min_lr),
        ("weight_decay", Some(optimizer.weight_decay)),
    ] {
        let value = value.unwrap_or(0.0);
        require(value.is_finite() && value >= 0.0, || {
            format!("`optimizer.{key}` is {value}; expected a number of at least 0")
        })?;
    }
    let clip = optimizer.clip_norm.unwrap_or(1.0);
    require(clip > 0.0, || {
        format!("`optimizer.clip_norm` is {clip}; expected a number above 0")
    })
}
