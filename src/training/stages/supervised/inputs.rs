//! From galaxies as they are read to what supervised networks see.

use burn::tensor::TensorData;
use ndarray::{Array3, ArrayView3, Axis};
use rayon::prelude::*;

use crate::base::random::{Purpose, generator};
use crate::files::data::Galaxies;
use crate::views::augment::{PixelConfig, RegressionViewConfig, centre_crop, regression_view};
use crate::views::batch::{SpectrumTokenizer, stack_images};

/// From galaxies as they are read to what a network sees.
pub(in crate::training::stages) trait Inputs:
    Send + Sync + 'static
{
    /// Inputs `(galaxies, ...)` for training, augmented; the first of them is at `place` in the run.
    fn augmented(&self, galaxies: Galaxies, place: u64) -> TensorData;

    /// Inputs `(galaxies, ...)` as they are.
    fn plain(&self, galaxies: Galaxies) -> TensorData;
}

/// The centres of images in pixel values.
pub(in crate::training::stages) struct ImageInputs {
    pub view: RegressionViewConfig,
    pub pixels: PixelConfig,
    pub seed: u64,
}

impl ImageInputs {
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

/// Spectra as they are.
pub(in crate::training::stages) struct FluxInputs;

impl Inputs for FluxInputs {
    fn augmented(&self, galaxies: Galaxies, _place: u64) -> TensorData {
        self.plain(galaxies)
    }

    fn plain(&self, galaxies: Galaxies) -> TensorData {
        let spectra = galaxies.spectra.expect("asked for");
        let shape = [spectra.nrows(), spectra.ncols()];
        TensorData::new(spectra.into_iter().collect(), shape)
    }
}

/// Tokens of spectra.
pub(in crate::training::stages) struct TokenInputs {
    pub tokenizer: SpectrumTokenizer,
}

impl Inputs for TokenInputs {
    fn augmented(&self, galaxies: Galaxies, _place: u64) -> TensorData {
        self.plain(galaxies)
    }

    fn plain(&self, galaxies: Galaxies) -> TensorData {
        self.tokenizer.tokenize(galaxies.asked_spectra())
    }
}
