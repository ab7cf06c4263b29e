//! Trained models with their preprocessing: from survey arrays to embeddings, in and out of files.

mod aligned;
mod image;
mod image_features;
mod spectrum;
mod spectrum_features;

use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use ndarray::{Array2, Array3, ArrayView2, ArrayView4};
use serde::de::DeserializeOwned;

pub use aligned::{AlignedArchitecture, AlignedEncoder};
pub use image::{ImageArchitecture, ImageEncoder};
pub use image_features::ImageFeatures;
pub use spectrum::{SpectrumArchitecture, SpectrumEncoder};
pub use spectrum_features::SpectrumFeatures;

use image::ImagePreparation;
use spectrum::SpectrumPreparation;
use spectrum_features::flux_in_bins;

use crate::base::error::{Error, Result};
use crate::network::model::{Backbone, SpectrumFeaturesConfig};
use crate::network::nn::{Precision, widen};
use crate::network::weights::{ModelFile, ModelKind, TensorMap, host_values};
use crate::survey::{Modality, Survey};
use crate::views::augment::{Photometer, PixelConfig, Spectrophotometer};
use crate::views::batch::SpectrumTokenizer;

/// A model of any kind, ready to embed.
#[derive(Debug, Clone)]
pub enum Encoder {
    /// Image transformer alone: embeds an image as its class token.
    Image(ImageEncoder),
    /// Spectrum transformer alone: embeds a spectrum as the mean of its tokens.
    Spectrum(SpectrumEncoder),
    /// Aligned model: embeds both into one space.
    Aligned(Box<AlignedEncoder>),
}

impl Encoder {
    /// Reads a model file.
    ///
    /// # Errors
    ///
    /// [`Error::input`] when the file is not a model of ours or its tensors do not fit.
    pub fn load(path: &Path, device: &Device) -> Result<(Self, ModelFile)> {
        let (file, tensors) = ModelFile::read(path)?;
        let encoder = match file.kind {
            ModelKind::ImageEncoder => {
                ImageEncoder::from_file(&file, tensors, device).map(Self::Image)
            }
            ModelKind::SpectrumEncoder => {
                SpectrumEncoder::from_file(&file, tensors, device).map(Self::Spectrum)
            }
            ModelKind::AstroClip => AlignedEncoder::from_file(&file, tensors, device)
                .map(|encoder| Self::Aligned(Box::new(encoder))),
            kind => Err(Error::input(format!(
                "it holds a {}, which predicts and does not embed; expected an image or spectrum encoder or an \
                 aligned model",
                kind.label()
            ))),
        };
        let encoder = encoder.map_err(|error| error.in_file(path))?;
        Ok((encoder, file))
    }

    /// The same model with weights in `precision`, in which it then computes.
    pub fn in_precision(self, precision: Precision) -> Self {
        match self {
            Self::Image(encoder) => Self::Image(ImageEncoder {
                vit: precision.of_weights(encoder.vit),
                ..encoder
            }),
            Self::Spectrum(encoder) => Self::Spectrum(SpectrumEncoder {
                specformer: precision.of_weights(encoder.specformer),
                ..encoder
            }),
            Self::Aligned(encoder) => Self::Aligned(Box::new(AlignedEncoder {
                model: precision.of_weights(encoder.model),
                ..*encoder
            })),
        }
    }

    /// Its transformers, to be trained on.
    pub fn backbone(&self) -> Backbone {
        match self {
            Self::Image(encoder) => Backbone::Image(encoder.vit.clone()),
            Self::Spectrum(encoder) => Backbone::Spectrum(encoder.specformer.clone()),
            Self::Aligned(encoder) => Backbone::Aligned(encoder.model.clone()),
        }
    }

    /// The same model with the weights of `backbone`, which was its own and has been trained on.
    ///
    /// # Panics
    ///
    /// Where it is that of another kind of model.
    pub fn with_backbone(self, backbone: Backbone) -> Self {
        match (self, backbone) {
            (Self::Image(encoder), Backbone::Image(vit)) => {
                Self::Image(ImageEncoder { vit, ..encoder })
            }
            (Self::Spectrum(encoder), Backbone::Spectrum(specformer)) => {
                Self::Spectrum(SpectrumEncoder {
                    specformer,
                    ..encoder
                })
            }
            (Self::Aligned(encoder), Backbone::Aligned(model)) => {
                Self::Aligned(Box::new(AlignedEncoder { model, ..*encoder }))
            }
            _ => panic!("a backbone is that of its own model"),
        }
    }

