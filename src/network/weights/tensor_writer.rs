//! Writes safetensors files with checksums of all that is in them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use rayon::prelude::*;
use safetensors::Dtype;
use safetensors::tensor::TensorInfo;
use serde::Serialize;

use super::checksums::{self, TENSORS_KEY, checksum, signed};
use super::{HEADER_KEY, MOST_HEADER_BYTES, NamedTensor, NotFinite, TensorMap};
use crate::base::error::{Error, Result};
use crate::base::output::PartialFile;

/// Headers are padded with spaces to a multiple of so many bytes.
const ALIGNMENT: usize = 8;
/// Bytes that are gathered before they are written.
const BUFFER: usize = 1 << 20;

/// The text in front of the values.
#[derive(Serialize)]
struct Header<'a> {
    #[serde(rename = "__metadata__")]
    metadata: BTreeMap<&'a str, String>,
    #[serde(flatten)]
    tensors: BTreeMap<&'a str, TensorInfo>,
}

impl NamedTensor {
    /// The values as files hold them.
    pub fn to_le_bytes(&self) -> Cow<'_, [u8]> {
        match cfg!(target_endian = "little") {
            true => Cow::Borrowed(bytemuck::cast_slice(&self.values)),
            false => {
                let bytes = self.values.iter().flat_map(|value| value.to_le_bytes());
                Cow::Owned(bytes.collect())
            }
        }
    }
}

/// Writes tensors and a JSON header as safetensors: beside the target, synced, renamed.
///
/// # Errors
///
/// [`Error::run`] when the folder cannot be written, and when a value is not finite: such weights are of no use.
pub fn write_tensors(path: &Path, tensors: &TensorMap, header: &impl Serialize) -> Result<()> {
    let header = serde_json::to_string(header).expect("headers are plain JSON");
    write_safetensors(path, tensors, HEADER_KEY, header)
}

/// Writes tensors as safetensors, with one entry of metadata beside the checksums.
///
/// # Errors
///
/// As [`write_tensors`].
pub fn write_safetensors(path: &Path, tensors: &TensorMap, key: &str, entry: String) -> Result<()> {
    let header = header(tensors, key, entry).map_err(|error| error.in_file(path))?;
    let partial = PartialFile::beside(path)?;
    partial.make_room(bytes_of(tensors) + header.len() as u64)?;
    write(partial.path(), &header, tensors).map_err(|source| Error::writing(path, source))?;
    partial.finish()
}

/// Bytes that tensors take in a file.
pub fn bytes_of(tensors: &TensorMap) -> u64 {
    let values = tensors.values();
    values.map(|tensor| 4 * tensor.values.len() as u64).sum()
}

fn write(path: &Path, header: &[u8], tensors: &TensorMap) -> io::Result<()> {
    let file = File::options().write(true).truncate(true).open(path)?;
    let mut file = BufWriter::with_capacity(BUFFER, file);
    file.write_all(&(header.len() as u64).to_le_bytes())?;
    file.write_all(header)?;
    for tensor in tensors.values() {
        file.write_all(&tensor.to_le_bytes())?;
    }
    file.flush()
}

/// The header of a file that holds the tensors in the order of their names, after a look at every value.
fn header(tensors: &TensorMap, key: &str, entry: String) -> Result<Vec<u8>> {
    let looked_at: Vec<(&String, Result<String, NotFinite>)> = tensors
        .par_iter()
        .map(|(name, tensor)| {
            let sum = match tensor.not_finite(name) {
                Some(fault) => Err(fault),
                None => Ok(checksum(&tensor.to_le_bytes())),
            };
            (name, sum)
        })
        .collect();
    let mut sums = BTreeMap::new();
    let mut faults = Vec::new();
    for (name, looked_at) in looked_at {
        match looked_at {
            Ok(sum) => _ = sums.insert(name, sum),
            Err(fault) => faults.push(fault),
        }
    }
    if let Some(first) = faults.first() {
        let more = match faults.len() - 1 {
            0 => String::new(),
            more => format!(", and so it is in {more} more"),
        };
        return Err(Error::run(format!(
            "is not written: {first}{more}; such weights are of no use"
        )));
    }

    let mut end = 0;
    let tensors = tensors.iter().map(|(name, tensor)| {
        let start = end;
        end += size_of_val(tensor.values.as_slice());
        let info = TensorInfo {
            dtype: Dtype::F32,
            shape: tensor.shape.clone(),
            data_offsets: (start, end),
        };
        (name.as_str(), info)
    });
    let sums = serde_json::to_string(&sums).expect("texts are plain JSON");
    let header = Header {
        tensors: tensors.collect(),
        metadata: BTreeMap::from([
            (key, entry),
            (TENSORS_KEY, sums),
            (checksums::HEADER_KEY, checksums::unsigned()),
        ]),
    };
    let mut header = serde_json::to_vec(&header).expect("headers are plain JSON");
    header.resize(header.len().next_multiple_of(ALIGNMENT), b' ');
    match header.len() as u64 > MOST_HEADER_BYTES {
        true => Err(Error::run(format!(
            "is not written: its header would have {} bytes, more than the {MOST_HEADER_BYTES} of the format",
            header.len()
        ))),
        false => Ok(signed(header)),
    }
}
