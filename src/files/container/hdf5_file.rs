//! What all HDF5 files share: opening, listing, and records whose type the file decides.

use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;

use hdf5::types::{CompoundField, CompoundType, TypeDescriptor};
use hdf5::{Dataset, Dataspace, Datatype, Hyperslab, SliceOrIndex};

use crate::base::error::{Error, Result};

/// First bytes of an HDF5 file, or of its content after a user block.
const SIGNATURE: [u8; 8] = *b"\x89HDF\r\n\x1a\n";

/// Opens an HDF5 file for reading.
///
/// # Errors
/// Where the path is no file, the file is not HDF5, or it is damaged; libhdf5 itself stays silent.
pub(crate) fn open(path: &Path) -> Result<hdf5::File> {
    let metadata = fs::metadata(path).map_err(|source| Error::reading(path, source))?;
    if !metadata.is_file() {
        return Err(Error::input("is not a file; name the file itself").in_file(path));
    }
    if !has_signature(path, metadata.len())? {
        return Err(Error::input(format!(
            "is not an HDF5 file ({} bytes, no HDF5 signature); an HDF5 file is expected here",
            metadata.len()
        ))
        .in_file(path));
    }
    hdf5::File::open(path).map_err(|source| {
        let reason = source.to_string();
        match reason.contains("unable to lock file") {
            true => {
                Error::input("another program is writing to this HDF5 file; wait until it is done")
            }
            false => Error::input(format!(
                "HDF5 file is damaged or cut short ({reason}); fetch it again"
            )),
        }
        .caused_by(source)
        .in_file(path)
    })
}

/// The signature lies at byte 0, 512, 1024, 2048, … (HDF5 file format specification, section II.A).
pub(crate) fn has_signature(path: &Path, length: u64) -> Result<bool> {
    let read = |source| Error::reading(path, source);
    let mut file = fs::File::open(path).map_err(read)?;
    let mut offset = 0;
    while offset + SIGNATURE.len() as u64 <= length {
        let mut bytes = [0; SIGNATURE.len()];
        file.seek(SeekFrom::Start(offset)).map_err(read)?;
        file.read_exact(&mut bytes).map_err(read)?;
        if bytes == SIGNATURE {
            return Ok(true);
        }
        offset = if offset == 0 { 512 } else { offset * 2 };
    }
    Ok(false)
}

/// Names of a group's members, none where they cannot be read.
pub(crate) fn member_names(group: &hdf5::Group) -> Vec<String> {
    group.member_names().unwrap_or_default()
}

/// Whether a group has a dataset of this name.
pub(crate) fn has_dataset(group: &hdf5::Group, name: &str) -> bool {
    group.link_exists(name) && group.dataset(name).is_ok()
}

/// Whether a dataset holds integers or floating point numbers.
pub(crate) fn is_numeric(dataset: &Dataset) -> bool {
    matches!(
        dataset.dtype().and_then(|dtype| dtype.to_descriptor()),
        Ok(TypeDescriptor::Integer(_) | TypeDescriptor::Unsigned(_) | TypeDescriptor::Float(_))
    )
}

/// Bytes of records in memory at once.
const BLOCK_BYTES: usize = 16 << 20;

/// The rows of a dataset as packed records of fields that the file names: a compound dataset, or any
/// other as a record of one field.
pub(crate) struct Records<'a> {
    dataset: &'a Dataset,
    memory_type: Datatype,
    /// Name, type and place in the record of every field; names are empty for a plain dataset.
    pub fields: Vec<CompoundField>,
    row_bytes: usize,
}