    /// Side of the images that it takes, pixels, and how they become pixel values; none where it takes none.
    pub fn image_view(&self) -> Option<(usize, &PixelConfig)> {
        match self {
            Self::Image(encoder) => Some((encoder.vit.config().image_size, &encoder.pixels)),
            Self::Spectrum(_) => None,
            Self::Aligned(encoder) => {
                Some((encoder.model.image.config().image_size, &encoder.pixels))
            }
        }
    }

    /// How spectra become the tokens that it takes; none where it takes none.
    pub fn tokenizer(&self) -> Option<&SpectrumTokenizer> {
        match self {
            Self::Image(_) => None,
            Self::Spectrum(encoder) => Some(&encoder.tokenizer),
            Self::Aligned(encoder) => Some(&encoder.tokenizer),
        }
    }

    /// Writes the model after `step` steps of a run with `config`.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn save(&self, path: &Path, step: u64, config: serde_json::Value) -> Result<()> {
        match self {
            Self::Image(encoder) => encoder.save(path, step, config),
            Self::Spectrum(encoder) => encoder.save(path, step, config),
            Self::Aligned(encoder) => encoder.save(path, step, config),
        }
    }

    /// What the model can embed.
    pub fn modalities(&self) -> &'static [Modality] {
        match self {
            Self::Image(_) => &[Modality::Image],
            Self::Spectrum(_) => &[Modality::Spectrum],
            Self::Aligned(_) => &Modality::ALL,
        }
    }

    /// What images and spectra must be like.
    pub fn survey(&self) -> &Survey {
        match self {
            Self::Image(encoder) => &encoder.survey,
            Self::Spectrum(encoder) => &encoder.survey,
            Self::Aligned(encoder) => &encoder.survey,
        }
    }

    /// Width of its embeddings.
    pub fn dimension(&self) -> usize {
        match self {
            Self::Image(encoder) => encoder.vit.config().width,
            Self::Spectrum(encoder) => encoder.specformer.config().width,
            Self::Aligned(encoder) => encoder.model.config().image_head.embedding,
        }
    }

    /// What the model takes of galaxies: made on the host, by any thread, while the device works.
    pub fn preparation(&self) -> Preparation {
        let (image, spectrum) = match self {
            Self::Image(encoder) => (Some(encoder.preparation()), None),
            Self::Spectrum(encoder) => (None, Some(encoder.preparation())),
            Self::Aligned(encoder) => (
                Some(encoder.image_preparation()),
                Some(encoder.spectrum_preparation()),
            ),
        };
        let features = match self {
            Self::Aligned(encoder) => encoder.spectrum_features.as_ref(),
            Self::Image(_) | Self::Spectrum(_) => None,
        };
        let (photometer, spectrophotometer) = match self {
            Self::Aligned(encoder) => (
                encoder.photometer.clone(),
                encoder.spectrophotometer.clone(),
            ),
            Self::Image(_) | Self::Spectrum(_) => (None, None),
        };
        Preparation {
            image,
            photometer,
            spectrum,
            spectrophotometer,
            features: features.map(|features| features.config().clone()),
        }
    }

    /// Width of what it makes of one kind of data before its heads; none where it has no heads.
    pub fn features(&self, modality: Modality) -> Option<usize> {
        match (self, modality) {
            (Self::Image(_) | Self::Spectrum(_), _) => None,
            (Self::Aligned(encoder), Modality::Image) => Some(encoder.image_features_width()),
            (Self::Aligned(encoder), Modality::Spectrum) => {
                Some(match &encoder.spectrum_features {
                    Some(features) => features.width(),
                    None => encoder.model.spectrum.config().width,
                })
            }
        }
    }

    /// Vectors of prepared galaxies, of images and of spectra, where they were prepared.
    pub fn embed(&self, prepared: Prepared) -> (Option<Vectors>, Option<Vectors>) {
        let Prepared {
            images,
            fluxes,
            tokens,
            spectrum_fluxes,
            flux,
        } = prepared;
        let alone = |embeddings: Array2<f32>| Vectors {
            embeddings,
            features: None,
        };
        match self {
            Self::Image(encoder) => (images.map(|images| alone(encoder.embed(images))), None),
            Self::Spectrum(encoder) => (None, tokens.map(|tokens| alone(encoder.embed(tokens)))),
            Self::Aligned(encoder) => (
                images.map(|images| encoder.embed_images(images, fluxes)),
                tokens.map(|tokens| encoder.embed_spectra(tokens, spectrum_fluxes, flux)),
            ),
        }
    }
}

