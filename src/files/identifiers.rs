//! Identifiers in HDF5 datasets, whatever their type: integers, whole numbers in floating point, or text.

use std::ops::Range;
use std::path::Path;

use hdf5::Dataset;
use hdf5::types::{FloatSize, TypeDescriptor};

use crate::base::error::{Error, Result};
use crate::files::container::hdf5_file::{self, Records, Value, value};
use crate::survey::{EXACT_32, EXACT_64, ObjectId};

/// Whether numbers of a type can be identifiers.
fn can_be(descriptor: &TypeDescriptor) -> bool {
    matches!(
        descriptor,
        TypeDescriptor::Integer(_) | TypeDescriptor::Unsigned(_) | TypeDescriptor::Float(_)
    )
}

/// Identifiers of some rows of a dataset, or of its field; `None` where a text is blank
/// or a number is NaN.
///
/// # Errors
/// Where the type cannot hold identifiers, a number is none, or the dataset cannot be read.
pub(crate) fn read(
    path: &Path,
    dataset: &Dataset,
    field: Option<&str>,
    rows: Range<usize>,
) -> Result<Vec<Option<ObjectId>>> {
    let full = dataset.name();
    let name = field.unwrap_or_else(|| full.trim_start_matches('/'));
    let refused = |message: String| Error::input(format!("`{name}` {message}")).in_file(path);
    let failed =
        |source: hdf5::Error| refused(format!("cannot be read: {source}")).caused_by(source);
    let element = element(dataset, field)
        .map_err(|what| refused(format!("holds {what}; identifiers are integers or text")))?;
    if let Some(texts) = hdf5_file::texts(dataset, field, rows.clone()).map_err(failed)? {
        return Ok(texts.iter().map(|text| ObjectId::of_text(text)).collect());
    }
    if !can_be(&element) {
        return Err(refused(format!(
            "holds {element}; identifiers are integers or text"
        )));
    }
    let mut ids = Vec::with_capacity(rows.len());
    let mut odd = None;
    let records = Records::new(dataset, |known, _| known == field.unwrap_or(""));
    records
        .and_then(|records| {
            records.read_rows(rows.clone(), |bytes| match decode(&element, bytes) {
                Ok(id) => ids.push(id),
                Err(value) => {
                    odd.get_or_insert((rows.start + ids.len(), value));
                    ids.push(None);
                }
            })
        })
        .map_err(failed)?;
    match odd {
        None => Ok(ids),
        Some((row, value)) => Err(refused(format!(
            "is {value} in row {row}, which is no identifier: floating point of this width holds \
             integers up to 2^{} only; write them as integers or as text",
            match element {
                TypeDescriptor::Float(FloatSize::U8) => 53,
                _ => 24,
            }
        ))),
    }
}

/// The type of one value; else what there is instead.
fn element(dataset: &Dataset, field: Option<&str>) -> Result<TypeDescriptor, String> {
    let fields = hdf5_file::fields(dataset);
    let found = fields
        .into_iter()
        .find(|known| known.name == field.unwrap_or(""));
    match found.ok_or("records without such a field")?.ty? {
        TypeDescriptor::FixedArray(element, 1) => Ok(*element),
        other => Ok(other),
    }
}

/// One identifier from the bytes of its type; the number that is none.
fn decode(element: &TypeDescriptor, bytes: &[u8]) -> Result<Option<ObjectId>, f64> {
    match value(element, bytes) {
        Some(Value::Integer(number)) => Ok(ObjectId::of_integer(number)),
        Some(Value::Float(number)) => {
            let exact = match bytes.len() {
                8 => EXACT_64,
                _ => EXACT_32,
            };
            ObjectId::of_float(number, exact)
        }
        Some(Value::Text(_)) | None => Ok(None),
    }
}
