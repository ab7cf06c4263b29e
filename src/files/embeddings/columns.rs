//! The columns of an HDF5 file of any program: datasets, and fields of compound datasets as astropy writes them.

use std::path::Path;

use hdf5::types::{FixedAscii, FloatSize, TypeDescriptor, VarLenAscii, VarLenUnicode};
use hdf5::{Dataset, Group};
use ndarray::Array2;

use crate::base::error::{Error, Result};
use crate::files::container::hdf5_file::{self, Records, member_names};
use crate::files::container::hdf5_ids;
use crate::survey::ObjectId;

/// Longest identifier written as text.
const TEXT_BYTES: usize = 64;

/// A column: one number, one text or one vector per row.
pub(super) struct Column {
    /// Name of the dataset, with its group if it is not at the root, or of the field.
    pub name: String,
    /// Number of rows.
    pub rows: usize,
    /// Numbers per row.
    pub width: usize,
    /// Type of a number or text.
    element: TypeDescriptor,
    dataset: Dataset,
    /// Name of the field of a compound dataset.
    field: Option<String>,
}

/// All columns at the root of a file and in the groups there.
pub(super) fn list(path: &Path) -> Result<Vec<Column>> {
    let file = hdf5_file::open(path)?;
    let root = file.as_group().map_err(|source| {
        Error::input(format!("cannot be read: {source}"))
            .caused_by(source)
            .in_file(path)
    })?;
    let mut columns = of_group(&root, "");
    for name in member_names(&root) {
        if let Ok(group) = root.group(&name) {
            columns.extend(of_group(&group, &format!("{name}/")));
        }
    }
    Ok(columns)
}

fn of_group(group: &Group, prefix: &str) -> Vec<Column> {
    let mut columns = Vec::new();
    for name in member_names(group) {
        let Ok(dataset) = group.dataset(&name) else {
            continue;
        };
        let descriptor = match dataset.dtype().and_then(|dtype| dtype.to_descriptor()) {
            Ok(descriptor) => descriptor,
            // Half precision, for which the wrapper has no name; libhdf5 converts it.
            Err(_) if dataset.dtype().is_ok_and(|dtype| dtype.size() == 2) => {
                TypeDescriptor::Float(FloatSize::U4)
            }
            Err(_) => continue,
        };
        let shape = dataset.shape();
        match (descriptor, &shape[..]) {
            (TypeDescriptor::Compound(compound), &[rows]) => {
                for field in compound.fields {
                    let (element, width) = match field.ty {
                        TypeDescriptor::FixedArray(element, width) => (*element, width),
                        scalar => (scalar, 1),
                    };
                    columns.push(Column {
                        name: field.name.clone(),
                        rows,
                        width,
                        element,
                        dataset: dataset.clone(),
                        field: Some(field.name),
                    });
                }
            }
            (element, &[rows, ref rest @ ..]) if rest.len() <= 1 => columns.push(Column {
                name: format!("{prefix}{name}"),
                rows,
                width: rest.first().copied().unwrap_or(1),
                element,
                dataset,
                field: None,
            }),
            _ => {}
        }
    }
    columns
}

impl Column {
    /// Whether it holds floating point numbers.
    pub(super) fn is_float(&self) -> bool {
        matches!(self.element, TypeDescriptor::Float(_))
    }

    /// Whether it holds text.
    pub(super) fn is_text(&self) -> bool {
        matches!(
            self.element,
            TypeDescriptor::FixedAscii(_)
                | TypeDescriptor::FixedUnicode(_)
                | TypeDescriptor::VarLenAscii
                | TypeDescriptor::VarLenUnicode
        )
    }

    /// Its name and shape, for messages.
    pub(super) fn described(&self) -> String {
        match self.width {
            1 => format!("{} ({})", self.name, self.rows),
            width => format!("{} ({}, {width})", self.name, self.rows),
        }
    }

    /// The vectors (rows, width).
    pub(super) fn matrix(&self, path: &Path) -> Result<Array2<f32>> {
        let values = match &self.field {
            None => self
                .dataset
                .read_raw::<f32>()
                .map_err(|e| self.unreadable(path, &e))?,
            Some(_) => {
                let numbers = self.numbers(path)?;
                numbers.into_iter().map(|value| value as f32).collect()
            }
        };
        Array2::from_shape_vec((self.rows, self.width), values)
            .map_err(|source| self.unreadable(path, &source).caused_by(source))
    }

