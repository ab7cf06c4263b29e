//! What is kept of images from before the head of an aligned model.

use ndarray::{Array1, Array2, ArrayView2, Axis, concatenate};

use crate::base::error::{Error, Result};
use crate::base::numeric::{PrincipalComponents, Standardizer};
use crate::network::model::ImageFeaturesConfig;
use crate::network::weights::{NamedTensor, TensorMap};

/// Tensors of a model file begin with it.
const PREFIX: &str = "image_features";

/// The constant, in lengths of the others: scaled to unit length, galaxies keep the order of their distances.
const CONSTANT_LENGTH: f32 = 3.0;

/// Fluxes and class tokens in their principal components, and a constant.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageFeatures {
    config: ImageFeaturesConfig,
    /// Of [colours](crate::views::augment::Photometer::colours).
    fluxes: Part,
    /// Of class tokens.
    tokens: Part,
    constant: f32,
}

/// What is taken of some inputs.
#[derive(Debug, Clone, PartialEq)]
struct Part {
    /// `(inputs)`
    mean: Array1<f32>,
    /// `(components, inputs)`
    axes: Array2<f32>,
}

impl Part {
    /// Of inputs `(n, inputs)`, each column divided by its `scale`; together they vary by `variance`.
    fn fit(
        inputs: &Array2<f32>,
        scale: &Array1<f32>,
        (components, whitening): (usize, f64),
        variance: f32,
        draw: impl FnMut() -> f32,
    ) -> Self {
        let found = PrincipalComponents::fit(inputs / scale, components, draw).whitened(whitening);
        let mut part = Self {
            mean: &found.mean * scale,
            axes: found.axes / scale,
        };
        let values = part.of(inputs.clone());
        let squares = values.iter().map(|&value| f64::from(value).powi(2));
        let square = squares.sum::<f64>() / inputs.nrows() as f64;
        if square > 0.0 {
            part.axes *= (f64::from(variance) / square).sqrt() as f32;
        }
        part
    }

    /// Of nothing: adds nothing to features.
    fn none(inputs: usize) -> Self {
        Self {
            mean: Array1::zeros(inputs),
            axes: Array2::zeros((0, inputs)),
        }
    }

    /// Components `(n, components)` of inputs `(n, inputs)`.
    fn of(&self, mut inputs: Array2<f32>) -> Array2<f32> {
        inputs -= &self.mean;
        inputs.dot(&self.axes.t())
    }

    /// Takes it from the tensors of a model file.
    fn take(name: &str, inputs: usize, tensors: &mut TensorMap) -> Result<Self> {
        let names = ["mean", "axes"].map(|of| format!("{PREFIX}.{name}.{of}"));
        let [mean, axes] = names.each_ref().map(|name| taken(name, tensors));
        let (mean, axes) = (mean?, axes?);
        match (&mean.shape[..], &axes.shape[..]) {
            (&[of_mean], &[components, of_axes]) if of_mean == inputs && of_axes == inputs => {
                let axes = Array2::from_shape_vec((components, inputs), axes.values);
                Ok(Self {
                    mean: mean.values.into(),
                    axes: axes.expect("a tensor has as many values as its shape says"),
                })
            }
            (of_mean, of_axes) => Err(Error::input(format!(
                "`{}` has shape {of_mean:?} and `{}` {of_axes:?}; expected [{inputs}] and [components, {inputs}]",
                names[0], names[1]
            ))),
        }
    }

    /// As model files hold it.
    fn tensors(&self, name: &str) -> [(String, NamedTensor); 2] {
        let tensor = |of: &str, shape: &[usize], values: Vec<f32>| {
            let shape = shape.to_vec();
            (
                format!("{PREFIX}.{name}.{of}"),
                NamedTensor { shape, values },
            )
        };
        let axes = self.axes.iter().copied().collect();
        [
            tensor("mean", self.mean.shape(), self.mean.to_vec()),
            tensor("axes", self.axes.shape(), axes),
        ]
    }
}

fn taken(name: &str, tensors: &mut TensorMap) -> Result<NamedTensor> {
    let missing = || Error::input(format!("tensor `{name}` is missing"));
    tensors.remove(name).ok_or_else(missing)
}

impl ImageFeatures {
    /// Of [colours](crate::views::augment::Photometer::colours) `(n, fluxes)` and class tokens `(n, width)` of training
    /// galaxies; `draw` gives random numbers to begin with. Without fluxes there are none in features.
    pub fn fit(
        config: &ImageFeaturesConfig,
        (fluxes, tokens): (&Array2<f32>, &Array2<f32>),
        mut draw: impl FnMut() -> f32,
    ) -> Self {
        let has_fluxes = fluxes.ncols() > 0;
        let (_, scale) = Standardizer::fit(fluxes.view()).single();
        let fluxes = match has_fluxes {
            true => {
                let of = (config.fluxes, config.whitening);
                Part::fit(fluxes, &scale, of, 1.0, &mut draw)
            }
            false => Part::none(0),
        };
        let weight = if has_fluxes { config.weight } else { 1.0 };
        let variance = (weight * weight) as f32;
        let tokens = match config.tokens {
            0 => Part::none(tokens.ncols()),
            components => {
                let as_they_are = Array1::ones(tokens.ncols());
                let of = (components, config.whitening);
                Part::fit(tokens, &as_they_are, of, variance, draw)
            }
        };
        let square = f32::from(u8::from(has_fluxes)) + variance;
        Self {
            config: config.clone(),
            fluxes,
            tokens,
            constant: CONSTANT_LENGTH * square.sqrt(),
        }
    }

