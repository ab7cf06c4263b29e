//! Exported models: what they are, and how to build and feed them.

use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{TensorMap, read_tensors, write_tensors};
use crate::base::error::{Error, Result};
use crate::base::input;

/// SHA-256 of a file as lower-case hexadecimal digits.
///
/// # Errors
///
/// [`Error::input`] when the file cannot be read.
pub fn file_sha256(path: &Path) -> Result<String> {
    let mut file = input::open(path)?;
    let mut hasher = Sha256::new();
    std::io::copy(&mut file, &mut hasher).map_err(|source| Error::reading(path, source))?;
    Ok(format!("{:x}", hasher.finalize()))
}

/// What a model file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ModelKind {
    /// An image transformer after pretraining.
    ImageEncoder,
    /// A spectrum transformer after pretraining.
    SpectrumEncoder,
    /// Both transformers with their heads, aligned.
    AstroClip,
    /// A supervised network on images.
    ImageBaseline,
    /// A supervised network on spectra.
    SpectrumBaseline,
    /// Supervised networks on magnitudes.
    PhotometryBaseline,
    /// Principal components of spectra.
    SpectrumComponents,
    /// Templates of galaxies' spectra.
    SpectrumTemplates,
}

impl ModelKind {
    /// What a person calls it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::ImageEncoder => "image encoder",
            Self::SpectrumEncoder => "spectrum encoder",
            Self::AstroClip => "aligned AstroCLIP model",
            Self::ImageBaseline => "supervised image baseline",
            Self::SpectrumBaseline => "supervised spectrum baseline",
            Self::PhotometryBaseline => "supervised photometry baseline",
            Self::SpectrumTemplates => "set of templates of spectra",
            Self::SpectrumComponents => "set of principal components of spectra",
        }
    }
}

/// The file of another program from which a model was imported.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImportSource {
    /// Its name, without folders.
    pub file: String,
    /// Its SHA-256, hexadecimal.
    pub sha256: String,
    /// Blocks of the image transformer per chunk in its tensors' names (`blocks.CHUNK.BLOCK.…`); none
    /// where they are not chunked.
    #[serde(default)]
    pub blocks_per_chunk: Option<usize>,
}

/// Header of an exported model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelFile {
    /// What the file holds.
    pub kind: ModelKind,
    /// Everything that is needed to build the model and feed it: architecture and preprocessing.
    pub architecture: serde_json::Value,
    /// Training steps behind these weights; 0 where an imported file does not say.
    pub step: u64,
    /// Version of the program that wrote the file.
    pub version: String,
    /// The resolved configuration of the run that made the weights; null for imported ones.
    pub config: serde_json::Value,
    /// Where imported weights come from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<ImportSource>,
}

impl ModelFile {
    /// A model made by this program's version.
    ///
    /// # Panics
    ///
    /// When `architecture` is not plain JSON.
    pub fn new(
        kind: ModelKind,
        architecture: &impl Serialize,
        step: u64,
        config: serde_json::Value,
    ) -> Self {
        Self {
            kind,
            architecture: serde_json::to_value(architecture).expect("architectures are plain JSON"),
            step,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            config,
            source: None,
        }
    }

    /// Writes the model.
    ///
    /// # Errors
    ///
    /// As [`write_tensors`].
    pub fn write(&self, path: &Path, tensors: &TensorMap) -> Result<()> {
        write_tensors(path, tensors, self)
    }

    /// Reads a model.
    ///
    /// # Errors
    ///
    /// As [`read_tensors`].
    pub fn read(path: &Path) -> Result<(Self, TensorMap)> {
        let (tensors, header) = read_tensors(path)?;
        Ok((header, tensors))
    }
}
