//! What is kept of images from before the head of an aligned model.

use ndarray::{Array1, Array2, ArrayView2, Axis, concatenate};

use crate::base::error::{Error, Result};
use crate::base::numeric::PrincipalComponents;
use crate::network::model::ImageFeaturesConfig;
use crate::network::weights::{NamedTensor, TensorMap};

/// Tensors of a model file.
const MEAN: &str = "image_features.mean";
const AXES: &str = "image_features.axes";
const CONSTANT: &str = "image_features.constant";

/// The constant, in lengths of the others: scaled to unit length, galaxies keep the order of their distances.
const CONSTANT_LENGTH: f32 = 3.0;

/// Fluxes, class tokens in their principal components, and a constant.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageFeatures {
    config: ImageFeaturesConfig,
    /// Of class tokens, `(width)`.
    mean: Array1<f32>,
    /// `(components, width)`
    axes: Array2<f32>,
    constant: f32,
}

impl ImageFeatures {
    /// Of class tokens `(n, width)` and fluxes `(n, outputs of the photometer)` of training galaxies; `draw` gives random
    /// numbers to begin with. Without fluxes there are none in features.
    pub fn fit(
        config: &ImageFeaturesConfig,
        tokens: Array2<f32>,
        fluxes: ArrayView2<'_, f32>,
        draw: impl FnMut() -> f32,
    ) -> Self {
        let found = PrincipalComponents::fit(tokens.clone(), config.components, draw);
        let mut found = found.whitened(config.whitening);
        let squares = |values: ArrayView2<'_, f32>| {
            let all = values.iter().map(|&value| f64::from(value).powi(2));
            (all.sum::<f64>() / values.nrows() as f64) as f32
        };
        let of_tokens = squares(found.project(tokens).view());
        let of_fluxes = squares(fluxes);
        let wanted = match of_fluxes > 0.0 {
            true => config.weight as f32 * of_fluxes.sqrt(),
            false => 1.0,
        };
        if of_tokens > 0.0 {
            found.axes *= wanted / of_tokens.sqrt();
        }
        let length = (of_fluxes + wanted * wanted).sqrt();
        Self {
            config: config.clone(),
            mean: found.mean,
            axes: found.axes,
            constant: CONSTANT_LENGTH * length,
        }
    }

    /// Takes them from the tensors of a model file whose tokens are `width` wide.
    pub(super) fn take(
        config: ImageFeaturesConfig,
        width: usize,
        tensors: &mut TensorMap,
    ) -> Result<Self> {
        config.check("image_features")?;
        let mut take = |name: &str| {
            let missing = || Error::input(format!("tensor `{name}` is missing"));
            tensors.remove(name).ok_or_else(missing)
        };
        let (mean, axes, constant) = (take(MEAN)?, take(AXES)?, take(CONSTANT)?);
        match (&mean.shape[..], &axes.shape[..], &constant.values[..]) {
            (&[of_mean], &[components, of_axes], &[constant])
                if of_mean == width && of_axes == width =>
            {
                let axes = Array2::from_shape_vec((components, width), axes.values);
                Ok(Self {
                    config,
                    mean: mean.values.into(),
                    axes: axes.expect("a tensor has as many values as its shape says"),
                    constant,
                })
            }
            (mean, axes, constant) => Err(Error::input(format!(
                "`{MEAN}` has shape {mean:?}, `{AXES}` {axes:?}, and `{CONSTANT}` {} numbers; expected ({width}), \
                 (components, {width}) and one number",
                constant.len()
            ))),
        }
    }

    pub(super) fn config(&self) -> &ImageFeaturesConfig {
        &self.config
    }

    /// How many there are, with so many fluxes.
    pub(super) fn width(&self, fluxes: usize) -> usize {
        fluxes + self.axes.nrows() + 1
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
            (CONSTANT.into(), tensor(&[1], vec![self.constant])),
        ])
    }

    /// Features `(n, fluxes + components + 1)` of class tokens `(n, width)` and fluxes `(n, fluxes)`.
    pub(super) fn of(&self, mut tokens: Array2<f32>, fluxes: ArrayView2<'_, f32>) -> Array2<f32> {
        tokens -= &self.mean;
        let tokens = tokens.dot(&self.axes.t());
        let constant = Array2::from_elem((tokens.nrows(), 1), self.constant);
        concatenate(Axis(1), &[fluxes, tokens.view(), constant.view()])
            .expect("as many images as there are fluxes of")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(seed: usize) -> f32 {
        ((seed * seed + 3 * seed) as f32).sin()
    }

    #[test]
    fn features_of_a_model_file_are_those_that_were_fitted() {
        let config = ImageFeaturesConfig {
            components: 3,
            whitening: 1.0,
            weight: 0.5,
            images: 40,
        };
        let tokens = Array2::from_shape_fn((40, 6), |(row, column)| 1e3 * value(7 * row + column));
        let fluxes = Array2::from_shape_fn((40, 2), |(row, column)| value(row + 50 * column));
        let mut seed = 0;
        let fitted = ImageFeatures::fit(&config, tokens.clone(), fluxes.view(), || {
            seed += 1;
            value(seed)
        });
        let mut tensors = fitted.tensors();
        let taken = ImageFeatures::take(config.clone(), 6, &mut tensors).unwrap();
        assert_eq!(taken, fitted);
        assert!(tensors.is_empty());

        let features = taken.of(tokens, fluxes.view());
        assert_eq!(features.dim(), (40, taken.width(2)));
        let square = |columns: std::ops::Range<usize>| {
            let part = features.slice(ndarray::s![.., columns]);
            part.iter().map(|value| value * value).sum::<f32>() / 40.0
        };
        // Class tokens are far larger than fluxes, and count half as much; a whitened component as much as another.
        assert!((square(2..5) / square(0..2) / 0.25 - 1.0).abs() < 1e-3);
        assert!((3.0 * square(2..3) / square(2..5) - 1.0).abs() < 1e-2);
        assert!((square(5..6) / square(0..5) / CONSTANT_LENGTH.powi(2) - 1.0).abs() < 1e-3);

        let other = ImageFeatures::take(config, 5, &mut fitted.tensors());
        assert!(other.unwrap_err().to_string().contains("[6]"));
    }

    #[test]
    fn images_without_fluxes_have_components_of_class_tokens() {
        let tokens = Array2::from_shape_fn((20, 4), |(row, column)| value(row + 20 * column));
        let none = Array2::zeros((20, 0));
        let fitted = ImageFeatures::fit(
            &ImageFeaturesConfig::default(),
            tokens.clone(),
            none.view(),
            || 0.5,
        );
        let features = fitted.of(tokens, none.view());
        assert!(features.iter().all(|value| value.is_finite()));
        assert!(features.ncols() <= 5);
    }
}
