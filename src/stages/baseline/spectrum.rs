use burn::tensor::{Device, TensorData};
use serde::{Deserialize, Serialize};

use super::BaselineSummary;
use super::data::SupervisedData;
use super::supervised::{Inputs, Recipe, fit};
use crate::batch::TargetScaling;
use crate::config::SpectrumBaselineRun;
use crate::data::Dataset;
use crate::error::Result;
use crate::eval::{Labels, Target};
use crate::model::{ConvAttention, ConvAttentionConfig};
use crate::nn::Initializer;
use crate::stages::{RunOptions, require};
use crate::weights::ModelKind;

/// What it takes to build the network on spectra and to read its answers, as model files hold it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SpectrumBaselineArchitecture {
    /// The network; it sees the flux as it is, 1e-17 erg/s/cm²/Å.
    pub model: ConvAttentionConfig,
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
    let data = SupervisedData::open(&options.data, &config.targets, labels)?;
    require(&*data.dataset, data.dataset.has_spectra(), "spectra")?;
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
    fn augmented(&self, dataset: &dyn Dataset, rows: &[usize], _place: u64) -> Result<TensorData> {
        self.plain(dataset, rows)
    }

    fn plain(&self, dataset: &dyn Dataset, rows: &[usize]) -> Result<TensorData> {
        let spectra = dataset.spectra(rows)?;
        let shape = [spectra.nrows(), spectra.ncols()];
        Ok(TensorData::new(spectra.into_iter().collect(), shape))
    }
}
