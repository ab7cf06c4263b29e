//! Image encoders before alignment.

use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use ndarray::{Array2, ArrayView4};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{architecture, check_size, load_kind, to_array};
use crate::base::error::{Error, Result};
use crate::network::model::{Vit, VitConfig};
use crate::network::nn::Initializer;
use crate::network::weights::{ModelFile, ModelKind, TensorMap, assign, named_parameters};
use crate::survey::Survey;
use crate::views::augment::{PixelConfig, centre_crop};
use crate::views::batch::stack_images;

/// An image transformer and the pixel values that it was trained on.
#[derive(Debug, Clone)]
pub struct ImageEncoder {
    /// The transformer.
    pub vit: Vit,
    /// From nanomaggies to its input.
    pub pixels: PixelConfig,
    /// What images and spectra are like before that.
    pub survey: Survey,
}

/// What it takes to build an image encoder and to feed it, as model files hold it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImageArchitecture {
    /// The transformer.
    pub model: VitConfig,
    /// From nanomaggies to the input of the image transformer.
    pub pixels: PixelConfig,
    /// What images and spectra are like before that.
    #[serde(default)]
    pub survey: Survey,
}

impl ImageArchitecture {
    /// Checks that such a model can be built and fed.
    ///
    /// # Errors
    ///
    /// Names the first field that is out of range.
    pub fn check(&self) -> Result<()> {
        self.survey.check("survey")?;
        let bands = self.survey.bands.len();
        self.pixels.check("pixels", bands)?;
        self.model.check("model")?;
        self.model.check_channels("model", bands)
    }
}

impl ImageEncoder {
    /// Reads a pretrained image encoder onto `device`.
    ///
    /// # Errors
    ///
    /// [`Error::input`] when the file is of another kind or damaged.
    pub fn load(path: &Path, device: &Device) -> Result<Self> {
        load_kind(path, ModelKind::ImageEncoder, |file, tensors| {
            Self::from_file(file, tensors, device)
        })
    }

    pub(super) fn from_file(file: &ModelFile, tensors: TensorMap, device: &Device) -> Result<Self> {
        let architecture: ImageArchitecture = architecture(file)?;
        architecture.check()?;
        check_size(architecture.model.parameters(), &tensors)?;
        let ImageArchitecture {
            model,
            pixels,
            survey,
        } = architecture;
        let vit = assign(Vit::new(&model, &mut Initializer::new(0, device)), tensors)?;
        Ok(Self {
            vit,
            pixels,
            survey,
        })
    }

    /// Writes the encoder after `step` steps of a run with `config`.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn save(&self, path: &Path, step: u64, config: serde_json::Value) -> Result<()> {
        let architecture = ImageArchitecture {
            model: self.vit.config().clone(),
            pixels: self.pixels.clone(),
            survey: self.survey.clone(),
        };
        ModelFile::new(ModelKind::ImageEncoder, &architecture, step, config)
            .write(path, &named_parameters(&self.vit))
    }

    /// What the transformer takes of an image.
    pub(super) fn preparation(&self) -> ImagePreparation {
        ImagePreparation {
            pixels: self.pixels.clone(),
            size: self.vit.config().image_size,
        }
    }

    /// Class tokens `(n, width)` of prepared images.
    pub(super) fn embed(&self, images: TensorData) -> Array2<f32> {
        to_array(self.vit.class_token(image_input(&self.vit, images), None))
    }
}

/// Prepared images on a transformer's device and in its precision.
pub(super) fn image_input(vit: &Vit, images: TensorData) -> Tensor<4> {
    let weight = vit.patch_embed.weight.val();
    Tensor::<4>::from_data(images, &weight.device()).cast(weight.dtype())
}

/// From images in nanomaggies to what an image transformer takes.
#[derive(Debug, Clone)]
pub(super) struct ImagePreparation {
    pub(super) pixels: PixelConfig,
    /// Side of the transformer's images, pixels.
    pub(super) size: usize,
}

impl ImagePreparation {
    /// The centre of each image `(n, bands, side, side)` in pixel values.
    pub(super) fn prepare(&self, images: ArrayView4<'_, f32>) -> Result<TensorData> {
        let size = self.size;
        let (_, _, height, width) = images.dim();
        if height < size || width < size {
            return Err(Error::input(format!(
                "images have {height} x {width} pixels; the model needs at least {size} x {size}"
            )));
        }
        let views: Vec<_> = images
            .outer_iter()
            .into_par_iter()
            .map(|image| {
                let mut view = centre_crop(image, size).to_owned();
                self.pixels.apply(&mut view);
                view
            })
            .collect();
        Ok(stack_images(&views))
    }
}
