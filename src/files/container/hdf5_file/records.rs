//! The rows of a dataset as packed records whose type the file decides.

use std::ffi::{CStr, c_char, c_void};
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use hdf5::types::{CompoundField, TypeDescriptor};
use hdf5::{Dataset, Dataspace, Datatype, Hyperslab, SliceOrIndex};

use super::types::{self, Field, MemoryType};
use super::values::{Value, value};
use super::{heap, opened};
use crate::files::container::decoded;

/// Bytes of records in memory at once.
const BLOCK_BYTES: usize = 16 << 20;

/// The rows of a dataset as packed records of fields that the file names: a compound dataset, or any
/// other as a record of one field.
pub(crate) struct Records<'a> {
    dataset: &'a Dataset,
    memory_type: Option<Datatype>,
    /// Name, type and place in the record of every field; names are empty for a plain dataset.
    pub fields: Vec<CompoundField>,
    row_bytes: usize,
}

/// The fields of a compound dataset; any other has one without a name, an array where its rows are.
pub(crate) fn fields(dataset: &Dataset) -> Vec<Field> {
    let field = |(name, ty): (String, Result<MemoryType, String>)| Field {
        name,
        ty: ty.map(|ty| ty.descriptor),
    };
    match dataset.dtype() {
        Ok(ty) if types::is_compound(&ty) => types::fields(&ty).into_iter().map(field).collect(),
        Ok(ty) => {
            let ty = types::in_memory(&ty).map(|ty| row_type(dataset, ty.descriptor));
            let name = String::new();
            vec![Field { name, ty }]
        }
        Err(_) => Vec::new(),
    }
}

/// The type of a row of a dataset whose elements are of this type.
fn row_type(dataset: &Dataset, element: TypeDescriptor) -> TypeDescriptor {
    match dataset.ndim() {
        0 | 1 => element,
        _ => TypeDescriptor::FixedArray(Box::new(element), row_width(dataset)),
    }
}

fn row_width(dataset: &Dataset) -> usize {
    dataset.shape().iter().skip(1).product()
}

impl<'a> Records<'a> {
    /// Prepares reading the fields of `dataset` that `wanted` accepts, in the byte order of this machine. Text of any
    /// length is no part of a record; [`texts`] reads it.
    ///
    /// # Errors
    /// Where a type is not read.
    pub fn new(
        dataset: &'a Dataset,
        wanted: impl Fn(&str, &TypeDescriptor) -> bool,
    ) -> hdf5::Result<Self> {
        let ty = dataset.dtype()?;
        let takes = |name: &str, ty: &TypeDescriptor| types::is_fixed(ty) && wanted(name, ty);
        let (fields, memory_type) = match types::is_compound(&ty) {
            true => {
                let mut members = types::fields(&ty);
                members
                    .retain(|(name, ty)| ty.as_ref().is_ok_and(|ty| takes(name, &ty.descriptor)));
                let mut fields: Vec<CompoundField> = Vec::new();
                let mut packed = Vec::new();
                let mut offset = 0;
                for (name, ty) in &members {
                    if let Ok(ty) = ty {
                        fields.push(CompoundField::new(
                            name,
                            ty.descriptor.clone(),
                            offset,
                            fields.len(),
                        ));
                        offset += ty.datatype.size();
                        packed.push((name.as_str(), &ty.datatype));
                    }
                }
                // libhdf5 has no empty compound; nothing will be read.
                let memory_type = match packed.is_empty() {
                    true => None,
                    false => Some(types::packed(&packed)?),
                };
                (fields, memory_type)
            }
            false => {
                let memory = types::in_memory(&ty).map_err(|what| format!("it holds {what}"))?;
                let ty = row_type(dataset, memory.descriptor);
                match takes("", &ty) {
                    true => (
                        vec![CompoundField::new("", ty, 0, 0)],
                        Some(memory.datatype),
                    ),
                    false => (Vec::new(), None),
                }
            }
        };
        let row_bytes = fields.iter().map(|field| field.ty.size()).sum();
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
        let Some(memory_type) = &self.memory_type else {
            return Ok(());
        };
        each_block(self.dataset, rows, self.row_bytes, |in_file, in_memory| {
            let mut block = vec![0_u8; in_memory.size() * memory_type.size()];
            // SAFETY: `memory_type` is of fixed size, without pointers, and libhdf5 writes one of it for each
            // element of `in_memory`: as many bytes as `block` has.
            #[allow(unsafe_code)]
            unsafe {
                read_block(
                    self.dataset,
                    memory_type,
                    in_file,
                    in_memory,
                    block.as_mut_ptr().cast(),
                )
            }?;
            block.chunks_exact(self.row_bytes).for_each(&mut take);
            Ok(())
        })
    }
}

