//! The released models as this program's architectures.

use super::names::{self, Entry};
use crate::base::error::Error;
use crate::network::encoder::{
    AlignedArchitecture, ImageArchitecture, SpectrumArchitecture, architecture,
};
use crate::network::model::AstroClipConfig;
use crate::network::weights::{ModelFile, ModelKind};

/// Blocks of DINOv2's image transformers come in so many chunks.
const RELEASED_CHUNKS: usize = 4;

/// Architecture and preprocessing of a model that both programs know.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum ReleasedModel {
    Image(ImageArchitecture),
    Spectrum(SpectrumArchitecture),
    Aligned(Box<AlignedArchitecture>),
}

impl ReleasedModel {
    /// From the header of one of our files.
    pub(super) fn from_header(file: &ModelFile) -> Result<Self, Error> {
        Ok(match file.kind {
            ModelKind::ImageEncoder => Self::Image(architecture(file)?),
            ModelKind::SpectrumEncoder => Self::Spectrum(architecture(file)?),
            ModelKind::AstroClip => Self::Aligned(Box::new(architecture(file)?)),
            kind => {
                return Err(Error::input(format!(
                    "it holds a {}, for which the released code has no format",
                    kind.label()
                )));
            }
        })
    }

    /// Header of our file.
    pub(super) fn header(&self, step: u64) -> ModelFile {
        let config = serde_json::Value::Null;
        match self {
            Self::Image(inner) => ModelFile::new(ModelKind::ImageEncoder, inner, step, config),
            Self::Spectrum(inner) => {
                ModelFile::new(ModelKind::SpectrumEncoder, inner, step, config)
            }
            Self::Aligned(inner) => ModelFile::new(ModelKind::AstroClip, inner, step, config),
        }
    }

    /// Checks an architecture that a file claims, of `tensors` tensors.
    ///
    /// # Errors
    ///
    /// Names the setting that cannot be.
    pub(super) fn check(&self, tensors: usize) -> Result<(), String> {
        let (checked, depth) = match self {
            Self::Image(inner) => (inner.check(), inner.model.depth),
            Self::Spectrum(inner) => (inner.check(), inner.model.depth),
            Self::Aligned(inner) => {
                let depth = inner.model.image.depth.max(inner.model.spectrum.depth);
                (inner.check(), depth)
            }
        };
        checked.map_err(|error| error.to_string())?;
        match depth <= tensors {
            true => Ok(()),
            false => Err(format!(
                "{tensors} tensors cannot be those of {depth} blocks"
            )),
        }
    }

    /// All tensors of the released file, relative to its state dictionary.
    pub(super) fn entries(&self, blocks_per_chunk: Option<usize>) -> Vec<Entry> {
        match self {
            Self::Image(inner) => names::vit(&inner.model, blocks_per_chunk, "backbone.", ""),
            Self::Spectrum(inner) => names::specformer(&inner.model, "", ""),
            Self::Aligned(inner) => {
                let AstroClipConfig {
                    image,
                    image_head,
                    spectrum,
                    spectrum_head,
                    ..
                } = &inner.model;
                [
                    names::vit(image, blocks_per_chunk, "image_encoder.backbone.", "image."),
                    names::head(image_head, image.width, "image_encoder.", "image_head."),
                    names::specformer(spectrum, "spectrum_encoder.backbone.", "spectrum."),
                    names::head(
                        spectrum_head,
                        spectrum.width,
                        "spectrum_encoder.",
                        "spectrum_head.",
                    ),
                ]
                .concat()
            }
        }
    }

    /// How the released code would chunk the blocks of this image transformer.
    pub(super) fn released_chunks(&self) -> Option<usize> {
        let depth = match self {
            Self::Image(inner) => inner.model.depth,
            Self::Aligned(inner) => inner.model.image.depth,
            Self::Spectrum(_) => return None,
        };
        Some((depth / RELEASED_CHUNKS).max(1))
    }
}
