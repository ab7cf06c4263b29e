//! The supervised network on spectra.

use burn::tensor::{Device, TensorData};
use serde::{Deserialize, Serialize};

use super::BaselineSummary;
use super::data::SupervisedData;
use super::supervised::{Inputs, Recipe, fit};
use crate::base::error::Result;
use crate::evaluation::eval::{Labels, Target};
use crate::files::data::Galaxies;
use crate::network::model::{ConvAttention, ConvAttentionConfig};
use crate::network::nn::Initializer;
use crate::network::weights::ModelKind;
use crate::survey::{Modality, Survey};
use crate::training::config::SpectrumBaselineRun;
use crate::training::stages::{RunOptions, memory};
use crate::views::batch::TargetScaling;

/// What it takes to build the network on spectra and to read its answers, as model files hold it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SpectrumBaselineArchitecture {
    /// The network; it sees the flux as it is, 1e-17 erg/s/cm²/Å.
    pub model: ConvAttentionConfig,
    /// What its spectra are.
    pub survey: Survey,
    /// What it predicts.
    pub targets: Vec<Target>,
    /// From its predictions to the targets' units.
    pub scaling: TargetScaling,
}

/// Trains a convolution + attention network on the spectra of the files' training galaxies (paper appendix
/// B5), and predicts for all.
///
/// # Errors
///
/// Bad data, labels or configuration, a run folder in use, a loss that turns non-finite.
pub fn baseline_spectrum(
    config: &SpectrumBaselineRun,
    labels: Option<&Labels>,
    options: &RunOptions,
    device: &Device,
) -> Result<BaselineSummary> {
    let data = SupervisedData::open(
        &options.data,
        &config.survey,
        &[Modality::Spectrum],
        &config.targets,
        labels,
    )?;
    let numbers = memory::WITH_MOMENTS * config.model.parameters(config.targets.len());
    let pixels = config.survey.wavelengths.len;
    memory::check(&config.train, numbers, pixels as f64)?;
    let recipe = Recipe {
        data: &data,
        kind: ModelKind::SpectrumBaseline,
        targets: &config.targets,
        train: &config.train,
        validation: &config.validation,
        optimizer: &config.optimizer,
    };
    let build = |device: &Device| {
        let mut init = Initializer::new(config.train.seed, device);
        ConvAttention::new(&config.model, config.targets.len(), &mut init)
    };
    let architecture = |scaling| SpectrumBaselineArchitecture {
        model: config.model.clone(),
        survey: config.survey.clone(),
        targets: config.targets.clone(),
        scaling,
    };
    fit(
        config,
        &recipe,
        SpectrumInputs,
        build,
        architecture,
        options,
        device,
    )
}

struct SpectrumInputs;

impl Inputs for SpectrumInputs {
    fn augmented(&self, galaxies: Galaxies, _place: u64) -> TensorData {
        self.plain(galaxies)
    }

    fn plain(&self, galaxies: Galaxies) -> TensorData {
        let spectra = galaxies.spectra.expect("asked for");
        let shape = [spectra.nrows(), spectra.ncols()];
        TensorData::new(spectra.into_iter().collect(), shape)
    }
}