    /// Takes them from the tensors of a model file that measures so many fluxes and whose tokens are `width` wide.
    pub(super) fn take(
        config: ImageFeaturesConfig,
        (fluxes, width): (usize, usize),
        tensors: &mut TensorMap,
    ) -> Result<Self> {
        config.check(PREFIX)?;
        let constant = taken(&format!("{PREFIX}.constant"), tensors)?;
        let &[constant] = &constant.values[..] else {
            return Err(Error::input(format!(
                "`{PREFIX}.constant` has {} numbers; expected one",
                constant.values.len()
            )));
        };
        Ok(Self {
            config,
            fluxes: Part::take("fluxes", fluxes, tensors)?,
            tokens: Part::take("tokens", width, tensors)?,
            constant,
        })
    }

    pub(super) fn config(&self) -> &ImageFeaturesConfig {
        &self.config
    }

    /// How many there are.
    pub(super) fn width(&self) -> usize {
        self.fluxes.axes.nrows() + self.tokens.axes.nrows() + 1
    }

    /// As model files hold them.
    pub(super) fn tensors(&self) -> TensorMap {
        let constant = NamedTensor {
            shape: vec![1],
            values: vec![self.constant],
        };
        let parts = [self.fluxes.tensors("fluxes"), self.tokens.tensors("tokens")];
        let parts = parts.into_iter().flatten();
        parts
            .chain([(format!("{PREFIX}.constant"), constant)])
            .collect()
    }

    /// Features `(n, width)` of colours `(n, fluxes)` and class tokens `(n, width of tokens)`.
    pub(super) fn of(&self, fluxes: Array2<f32>, tokens: Array2<f32>) -> Array2<f32> {
        let constant = Array2::from_elem((tokens.nrows(), 1), self.constant);
        let (fluxes, tokens) = (self.fluxes.of(fluxes), self.tokens.of(tokens));
        let all: [ArrayView2<'_, f32>; 3] = [fluxes.view(), tokens.view(), constant.view()];
        concatenate(Axis(1), &all).expect("as many images as there are fluxes of")
    }
}

#[cfg(test)]
mod tests {
    use ndarray::s;

    use super::*;

    fn value(seed: usize) -> f32 {
        ((seed * seed + 3 * seed) as f32).sin()
    }

    fn draw() -> impl FnMut() -> f32 {
        let mut seed = 0;
        move || {
            seed += 1;
            value(seed)
        }
    }

    #[test]
    fn features_of_a_model_file_are_those_that_were_fitted() {
        let config = ImageFeaturesConfig {
            fluxes: 4,
            tokens: 3,
            whitening: 1.0,
            weight: 0.5,
            images: 40,
        };
        let tokens = Array2::from_shape_fn((40, 6), |(row, column)| 1e3 * value(7 * row + column));
        // The second column is a hundred times the others, and counts as one.
        let fluxes = Array2::from_shape_fn((40, 5), |(row, column)| {
            value(row + 50 * column) * if column == 1 { 100.0 } else { 1.0 }
        });
        let fitted = ImageFeatures::fit(&config, (&fluxes, &tokens), draw());
        let mut tensors = fitted.tensors();
        let taken = ImageFeatures::take(config.clone(), (5, 6), &mut tensors).unwrap();
        assert_eq!(taken, fitted);
        assert!(tensors.is_empty());

        let features = taken.of(fluxes, tokens);
        assert_eq!(features.dim(), (40, taken.width()));
        let square = |columns: std::ops::Range<usize>| {
            let part = features.slice(s![.., columns]);
            part.iter().map(|value| value * value).sum::<f32>() / 40.0
        };
        // Class tokens are far larger than fluxes, and count half as much; a whitened component as much as another.
        assert!((square(0..4) - 1.0).abs() < 1e-3, "{}", square(0..4));
        assert!((square(4..7) - 0.25).abs() < 1e-3, "{}", square(4..7));
        assert!((4.0 * square(3..4) - 1.0).abs() < 1e-2, "{}", square(3..4));
        assert!((square(7..8) / square(0..7) / CONSTANT_LENGTH.powi(2) - 1.0).abs() < 1e-3);

        let other = ImageFeatures::take(config, (5, 7), &mut fitted.tensors());
        assert!(other.unwrap_err().to_string().contains("[6]"));
    }

    #[test]
    fn features_are_of_what_there_is() {
        let tokens = Array2::from_shape_fn((20, 4), |(row, column)| value(row + 20 * column));
        let fluxes = Array2::from_shape_fn((20, 3), |(row, column)| value(row + 31 * column));
        let fit = |fluxes: &Array2<f32>, of_tokens: usize| {
            let config = ImageFeaturesConfig {
                tokens: of_tokens,
                ..ImageFeaturesConfig::default()
            };
            let fitted = ImageFeatures::fit(&config, (fluxes, &tokens), draw());
            fitted.of(fluxes.clone(), tokens.clone())
        };
        assert_eq!(fit(&fluxes, 2).dim(), (20, 3 + 2 + 1));
        assert_eq!(fit(&fluxes, 0).dim(), (20, 3 + 1));
        let alone = fit(&Array2::zeros((20, 0)), 2);
        assert_eq!(alone.dim(), (20, 2 + 1));
        assert!(alone.iter().all(|value| value.is_finite()));
    }
}
