//! Files of `torch.save`: a zip archive of a pickle and one entry per storage.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use safetensors::Dtype;
use zip::read::ZipFile;
use zip::result::ZipError;
use zip::{CompressionMethod, ZipArchive};

use crate::base::error::{Error, Result};
use crate::base::input;
use crate::files::container::pickle::{Id, MOST_BYTES, Object, Pickle, Value};
use crate::network::weights::{NamedTensor, floats};

/// First bytes of a zip archive.
const ZIP_SIGNATURE: &[u8; 4] = b"PK\x03\x04";
/// Stands in place of a CRC-32 that was not computed; bytes have it by chance once in 2^32 times.
const NO_CHECKSUM: u32 = 0;

/// An open file of PyTorch.
#[derive(Debug)]
pub(super) struct TorchFile {
    archive: ZipArchive<BufReader<File>>,
    /// Bytes of the whole file; no entry can have more.
    length: u64,
    /// Folder of all entries in the archive, with a slash.
    folder: String,
    /// Storages that have their checksums.
    sound: BTreeSet<String>,
    pub(super) pickle: Pickle,
}

/// Where a tensor's values lie in a file.
#[derive(Debug, Clone)]
pub(super) struct StoredTensor {
    pub(super) shape: Vec<usize>,
    dtype: Dtype,
    storage: String,
    /// Elements, not bytes.
    offset: usize,
    strides: Vec<usize>,
}

/// Whether the file begins as those of `torch.save` do since PyTorch 1.6.
pub(super) fn is_torch_file(start: &[u8]) -> bool {
    start.starts_with(ZIP_SIGNATURE)
}

