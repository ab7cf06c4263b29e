//! What the fluxes of an image or of a spectrum add to its embedding.

use burn::module::Module;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::base::error::{Check, Result};
use crate::network::nn::{Initializer, Linear, gelu, widen};

/// The perceptron on the fluxes of an image, or of a spectrum in bins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhotometryHeadConfig {
    /// Fluxes of an image or a spectrum.
    pub inputs: usize,
    /// Width of the hidden layers.
    pub hidden: usize,
}

impl PhotometryHeadConfig {
    /// Checks that such a head can be built; `path` stands in front of the fields' names.
    ///
    /// # Errors
    ///
    /// Names the first field that is out of range.
    pub fn check(&self, path: &str) -> Result<()> {
        let check = Check::at(path);
        check.count("inputs", self.inputs, 1..=super::MOST)?;
        check.count("hidden", self.hidden, 1..=super::MOST)
    }
}

/// A perceptron with two hidden layers, from fluxes to a part of the embedding: the transformer sees colours that are cut off
/// where they are bright or faint, and sections of spectra that are divided by their deviation; how bright a galaxy is and what
/// colours it has, which both kinds of data know precisely, is in fluxes first of all.
#[derive(Module, Debug)]
pub struct PhotometryHead {
    /// Fluxes to hidden.
    pub fc1: Linear,
    /// Hidden to hidden.
    pub fc2: Linear,
    /// Hidden to the embedding.
    pub fc3: Linear,
    #[module(skip)]
    config: PhotometryHeadConfig,
}

impl PhotometryHead {
    /// Fresh weights, for embeddings that are so wide.
    pub fn new(config: &PhotometryHeadConfig, embedding: usize, init: &mut Initializer) -> Self {
        let PhotometryHeadConfig { inputs, hidden } = *config;
        let std = |fan_in: usize| (fan_in as f32).sqrt().recip();
        Self {
            fc1: Linear::new(inputs, hidden, std(inputs), init),
            fc2: Linear::new(hidden, hidden, std(hidden), init),
            fc3: Linear::new(hidden, embedding, std(hidden), init),
            config: *config,
        }
    }

    /// The architecture.
    pub fn config(&self) -> PhotometryHeadConfig {
        self.config
    }

    /// `(batch, inputs)` to `(batch, embedding)`, `f32`.
    pub fn forward(&self, fluxes: Tensor<2>) -> Tensor<2> {
        let hidden = gelu(self.fc1.forward(widen(fluxes)));
        let hidden = gelu(self.fc2.forward(hidden));
        self.fc3.forward(hidden)
    }
}
