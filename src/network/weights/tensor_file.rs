//! Safetensors files: names and shapes first, values when asked for.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use safetensors::tensor::{Dtype, Metadata, View};
use serde::{Deserialize, Serialize};

use super::{NamedTensor, TensorMap};
use crate::base::error::{Error, Result};
use crate::base::output::PartialFile;

/// Key of our JSON header in a safetensors file's metadata.
const HEADER_KEY: &str = "astroclip";
/// Largest header that the format allows, bytes.
const MOST_HEADER_BYTES: u64 = 100_000_000;

/// An open safetensors file: names and shapes in memory, values read when asked for.
#[derive(Debug)]
pub struct TensorFile {
    path: PathBuf,
    file: File,
    metadata: Metadata,
    /// Where the values begin.
    start: u64,
}

impl TensorFile {
    /// Reads the header.
    ///
    /// # Errors
    ///
    /// [`Error::input`] when the file is missing, is not safetensors, or has been cut off.
    pub fn open(path: &Path) -> Result<Self> {
        let mut file = File::open(path).map_err(|source| Error::reading(path, source))?;
        let wrong = |what: &dyn std::fmt::Display| {
            Error::input(format!("{what}; expected a safetensors file")).in_file(path)
        };
        let length = file
            .metadata()
            .map_err(|source| Error::reading(path, source))?
            .len();
        let mut size = [0; 8];
        file.read_exact(&mut size)
            .map_err(|_| wrong(&"it has less than 8 bytes"))?;
        let size = u64::from_le_bytes(size);
        if size > MOST_HEADER_BYTES.min(length.saturating_sub(8)) {
            return Err(wrong(&"it does not begin with a header"));
        }
        let mut header = vec![0; size as usize];
        file.read_exact(&mut header)
            .map_err(|source| Error::reading(path, source))?;
        let metadata: Metadata =
            serde_json::from_slice(&header).map_err(|source| wrong(&source).caused_by(source))?;
        let (start, values) = (8 + size, metadata.data_len() as u64);
        if start.checked_add(values) != Some(length) {
            return Err(wrong(&format!(
                "it has {length} bytes where its header promises {}",
                start.saturating_add(values)
            )));
        }
        Ok(Self {
            path: path.to_owned(),
            file,
            metadata,
            start,
        })
    }

    /// Our header, which [`write_tensors`] put there.
    ///
    /// # Errors
    ///
    /// [`Error::input`] when the file has none, or one of another kind.
    pub fn header<H: for<'de> Deserialize<'de>>(&self) -> Result<H> {
        let text = self.metadata(HEADER_KEY).ok_or_else(|| {
            self.wrong("no `astroclip` entry in its metadata; expected a file written by astroclip")
        })?;
        serde_json::from_str(text).map_err(|source| {
            self.wrong(&format!("its header is of another kind of file: {source}"))
                .caused_by(source)
        })
    }

    /// An entry of the file's own metadata.
    pub fn metadata(&self, key: &str) -> Option<&str> {
        let entries = self.metadata.metadata().as_ref()?;
        entries.get(key).map(String::as_str)
    }

    /// Names and shapes of all tensors.
    pub fn shapes(&self) -> impl Iterator<Item = (String, Vec<usize>)> {
        let tensors = self.metadata.tensors().into_iter();
        tensors.map(|(name, info)| (name, info.shape.clone()))
    }

    /// Reads one tensor as f32.
    ///
    /// # Errors
    ///
    /// [`Error::input`] when there is none of that name, or one of integers.
    pub fn read(&mut self, name: &str) -> Result<NamedTensor> {
        let info = self.metadata.info(name);
        let info = info.ok_or_else(|| self.wrong(&format!("no tensor `{name}`")))?;
        let (from, to) = info.data_offsets;
        let mut bytes = vec![0; to - from];
        self.file
            .seek(SeekFrom::Start(self.start + from as u64))
            .and_then(|_| self.file.read_exact(&mut bytes))
            .map_err(|source| Error::reading(&self.path, source))?;
        let values = floats(info.dtype, &bytes).ok_or_else(|| {
            self.wrong(&format!(
                "tensor `{name}` holds {:?}, not floating-point numbers",
                info.dtype
            ))
        })?;
        Ok(NamedTensor {
            shape: info.shape.clone(),
            values,
        })
    }

    /// Reads all tensors.
    ///
    /// # Errors
    ///
    /// As [`TensorFile::read`].
    pub fn read_all(&mut self) -> Result<TensorMap> {
        let names: Vec<String> = self.metadata.offset_keys();
        names
            .into_iter()
            .map(|name| Ok((name.clone(), self.read(&name)?)))
            .collect()
    }

    fn wrong(&self, what: &str) -> Error {
        Error::input(what).in_file(&self.path)
    }
}

/// Numbers of a floating-point type, little-endian, as f32; `None` for other types.
pub fn floats(dtype: Dtype, bytes: &[u8]) -> Option<Vec<f32>> {
    fn map<const N: usize>(bytes: &[u8], value: impl Fn([u8; N]) -> f32) -> Option<Vec<f32>> {
        let (chunks, _) = bytes.as_chunks::<N>();
        Some(chunks.iter().map(|&chunk| value(chunk)).collect())
    }
    match dtype {
        Dtype::F64 => map(bytes, |bytes| f64::from_le_bytes(bytes) as f32),
        Dtype::F32 => map(bytes, f32::from_le_bytes),
        Dtype::F16 => map(bytes, |bytes| f16::from_le_bytes(bytes).to_f32()),
        Dtype::BF16 => map(bytes, |bytes| bf16::from_le_bytes(bytes).to_f32()),
        _ => None,
    }
}

impl View for &NamedTensor {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        self.to_le_bytes().into()
    }

    fn data_len(&self) -> usize {
        4 * self.values.len()
    }
}

impl NamedTensor {
    /// The values as files hold them.
    pub fn to_le_bytes(&self) -> Vec<u8> {
        self.values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect()
    }
}

/// Writes tensors and a JSON header as safetensors: beside the target, synced, renamed.
///
/// # Errors
///
/// [`Error::run`] when the folder cannot be written.
pub fn write_tensors(path: &Path, tensors: &TensorMap, header: &impl Serialize) -> Result<()> {
    let header = serde_json::to_string(header).expect("headers are plain JSON");
    write_safetensors(path, tensors, HEADER_KEY, header)
}

/// Writes tensors as safetensors, with one entry of metadata.
///
/// # Errors
///
/// As [`write_tensors`].
pub fn write_safetensors(path: &Path, tensors: &TensorMap, key: &str, entry: String) -> Result<()> {
    let metadata = HashMap::from([(key.to_owned(), entry)]);
    let partial = PartialFile::beside(path)?;
    let bytes = tensors
        .values()
        .map(|tensor| 4 * tensor.values.len() as u64);
    partial.make_room(bytes.sum())?;
    safetensors::serialize_to_file(tensors, Some(metadata), partial.path())
        .map_err(|source| Error::writing(path, source))?;
    partial.finish()
}

/// Reads what [`write_tensors`] wrote.
///
/// # Errors
///
/// [`Error::input`] when the file is missing or damaged, or has no header of ours.
pub fn read_tensors<H: for<'de> Deserialize<'de>>(path: &Path) -> Result<(TensorMap, H)> {
    let mut file = TensorFile::open(path)?;
    let header = file.header()?;
    Ok((file.read_all()?, header))
}