impl<'a> Records<'a> {
    /// Prepares reading the fields of `dataset` that `wanted` accepts, in the byte order of this machine.
    ///
    /// # Errors
    /// Where libhdf5 refuses the type.
    pub fn new(
        dataset: &'a Dataset,
        wanted: impl Fn(&str, &TypeDescriptor) -> bool,
    ) -> hdf5::Result<Self> {
        let (fields, descriptor) = match dataset.dtype()?.to_descriptor()? {
            TypeDescriptor::Compound(compound) => {
                let mut fields: Vec<CompoundField> = Vec::new();
                let mut size = 0;
                for field in compound.fields {
                    if wanted(&field.name, &field.ty) {
                        let bytes = field.ty.size();
                        fields.push(CompoundField::new(
                            &field.name,
                            field.ty,
                            size,
                            fields.len(),
                        ));
                        size += bytes;
                    }
                }
                let fields_of = fields.clone();
                let packed = CompoundType {
                    fields: fields_of,
                    size,
                };
                (fields, TypeDescriptor::Compound(packed))
            }
            plain => {
                let width: usize = dataset.shape().iter().skip(1).product();
                let ty = match dataset.ndim() {
                    0 | 1 => plain.clone(),
                    _ => TypeDescriptor::FixedArray(Box::new(plain.clone()), width),
                };
                let fields = match wanted("", &ty) {
                    true => vec![CompoundField::new("", ty, 0, 0)],
                    false => Vec::new(),
                };
                (fields, plain)
            }
        };
        let row_bytes = fields.iter().map(|field| field.ty.size()).sum();
        let memory_type = match fields.is_empty() {
            // libhdf5 has no empty compound; nothing will be read.
            true => Datatype::from_descriptor(&TypeDescriptor::Boolean)?,
            false => Datatype::from_descriptor(&descriptor)?,
        };
        Ok(Self {
            dataset,
            memory_type,
            fields,
            row_bytes,
        })
    }

    /// Hands `take` the bytes of every row, in order; a field's lie at its offset.
    ///
    /// # Errors
    /// Where the dataset cannot be read.
    pub fn read(&self, take: impl FnMut(&[u8])) -> hdf5::Result<()> {
        let rows = self.dataset.shape().first().copied().unwrap_or(0);
        self.read_rows(0..rows, take)
    }

    /// Hands `take` the bytes of these rows, in order.
    ///
    /// # Errors
    /// Where the dataset cannot be read, or has no such rows.
    pub fn read_rows(&self, rows: Range<usize>, mut take: impl FnMut(&[u8])) -> hdf5::Result<()> {
        let shape = self.dataset.shape();
        if shape.is_empty() || self.fields.is_empty() {
            return Ok(());
        }
        let block_rows = (BLOCK_BYTES / self.row_bytes.max(1)).max(1);
        for start in rows.clone().step_by(block_rows) {
            let end = (start + block_rows).min(rows.end);
            let mut slices = vec![SliceOrIndex::from(start..end)];
            slices.extend(shape[1..].iter().map(|_| SliceOrIndex::from(..)));
            let in_file = self.dataset.space()?.select(Hyperslab::from(slices))?;
            let mut extents = shape.clone();
            extents[0] = end - start;
            let block = self.read_block(&in_file, &Dataspace::try_new(extents)?)?;
            block.chunks_exact(self.row_bytes).for_each(&mut take);
        }
        Ok(())
    }

    /// The selected rows, packed. The wrapper reads only into types known when it is compiled.
    #[allow(unsafe_code)]
    fn read_block(&self, in_file: &Dataspace, in_memory: &Dataspace) -> hdf5::Result<Vec<u8>> {
        let elements = in_memory.size();
        let bytes = elements * self.memory_type.size();
        let mut block = vec![0u8; bytes];
        let status = {
            let _guard = hdf5_sys::LOCK.lock();
            // SAFETY: `memory_type` is of fixed size, without pointers (`wanted` sees to that), and
            // libhdf5 writes one of it for each of the `elements` of `in_memory`: `bytes` in all. The
            // handles live as long as `self`, and the lock is held.
            unsafe {
                hdf5_sys::h5d::H5Dread(
                    self.dataset.id(),
                    self.memory_type.id(),
                    in_memory.id(),
                    in_file.id(),
                    hdf5_sys::h5p::H5P_DEFAULT,
                    block.as_mut_ptr().cast(),
                )
            }
        };
        match status {
            0.. => Ok(block),
            _ => Err(hdf5::Error::query()
                .unwrap_or_else(|_| "the data cannot be read; the file may be damaged".into())),
        }
    }
}
