//! The columns of an HDF5 file of any program: datasets, and fields of compound datasets as astropy writes them.

use std::path::Path;

use hdf5::types::TypeDescriptor;
use hdf5::{Dataset, Group};
use ndarray::Array2;

use crate::base::error::{Error, Result};
use crate::files::container::hdf5_file::{self, Records, Value, member_names, value};
use crate::files::identifiers;
use crate::survey::ObjectId;

/// The largest value of an embedding: squares of larger ones overflow.
const LARGEST_VALUE: f32 = 1e15;

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
    let mut columns = of_group(path, &root, "")?;
    for name in member_names(&root) {
        if let Some(group) = hdf5_file::group(path, &root, &name)?
            // pandas keeps all columns of one type in an array, which is no set of vectors.
            && hdf5_file::attribute(&group, "pandas_type").is_none()
        {
            columns.extend(of_group(path, &group, &format!("{name}/"))?);
        }
    }
    Ok(columns)
}

fn of_group(path: &Path, group: &Group, prefix: &str) -> Result<Vec<Column>> {
    let mut columns = Vec::new();
    for name in member_names(group) {
        let Some(dataset) = hdf5_file::find(path, group, &name)? else {
            continue;
        };
        let shape = dataset.shape();
        let Some(&rows) = shape.first().filter(|_| shape.len() <= 2) else {
            continue;
        };
        for field in hdf5_file::fields(&dataset) {
            let Ok(ty) = field.ty else {
                continue;
            };
            let (element, width) = match ty {
                TypeDescriptor::FixedArray(element, width) => (*element, width),
                scalar => (scalar, 1),
            };
            let (name, field) = match field.name.as_str() {
                "" => (format!("{prefix}{name}"), None),
                field if shape.len() == 1 => (field.to_owned(), Some(field.to_owned())),
                _ => continue,
            };
            columns.push(Column {
                name,
                rows,
                width,
                element,
                dataset: dataset.clone(),
                field,
            });
        }
    }
    Ok(columns)
}

impl Column {
    /// Refuses one of which not all values are at hand.
    fn check(&self, path: &Path) -> Result<()> {
        hdf5_file::check(path, &self.dataset, &self.name)
    }

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
        self.check(path)?;
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
        let vectors = Array2::from_shape_vec((self.rows, self.width), values)
            .map_err(|source| self.unreadable(path, &source).caused_by(source))?;
        check_vectors(path, &self.name, 0, &vectors)?;
        Ok(vectors)
    }

    /// Its numbers, row by row.
    pub(super) fn numbers(&self, path: &Path) -> Result<Vec<f64>> {
        self.check(path)?;
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
        let number = |bytes: &[u8]| match value(&self.element, bytes) {
            Some(Value::Integer(number)) => Some(number as f64),
            Some(Value::Float(number)) => Some(number),
            Some(Value::Text(_)) | None => None,
        };
        self.records(path, |bytes| {
            values.extend(bytes.chunks_exact(size).map_while(number))
        })?;
        match values.len() == self.rows * self.width {
            true => Ok(values),
            false => {
                let what = format!("it holds {}; expected numbers", self.element);
                Err(self.unreadable(path, &what))
            }
        }
    }

    /// Its identifiers.
    pub(super) fn ids(&self, path: &Path) -> Result<Vec<ObjectId>> {
        self.check(path)?;
        let ids = identifiers::read(path, &self.dataset, self.field.as_deref(), 0..self.rows)?;
        complete(path, &self.name, 0, ids)
    }

    /// Its texts.
    pub(super) fn texts(&self, path: &Path) -> Result<Vec<String>> {
        self.check(path)?;
        hdf5_file::texts(&self.dataset, self.field.as_deref(), 0..self.rows)
            .map_err(|source| self.unreadable(path, &source).caused_by(source))?
            .ok_or_else(|| {
                let what = format!("it holds {}; expected integers or text", self.element);
                self.unreadable(path, &what)
            })
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

/// Identifiers of which none may be missing, those from row `first` on.
pub(super) fn complete(
    path: &Path,
    name: &str,
    first: usize,
    ids: Vec<Option<ObjectId>>,
) -> Result<Vec<ObjectId>> {
    let known = (first..).zip(ids).map(|(row, id)| {
        id.ok_or_else(|| {
            Error::input(format!(
                "{name} is blank in row {row}; every galaxy needs an identifier; name another column \
                 with --embedding-id-key"
            ))
            .in_file(path)
        })
    });
    known.collect()
}

/// Refuses vectors with values that no model gives, and of which no distance can be taken; they are those from row `first`
/// on. A NaN stands for an embedding that is not known.
pub(super) fn check_vectors(
    path: &Path,
    name: &str,
    first: usize,
    vectors: &Array2<f32>,
) -> Result<()> {
    let is_usable = |value: &f32| value.is_nan() || value.abs() <= LARGEST_VALUE;
    // Without an early exit the loop runs on whole vectors.
    if vectors
        .iter()
        .fold(true, |all, value| all & is_usable(value))
    {
        return Ok(());
    }
    let mut rows = (first..).zip(vectors.rows());
    let unusable = rows.find_map(|(row, vector)| {
        let value = vector.iter().find(|value| !is_usable(value))?;
        Some((row, *value))
    });
    let (row, value) = unusable.expect("there is such a value");
    Err(Error::input(format!(
        "{name} holds {value:e} in row {row}, which no model gives; the file is damaged, or these are no embeddings"
    ))
    .in_file(path))
}
