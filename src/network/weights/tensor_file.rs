//! Safetensors files: names and shapes first, values when asked for.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use safetensors::tensor::{Dtype, Metadata};
use serde::Deserialize;

use super::checksums::{self, TENSORS_KEY, checksum, is_signed};
use super::{HEADER_KEY, MOST_HEADER_BYTES, NamedTensor, TensorMap};
use crate::base::error::{Error, Result};
use crate::base::input;

/// What is said of a file whose bytes are not those that were written.
const DAMAGED: &str = "the file is damaged; take another copy";

/// An open safetensors file: names and shapes in memory, values read when asked for.
#[derive(Debug)]
pub struct TensorFile {
    path: PathBuf,
    file: File,
    metadata: Metadata,
    /// Where the values begin.
    start: u64,
    /// Checksum of each tensor, where the file has any.
    checksums: Option<BTreeMap<String, String>>,
}

impl TensorFile {
    /// Reads the header.
    ///
    /// # Errors
    ///
    /// [`Error::input`] when the file is missing, is not safetensors, or has been cut off, and when its header is not
    /// as it was written.
    pub fn open(path: &Path) -> Result<Self> {
        let mut file = input::open(path)?;
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
        let mut file = Self {
            path: path.to_owned(),
            file,
            metadata,
            start,
            checksums: None,
        };
        file.checksums = file.checked_sums(&mut header)?;
        Ok(file)
    }

    /// The checksums of the tensors, if that of the `header` is right; none in files without.
    fn checked_sums(&self, header: &mut [u8]) -> Result<Option<BTreeMap<String, String>>> {
        let sums = self.metadata(TENSORS_KEY);
        let (sums, stated) = match (sums, self.metadata(checksums::HEADER_KEY)) {
            (None, None) => return Ok(None),
            (sums, stated) => (sums.unwrap_or_default(), stated.unwrap_or_default()),
        };
        let sums = serde_json::from_str(sums).ok();
        match is_signed(header, stated) && sums.is_some() {
            true => Ok(sums),
            false => Err(self.wrong(&format!("its header has not its checksum: {DAMAGED}"))),
        }
    }

    /// Our header, which [`write_tensors`](super::write_tensors) put there.
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

    /// Names of all tensors, as they lie in the file.
    pub fn names(&self) -> Vec<String> {
        self.metadata.offset_keys()
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
    /// [`Error::input`] when there is none of that name, or one of integers, when its bytes are not those that were
    /// written, and when a value is not finite.
    pub fn read(&mut self, name: &str) -> Result<NamedTensor> {
        let tensor = self.read_any(name)?;
        match tensor.not_finite(name) {
            Some(fault) => Err(self.wrong(&format!(
                "{fault}; expected weights, which are finite: take another copy, or a model of an earlier step"
            ))),
            None => Ok(tensor),
        }
    }

    /// Reads one tensor as f32, also with values that are not finite.
    ///
    /// # Errors
    ///
    /// As [`TensorFile::read`] else.
    pub fn read_any(&mut self, name: &str) -> Result<NamedTensor> {
        let info = self.metadata.info(name);
        let info = info.ok_or_else(|| self.wrong(&format!("no tensor `{name}`")))?;
        let (from, to) = info.data_offsets;
        // Room for numbers, which files hold in the order of this processor: most are read without a copy.
        let is_f32 = info.dtype == Dtype::F32 && cfg!(target_endian = "little");
        let (mut values, mut other) = match is_f32 {
            true => (vec![0.0_f32; (to - from) / 4], Vec::new()),
            false => (Vec::new(), vec![0_u8; to - from]),
        };
        let bytes = match is_f32 {
            true => bytemuck::cast_slice_mut(&mut values),
            false => other.as_mut_slice(),
        };
        self.file
            .seek(SeekFrom::Start(self.start + from as u64))
            .and_then(|_| self.file.read_exact(bytes))
            .map_err(|source| Error::reading(&self.path, source))?;
        if let Some(sums) = &self.checksums
            && sums.get(name) != Some(&checksum(bytes))
        {
            return Err(self.wrong(&format!("tensor `{name}` has not its checksum: {DAMAGED}")));
        }
        if !is_f32 {
            values = floats(info.dtype, &other).ok_or_else(|| {
                self.wrong(&format!(
                    "tensor `{name}` holds {:?}, not floating-point numbers",
                    info.dtype
                ))
            })?;
        }
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
        if self.checksums.is_none() {
            tracing::debug!(
                "{}: it has no checksums, as files of before have none; damage to its values would not show",
                self.path.display()
            );
        }
        self.names()
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

/// Reads what [`write_tensors`](super::write_tensors) wrote.
///
/// # Errors
///
/// [`Error::input`] when the file is missing or damaged, or has no header of ours.
pub fn read_tensors<H: for<'de> Deserialize<'de>>(path: &Path) -> Result<(TensorMap, H)> {
    let mut file = TensorFile::open(path)?;
    let header = file.header()?;
    Ok((file.read_all()?, header))
}
