//! The pairs of a step of alignment.

use burn::tensor::TensorData;
use ndarray::{Array2, ArrayView2, ArrayView4, Axis};
use rayon::prelude::*;

use super::{SpectrumTokenizer, stack_images};
use crate::base::random::{Purpose, generator};
use crate::base::ranks::Seat;
use crate::views::augment::{
    AlignViewConfig, Photometer, PixelConfig, Spectrophotometer, align_view, worsen_seeing,
};

/// A batch of pairs.
#[derive(Debug, Clone)]
pub struct PairBatch {
    /// Pixel values `(batch, channels, side, side)`.
    pub images: TensorData,
    /// Spectrum tokens `(batch, tokens, width)`.
    pub tokens: TensorData,
    /// Fluxes of the images `(batch, outputs)`, where the model takes them.
    pub fluxes: Option<TensorData>,
    /// Fluxes of the spectra `(batch, outputs)`, where the model takes them.
    pub spectrum_fluxes: Option<TensorData>,
    /// Embeddings of the same galaxies by another model, where there is one to learn from.
    pub teacher: Option<OfTeacher>,
}

impl PairBatch {
    /// Images `(batch, channels, side, side)` and spectrum tokens `(batch, tokens, width)` with nothing beside.
    pub fn new(images: TensorData, tokens: TensorData) -> Self {
        Self {
            images,
            tokens,
            fluxes: None,
            spectrum_fluxes: None,
            teacher: None,
        }
    }
}

/// Embeddings `(batch, embedding)` by another model.
#[derive(Debug, Clone)]
pub struct OfTeacher {
    /// Of images.
    pub images: TensorData,
    /// Of spectra.
    pub spectra: TensorData,
}

/// From images and spectra to the pairs of a step.
#[derive(Debug, Clone)]
pub struct PairRecipe {
    /// What the image encoder sees of an image.
    pub view: AlignViewConfig,
    /// Largest standard deviation, in pixels, of a blur that makes an image's seeing worse before all else; 0 for none.
    pub extra_seeing: f64,
    /// From nanomaggies to pixel values.
    pub pixels: PixelConfig,
    /// From nanomaggies to fluxes, where the model takes them.
    pub photometer: Option<Photometer>,
    /// From spectra to fluxes, where the model takes them.
    pub spectrophotometer: Option<Spectrophotometer>,
    /// Sections of a spectrum.
    pub tokenizer: SpectrumTokenizer,
    /// Seed of the run.
    pub seed: u64,
    /// Which of the ranks prepares.
    pub seat: Seat,
}

impl PairRecipe {
    /// The pairs of step `step` from this rank's share of its images `(galaxies, bands, side, side)` in nanomaggies and
    /// of its spectra `(galaxies, pixels)`.
    pub fn prepare(
        &self,
        images: ArrayView4<'_, f32>,
        spectra: ArrayView2<'_, f32>,
        step: u64,
    ) -> PairBatch {
        let samples = images.len_of(Axis(0));
        let first =
            step * (samples * self.seat.size) as u64 + self.seat.place(samples).start as u64;
        let rng_of = |purpose, index| generator(self.seed, purpose, first + index as u64);
        let blurred = (self.extra_seeing > 0.0).then(|| {
            let mut blurred = images.as_standard_layout().into_owned();
            let each = blurred.axis_iter_mut(Axis(0)).into_par_iter().enumerate();
            each.for_each(|(index, image)| {
                worsen_seeing(
                    image,
                    self.extra_seeing,
                    &mut rng_of(Purpose::Seeing, index),
                );
            });
            blurred
        });
        let images = blurred.as_ref().map_or(images, |of| of.view());
        let views: Vec<_> = images
            .axis_iter(Axis(0))
            .into_par_iter()
            .enumerate()
            .map(|(index, image)| {
                let mut rng = rng_of(Purpose::Augmentation, index);
                align_view(image, &self.view, &self.pixels, &mut rng)
            })
            .collect();
        PairBatch {
            fluxes: (self.photometer.as_ref()).map(|of| rows_of(of.measure(images))),
            spectrum_fluxes: (self.spectrophotometer.as_ref())
                .map(|of| rows_of(of.measure(spectra))),
            ..PairBatch::new(stack_images(&views), self.tokenizer.tokenize(spectra))
        }
    }
}

/// Rows as a tensor.
pub fn rows_of(values: Array2<f32>) -> TensorData {
    let (rows, columns) = values.dim();
    TensorData::new(values.into_raw_vec_and_offset().0, [rows, columns])
}
