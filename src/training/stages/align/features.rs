//! What is found of some training galaxies rather than learnt: scales of fluxes, and components of features.

use ndarray::{Array2, ArrayView2, Axis, concatenate};
use rand::RngExt;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::base::error::{Error, Result};
use crate::base::random::{Purpose, generator};
use crate::files::data::{Galaxies, TrainingData};
use crate::network::encoder::{AlignedEncoder, ImageFeatures, SpectrumFeatures};
use crate::network::model::{ImageFeaturesConfig, SpectrumFeaturesConfig};
use crate::survey::Survey;
use crate::views::augment::{
    Photometer, PhotometryConfig, Spectrophotometer, SpectrophotometryConfig,
};

/// Galaxies of a sample that are read at once.
const BATCH: usize = 64;

/// Batches of so many training galaxies at most, in the order of the files.
fn sample<'a>(
    data: &'a TrainingData,
    galaxies: usize,
    rng: &mut ChaCha8Rng,
) -> impl Iterator<Item = Result<Galaxies>> + use<'a> {
    let mut rows: Vec<usize> = data.rows().iter().collect();
    rows.shuffle(rng);
    rows.truncate(galaxies);
    rows.sort_unstable();
    let batches: Vec<Vec<usize>> = rows.chunks(BATCH).map(<[usize]>::to_vec).collect();
    batches.into_iter().filter_map(move |rows| {
        let read = data.read(&rows);
        read.map(|of| (!of.rows.is_empty()).then_some(of))
            .transpose()
    })
}

/// What measures the fluxes of images, of which the encoder sees `size` pixels a side.
pub(super) fn photometer(
    config: &PhotometryConfig,
    (survey, size): (&Survey, usize),
    data: &TrainingData,
    seed: u64,
) -> Result<Photometer> {
    let mut rng = generator(seed, Purpose::Components, 1);
    let batches = sample(data, config.images, &mut rng)
        .map(|galaxies| galaxies.map(|of| of.asked_images().to_owned()));
    let view = (size, survey.pixel_scale);
    Photometer::fit(config, view, survey.bands.len(), batches)
}

/// What measures the fluxes of spectra.
pub(super) fn spectrophotometer(
    config: &SpectrophotometryConfig,
    data: &TrainingData,
    seed: u64,
) -> Result<Spectrophotometer> {
    let mut rng = generator(seed, Purpose::Components, 3);
    let batches = sample(data, config.spectra, &mut rng)
        .map(|galaxies| galaxies.map(|of| of.asked_spectra().to_owned()));
    Spectrophotometer::fit(config, batches)
}

/// What `embed` keeps of images from before the head, of some training galaxies.
pub(super) fn image_features(
    encoder: &AlignedEncoder,
    data: &TrainingData,
    config: &ImageFeaturesConfig,
    seed: u64,
) -> Result<ImageFeatures> {
    let mut rng = generator(seed, Purpose::Components, 2);
    let (mut colours, mut tokens) = (Vec::new(), Vec::new());
    for galaxies in sample(data, config.images, &mut rng) {
        let images = galaxies?;
        let (of_fluxes, of_tokens) = encoder.image_feature_inputs(images.asked_images())?;
        colours.push(of_fluxes);
        tokens.push(of_tokens);
    }
    let (colours, tokens) = (joined(&colours, "an image")?, joined(&tokens, "an image")?);
    let draw = || rng.random_range(-1.0_f32..1.0);
    Ok(ImageFeatures::fit(config, (&colours, &tokens), draw))
}

/// Rows of batches, one batch behind the other.
fn joined(batches: &[Array2<f32>], of: &str) -> Result<Array2<f32>> {
    let batches: Vec<ArrayView2<'_, f32>> = batches.iter().map(|batch| batch.view()).collect();
    concatenate(Axis(0), &batches)
        .map_err(|_| Error::run(format!("no training galaxy has {of} that can be used")))
}

/// What `embed` keeps of spectra from before the head, of some training galaxies.
pub(super) fn spectrum_features(
    encoder: &AlignedEncoder,
    data: &TrainingData,
    config: &SpectrumFeaturesConfig,
    seed: u64,
) -> Result<SpectrumFeatures> {
    let mut rng = generator(seed, Purpose::Components, 0);
    let mut bins = 0;
    let mut inputs: Vec<Array2<f32>> = Vec::new();
    for galaxies in sample(data, config.spectra, &mut rng) {
        let spectra = galaxies?;
        let (of_batch, columns) = encoder.feature_inputs(spectra.asked_spectra(), config)?;
        inputs.push(of_batch);
        bins = columns;
    }
    let inputs = joined(&inputs, "a spectrum")?;
    let draw = || rng.random_range(-1.0_f32..1.0);
    Ok(SpectrumFeatures::fit(config, inputs, bins, draw))
}
