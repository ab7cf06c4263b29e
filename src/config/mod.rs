//! Run files: presets compiled into the binary, files, `--set` overrides, and checks before work starts.

mod load;
mod preset;
mod stages;

pub use load::{load, load_survey, resolve, to_toml};
pub use preset::{PRESETS, Preset, find as find_preset};
pub use stages::{
    AlignRun, AlignSection, ImageRun, ImageSection, QuickstartRun, SpectrumRun, SpectrumSection,
    StageConfig, StageOverrides,
};
