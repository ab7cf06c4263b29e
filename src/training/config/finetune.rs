//! Run file of fine-tuning.

use serde::{Deserialize, Serialize};

use super::StageConfig;
use super::baselines::{MOST_STEPS, check_labels_limit, check_targets};
use crate::base::error::{ABOVE_0, BETWEEN_0_AND_1, Check, Result};
use crate::evaluation::eval::Target;
use crate::network::model::RegressionHeadConfig;
use crate::survey::Modality;
use crate::training::objective::FineTuneOptimizerConfig;
use crate::training::train::RunConfig;
use crate::views::augment::RegressionViewConfig;

/// Most folds.
const MOST_FOLDS: usize = 100;

/// The training galaxies that decide which weights are kept, and when a run ends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FineTuneValidationSection {
    /// Share of the labelled training galaxies that is set aside, above 0 and below 1, where there are no folds.
    pub fraction: f64,
    /// Steps between two looks at them, 1 or more; there is always one at the end.
    pub every: u64,
    /// Looks without a lower loss after which a run ends, 1 or more; those in which the head learns alone do not count.
    /// Never where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patience: Option<u64>,
    /// Parts of the labelled training galaxies, 2 to 100, each of which validates a model of its own; the model that is left
    /// is then fitted to all, for the median of their best steps. One model where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folds: Option<usize>,
    /// The one of the folds, counted from 0, that is trained; all, one after the other, where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fold: Option<usize>,
}

/// How images are varied while a model is fine-tuned on them; their size and pixel values are the model's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FineTuneImageSection {
    /// Probability of a flip, for each of the two axes, 0 to 1.
    pub flip_probability: f64,
    /// Whether images are turned by a random angle between 0 and π.
    pub rotation: bool,
    /// Share of samples that skip a residual branch of the transformer, in [0, 1).
    pub drop_path: f64,
}

impl Default for FineTuneImageSection {
    fn default() -> Self {
        Self {
            flip_probability: 0.5,
            rotation: true,
            drop_path: 0.0,
        }
    }
}

/// Run file of `finetune`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FineTuneRun {
    /// What to predict: redshift, log_mstar, log_z_mw, tage_mw, log_ssfr.
    pub targets: Vec<Target>,
    /// From what: image or spectrum; of an aligned model that transformer is trained on. What the model takes where it
    /// takes one of them only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Modality>,
    /// Labelled training galaxies that are used, 4 or more, chosen by the seed; all where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels_limit: Option<usize>,
    /// Distance in standard deviations of a target, above 0, beyond which an error counts by its size (Huber); where it is
    /// not given, all count by their squares.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub huber_delta: Option<f64>,
    /// Length and bookkeeping.
    pub train: RunConfig,
    /// Validation.
    pub validation: FineTuneValidationSection,
    /// Head on the embeddings.
    #[serde(default)]
    pub head: RegressionHeadConfig,
    /// Images.
    #[serde(default)]
    pub images: FineTuneImageSection,
    /// Optimisation.
    pub optimizer: FineTuneOptimizerConfig,
}

impl FineTuneRun {
    /// The view of an image of which the model takes `size` pixels a side.
    pub fn view(&self, size: usize) -> RegressionViewConfig {
        RegressionViewConfig {
            size,
            flip_probability: self.images.flip_probability,
            rotation: self.images.rotation,
            blur_kernel: 1,
            max_blur: 0.0,
        }
    }

    /// The run of one of its folds.
    pub fn of_fold(&self, fold: usize) -> Self {
        let mut run = self.clone();
        run.validation.fold = Some(fold);
        // A run of many models keeps no more than it needs.
        run.train.keep_checkpoints = 1;
        run
    }
}

impl StageConfig for FineTuneRun {
    const STAGE: &'static str = "finetune";
    const DEFAULT: &'static str = "finetune";

    fn check(&self) -> Result<()> {
        check_targets(&self.targets)?;
        check_labels_limit(self.labels_limit)?;
        if let Some(delta) = self.huber_delta {
            Check::at("").number("huber_delta", delta, ABOVE_0)?;
        }
        self.train.check("train")?;
        let check = Check::at("train");
        check.count("steps", self.train.steps, 1..=MOST_STEPS)?;
        check.require(
            self.train.micro_batch_size.is_none(),
            "micro_batch_size",
            self.train.micro_batch_size.unwrap_or_default(),
            "none: fine-tuning takes its batches whole; lower train.batch_size",
        )?;
        self.validation.check("validation")?;
        self.head.check("head")?;
        let check = Check::at("images");
        check.number("flip_probability", self.images.flip_probability, 0.0..=1.0)?;
        check.number("drop_path", self.images.drop_path, 0.0..1.0)?;
        self.optimizer.check("optimizer", self.train.schedule())
    }
}

impl FineTuneValidationSection {
    fn check(&self, path: &str) -> Result<()> {
        let check = Check::at(path);
        check.number("fraction", self.fraction, BETWEEN_0_AND_1)?;
        check.count("every", self.every, 1..)?;
        if let Some(patience) = self.patience {
            check.count("patience", patience, 1..)?;
        }
        if let Some(folds) = self.folds {
            check.count("folds", folds, 2..=MOST_FOLDS)?;
        }
        match (self.fold, self.folds) {
            (Some(fold), Some(folds)) => check.count("fold", fold, 0..folds),
            (Some(fold), None) => check.require(
                false,
                "fold",
                fold,
                format!("none without {path}.folds, of which it is one"),
            ),
            (None, _) => Ok(()),
        }
    }
}
