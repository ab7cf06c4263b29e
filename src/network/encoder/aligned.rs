//! Aligned models.

use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use ndarray::{Array2, Array3, ArrayView2, ArrayView4};
use serde::{Deserialize, Serialize};

use super::image::{ImagePreparation, image_input};
use super::image_features::ImageFeatures;
use super::spectrum::{SpectrumPreparation, spectrum_input};
use super::spectrum_features::{SpectrumFeatures, flux_in_bins, inputs};
use super::{Vectors, architecture, check_size, load_kind, to_array, to_array3};
use crate::base::error::{Check, Result};
use crate::network::model::{
    AstroClip, AstroClipConfig, ImageFeaturesConfig, SpectrumFeaturesConfig,
};
use crate::network::nn::Initializer;
use crate::network::weights::{ModelFile, ModelKind, TensorMap, assign, named_parameters};
use crate::survey::Survey;
use crate::views::augment::{Photometer, PixelConfig, Spectrophotometer};
use crate::views::batch::{SpectrumTokenizer, rows_of};

/// The aligned model with the preprocessing of both kinds of data.
#[derive(Debug, Clone)]
pub struct AlignedEncoder {
    /// Transformers and heads.
    pub model: AstroClip,
    /// From nanomaggies to the image transformer's input.
    pub pixels: PixelConfig,
    /// From nanomaggies to the fluxes that the model or its features take, if one does.
    pub photometer: Option<Photometer>,
    /// From flux to the fluxes in bins that the model takes, if it does.
    pub spectrophotometer: Option<Spectrophotometer>,
    /// From flux to the spectrum transformer's input.
    pub tokenizer: SpectrumTokenizer,
    /// What images and spectra are like before that.
    pub survey: Survey,
    /// What is kept of images from before the head; the class token without it.
    pub image_features: Option<ImageFeatures>,
    /// What is kept of spectra from before the head; the mean token without it.
    pub spectrum_features: Option<SpectrumFeatures>,
}

/// What it takes to build an aligned model and to feed it, as model files hold it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AlignedArchitecture {
    /// Transformers and heads.
    pub model: AstroClipConfig,
    /// From nanomaggies to the input of the image transformer.
    pub pixels: PixelConfig,
    /// From nanomaggies to the fluxes that the model or its features take, if one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub photometer: Option<Photometer>,
    /// From flux to the fluxes in bins that the model takes, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spectrophotometer: Option<Spectrophotometer>,
    /// From flux to the input of the spectrum transformer.
    pub tokens: SpectrumTokenizer,
    /// What images and spectra are like before that.
    #[serde(default)]
    pub survey: Survey,
    /// What is kept of images from before the head; the class token without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_features: Option<ImageFeaturesConfig>,
    /// What is kept of spectra from before the head; the mean token without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spectrum_features: Option<SpectrumFeaturesConfig>,
}

impl AlignedArchitecture {
    /// Checks that such a model can be built and fed.
    ///
    /// # Errors
    ///
    /// Names the first field that is out of range.
    pub fn check(&self) -> Result<()> {
        self.survey.check("survey")?;
        self.pixels.check("pixels", self.survey.bands.len())?;
        self.model.check("model")?;
        if let Some(photometer) = &self.photometer {
            let size = self.model.image.image_size;
            photometer.check("photometer", self.survey.bands.len(), size)?;
        }
        if let Some(head) = &self.model.photometry {
            let outputs = self.photometer.as_ref().map_or(0, Photometer::outputs);
            Check::at("model").require(
                head.inputs == outputs,
                "photometry.inputs",
                head.inputs,
                format!("{outputs}, as many fluxes as the photometer makes of an image"),
            )?;
        }
        if let Some(photometer) = &self.spectrophotometer {
            photometer.check("spectrophotometer", self.survey.wavelengths.len)?;
        }
        if let Some(head) = &self.model.spectrum_photometry {
            let outputs = (self.spectrophotometer.as_ref()).map_or(0, Spectrophotometer::outputs);
            Check::at("model").require(
                head.inputs == outputs,
                "spectrum_photometry.inputs",
                head.inputs,
                format!("{outputs}, as many fluxes as are measured of a spectrum"),
            )?;
        }
        self.tokens.check("tokens", self.survey.wavelengths.len)?;
        self.tokens
            .check_width("model.spectrum", self.model.spectrum.token_width)
    }
}

