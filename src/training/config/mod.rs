//! Run files: presets compiled into the binary, files, `--set` overrides, and checks before work starts.

mod baselines;
#[cfg(test)]
mod extremes;
mod finetune;
mod load;
mod preset;
mod spectral;
mod stages;
#[cfg(test)]
mod tests;

pub use baselines::{
    ImageBaselineRun, PhotometryBaselineRun, RegressionImageSection, SpectrumBaselineRun,
    ValidationSection,
};
pub use finetune::{FineTuneImageSection, FineTuneRun, FineTuneValidationSection};
pub use load::{
    DataSection, RunFile, load, load_file, load_run, load_survey, schedule_in, to_toml,
};
pub use preset::{PRESETS, find as find_preset};
pub use spectral::{ComponentsRun, Estimator, TemplatesRun};
pub use stages::{AlignRun, ImageRun, QuickstartRun, SpectrumRun};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::base::error::Result;

/// A run file of one command.
pub trait StageConfig: DeserializeOwned + Serialize {
    /// Value of the file's `stage` key.
    const STAGE: &'static str;
    /// Preset that is taken when none is named.
    const DEFAULT: &'static str;

    /// Checks what the types cannot say.
    ///
    /// # Errors
    ///
    /// Names the key and what is expected of it.
    fn check(&self) -> Result<()>;
}
