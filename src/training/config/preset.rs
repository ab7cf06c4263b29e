//! Run files that are compiled into the program.

use crate::base::error::{Error, Result};

/// A run file compiled into the binary.
#[derive(Debug, Clone, Copy)]
pub struct Preset {
    /// Name without `.toml`.
    pub name: &'static str,
    /// The file, comments and all.
    pub text: &'static str,
}

macro_rules! presets {
    ($($name:literal),* $(,)?) => {
        &[$(Preset {
            name: $name,
            text: include_str!(concat!("../../../configs/", $name, ".toml")),
        }),*]
    };
}

/// All presets, in the order in which `astroclip config list` shows them.
pub const PRESETS: &[Preset] = presets![
    "vitl",
    "vitl-released",
    "vitb",
    "vits",
    "specformer",
    "specformer-released",
    "align",
    "align-released",
    "best-vitl",
    "best-align",
    "tiny-vit",
    "tiny-specformer",
    "tiny-align",
    "small-vit",
    "small-specformer",
    "small-align",
    "finetune",
    "baseline-resnet18",
    "baseline-spectrum",
    "baseline-spectrum-pca",
    "baseline-spectrum-templates",
    "baseline-photometry",
    "tiny-baseline-resnet18",
    "tiny-baseline-spectrum",
    "quickstart",
    "quickstart-smoke",
    "quickstart-gpu",
    "quickstart-large",
];

impl Preset {
    /// The first line of the file's head, which says what it is.
    pub fn summary(&self) -> &'static str {
        self.text
            .lines()
            .next()
            .map_or("", |line| line.trim_start_matches('#').trim())
    }

    /// The command that the file is for, from its `stage` key.
    pub fn stage(&self) -> &'static str {
        self.text
            .lines()
            .find_map(|line| line.strip_prefix("stage = "))
            .map_or("", |value| value.trim().trim_matches('"'))
    }
}

/// The preset called `name`, with or without `.toml`.
///
/// # Errors
///
/// Lists the known names.
pub fn find(name: &str) -> Result<&'static Preset> {
    let stem = name.strip_suffix(".toml").unwrap_or(name);
    PRESETS
        .iter()
        .find(|preset| preset.name == stem)
        .ok_or_else(|| {
            let known: Vec<&str> = PRESETS.iter().map(|preset| preset.name).collect();
            Error::input(format!(
                "`{name}` is neither a file nor a preset; presets are {}",
                known.join(", ")
            ))
        })
}
