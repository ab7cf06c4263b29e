//! What is kept of images from before the head: its settings.

use serde::{Deserialize, Serialize};

use crate::base::error::{ABOVE_0, Check, Result};

/// Most components and images; more is a slip.
const MOST: usize = 1 << 16;

/// What is kept of images from before the head of an aligned model: principal components of their fluxes and of their class
/// tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ImageFeaturesConfig {
    /// Components of fluxes and colours, 1 to 65536; as many as there are fluxes at most.
    pub fluxes: usize,
    /// Components of class tokens, 0 to 65536.
    pub tokens: usize,
    /// Coordinates are divided by their standard deviation to this power, 0 to 1.
    pub whitening: f64,
    /// How far galaxies lie apart by class tokens, where it is 1 by fluxes; above 0.
    pub weight: f64,
    /// Training galaxies whose images they are of at most, 2 to 65536; the seed chooses them.
    pub images: usize,
}

impl Default for ImageFeaturesConfig {
    fn default() -> Self {
        Self {
            fluxes: 12,
            tokens: 8,
            whitening: 0.5,
            weight: 0.25,
            images: 2000,
        }
    }
}

impl ImageFeaturesConfig {
    /// Checks all values; `path` stands in front of the fields' names.
    ///
    /// # Errors
    ///
    /// Names the first field that is out of range.
    pub fn check(&self, path: &str) -> Result<()> {
        let check = Check::at(path);
        check.count("fluxes", self.fluxes, 1..=MOST)?;
        check.count("tokens", self.tokens, 0..=MOST)?;
        check.number("whitening", self.whitening, 0.0..=1.0)?;
        check.number("weight", self.weight, ABOVE_0)?;
        check.count("images", self.images, 2..=MOST)
    }
}
