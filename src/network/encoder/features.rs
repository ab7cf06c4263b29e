//! What is kept of the tokens that an aligned model's transformer of spectra gives its head.

use burn::tensor::Tensor;
use ndarray::{Array1, Array2};

use super::to_array;
use crate::base::error::{Error, Result};
use crate::base::numeric::PrincipalComponents;
use crate::network::model::{SpectrumFeaturesConfig, segment_means};
use crate::network::weights::{NamedTensor, TensorMap};

/// Tensors of a model file.
const MEAN: &str = "spectrum_features.mean";
const AXES: &str = "spectrum_features.axes";

/// Means of tokens over segments of wavelength, in their principal components.
#[derive(Debug, Clone, PartialEq)]
pub struct SpectrumFeatures {
    config: SpectrumFeaturesConfig,
    /// Of segments, `(segments x width)`.
    mean: Array1<f32>,
    /// `(components, segments x width)`
    axes: Array2<f32>,
}

impl SpectrumFeatures {
    /// Of segment means `(n, segments x width)` of training galaxies; `draw` gives random numbers to begin with.
    pub fn fit(
        config: &SpectrumFeaturesConfig,
        segments: Array2<f32>,
        draw: impl FnMut() -> f32,
    ) -> Self {
        let found = PrincipalComponents::fit(segments, config.components, draw);
        let PrincipalComponents { mean, axes, .. } = found.whitened(config.whitening);
        Self {
            config: config.clone(),
            mean,
            axes,
        }
    }

    /// Takes them from the tensors of a model file whose tokens are `width` wide.
    pub(super) fn take(
        config: SpectrumFeaturesConfig,
        width: usize,
        tensors: &mut TensorMap,
    ) -> Result<Self> {
        config.check("spectrum_features")?;
        let mut take = |name: &str| {
            let missing = || Error::input(format!("tensor `{name}` is missing"));
            tensors.remove(name).ok_or_else(missing)
        };
        let (mean, axes) = (take(MEAN)?, take(AXES)?);
        match (&mean.shape[..], &axes.shape[..]) {
            (&[inputs], &[components, others])
                if inputs == others && inputs > 0 && inputs.is_multiple_of(width) =>
            {
                let axes = Array2::from_shape_vec((components, inputs), axes.values);
                Ok(Self {
                    config,
                    mean: mean.values.into(),
                    axes: axes.expect("a tensor has as many values as its shape says"),
                })
            }
            (mean, axes) => Err(Error::input(format!(
                "`{MEAN}` has shape {mean:?} and `{AXES}` {axes:?}; expected (segments x {width}) and (components, \
                 segments x {width})"
            ))),
        }
    }

    pub(super) fn config(&self) -> &SpectrumFeaturesConfig {
        &self.config
    }

    /// How many there are.
    pub(super) fn width(&self) -> usize {
        self.axes.nrows()
    }

    /// As model files hold them.
    pub(super) fn tensors(&self) -> TensorMap {
        let tensor = |shape: &[usize], values: Vec<f32>| NamedTensor {
            shape: shape.to_vec(),
            values,
        };
        let axes = self.axes.iter().copied().collect();
        TensorMap::from([
            (MEAN.into(), tensor(self.mean.shape(), self.mean.to_vec())),
            (AXES.into(), tensor(self.axes.shape(), axes)),
        ])
    }

    /// Features `(n, components)` of tokens `(n, tokens, width)`.
    pub(super) fn of(&self, tokens: Tensor<3>) -> Array2<f32> {
        let [_, _, width] = tokens.dims();
        let mut segments = to_array(segment_means(tokens, self.mean.len() / width));
        segments -= &self.mean;
        segments.dot(&self.axes.t())
    }
}