impl AlignedEncoder {
    pub(super) fn from_file(
        file: &ModelFile,
        mut tensors: TensorMap,
        device: &Device,
    ) -> Result<Self> {
        let architecture: AlignedArchitecture = architecture(file)?;
        architecture.check()?;
        check_size(architecture.model.parameters(), &tensors)?;
        let AlignedArchitecture {
            model,
            pixels,
            photometer,
            spectrophotometer,
            tokens,
            survey,
            image_features,
            spectrum_features,
        } = architecture;
        let sizes = (model.spectrum.width, survey.wavelengths.len);
        let image_features = image_features
            .map(|config| {
                let fluxes = photometer.as_ref().map_or(0, Photometer::outputs);
                ImageFeatures::take(config, (fluxes, model.image.width), &mut tensors)
            })
            .transpose()?;
        let spectrum_features = spectrum_features
            .map(|config| SpectrumFeatures::take(config, sizes, &mut tensors))
            .transpose()?;
        let model = AstroClip::new(&model, &mut Initializer::new(0, device));
        Ok(Self {
            model: assign(model, tensors)?,
            pixels,
            photometer,
            spectrophotometer,
            tokenizer: tokens,
            survey,
            image_features,
            spectrum_features,
        })
    }

    /// Writes the model after `step` steps of a run with `config`.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn save(&self, path: &Path, step: u64, config: serde_json::Value) -> Result<()> {
        let architecture = AlignedArchitecture {
            model: self.model.config(),
            pixels: self.pixels.clone(),
            photometer: self.photometer.clone(),
            spectrophotometer: self.spectrophotometer.clone(),
            tokens: self.tokenizer.clone(),
            survey: self.survey.clone(),
            image_features: (self.image_features.as_ref()).map(|of| of.config().clone()),
            spectrum_features: (self.spectrum_features.as_ref()).map(|of| of.config().clone()),
        };
        let mut tensors = named_parameters(&self.model);
        if let Some(features) = &self.image_features {
            tensors.extend(features.tensors());
        }
        if let Some(features) = &self.spectrum_features {
            tensors.extend(features.tensors());
        }
        ModelFile::new(ModelKind::AstroClip, &architecture, step, config).write(path, &tensors)
    }

    /// Reads an aligned model onto `device`.
    ///
    /// # Errors
    ///
    /// [`crate::base::error::Error::input`] when the file is of another kind or damaged.
    pub fn load(path: &Path, device: &Device) -> Result<Self> {
        load_kind(path, ModelKind::AstroClip, |file, tensors| {
            Self::from_file(file, tensors, device)
        })
    }

    /// How much of each patch every head of the image's cross-attention takes, `(n, heads, patches)`, patches
    /// row by row (paper appendix D).
    ///
    /// # Errors
    ///
    /// When the images are smaller than the model's input.
    pub fn attend_images(&self, images: ArrayView4<'_, f32>) -> Result<Array3<f32>> {
        let images = self.image_preparation().prepare(images)?;
        let images = image_input(&self.model.image, images);
        let tokens = self.model.image_tokens(images, None);
        let attention = self.model.image_head.cross_attention.attention(tokens);
        let [_, _, tokens] = attention.dims();
        let size = self.model.image.config().image_size;
        let patches = self.model.image.config().patches(size);
        // A class token comes first.
        Ok(to_array3(attention.narrow(2, tokens - patches, patches)))
    }

    /// How much of each token every head of the spectrum's cross-attention takes, `(n, heads, tokens)` (paper
    /// Fig. D1).
    ///
    /// # Errors
    ///
    /// When the model runs out of positions.
    pub fn attend_spectra(&self, spectra: ArrayView2<'_, f32>) -> Result<Array3<f32>> {
        let tokens = self.spectrum_preparation().prepare(spectra)?;
        let tokens = spectrum_input(&self.model.spectrum, tokens);
        let tokens = self.model.spectrum.forward(tokens);
        let attention = self.model.spectrum_head.cross_attention.attention(tokens);
        Ok(to_array3(attention))
    }

    /// What [`SpectrumFeatures`] are made from, of spectra `(n, pixels)`: `(n, inputs)`, and how many of the last columns are
    /// bins.
    ///
    /// # Errors
    ///
    /// When the model runs out of positions.
    pub fn feature_inputs(
        &self,
        spectra: ArrayView2<'_, f32>,
        config: &SpectrumFeaturesConfig,
    ) -> Result<(Array2<f32>, usize)> {
        let tokens = self.spectrum_preparation().prepare(spectra)?;
        let tokens = spectrum_input(&self.model.spectrum, tokens);
        let tokens = self.model.spectrum.forward(tokens);
        let flux = flux_in_bins(config, spectra);
        let inputs = inputs(config, tokens, flux.view());
        Ok((inputs, flux.ncols()))
    }

    /// What [`ImageFeatures`] are made from, of images `(n, bands, side, side)`: [colours](Photometer::colours) `(n, outputs of
    /// the photometer)` and class tokens `(n, width)`.
    ///
    /// # Errors
    ///
    /// When the images are smaller than the model's input.
    pub fn image_feature_inputs(
        &self,
        images: ArrayView4<'_, f32>,
    ) -> Result<(Array2<f32>, Array2<f32>)> {
        let pixels = self.image_preparation().prepare(images)?;
        let tokens = self
            .model
            .image_tokens(image_input(&self.model.image, pixels), None);
        let fluxes = (self.photometer.as_ref()).map(|photometer| photometer.measure(images));
        let tokens = to_array(self.model.image_features(tokens));
        Ok((self.colours(fluxes.as_ref(), images.dim().0), tokens))
    }

    /// Colours of so many images; none where no fluxes are measured.
    fn colours(&self, fluxes: Option<&Array2<f32>>, images: usize) -> Array2<f32> {
        match self.photometer.as_ref().zip(fluxes) {
            Some((photometer, fluxes)) => photometer.colours(fluxes.view()),
            None => Array2::zeros((images, 0)),
        }
    }

    /// Width of what is kept of images from before the head.
    pub(super) fn image_features_width(&self) -> usize {
        match &self.image_features {
            Some(features) => features.width(),
            None => self.model.image.config().width,
        }
    }

    /// What the image transformer takes of an image.
    pub(super) fn image_preparation(&self) -> ImagePreparation {
        ImagePreparation {
            pixels: self.pixels.clone(),
            size: self.model.image.config().image_size,
        }
    }

    /// What the spectrum transformer takes of a spectrum.
    pub(super) fn spectrum_preparation(&self) -> SpectrumPreparation {
        SpectrumPreparation {
            tokenizer: self.tokenizer.clone(),
            max_tokens: self.model.spectrum.config().max_tokens,
        }
    }

    /// Embeddings `(n, embedding)` and features `(n, width)` of prepared images, and of their fluxes where they are
    /// measured.
    pub(super) fn embed_images(&self, images: TensorData, fluxes: Option<Array2<f32>>) -> Vectors {
        let images = image_input(&self.model.image, images);
        let tokens = self.model.image_tokens(images, None);
        let class_tokens = to_array(self.model.image_features(tokens.clone()));
        let features = match &self.image_features {
            None => class_tokens,
            Some(features) => {
                let colours = self.colours(fluxes.as_ref(), class_tokens.nrows());
                features.of(colours, class_tokens)
            }
        };
        let fluxes = fluxes.filter(|_| self.model.photometry.is_some());
        let fluxes = fluxes.map(|fluxes| Tensor::from_data(rows_of(fluxes), &tokens.device()));
        Vectors {
            features: Some(features),
            embeddings: to_array(self.model.image_embeddings(tokens, fluxes, None)),
        }
    }

    /// Embeddings `(n, embedding)` and features `(n, width)` of prepared spectra, of their fluxes where they are measured, and
    /// of flux in bins where features take it.
    pub(super) fn embed_spectra(
        &self,
        tokens: TensorData,
        fluxes: Option<Array2<f32>>,
        flux: Array2<f32>,
    ) -> Vectors {
        let tokens = spectrum_input(&self.model.spectrum, tokens);
        let tokens = self.model.spectrum.forward(tokens);
        let fluxes = fluxes.filter(|_| self.model.spectrum_photometry.is_some());
        let fluxes = fluxes.map(|fluxes| Tensor::from_data(rows_of(fluxes), &tokens.device()));
        Vectors {
            features: Some(match &self.spectrum_features {
                Some(features) => features.of(tokens.clone(), flux.view()),
                None => to_array(self.model.spectrum.pooled(tokens.clone())),
            }),
            embeddings: to_array(self.model.spectrum_embeddings(tokens, fluxes, None)),
        }
    }
}