/// What a model makes of some galaxies of one kind of data.
#[derive(Debug, Clone)]
pub struct Vectors {
    /// Embeddings `(n, dimension)`.
    pub embeddings: Array2<f32>,
    /// What an aligned model has before its heads `(n, features)`: [`ImageFeatures`] or class tokens of images,
    /// [`SpectrumFeatures`] or mean tokens of spectra.
    pub features: Option<Array2<f32>>,
}

/// From galaxies to what a model takes of them.
#[derive(Debug, Clone)]
pub struct Preparation {
    image: Option<ImagePreparation>,
    photometer: Option<Photometer>,
    spectrum: Option<SpectrumPreparation>,
    spectrophotometer: Option<Spectrophotometer>,
    features: Option<SpectrumFeaturesConfig>,
}

/// What a model takes of some galaxies.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// Pixel values `(n, channels, side, side)`.
    images: Option<TensorData>,
    /// Fluxes of the images `(n, outputs)`, where they are measured.
    fluxes: Option<Array2<f32>>,
    /// Tokens `(n, tokens, width)`.
    tokens: Option<TensorData>,
    /// Fluxes of the spectra `(n, outputs)`, where they are measured.
    spectrum_fluxes: Option<Array2<f32>>,
    /// Flux of the spectra in bins `(n, bins)`, for features; empty where nothing takes it.
    flux: Array2<f32>,
}

impl Preparation {
    /// Prepares images `(n, bands, side, side)` in nanomaggies and spectra `(n, pixels)`, as far as the model knows
    /// them.
    ///
    /// # Errors
    ///
    /// When the images are smaller than the model's input, or the model runs out of positions.
    pub fn prepare(
        &self,
        images: Option<ArrayView4<'_, f32>>,
        spectra: Option<ArrayView2<'_, f32>>,
    ) -> Result<Prepared> {
        let image = self.image.as_ref().zip(images);
        let spectrum = self.spectrum.as_ref().zip(spectra);
        let flux = self.features.as_ref().zip(spectra);
        let flux = flux.map(|(config, spectra)| flux_in_bins(config, spectra));
        // Images that are too small are refused first.
        let prepared = image.map(|(of, images)| of.prepare(images)).transpose()?;
        let fluxes = self.photometer.as_ref().zip(images);
        let spectrum_fluxes = self.spectrophotometer.as_ref().zip(spectra);
        Ok(Prepared {
            flux: flux.unwrap_or_default(),
            images: prepared,
            fluxes: fluxes.map(|(photometer, images)| photometer.measure(images)),
            spectrum_fluxes: spectrum_fluxes
                .map(|(photometer, spectra)| photometer.measure(spectra)),
            tokens: spectrum
                .map(|(of, spectra)| of.prepare(spectra))
                .transpose()?,
        })
    }
}

/// The architecture in a model file's header.
///
/// # Errors
///
/// [`Error::input`] that names the field that is missing or of another type.
pub fn architecture<T: DeserializeOwned>(file: &ModelFile) -> Result<T> {
    serde_path_to_error::deserialize(&file.architecture).map_err(|error| {
        Error::input(format!("the architecture in its header: {error}")).caused_by(error)
    })
}

/// Refuses an architecture that has far more numbers than a file's tensors before it is built: it would take memory
/// that no weight fills. Small differences are named tensor by tensor when weights are put in place.
fn check_size(parameters: f64, tensors: &TensorMap) -> Result<()> {
    let held: usize = tensors.values().map(|tensor| tensor.values.len()).sum();
    match parameters > 2.0 * held as f64 {
        true => Err(Error::input(format!(
            "the architecture in its header has {parameters} numbers, the tensors hold {held}; the file is damaged"
        ))),
        false => Ok(()),
    }
}

/// Reads one kind of model, refusing the others.
fn load_kind<T>(
    path: &Path,
    kind: ModelKind,
    build: impl FnOnce(&ModelFile, TensorMap) -> Result<T>,
) -> Result<T> {
    let (file, tensors) = ModelFile::read(path)?;
    if file.kind != kind {
        return Err(Error::input(format!(
            "it is of another kind: {}; expected: {}",
            file.kind.label(),
            kind.label()
        ))
        .in_file(path));
    }
    build(&file, tensors).map_err(|error| error.in_file(path))
}

fn to_array3(values: Tensor<3>) -> Array3<f32> {
    let shape = values.dims();
    Array3::from_shape_vec(shape, host_values(widen(values)))
        .expect("a tensor has as many values as its shape says")
}

fn to_array(embeddings: Tensor<2>) -> Array2<f32> {
    let [rows, columns] = embeddings.dims();
    Array2::from_shape_vec((rows, columns), host_values(widen(embeddings)))
        .expect("a tensor has as many values as its shape says")
}
