//! The supervised network on spectra.

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::{BaselineSummary, Network};
use crate::base::error::Result;
use crate::evaluation::eval::{Labels, Target};
use crate::files::data::SurveyFiles;
use crate::network::model::{ConvAttention, ConvAttentionConfig};
use crate::network::nn::Initializer;
use crate::network::weights::ModelKind;
use crate::survey::{Modality, Survey};
use crate::training::config::SpectrumBaselineRun;
use crate::training::stages::replay::{self, Replay, ReplayOptions};
use crate::training::stages::supervised::{FluxInputs, LabelsLimit, SupervisedData, replay_step};
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
    network(config, &data).train(
        config,
        FluxInputs,
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
    replay_step(
        &network(config, &data).recipe(),
        FluxInputs,
        build(config, &replay::device()),
        options,
        1,
    )
}

fn open(
    config: &SpectrumBaselineRun,
    labels: Option<&Labels>,
    files: &SurveyFiles,
) -> Result<SupervisedData> {
    let (survey, targets) = (&config.survey, &config.targets);
    let limit = LabelsLimit::of(config.labels_limit, &config.train);
    let data = SupervisedData::open(files, survey, &[Modality::Spectrum], targets, labels, limit)?;
    let model = memory::WITH_MOMENTS * config.model.parameters(targets.len());
    memory::check(&config.train, model, survey.wavelengths.len as f64)?;
    Ok(data)
}

fn network<'a>(config: &'a SpectrumBaselineRun, data: &'a SupervisedData) -> Network<'a> {
    Network {
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
