use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::{self, File};
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, TensorView, View};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{NamedTensor, TensorMap};
use crate::error::{Error, Result};
use crate::output::PartialFile;

/// Key of our JSON header in a safetensors file's metadata.
const HEADER_KEY: &str = "astroclip";

impl View for &NamedTensor {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        self.values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect::<Vec<u8>>()
            .into()
    }

    fn data_len(&self) -> usize {
        4 * self.values.len()
    }
}

/// Writes tensors and a JSON header as safetensors: beside the target, synced, renamed.
///
/// # Errors
///
/// [`Error::Run`] when the folder cannot be written.
pub fn write_tensors(path: &Path, tensors: &TensorMap, header: &impl Serialize) -> Result<()> {
    let failed = |source: &dyn std::fmt::Display| {
        Error::run(format!("{}: cannot be written: {source}", path.display()))
    };
    let header = serde_json::to_string(header).map_err(|source| failed(&source))?;
    let metadata = HashMap::from([(HEADER_KEY.to_owned(), header)]);
    let partial = PartialFile::beside(path)?;
    safetensors::serialize_to_file(tensors, Some(metadata), partial.path())
        .map_err(|source| failed(&source))?;
    partial.finish()
}

/// Reads what [`write_tensors`] wrote.
///
/// # Errors
///
/// [`Error::Input`] when the file is missing, is not safetensors, holds other numbers than f32, or has no
/// header of ours.
pub fn read_tensors<H: for<'de> Deserialize<'de>>(path: &Path) -> Result<(TensorMap, H)> {
    let wrong = |what: &dyn std::fmt::Display| {
        Error::input(format!(
            "{}: {what}; expected a safetensors file written by astroclip",
            path.display()
        ))
    };
    let bytes = fs::read(path).map_err(|source| Error::reading(path, &source))?;
    let (_, metadata) = SafeTensors::read_metadata(&bytes).map_err(|source| wrong(&source))?;
    let header = metadata
        .metadata()
        .as_ref()
        .and_then(|entries| entries.get(HEADER_KEY))
        .ok_or_else(|| wrong(&"no `astroclip` entry in its metadata"))?;
    let header = serde_json::from_str(header).map_err(|source| wrong(&source))?;
    let file = SafeTensors::deserialize(&bytes).map_err(|source| wrong(&source))?;
    let tensors = file
        .iter()
        .map(|(name, view)| {
            Ok((
                name.to_owned(),
                tensor(name, &view).map_err(|what| wrong(&what))?,
            ))
        })
        .collect::<Result<TensorMap>>()?;
    Ok((tensors, header))
}

fn tensor(name: &str, view: &TensorView<'_>) -> Result<NamedTensor, String> {
    if view.dtype() != Dtype::F32 {
        return Err(format!("tensor `{name}` holds {:?}, not F32", view.dtype()));
    }
    let (chunks, _) = view.data().as_chunks::<4>();
    Ok(NamedTensor {
        shape: view.shape().to_vec(),
        values: chunks
            .iter()
            .map(|bytes| f32::from_le_bytes(*bytes))
            .collect(),
    })
}

/// SHA-256 of a file as lower-case hexadecimal digits.
///
/// # Errors
///
/// [`Error::Input`] when the file cannot be read.
pub fn file_sha256(path: &Path) -> Result<String> {
    let mut file = File::open(path).map_err(|source| Error::reading(path, &source))?;
    let mut hasher = Sha256::new();
    std::io::copy(&mut file, &mut hasher).map_err(|source| Error::reading(path, &source))?;
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
}

impl ModelKind {
    /// What a person calls it.
    pub fn label(self) -> &'static str {
        match self {
            Self::ImageEncoder => "image encoder",
            Self::SpectrumEncoder => "spectrum encoder",
            Self::AstroClip => "aligned AstroCLIP model",
        }
    }
}

/// Header of an exported model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelFile {
    /// What the file holds.
    pub kind: ModelKind,
    /// Everything that is needed to build the model and feed it: architecture and preprocessing.
    pub architecture: serde_json::Value,
    /// Training steps behind these weights.
    pub step: u64,
    /// Version of the program that wrote the file.
    pub version: String,
    /// The resolved configuration of the run that made the weights.
    pub config: serde_json::Value,
}

impl ModelFile {
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
