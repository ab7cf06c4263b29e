//! What is kept of spectra from before the head of an aligned model.

use burn::tensor::Tensor;
use ndarray::{Array1, Array2, ArrayView2, Axis, concatenate, s};

use super::to_array;
use crate::base::error::{Error, Result};
use crate::base::numeric::{PrincipalComponents, standard_bins};
use crate::network::model::{SpectrumFeaturesConfig, segment_means};
use crate::network::weights::{NamedTensor, TensorMap};

/// Tensors of a model file.
const MEAN: &str = "spectrum_features.mean";
const AXES: &str = "spectrum_features.axes";

/// Means of tokens over segments of wavelength, and flux in bins, in their principal components.
#[derive(Debug, Clone, PartialEq)]
pub struct SpectrumFeatures {
    config: SpectrumFeaturesConfig,
    /// Of segments and bins, `(inputs)`.
    mean: Array1<f32>,
    /// `(components, inputs)`
    axes: Array2<f32>,
}

impl SpectrumFeatures {
    /// Of [inputs](super::AlignedEncoder::feature_inputs) of training galaxies, the last `bins` columns of which are bins;
    /// `draw` gives random numbers to begin with.
    pub fn fit(
        config: &SpectrumFeaturesConfig,
        mut inputs: Array2<f32>,
        bins: usize,
        draw: impl FnMut() -> f32,
    ) -> Self {
        let segments = inputs.ncols() - bins;
        let scales = [0..segments, segments..inputs.ncols()].map(|columns| {
            let part = inputs.slice(s![.., columns]);
            let variance = part.var_axis(Axis(0), 0.0).sum();
            match variance > 0.0 {
                true => variance.sqrt().recip(),
                false => 0.0,
            }
        });
        let [of_segments, of_bins] = scales;
        inputs
            .slice_mut(s![.., ..segments])
            .mapv_inplace(|value| value * of_segments);
        inputs
            .slice_mut(s![.., segments..])
            .mapv_inplace(|value| value * of_bins);
        let found = PrincipalComponents::fit(inputs, config.components, draw);
        let PrincipalComponents {
            mut mean, mut axes, ..
        } = found.whitened(config.whitening);
        // What is stored takes inputs as they are.
        for (columns, scale) in [(0..segments, of_segments), (segments..mean.len(), of_bins)] {
            axes.slice_mut(s![.., columns.clone()])
                .mapv_inplace(|value| value * scale);
            let unscaled = if scale > 0.0 { scale.recip() } else { 0.0 };
            mean.slice_mut(s![columns])
                .mapv_inplace(|value| value * unscaled);
        }
        Self {
            config: config.clone(),
            mean,
            axes,
        }
    }

    /// Takes them from the tensors of a model file whose tokens are `width` wide and whose spectra have so many pixels.
    pub(super) fn take(
        config: SpectrumFeaturesConfig,
        (width, pixels): (usize, usize),
        tensors: &mut TensorMap,
    ) -> Result<Self> {
        config.check("spectrum_features")?;
        let mut take = |name: &str| {
            let missing = || Error::input(format!("tensor `{name}` is missing"));
            tensors.remove(name).ok_or_else(missing)
        };
        let (mean, axes) = (take(MEAN)?, take(AXES)?);
        let bins = bins(&config, pixels);
        match (&mean.shape[..], &axes.shape[..]) {
            (&[inputs], &[components, others])
                if inputs == others && inputs > bins && (inputs - bins).is_multiple_of(width) =>
            {
                let axes = Array2::from_shape_vec((components, inputs), axes.values);
                Ok(Self {
                    config,
                    mean: mean.values.into(),
                    axes: axes.expect("a tensor has as many values as its shape says"),
                })
            }
            (mean, axes) => Err(Error::input(format!(
                "`{MEAN}` has shape {mean:?} and `{AXES}` {axes:?}; expected (segments x {width} + {bins}) and \
                 (components, segments x {width} + {bins})"
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

    /// Features `(n, components)` of tokens `(n, tokens, width)` and flux `(n, bins)`.
    pub(super) fn of(&self, tokens: Tensor<3>, flux: ArrayView2<'_, f32>) -> Array2<f32> {
        let mut inputs = inputs(&self.config, tokens, flux);
        inputs -= &self.mean;
        inputs.dot(&self.axes.t())
    }
}

/// Bins of spectra of so many pixels.
pub(super) fn bins(config: &SpectrumFeaturesConfig, pixels: usize) -> usize {
    pixels.checked_div(config.bin).unwrap_or(0)
}

/// Flux of spectra `(n, pixels)` in bins.
pub(super) fn flux_in_bins(
    config: &SpectrumFeaturesConfig,
    spectra: ArrayView2<'_, f32>,
) -> Array2<f32> {
    match config.bin {
        0 => Array2::zeros((spectra.nrows(), 0)),
        bin => standard_bins(spectra, bin),
    }
}

/// What components are of, `(n, segments x width + bins)`.
pub(super) fn inputs(
    config: &SpectrumFeaturesConfig,
    tokens: Tensor<3>,
    flux: ArrayView2<'_, f32>,
) -> Array2<f32> {
    let segments = to_array(segment_means(tokens, config.segments));
    concatenate(Axis(1), &[segments.view(), flux]).expect("as many spectra as there are tokens of")
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;

    #[test]
    fn features_of_a_model_file_are_those_that_were_fitted() {
        let config = SpectrumFeaturesConfig {
            segments: 2,
            bin: 10,
            components: 3,
            whitening: 1.0,
            spectra: 30,
        };
        let (galaxies, width) = (30, 4);
        let value = |seed: usize| ((seed * seed + 3 * seed) as f32).sin();
        // Tokens are far larger than flux, and count no more.
        let tokens = (0..galaxies * 5 * width).map(|place| 1e3 * value(place));
        let tokens = TensorData::new(tokens.collect::<Vec<f32>>(), [galaxies, 5, width]);
        let tokens = Tensor::<3>::from_data(tokens, &Device::flex());
        let spectra = Array2::from_shape_fn((galaxies, 45), |(galaxy, pixel)| {
            value(galaxy) * pixel as f32 + value(galaxy * pixel)
        });
        let flux = flux_in_bins(&config, spectra.view());
        assert_eq!(flux.ncols(), bins(&config, 45));
        let inputs = inputs(&config, tokens.clone(), flux.view());
        assert_eq!(inputs.dim(), (galaxies, 2 * width + 4));
        let mut seed = 0;
        let fitted = SpectrumFeatures::fit(&config, inputs, 4, || {
            seed += 1;
            value(seed)
        });
        let mut tensors = fitted.tensors();
        let taken = SpectrumFeatures::take(config.clone(), (width, 45), &mut tensors).unwrap();
        assert_eq!(taken, fitted);
        assert!(tensors.is_empty());
        let features = taken.of(tokens, flux.view());
        assert_eq!(features.dim(), (galaxies, 3));
        for column in features.columns() {
            let square: f32 = column.iter().map(|value| value * value).sum();
            assert!((square / galaxies as f32 - 1.0).abs() < 0.01, "{square}");
        }
        let weight = |columns: std::ops::Range<usize>| {
            let part = fitted.axes.slice(s![0, columns]);
            part.iter().map(|value| value * value).sum::<f32>()
        };
        assert!(weight(8..12) > 100.0 * weight(0..8));
        let other = SpectrumFeatures::take(config, (3, 45), &mut fitted.tensors());
        assert!(other.unwrap_err().to_string().contains("[12]"));
    }
}
