use std::path::Path;

use burn::tensor::{Device, Tensor};
use ndarray::{Array2, ArrayView2};
use serde::{Deserialize, Serialize};

use super::{architecture, load_kind, to_array};
use crate::batch::SpectrumTokenizer;
use crate::error::{Error, Result};
use crate::model::{SpecFormer, SpecFormerConfig};
use crate::nn::Initializer;
use crate::survey::Survey;
use crate::weights::{ModelFile, ModelKind, TensorMap, assign, named_parameters};

/// A spectrum transformer and the way in which its tokens are cut.
#[derive(Debug, Clone)]
pub struct SpectrumEncoder {
    /// The transformer.
    pub specformer: SpecFormer,
    /// From flux to its input.
    pub tokenizer: SpectrumTokenizer,
    /// What images and spectra are like before that.
    pub survey: Survey,
}

/// What it takes to build a spectrum encoder and to feed it, as model files hold it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SpectrumArchitecture {
    /// The transformer.
    pub model: SpecFormerConfig,
    /// From flux to the input of the spectrum transformer.
    pub tokens: SpectrumTokenizer,
    /// What images and spectra are like before that.
    #[serde(default)]
    pub survey: Survey,
}

impl SpectrumArchitecture {
    /// Checks that such a model can be built and fed.
    ///
    /// # Errors
    ///
    /// Names the first field that is out of range.
    pub fn check(&self) -> Result<()> {
        self.survey.check()?;
        self.model.check("model")?;
        self.tokens.check("tokens", self.survey.wavelengths.len)?;
        self.tokens
            .check_width("model.token_width", self.model.token_width)
    }
}

impl SpectrumEncoder {
    /// Reads a pretrained spectrum encoder onto `device`.
    ///
    /// # Errors
    ///
    /// [`Error::Input`] when the file is of another kind or damaged.
    pub fn load(path: &Path, device: &Device) -> Result<Self> {
        load_kind(path, ModelKind::SpectrumEncoder, |file, tensors| {
            Self::from_file(file, tensors, device)
        })
    }

    pub(super) fn from_file(file: &ModelFile, tensors: TensorMap, device: &Device) -> Result<Self> {
        let architecture: SpectrumArchitecture = architecture(file)?;
        architecture.check()?;
        let SpectrumArchitecture {
            model,
            tokens,
            survey,
        } = architecture;
        let specformer = SpecFormer::new(&model, &mut Initializer::new(0, device));
        Ok(Self {
            specformer: assign(specformer, tensors)?,
            tokenizer: tokens,
            survey,
        })
    }

    /// Writes the encoder after `step` steps of a run with `config`.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn save(&self, path: &Path, step: u64, config: serde_json::Value) -> Result<()> {
        let architecture = SpectrumArchitecture {
            model: self.specformer.config().clone(),
            tokens: self.tokenizer.clone(),
            survey: self.survey.clone(),
        };
        ModelFile::new(ModelKind::SpectrumEncoder, &architecture, step, config)
            .write(path, &named_parameters(&self.specformer))
    }

    /// Mean tokens `(n, width)` of spectra `(n, pixels)`.
    pub(super) fn embed(&self, spectra: ArrayView2<'_, f32>) -> Result<Array2<f32>> {
        let tokens = self.specformer.forward(self.input(spectra)?);
        Ok(to_array(tokens.mean_dim(1).squeeze_dim(1)))
    }

    /// Tokens on the model's device.
    pub(super) fn input(&self, spectra: ArrayView2<'_, f32>) -> Result<Tensor<3>> {
        let tokens = self.tokenizer.tokens(spectra.ncols());
        let known = self.specformer.config().max_tokens;
        if tokens > known {
            return Err(Error::input(format!(
                "spectra of {} pixels have {tokens} tokens; the model knows {known} positions",
                spectra.ncols()
            )));
        }
        let device = self.specformer.final_layernorm.weight.device();
        Ok(Tensor::from_data(self.tokenizer.tokenize(spectra), &device))
    }
}
