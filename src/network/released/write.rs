//! Writes files that `torch.load` reads, with `weights_only` too: dictionaries, numbers and f32 tensors.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::base::error::{Error, Result};
use crate::base::output::PartialFile;
use crate::network::weights::NamedTensor;

/// Folder of all entries in the archive; PyTorch takes any.
const FOLDER: &str = "archive";
/// Alignment of tensors in files of PyTorch, bytes.
const ALIGNMENT: u16 = 64;
/// Version of the archive's layout, as PyTorch has written it since 1.6.
const LAYOUT_VERSION: &[u8] = b"3\n";

/// What a checkpoint may hold.
#[derive(Debug, Clone)]
pub(super) enum Item {
    Int(i64),
    Float(f64),
    Bool(bool),
    Text(String),
    Dict(Vec<(&'static str, Item)>),
    /// An `OrderedDict` of tensors: a state dictionary.
    State(Vec<(String, NamedTensor)>),
}

impl Item {
    /// Bytes of the tensors in it.
    fn bytes(&self) -> u64 {
        match self {
            Self::Dict(entries) => entries.iter().map(|(_, item)| item.bytes()).sum(),
            Self::State(tensors) => {
                let values = tensors.iter().map(|(_, tensor)| tensor.values.len() as u64);
                4 * values.sum::<u64>()
            }
            Self::Int(_) | Self::Float(_) | Self::Bool(_) | Self::Text(_) => 0,
        }
    }
}

/// Writes a checkpoint, whole or not at all.
///
/// # Errors
///
/// [`Error::run`] when the disk refuses.
pub(super) fn write_checkpoint(path: &Path, root: &Item) -> Result<()> {
    let partial = PartialFile::beside(path)?;
    partial.make_room(root.bytes())?;
    write_archive(partial.path(), root).map_err(|source| Error::writing(path, source))?;
    partial.finish()
}

fn write_archive(path: &Path, root: &Item) -> io::Result<()> {
    let mut pickler = Pickler {
        bytes: vec![0x80, 2],
        storages: Vec::new(),
    };
    pickler.item(root);
    pickler.bytes.push(b'.');
    let Pickler { bytes, storages } = pickler;

    let file = File::options().write(true).truncate(true).open(path)?;
    let mut archive = ZipWriter::new(BufWriter::new(file));
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .with_alignment(ALIGNMENT)
        .large_file(true);
    let mut entry = |name: &str, bytes: &[u8]| -> io::Result<()> {
        archive.start_file(format!("{FOLDER}/{name}"), options)?;
        archive.write_all(bytes)
    };
    entry("data.pkl", &bytes)?;
    entry("byteorder", b"little")?;
    for (index, tensor) in storages.into_iter().enumerate() {
        entry(&format!("data/{index}"), &tensor.to_le_bytes())?;
    }
    entry("version", LAYOUT_VERSION)?;
    archive.finish()?.flush()
}

/// Protocol 2 of Python's pickle format, as PyTorch writes it.
struct Pickler<'a> {
    bytes: Vec<u8>,
    storages: Vec<&'a NamedTensor>,
}

impl<'a> Pickler<'a> {
    fn item(&mut self, item: &'a Item) {
        match item {
            Item::Int(value) => self.int(*value),
            Item::Float(value) => {
                self.bytes.push(b'G');
                self.bytes.extend(value.to_be_bytes());
            }
            Item::Bool(value) => self.bytes.push(if *value { 0x88 } else { 0x89 }),
            Item::Text(text) => self.text(text),
            Item::Dict(entries) => {
                self.bytes.extend(b"}(");
                for (key, value) in entries {
                    self.text(key);
                    self.item(value);
                }
                self.bytes.push(b'u');
            }
            Item::State(tensors) => {
                self.ordered_dict();
                self.bytes.push(b'(');
                for (name, tensor) in tensors {
                    self.text(name);
                    self.tensor(tensor);
                }
                self.bytes.push(b'u');
            }
        }
    }

    fn text(&mut self, text: &str) {
        self.bytes.push(b'X');
        self.bytes.extend((text.len() as u32).to_le_bytes());
        self.bytes.extend(text.as_bytes());
    }

    fn int(&mut self, value: i64) {
        match i32::try_from(value) {
            Ok(small) => {
                self.bytes.push(b'J');
                self.bytes.extend(small.to_le_bytes());
            }
            Err(_) => {
                self.bytes.extend([0x8a, 8]);
                self.bytes.extend(value.to_le_bytes());
            }
        }
    }

    fn global(&mut self, module: &str, name: &str) {
        self.bytes.extend(format!("c{module}\n{name}\n").as_bytes());
    }

    fn ordered_dict(&mut self) {
        self.global("collections", "OrderedDict");
        self.bytes.extend(b")R");
    }

    /// `_rebuild_tensor_v2(storage, offset, shape, strides, requires_grad, hooks)`, where the storage is
    /// the persistent id `("storage", class, key, device, numbers)`.
    fn tensor(&mut self, tensor: &'a NamedTensor) {
        self.global("torch._utils", "_rebuild_tensor_v2");
        self.bytes.extend(b"((");
        self.text("storage");
        self.global("torch", "FloatStorage");
        self.text(&self.storages.len().to_string());
        self.text("cpu");
        self.int(tensor.values.len() as i64);
        self.bytes.extend(b"tQ");
        self.int(0);
        let strides = strides(&tensor.shape);
        for counts in [&tensor.shape, &strides] {
            self.bytes.push(b'(');
            for &count in counts {
                self.int(count as i64);
            }
            self.bytes.push(b't');
        }
        self.bytes.push(0x89);
        self.ordered_dict();
        self.bytes.extend(b"tR");
        self.storages.push(tensor);
    }
}

/// Strides of row-major order, elements.
fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    strides
}
