//! What is kept of images from before the head: its settings.

use serde::{Deserialize, Serialize};

use crate::base::error::{ABOVE_0, Check, Result};

/// Most components and images; more is a slip.
const MOST: usize = 1 << 16;

/// What is kept of images from before the head of an aligned model: their fluxes, and principal components of their class
/// tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ImageFeaturesConfig {
    /// Components of class tokens, 1 to 65536.
    pub components: usize,
    /// Their coordinates are divided by their standard deviation to this power, 0 to 1.
    pub whitening: f64,
    /// How far galaxies lie apart by class tokens, where it is 1 by fluxes; above 0.
    pub weight: f64,
    /// Training galaxies whose images they are of at most, 2 to 65536; the seed chooses them.
    pub images: usize,
}

impl Default for ImageFeaturesConfig {
    fn default() -> Self {
        Self {
            components: 8,
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
        check.count("components", self.components, 1..=MOST)?;
        check.number("whitening", self.whitening, 0.0..=1.0)?;
        check.number("weight", self.weight, ABOVE_0)?;
        check.count("images", self.images, 2..=MOST)
    }
}