impl TorchFile {
    /// Reads the pickle; tensors stay in the file.
    ///
    /// # Errors
    ///
    /// [`Error::input`] when the file is not of PyTorch or damaged.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = input::open(path)?;
        let wrong = |what: &dyn std::fmt::Display| {
            Error::input(format!(
                "{what}; expected a file written by torch.save \
                 of PyTorch 1.6 or newer; fetch it again"
            ))
            .in_file(path)
        };
        let length = file
            .metadata()
            .map_err(|source| wrong(&source).caused_by(source))?
            .len();
        let mut archive = ZipArchive::new(BufReader::new(file))
            .map_err(|source| wrong(&source).caused_by(source))?;
        let folder = archive
            .file_names()
            .flatten()
            .find_map(|name| Some(name.strip_suffix("data.pkl")?.to_owned()))
            .ok_or_else(|| wrong(&"no data.pkl in the archive"))?;
        let bytes = entry(&mut archive, &format!("{folder}data.pkl"), MOST_BYTES)
            .map_err(|what| wrong(&what))?;
        // Left out by PyTorch before 2.1, which knew little-endian files only.
        let order = format!("{folder}byteorder");
        if archive.index_for_name(&order).is_some()
            && entry(&mut archive, &order, 16).map_err(|what| wrong(&what))? != b"little"
        {
            return Err(wrong(&"its numbers are big-endian"));
        }
        let pickle = Pickle::parse(&bytes).map_err(|what| wrong(&what))?;
        if has_no_checksums(&archive) {
            tracing::warn!(
                "{}: it was saved without checksums (torch.serialization.set_crc32_options); damage to its values would \
                 not show",
                path.display()
            );
        }
        Ok(Self {
            archive,
            length,
            folder,
            sound: BTreeSet::new(),
            pickle,
        })
    }

    /// Bytes of the whole file.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// The tensor that a value stands for; `None` where it is none.
    ///
    /// # Errors
    ///
    /// Says what is wrong with a tensor.
    pub(super) fn tensor(&self, id: Id) -> Option<Result<StoredTensor, String>> {
        let Value::Object(Object {
            class, arguments, ..
        }) = self.pickle.value(id)
        else {
            return None;
        };
        let arguments = self.pickle.elements(*arguments);
        match self.pickle.global(*class)? {
            "torch._utils._rebuild_tensor_v2" => Some(self.rebuilt(arguments)),
            // A parameter's first argument is its tensor, which is of another function: no recursion.
            "torch._utils._rebuild_parameter" => match self.pickle.value(*arguments.first()?) {
                Value::Object(inner)
                    if self.pickle.global(inner.class)
                        == Some("torch._utils._rebuild_tensor_v2") =>
                {
                    Some(self.rebuilt(self.pickle.elements(inner.arguments)))
                }
                _ => Some(Err("a parameter without a tensor".into())),
            },
            _ => None,
        }
    }

    /// From the arguments (storage, offset, shape, strides, …) of `_rebuild_tensor_v2`.
    fn rebuilt(&self, arguments: &[Id]) -> Result<StoredTensor, String> {
        let &[storage, offset, shape, strides, ..] = arguments else {
            return Err("a tensor with too few arguments".into());
        };
        let pickle = &self.pickle;
        let Value::Persistent(reference) = pickle.value(storage) else {
            return Err("a tensor without a storage".into());
        };
        // ("storage", class, key, device, number of elements)
        let &[_, class, key, ..] = pickle.elements(*reference) else {
            return Err("a storage with too few arguments".into());
        };
        let dtype = match pickle.global(class) {
            Some("torch.FloatStorage") => Dtype::F32,
            Some("torch.DoubleStorage") => Dtype::F64,
            Some("torch.HalfStorage") => Dtype::F16,
            Some("torch.BFloat16Storage") => Dtype::BF16,
            Some(other) => return Err(format!("a tensor in a {other:?}, which holds no weights")),
            None => return Err("a storage without a class".into()),
        };
        let counts = |id: Id| -> Result<Vec<usize>, String> {
            let counts = pickle.elements(id).iter().map(|&id| pickle.count(id));
            let counts: Option<Vec<usize>> = counts.collect();
            counts.ok_or_else(|| "a tensor whose shape is no list of counts".into())
        };
        let (shape, strides) = (counts(shape)?, counts(strides)?);
        if shape.len() != strides.len() {
            return Err("a tensor with another number of strides than axes".into());
        }
        let text = |id: Id| pickle.text(id).map(str::to_owned);
        Ok(StoredTensor {
            shape,
            dtype,
            storage: text(key).ok_or("a storage without a name")?,
            offset: pickle.count(offset).ok_or("a tensor without an offset")?,
            strides,
        })
    }

    /// Reads a tensor as f32.
    ///
    /// # Errors
    ///
    /// Says what is wrong when the file does not hold all of the tensor's elements, or not as they were written.
    pub(super) fn read(&mut self, tensor: &StoredTensor) -> Result<NamedTensor, String> {
        let name = format!("{}data/{}", self.folder, tensor.storage);
        let size = tensor.dtype.bitsize() / 8;
        let damaged = |source: &dyn std::fmt::Display| format!("its storage {name}: {source}");
        let mut storage = stored(&mut self.archive, &name).map_err(|what| damaged(&what))?;
        let held = storage.size().min(self.length) / size as u64;
        let (count, span) = tensor
            .extent()
            .filter(|&(count, span)| {
                let end = (tensor.offset as u64).checked_add(span as u64);
                count as u64 <= held && end.is_some_and(|end| end <= held)
            })
            .ok_or_else(|| {
                damaged(&format!(
                    "it holds {held} numbers, too few for a tensor of shape {:?}",
                    tensor.shape
                ))
            })?;
        let before = (tensor.offset * size) as u64;
        let mut bytes = vec![0; span * size];
        if self.sound.contains(&name) {
            drop(storage);
            let mut storage = self
                .archive
                .by_name_seek(&name)
                .map_err(|source| damaged(&source))?;
            storage
                .seek(SeekFrom::Start(before))
                .and_then(|_| storage.read_exact(&mut bytes))
                .map_err(|source| damaged(&source))?;
        } else {
            // The checksum is looked at where the storage ends.
            io::copy(&mut storage.by_ref().take(before), &mut io::sink())
                .and_then(|_| storage.read_exact(&mut bytes))
                .and_then(|()| io::copy(&mut storage, &mut io::sink()))
                .map_err(|source| damaged(&fault(&source)))?;
            drop(storage);
            self.sound.insert(name);
        }
        let values = floats(tensor.dtype, &bytes).expect("only floating-point storages are taken");
        Ok(NamedTensor {
            values: tensor.gather(values, count),
            shape: tensor.shape.clone(),
        })
    }
}

