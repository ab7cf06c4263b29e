//! Surveys that differ from the usual one in one thing, to see what a model that was trained on one knows of another.

use serde::{Deserialize, Serialize};

/// In what a simulated survey differs from the usual one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Variant {
    /// In nothing.
    #[default]
    Standard,
    /// Noise of images is three times as large, that of spectra twice.
    Shallow,
    /// Point sources are 1.6 times as wide.
    Seeing,
    /// Galaxies have twice the colour excess.
    Dusty,
    /// Stars are redder by 0.04 mag in g − r and in r − z, as in another library of stars.
    Colours,
    /// Gas has no emission lines.
    NoLines,
}

/// What a [`Variant`] changes; 1, and 0 mag, where it does not.
#[derive(Debug, Clone, Copy)]
pub(super) struct Changes {
    /// Factor on the noise of images.
    pub(super) image_noise: f64,
    /// Factor on the noise of spectra.
    pub(super) spectrum_noise: f32,
    /// Factor on the width of point sources.
    pub(super) seeing: f64,
    /// Factor on the colour excess.
    pub(super) reddening: f64,
    /// Slope of the stars' light, magnitudes per unit of (5500 Å / λ − 1), as that of metallicity.
    pub(super) slope: f64,
    /// Factor on the luminosity of emission lines.
    pub(super) lines: f64,
}

impl Variant {
    pub(super) fn changes(self) -> Changes {
        let none = Changes {
            image_noise: 1.0,
            spectrum_noise: 1.0,
            seeing: 1.0,
            reddening: 1.0,
            slope: 0.0,
            lines: 1.0,
        };
        match self {
            Self::Standard => none,
            Self::Shallow => Changes {
                image_noise: 3.0,
                spectrum_noise: 2.0,
                ..none
            },
            Self::Seeing => Changes {
                seeing: 1.6,
                ..none
            },
            Self::Dusty => Changes {
                reddening: 2.0,
                ..none
            },
            Self::Colours => Changes {
                slope: 0.15,
                ..none
            },
            Self::NoLines => Changes { lines: 0.0, ..none },
        }
    }
}
