//! The supervised network on images.

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::{BaselineSummary, Network};
use crate::base::error::Result;
use crate::evaluation::eval::{Labels, Target};
use crate::files::data::SurveyFiles;
use crate::network::model::{ResNet18, ResNetConfig};
use crate::network::nn::Initializer;
use crate::network::weights::ModelKind;
use crate::survey::{Modality, Survey};
use crate::training::config::ImageBaselineRun;
use crate::training::stages::replay::{self, Replay, ReplayOptions};
use crate::training::stages::supervised::{ImageInputs, LabelsLimit, SupervisedData, replay_step};
use crate::training::stages::{RunOptions, memory};
use crate::views::augment::PixelConfig;
use crate::views::batch::TargetScaling;

/// What it takes to build the network on images, to feed it and to read its answers, as model files hold it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImageBaselineArchitecture {
    /// The network.
    pub model: ResNetConfig,
    /// What its images are.
    pub survey: Survey,
    /// Side of the centre of an image that it sees, pixels.
    pub size: usize,
    /// From nanomaggies to its input.
    pub pixels: PixelConfig,
    /// What it predicts.
    pub targets: Vec<Target>,
    /// From its predictions to the targets' units.
    pub scaling: TargetScaling,
}

/// Trains a ResNet18 on the images of the files' training galaxies (paper appendix B4), and predicts for all.
///
/// # Errors
///
/// Bad data, labels or configuration, a run folder in use, a loss that turns non-finite.
pub fn baseline_image(
    config: &ImageBaselineRun,
    labels: Option<&Labels>,
    options: &RunOptions,
    device: &Device,
) -> Result<BaselineSummary> {
    let data = open(config, labels, &options.data)?;
    let architecture = |scaling| ImageBaselineArchitecture {
        model: config.model.clone(),
        survey: config.survey.clone(),
        size: config.images.view.size,
        pixels: config.images.pixels.clone(),
        targets: config.targets.clone(),
        scaling,
    };
    network(config, &data).train(
        config,
        inputs(config),
        |device| build(config, device),
        architecture,
        options,
        device,
    )
}

/// Takes a step of a run of [`baseline_image`] again.
///
/// # Errors
///
/// As [`baseline_image`], and where the record is damaged.
pub fn replay_baseline_image(
    config: &ImageBaselineRun,
    labels: Option<&Labels>,
    files: &SurveyFiles,
    options: &ReplayOptions,
) -> Result<Replay> {
    let data = open(config, labels, files)?;
    // One image alone may have no variance to normalize by.
    replay_step(
        &network(config, &data).recipe(),
        inputs(config),
        build(config, &replay::device()),
        options,
        2,
    )
}

fn open(
    config: &ImageBaselineRun,
    labels: Option<&Labels>,
    files: &SurveyFiles,
) -> Result<SupervisedData> {
    let (survey, targets) = (&config.survey, &config.targets);
    let limit = LabelsLimit::of(config.labels_limit, &config.train);
    let data = SupervisedData::open(files, survey, &[Modality::Image], targets, labels, limit)?;
    if let Some(size) = data.files.dataset.image_size() {
        config.images.view.check_fit("images.view", size)?;
    }
    let (bands, outputs) = (survey.bands.len(), targets.len());
    let model = memory::WITH_MOMENTS * config.model.parameters(bands, outputs);
    let galaxy = bands as f64 * (config.images.view.size as f64).powi(2);
    memory::check(&config.train, model, galaxy)?;
    Ok(data)
}

fn network<'a>(config: &'a ImageBaselineRun, data: &'a SupervisedData) -> Network<'a> {
    Network {
        data,
        kind: ModelKind::ImageBaseline,
        targets: &config.targets,
        train: &config.train,
        validation: &config.validation,
        optimizer: &config.optimizer,
    }
}

fn build(config: &ImageBaselineRun, device: &Device) -> ResNet18 {
    let mut init = Initializer::new(config.train.seed, device);
    let sizes = (config.survey.bands.len(), config.targets.len());
    ResNet18::new(&config.model, sizes, &mut init)
}

fn inputs(config: &ImageBaselineRun) -> ImageInputs {
    ImageInputs {
        view: config.images.view.clone(),
        pixels: config.images.pixels.clone(),
        seed: config.train.seed,
    }
}