    /// Its numbers, row by row.
    pub(super) fn numbers(&self, path: &Path) -> Result<Vec<f64>> {
        if self.is_text() {
            return Err(self.unreadable(path, &"it holds text; expected numbers"));
        }
        if self.field.is_none() {
            return self
                .dataset
                .read_raw::<f64>()
                .map_err(|source| self.unreadable(path, &source).caused_by(source));
        }
        let size = self.element.size();
        let mut values = Vec::with_capacity(self.rows * self.width);
        let decode: fn(&[u8]) -> f64 = match &self.element {
            TypeDescriptor::Float(FloatSize::U4) => |b| f64::from(f32::from_ne_bytes(fixed(b))),
            TypeDescriptor::Float(FloatSize::U8) => |b| f64::from_ne_bytes(fixed(b)),
            TypeDescriptor::Integer(_) => |b| integer(b, true) as f64,
            TypeDescriptor::Unsigned(_) | TypeDescriptor::Boolean => |b| integer(b, false) as f64,
            other => {
                return Err(self.unreadable(path, &format!("it holds {other}; expected numbers")));
            }
        };
        self.records(path, |bytes| {
            values.extend(bytes.chunks_exact(size).map(decode))
        })?;
        Ok(values)
    }

    /// Its identifiers.
    pub(super) fn ids(&self, path: &Path) -> Result<Vec<ObjectId>> {
        let ids = hdf5_ids::read(path, &self.dataset, self.field.as_deref(), 0..self.rows)?;
        complete(path, &self.name, ids)
    }

    /// Its texts.
    pub(super) fn texts(&self, path: &Path) -> Result<Vec<String>> {
        let failed = |source: hdf5::Error| self.unreadable(path, &source).caused_by(source);
        fn owned<T: ToString>(texts: Vec<T>) -> Vec<String> {
            texts.iter().map(T::to_string).collect()
        }
        match (&self.element, &self.field) {
            (TypeDescriptor::FixedAscii(_) | TypeDescriptor::FixedUnicode(_), Some(_)) => {
                let mut texts = Vec::with_capacity(self.rows);
                self.records(path, |bytes| {
                    let end = bytes.iter().position(|&byte| byte == 0);
                    let text = &bytes[..end.unwrap_or(bytes.len())];
                    texts.push(String::from_utf8_lossy(text).into_owned());
                })?;
                Ok(texts)
            }
            (TypeDescriptor::VarLenUnicode, None) => {
                let texts = self.dataset.read_raw::<VarLenUnicode>();
                texts.map(owned).map_err(failed)
            }
            (TypeDescriptor::VarLenAscii, None) => {
                let texts = self.dataset.read_raw::<VarLenAscii>();
                texts.map(owned).map_err(failed)
            }
            (TypeDescriptor::FixedAscii(length), None) if *length <= TEXT_BYTES => {
                let texts = self.dataset.read_raw::<FixedAscii<TEXT_BYTES>>();
                texts.map(owned).map_err(failed)
            }
            (other, _) => {
                let expected = "expected integers, or text of up to 64 characters";
                Err(self.unreadable(path, &format!("it holds {other}; {expected}")))
            }
        }
    }

    /// Hands `take` the bytes of this field in every row.
    fn records(&self, path: &Path, mut take: impl FnMut(&[u8])) -> Result<()> {
        let wanted = self.field.as_deref().unwrap_or("");
        Records::new(&self.dataset, |field, _| field == wanted)
            .and_then(|records| records.read(&mut take))
            .map_err(|source| self.unreadable(path, &source).caused_by(source))
    }

    fn unreadable(&self, path: &Path, source: &dyn std::fmt::Display) -> Error {
        Error::input(format!("{} cannot be read: {source}", self.name)).in_file(path)
    }
}

/// Identifiers of which none may be missing.
pub(super) fn complete(
    path: &Path,
    name: &str,
    ids: Vec<Option<ObjectId>>,
) -> Result<Vec<ObjectId>> {
    let known = ids.into_iter().enumerate().map(|(row, id)| {
        id.ok_or_else(|| {
            Error::input(format!(
                "{name} is blank in row {row}; every galaxy needs an identifier; name another column \
                 with --id-key"
            ))
            .in_file(path)
        })
    });
    known.collect()
}

/// The bytes of a number whose size the type has told.
fn fixed<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().expect("the size of the type")
}

fn integer(bytes: &[u8], signed: bool) -> i64 {
    match *bytes {
        [a] if signed => i64::from(a as i8),
        [a] => i64::from(a),
        [a, b] if signed => i64::from(i16::from_ne_bytes([a, b])),
        [a, b] => i64::from(u16::from_ne_bytes([a, b])),
        [a, b, c, d] if signed => i64::from(i32::from_ne_bytes([a, b, c, d])),
        [a, b, c, d] => i64::from(u32::from_ne_bytes([a, b, c, d])),
        _ => i64::from_ne_bytes(fixed(bytes)),
    }
}
