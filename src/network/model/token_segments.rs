//! Tokens of a spectrum in segments of wavelength.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::base::error::{Check, Result};

/// Most segments, components and spectra; more is a slip.
const MOST: usize = 1 << 16;

/// What is kept of spectra from before the head of an aligned model: the tokens that the head sees, as means over segments of
/// wavelength, which tell where a spectrum has what, and the flux in bins, both in their principal components.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SpectrumFeaturesConfig {
    /// Segments of about as many tokens each, 1 to 65536; no more than there are tokens.
    pub segments: usize,
    /// Pixels of the survey in a bin of the flux, 1 to 65536; 0 for none. Each spectrum's bins have mean 0 and standard
    /// deviation 1, and all bins together vary as much as all segments.
    pub bin: usize,
    /// Components, 1 to 65536.
    pub components: usize,
    /// Coordinates are divided by their standard deviation to this power, 0 to 1.
    pub whitening: f64,
    /// Training galaxies whose spectra they are of at most, 2 to 65536; the seed chooses them.
    pub spectra: usize,
}

impl Default for SpectrumFeaturesConfig {
    fn default() -> Self {
        Self {
            segments: 32,
            bin: 20,
            components: 128,
            whitening: 0.5,
            spectra: 2000,
        }
    }
}

impl SpectrumFeaturesConfig {
    /// Checks all values; `path` stands in front of the fields' names.
    ///
    /// # Errors
    ///
    /// Names the first field that is out of range.
    pub fn check(&self, path: &str) -> Result<()> {
        let check = Check::at(path);
        check.count("segments", self.segments, 1..=MOST)?;
        check.count("bin", self.bin, 0..=MOST)?;
        check.count("components", self.components, 1..=MOST)?;
        check.number("whitening", self.whitening, 0.0..=1.0)?;
        check.count("spectra", self.spectra, 2..=MOST)
    }
}

/// Means `(batch, segments x width)` over segments of tokens `(batch, tokens, width)`, of which no segment has more than
/// one more than another.
pub fn segment_means(tokens: Tensor<3>, segments: usize) -> Tensor<2> {
    let [batch, count, width] = tokens.dims();
    let segments = segments.min(count);
    let means = (0..segments).map(|segment| {
        let [start, end] = [segment, segment + 1].map(|bound| bound * count / segments);
        tokens.clone().narrow(1, start, end - start).mean_dim(1)
    });
    Tensor::cat(means.collect(), 1).reshape([batch, segments * width])
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Tensor};

    use super::segment_means;

    #[test]
    fn segments_hold_all_tokens_once() {
        let device = Device::flex();
        let values: Vec<f32> = (0..10).map(|value| value as f32).collect();
        let data = burn::tensor::TensorData::new(values, [1, 5, 2]);
        let tokens = Tensor::<3>::from_data(data, &device);
        let means = |segments| -> Vec<f32> {
            let means = segment_means(tokens.clone(), segments);
            means.into_data().try_to_vec().expect("numbers")
        };
        // Tokens (0, 1), (2, 3) and (4, 5), (6, 7), (8, 9).
        assert_eq!(means(2), [1.0, 2.0, 6.0, 7.0]);
        assert_eq!(means(1), [4.0, 5.0]);
        assert_eq!(means(9).len(), 10);
    }
}
