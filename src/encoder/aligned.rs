use std::path::Path;

use burn::tensor::Device;
use ndarray::{Array2, ArrayView2, ArrayView4};
use serde::{Deserialize, Serialize};

use super::{ImageEncoder, SpectrumEncoder, architecture, to_array};
use crate::augment::PixelConfig;
use crate::batch::SpectrumTokenizer;
use crate::error::Result;
use crate::model::{AstroClip, AstroClipConfig};
use crate::nn::Initializer;
use crate::survey::Survey;
use crate::weights::{ModelFile, ModelKind, TensorMap, assign, named_parameters};

/// The aligned model with the preprocessing of both kinds of data.
#[derive(Debug, Clone)]
pub struct AlignedEncoder {
    /// Transformers and heads.
    pub model: AstroClip,
    /// From nanomaggies to the image transformer's input.
    pub pixels: PixelConfig,
    /// From flux to the spectrum transformer's input.
    pub tokenizer: SpectrumTokenizer,
    /// What images and spectra are like before that.
    pub survey: Survey,
}

/// What it takes to build an aligned model and to feed it, as model files hold it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AlignedArchitecture {
    /// Transformers and heads.
    pub model: AstroClipConfig,
    /// From nanomaggies to the input of the image transformer.
    pub pixels: PixelConfig,
    /// From flux to the input of the spectrum transformer.
    pub tokens: SpectrumTokenizer,
    /// What images and spectra are like before that.
    #[serde(default)]
    pub survey: Survey,
}

impl AlignedArchitecture {
    /// Checks that such a model can be built and fed.
    ///
    /// # Errors
    ///
    /// Names the first field that is out of range.
    pub fn check(&self) -> Result<()> {
        self.survey.check()?;
        self.pixels.check(self.survey.bands.len())?;
        self.model.check("model")?;
        self.tokens.check("tokens", self.survey.wavelengths.len)?;
        self.tokens.check_width(
            "model.spectrum.token_width",
            self.model.spectrum.token_width,
        )
    }
}

impl AlignedEncoder {
    pub(super) fn from_file(file: &ModelFile, tensors: TensorMap, device: &Device) -> Result<Self> {
        let architecture: AlignedArchitecture = architecture(file)?;
        architecture.check()?;
        let AlignedArchitecture {
            model,
            pixels,
            tokens,
            survey,
        } = architecture;
        let model = AstroClip::new(&model, &mut Initializer::new(0, device));
        Ok(Self {
            model: assign(model, tensors)?,
            pixels,
            tokenizer: tokens,
            survey,
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
            tokens: self.tokenizer.clone(),
            survey: self.survey.clone(),
        };
        ModelFile::new(ModelKind::AstroClip, &architecture, step, config)
            .write(path, &named_parameters(&self.model))
    }

    pub(super) fn embed_images(&self, images: ArrayView4<'_, f32>) -> Result<Array2<f32>> {
        let encoder = ImageEncoder {
            vit: self.model.image.clone(),
            pixels: self.pixels.clone(),
            survey: self.survey.clone(),
        };
        Ok(to_array(self.model.embed_images(encoder.input(images)?)))
    }

    pub(super) fn embed_spectra(&self, spectra: ArrayView2<'_, f32>) -> Result<Array2<f32>> {
        let encoder = SpectrumEncoder {
            specformer: self.model.spectrum.clone(),
            tokenizer: self.tokenizer.clone(),
            survey: self.survey.clone(),
        };
        Ok(to_array(self.model.embed_spectra(encoder.input(spectra)?)))
    }
}
