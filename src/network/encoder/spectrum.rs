//! Spectrum encoders before alignment.

use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use ndarray::{Array1, Array2, ArrayView2, Axis};
use serde::{Deserialize, Serialize};

use super::{architecture, check_size, load_kind, to_array, to_array3};
use crate::base::error::{Error, Result};
use crate::network::model::{SpecFormer, SpecFormerConfig};
use crate::network::nn::Initializer;
use crate::network::weights::{ModelFile, ModelKind, TensorMap, assign, named_parameters};
use crate::survey::Survey;
use crate::views::batch::{MaskedTokens, SpectrumTokenizer};

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
        self.survey.check("survey")?;
        self.model.check("model")?;
        self.tokens.check("tokens", self.survey.wavelengths.len)?;
        self.tokens.check_width("model", self.model.token_width)
    }
}

impl SpectrumEncoder {
    /// Reads a pretrained spectrum encoder onto `device`.
    ///
    /// # Errors
    ///
    /// [`Error::input`] when the file is of another kind or damaged.
    pub fn load(path: &Path, device: &Device) -> Result<Self> {
        load_kind(path, ModelKind::SpectrumEncoder, |file, tensors| {
            Self::from_file(file, tensors, device)
        })
    }

    pub(super) fn from_file(file: &ModelFile, tensors: TensorMap, device: &Device) -> Result<Self> {
        let architecture: SpectrumArchitecture = architecture(file)?;
        architecture.check()?;
        check_size(architecture.model.parameters(), &tensors)?;
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

    /// Spectra `(n, pixels)` as the model believes them to be where they are hidden from it, in the unit of the
    /// flux; NaN elsewhere (paper Fig. D2). `hidden[i][j]` says whether token `j` of spectrum `i` is hidden. A
    /// pixel that several hidden tokens hold gets the mean of what they say; one that any other token shows is
    /// not hidden.
    ///
    /// # Errors
    ///
    /// When the model runs out of positions.
    pub fn reconstruct(
        &self,
        spectra: ArrayView2<'_, f32>,
        hidden: &[Vec<bool>],
    ) -> Result<Array2<f32>> {
        self.preparation().check_tokens(spectra.ncols())?;
        let device = self.specformer.final_layernorm.weight.device();
        let masked = MaskedTokens::new(self.tokenizer.tokenize(spectra), hidden);
        let target = Tensor::<3>::from_data(masked.target, &device);
        let mask = Tensor::<3>::from_data(masked.mask, &device);
        let visible = target * (mask.ones_like() - mask);
        let tokens = to_array3(self.specformer.reconstruct(visible));
        let mut flux = Array2::from_elem(spectra.dim(), f32::NAN);
        for (index, mut flux) in flux.outer_iter_mut().enumerate() {
            let spectrum = spectra.row(index).to_vec();
            let tokens = tokens.index_axis(Axis(0), index);
            let believed = self
                .tokenizer
                .hidden_flux(&spectrum, tokens, &hidden[index]);
            flux.assign(&Array1::from_vec(believed));
        }
        Ok(flux)
    }

    /// What the transformer takes of a spectrum.
    pub(super) fn preparation(&self) -> SpectrumPreparation {
        SpectrumPreparation {
            tokenizer: self.tokenizer.clone(),
            max_tokens: self.specformer.config().max_tokens,
        }
    }

    /// Mean tokens `(n, width)` of prepared spectra.
    pub(super) fn embed(&self, tokens: TensorData) -> Array2<f32> {
        to_array(
            self.specformer
                .mean_token(spectrum_input(&self.specformer, tokens)),
        )
    }
}

/// Prepared spectra on a transformer's device and in its precision.
pub(super) fn spectrum_input(specformer: &SpecFormer, tokens: TensorData) -> Tensor<3> {
    let weight = specformer.data_embed.weight.val();
    Tensor::<3>::from_data(tokens, &weight.device()).cast(weight.dtype())
}

/// From spectra to what a spectrum transformer takes.
#[derive(Debug, Clone)]
pub(super) struct SpectrumPreparation {
    pub(super) tokenizer: SpectrumTokenizer,
    /// Positions that the transformer knows.
    pub(super) max_tokens: usize,
}

impl SpectrumPreparation {
    /// Tokens of spectra `(n, pixels)`.
    pub(super) fn prepare(&self, spectra: ArrayView2<'_, f32>) -> Result<TensorData> {
        self.check_tokens(spectra.ncols())?;
        Ok(self.tokenizer.tokenize(spectra))
    }

    /// Spectra of `pixels` must not have more tokens than there are positions.
    fn check_tokens(&self, pixels: usize) -> Result<()> {
        let tokens = self.tokenizer.tokens(pixels);
        let known = self.max_tokens;
        if tokens > known {
            return Err(Error::input(format!(
                "spectra of {pixels} pixels have {tokens} tokens; the model knows {known} positions"
            )));
        }
        Ok(())
    }
}