impl StoredTensor {
    /// Bytes of its elements; `None` beyond all memory.
    pub(super) fn bytes(&self) -> Option<u64> {
        let (count, _) = self.extent()?;
        (count as u64).checked_mul(self.dtype.bitsize() as u64 / 8)
    }

    /// Number of elements, and of those from the first to the last in the storage.
    fn extent(&self) -> Option<(usize, usize)> {
        let mut count = 1_usize;
        let mut last = 0_usize;
        for (&extent, &stride) in self.shape.iter().zip(&self.strides) {
            count = count.checked_mul(extent)?;
            last = last.checked_add(extent.saturating_sub(1).checked_mul(stride)?)?;
        }
        let span = if count == 0 { 0 } else { last.checked_add(1)? };
        Some((count, span))
    }

    /// The elements in row-major order out of those that the strides span.
    fn gather(&self, values: Vec<f32>, count: usize) -> Vec<f32> {
        let mut dense = 1;
        let contiguous = self.shape.iter().zip(&self.strides).rev().all(|(&n, &s)| {
            let fits = n == 1 || s == dense;
            dense *= n;
            fits
        });
        if contiguous {
            return values;
        }
        let mut index = vec![0; self.shape.len()];
        let mut gathered = Vec::with_capacity(count);
        for _ in 0..count {
            let place: usize = index.iter().zip(&self.strides).map(|(i, s)| i * s).sum();
            gathered.push(values[place]);
            for (axis, &extent) in self.shape.iter().enumerate().rev() {
                index[axis] += 1;
                if index[axis] < extent {
                    break;
                }
                index[axis] = 0;
            }
        }
        gathered
    }
}

/// A whole entry of at most `most` bytes.
fn entry(
    archive: &mut ZipArchive<BufReader<File>>,
    name: &str,
    most: usize,
) -> Result<Vec<u8>, String> {
    let entry = stored(archive, name).map_err(|what| format!("{name}: {what}"))?;
    let mut bytes = Vec::new();
    // One more than allowed, so that a larger entry shows.
    entry
        .take(most as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|source| format!("{name}: {}", fault(&source)))?;
    match bytes.len() > most {
        true => Err(format!("{name} has more than {most} bytes")),
        false => Ok(bytes),
    }
}

/// An entry that is not compressed, as PyTorch writes all of them: a compressed one could unpack to any size. Whoever
/// reads it to its end learns whether it has its checksum, if it was written with one.
fn stored<'a>(
    archive: &'a mut ZipArchive<BufReader<File>>,
    name: &str,
) -> Result<ZipFile<'a, BufReader<File>>, String> {
    let text = |source: ZipError| source.to_string();
    let index = archive.index_for_name(name);
    let index = index.ok_or(ZipError::FileNotFound).map_err(text)?;
    let raw = archive.by_index_raw(index).map_err(text)?;
    if raw.compression() != CompressionMethod::Stored || raw.size() != raw.compressed_size() {
        return Err("it is compressed".into());
    }
    let has_checksum = raw.crc32() != NO_CHECKSUM;
    drop(raw);
    match has_checksum {
        true => archive.by_index(index).map_err(text),
        false => archive.by_index_raw(index).map_err(text),
    }
}

/// Whether PyTorch was told to compute none.
fn has_no_checksums(archive: &ZipArchive<BufReader<File>>) -> bool {
    let mut entries = (0..archive.len()).filter_map(|index| archive.by_index_data(index).ok());
    entries.all(|entry| entry.crc32() == NO_CHECKSUM)
}

/// What reading an entry that is not compressed may end with.
fn fault(source: &io::Error) -> String {
    match source.kind() {
        io::ErrorKind::InvalidData => {
            "it has not its CRC-32: the file is damaged; fetch it again".to_owned()
        }
        _ => source.to_string(),
    }
}
