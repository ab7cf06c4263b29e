//! The supervised network on images.

use burn::tensor::{Device, TensorData};
use ndarray::{Array3, ArrayView3, Axis};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::BaselineSummary;
use super::data::SupervisedData;
use super::supervised::{Inputs, Recipe, fit, replay_step};
use crate::base::error::Result;
use crate::base::random::{Purpose, generator};
use crate::evaluation::eval::{Labels, Target};
use crate::files::data::{Galaxies, SurveyFiles};
use crate::network::model::{ResNet18, ResNetConfig};
use crate::network::nn::Initializer;
use crate::network::weights::ModelKind;
use crate::survey::{Modality, Survey};
use crate::training::config::ImageBaselineRun;
use crate::training::stages::replay::{Replay, ReplayOptions};
use crate::training::stages::{RunOptions, memory};
use crate::views::augment::{PixelConfig, RegressionViewConfig, centre_crop, regression_view};
use crate::views::batch::{TargetScaling, stack_images};

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
    fit(
        config,
        &recipe(config, &data),
        ImageInputs::of(config),
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
    let build = |device: &Device| build(config, device);
    // One image alone may have no variance to normalize by.
    replay_step(
        &recipe(config, &data),
        ImageInputs::of(config),
        build,
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
    let data = SupervisedData::open(files, survey, &[Modality::Image], targets, labels)?;
    if let Some(size) = data.files.dataset.image_size() {
        config.images.view.check_fit("images.view", size)?;
    }
    let (bands, outputs) = (survey.bands.len(), targets.len());
    let model = memory::WITH_MOMENTS * config.model.parameters(bands, outputs);
    let galaxy = bands as f64 * (config.images.view.size as f64).powi(2);
    memory::check(&config.train, model, galaxy)?;
    Ok(data)
}

fn recipe<'a>(config: &'a ImageBaselineRun, data: &'a SupervisedData) -> Recipe<'a> {
    Recipe {
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

struct ImageInputs {
    view: RegressionViewConfig,
    pixels: PixelConfig,
    seed: u64,
}

impl ImageInputs {
    fn of(config: &ImageBaselineRun) -> Self {
        Self {
            view: config.images.view.clone(),
            pixels: config.images.pixels.clone(),
            seed: config.train.seed,
        }
    }

    fn views(
        galaxies: Galaxies,
        view: impl Fn(usize, ArrayView3<'_, f32>) -> Array3<f32> + Sync,
    ) -> TensorData {
        let images = galaxies.images.expect("asked for");
        let images = images.axis_iter(Axis(0)).into_par_iter().enumerate();
        let views: Vec<_> = images.map(|(index, image)| view(index, image)).collect();
        stack_images(&views)
    }
}

impl Inputs for ImageInputs {
    fn augmented(&self, galaxies: Galaxies, place: u64) -> TensorData {
        Self::views(galaxies, |index, image| {
            let mut rng = generator(self.seed, Purpose::Augmentation, place + index as u64);
            regression_view(image, &self.view, &self.pixels, &mut rng)
        })
    }

    fn plain(&self, galaxies: Galaxies) -> TensorData {
        Self::views(galaxies, |_, image| {
            let mut view = centre_crop(image, self.view.size).to_owned();
            self.pixels.apply(&mut view);
            view
        })
    }
}