/// The texts of some rows of a dataset, or of such a field of a compound one, those of a row one behind the other: up to
/// the first zero, without blanks at their ends, empty where never written. `None` where it holds something else.
///
/// # Errors
/// Where the dataset cannot be read.
pub(crate) fn texts(
    dataset: &Dataset,
    field: Option<&str>,
    rows: Range<usize>,
) -> hdf5::Result<Option<Vec<String>>> {
    let name = field.unwrap_or("");
    let found = fields(dataset).into_iter().find(|field| field.name == name);
    let element = match found.map(|field| field.ty) {
        Some(Ok(TypeDescriptor::FixedArray(element, _))) => *element,
        Some(Ok(element)) => element,
        _ => return Ok(None),
    };
    match element {
        TypeDescriptor::VarLenAscii | TypeDescriptor::VarLenUnicode => {
            variable_texts(dataset, field, &element, rows).map(Some)
        }
        TypeDescriptor::FixedAscii(_) | TypeDescriptor::FixedUnicode(_) => {
            let size = element.size().max(1);
            let mut texts = Vec::new();
            Records::new(dataset, |known, _| known == name)?.read_rows(rows, |bytes| {
                texts.extend(
                    bytes
                        .chunks_exact(size)
                        .map(|bytes| match value(&element, bytes) {
                            Some(Value::Text(text)) => text.into_owned(),
                            _ => String::new(),
                        }),
                );
            })?;
            Ok(Some(texts))
        }
        _ => Ok(None),
    }
}

fn variable_texts(
    dataset: &Dataset,
    field: Option<&str>,
    descriptor: &TypeDescriptor,
    rows: Range<usize>,
) -> hdf5::Result<Vec<String>> {
    heap::check_texts(dataset)?;
    if field.is_none() {
        check_lengths(dataset, &rows)?;
    }
    let text = types::variable_text(descriptor)?;
    let memory_type = match field {
        Some(name) => types::packed(&[(name, &text)])?,
        None => text,
    };
    let mut texts = Vec::new();
    each_block(
        dataset,
        rows,
        row_width(dataset) * size_of::<usize>(),
        |in_file, in_memory| {
            let mut block: Vec<*mut c_char> = vec![std::ptr::null_mut(); in_memory.size()];
            // SAFETY: libhdf5 writes a pointer to text that ends with 0, or null, for each element; `H5Treclaim` frees
            // them after they have been copied.
            #[allow(unsafe_code)]
            unsafe {
                read_block(
                    dataset,
                    &memory_type,
                    in_file,
                    in_memory,
                    block.as_mut_ptr().cast(),
                )?;
                texts.extend(block.iter().map(|&text| {
                    match text.is_null() {
                        true => String::new(),
                        false => decoded(CStr::from_ptr(text).to_bytes())
                            .trim_end()
                            .to_owned(),
                    }
                }));
                hdf5::sync::sync(|| {
                    hdf5_sys::h5t::H5Treclaim(
                        memory_type.id(),
                        in_memory.id(),
                        hdf5_sys::h5p::H5P_DEFAULT,
                        block.as_mut_ptr().cast(),
                    )
                });
            }
            Ok(())
        },
    )?;
    Ok(texts)
}

