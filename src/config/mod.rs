//! Run files: presets compiled into the binary, files, `--set` overrides, and checks before work starts.

mod baselines;
mod load;
mod preset;
mod stages;

pub use baselines::{
    ImageBaselineRun, PhotometryBaselineRun, RegressionImageSection, SpectrumBaselineRun,
    ValidationSection,
};
pub use load::{DataSection, RunFile, load, load_file, load_run, load_survey, to_toml};
pub use preset::{PRESETS, Preset, find as find_preset};
pub use stages::{
    AlignRun, AlignSection, ImageRun, ImageSection, QuickstartRun, SpectrumRun, SpectrumSection,
    StageConfig, StageOverrides,
};
