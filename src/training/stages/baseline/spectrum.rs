//! The supervised network on spectra.

use burn::tensor::{Device, TensorData};
use serde::{Deserialize, Serialize};

use super::BaselineSummary;
use super::data::SupervisedData;
use super::supervised::{Inputs, Recipe, fit, replay_step};
use crate::base::error::Result;
use crate::evaluation::eval::{Labels, Target};
use crate::files::data::{Galaxies, SurveyFiles};
use crate::network::model::{ConvAttention, ConvAttentionConfig};
use crate::network::nn::Initializer;
use crate::network::weights::ModelKind;
use crate::survey::{Modality, Survey};
use crate::training::config::SpectrumBaselineRun;
use crate::training::stages::replay::{Replay, ReplayOptions};
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
    let data = open(config, labels, &options.data)?;
    let architecture = |scaling| SpectrumBaselineArchitecture {
        model: config.model.clone(),
        survey: config.survey.clone(),
        targets: config.targets.clone(),
        scaling,
    };
    fit(
        config,
        &recipe(config, &data),
        SpectrumInputs,
        |device| build(config, device),
        architecture,
        options,
        device,
    )
}

/// Takes a step of a run of [`baseline_spectrum`] again.
///
/// # Errors
///
/// As [`baseline_spectrum`], and where the record is damaged.
pub fn replay_baseline_spectrum(
    config: &SpectrumBaselineRun,
    labels: Option<&Labels>,
    files: &SurveyFiles,
    options: &ReplayOptions,
) -> Result<Replay> {
    let data = open(config, labels, files)?;
    let build = |device: &Device| build(config, device);
    replay_step(&recipe(config, &data), SpectrumInputs, build, options, 1)
}

fn open(
    config: &SpectrumBaselineRun,
    labels: Option<&Labels>,
    files: &SurveyFiles,
) -> Result<SupervisedData> {
    let (survey, targets) = (&config.survey, &config.targets);
    let data = SupervisedData::open(files, survey, &[Modality::Spectrum], targets, labels)?;
    let model = memory::WITH_MOMENTS * config.model.parameters(targets.len());
    memory::check(&config.train, model, survey.wavelengths.len as f64)?;
    Ok(data)
}

fn recipe<'a>(config: &'a SpectrumBaselineRun, data: &'a SupervisedData) -> Recipe<'a> {
    Recipe {
        data,
        kind: ModelKind::SpectrumBaseline,
        targets: &config.targets,
        train: &config.train,
        validation: &config.validation,
        optimizer: &config.optimizer,
    }
}

fn build(config: &SpectrumBaselineRun, device: &Device) -> ConvAttention {
    let mut init = Initializer::new(config.train.seed, device);
    ConvAttention::new(&config.model, config.targets.len(), &mut init)
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