/// Refuses texts of any length that are longer than their file: libhdf5 makes room for each before it looks for it. Those of
/// chunks and of records are not looked at.
fn check_lengths(dataset: &Dataset, rows: &Range<usize>) -> hdf5::Result<()> {
    /// Length, 4 bytes, and a place in the file.
    const ELEMENT: u64 = 16;
    let place = dataset.offset().zip(opened::file_name(dataset.id()));
    let Some((offset, path)) = place else {
        return Ok(());
    };
    if dataset.storage_size() != ELEMENT * dataset.size() as u64 {
        return Ok(());
    }
    let failed = |source: std::io::Error| format!("its file cannot be read: {source}");
    let file = File::open(path).map_err(failed)?;
    let most = file.metadata().map_err(failed)?.len();
    let row_bytes = row_width(dataset) * ELEMENT as usize;
    let mut block = vec![0; rows.len().min(BLOCK_BYTES / row_bytes.max(1)).max(1) * row_bytes];
    let mut place = offset + (rows.start * row_bytes) as u64;
    let mut rest = rows.len() * row_bytes;
    while rest > 0 {
        let part = rest.min(block.len());
        let part = &mut block[..part];
        file.read_exact_at(part, place).map_err(failed)?;
        for element in part.chunks_exact(ELEMENT as usize) {
            let length = u32::from_le_bytes([element[0], element[1], element[2], element[3]]);
            if u64::from(length) > most {
                return Err(format!(
                    "it has a text of {length} bytes in a file of {most}; the file is damaged"
                )
                .into());
            }
        }
        place += part.len() as u64;
        rest -= part.len();
    }
    Ok(())
}

/// Hands `read` blocks of rows, each as a selection of the file and its extents in memory.
fn each_block(
    dataset: &Dataset,
    rows: Range<usize>,
    row_bytes: usize,
    mut read: impl FnMut(&Dataspace, &Dataspace) -> hdf5::Result<()>,
) -> hdf5::Result<()> {
    let shape = dataset.shape();
    if shape.is_empty() {
        return Ok(());
    }
    let block_rows = (BLOCK_BYTES / row_bytes.max(1)).max(1);
    for start in rows.clone().step_by(block_rows) {
        let end = (start + block_rows).min(rows.end);
        let mut slices = vec![SliceOrIndex::from(start..end)];
        slices.extend(shape[1..].iter().map(|_| SliceOrIndex::from(..)));
        let in_file = dataset.space()?.select(Hyperslab::from(slices))?;
        let mut extents = shape.clone();
        extents[0] = end - start;
        read(&in_file, &Dataspace::try_new(extents)?)?;
    }
    Ok(())
}

/// Reads the selected elements. The wrapper reads only into types known when it is compiled.
///
/// # Safety
/// `block` must take an element of `memory_type` for each of `in_memory`.
#[allow(unsafe_code)]
unsafe fn read_block(
    dataset: &Dataset,
    memory_type: &Datatype,
    in_file: &Dataspace,
    in_memory: &Dataspace,
    block: *mut c_void,
) -> hdf5::Result<()> {
    let status = hdf5::sync::sync(|| {
        // SAFETY: the caller sees to the size of `block`; the handles are open, and the lock is held.
        unsafe {
            hdf5_sys::h5d::H5Dread(
                dataset.id(),
                memory_type.id(),
                in_memory.id(),
                in_file.id(),
                hdf5_sys::h5p::H5P_DEFAULT,
                block,
            )
        }
    });
    match status {
        0.. => Ok(()),
        _ => Err(hdf5::Error::query()
            .unwrap_or_else(|_| "the data cannot be read; the file may be damaged".into())),
    }
}
