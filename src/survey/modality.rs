//! Images and spectra.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The two views of a galaxy that share one embedding space.
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
pub enum Modality {
    /// A multi-band image.
    Image,
    /// An optical spectrum.
    Spectrum,
}

impl Modality {
    /// Both modalities.
    pub const ALL: [Self; 2] = [Self::Image, Self::Spectrum];

    /// The modality's name in files, results and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Spectrum => "spectrum",
        }
    }
}

impl fmt::Display for Modality {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}
