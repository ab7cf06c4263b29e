//! Identifiers in HDF5 datasets, whatever their type: integers, whole numbers in floating point, or text.

use std::ops::Range;
use std::path::Path;

use hdf5::types::{FloatSize, IntSize, TypeDescriptor, VarLenAscii, VarLenUnicode};
use hdf5::{Dataset, H5Type};

use super::hdf5_file::Records;
use crate::base::error::{Error, Result};
use crate::survey::ObjectId;

/// Floating point of 32 and 64 bits holds integers without a gap up to these.
const EXACT: [f64; 2] = [(1_u64 << 24) as f64, (1_u64 << 53) as f64];

/// Whether a type can hold identifiers.
pub(crate) fn can_be(descriptor: &TypeDescriptor) -> bool {
    matches!(
        descriptor,
        TypeDescriptor::Integer(_)
            | TypeDescriptor::Unsigned(_)
            | TypeDescriptor::Float(_)
            | TypeDescriptor::FixedAscii(_)
            | TypeDescriptor::FixedUnicode(_)
            | TypeDescriptor::VarLenAscii
            | TypeDescriptor::VarLenUnicode
    )
}

/// Identifiers of some rows of a dataset, or of its field; `None` where a text is blank.
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
    let element = element(dataset, field).map_err(failed)?;
    match element {
        TypeDescriptor::VarLenUnicode if field.is_none() => {
            return texts::<VarLenUnicode>(dataset, rows).map_err(failed);
        }
        TypeDescriptor::VarLenAscii if field.is_none() => {
            return texts::<VarLenAscii>(dataset, rows).map_err(failed);
        }
        _ if !can_be(&element) => {
            return Err(refused(format!(
                "holds {element}; identifiers are integers or text"
            )));
        }
        _ => {}
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

/// The type of one value.
fn element(dataset: &Dataset, field: Option<&str>) -> hdf5::Result<TypeDescriptor> {
    let descriptor = dataset.dtype()?.to_descriptor()?;
    match (descriptor, field) {
        (TypeDescriptor::Compound(compound), Some(field)) => {
            let mut fields = compound.fields.into_iter();
            let found = fields.find(|known| known.name == field);
            found
                .map(|found| found.ty)
                .ok_or_else(|| "no such field".into())
        }
        (descriptor, _) => Ok(descriptor),
    }
}

fn texts<T: H5Type + ToString>(
    dataset: &Dataset,
    rows: Range<usize>,
) -> hdf5::Result<Vec<Option<ObjectId>>> {
    let values = match dataset.ndim() {
        1 => {
            dataset
                .read_slice_1d::<T, _>(rows)?
                .into_raw_vec_and_offset()
                .0
        }
        // Some programs write (N, 1).
        _ => {
            let values = dataset.read_slice_2d::<T, _>((rows, 0..1))?;
            values.into_raw_vec_and_offset().0
        }
    };
    let ids = values
        .iter()
        .map(|text| ObjectId::of_text(&text.to_string()));
    Ok(ids.collect())
}

/// One identifier from the bytes of its type in this machine's order; the number that is none.
fn decode(element: &TypeDescriptor, bytes: &[u8]) -> Result<Option<ObjectId>, f64> {
    fn fixed<const N: usize>(bytes: &[u8]) -> [u8; N] {
        bytes.try_into().expect("the size of the type")
    }
    let whole = |value: f64, exact: f64| match value.fract() == 0.0 && value.abs() <= exact {
        true => Ok(Some((value as i64).into())),
        false => Err(value),
    };
    Ok(Some(match element {
        TypeDescriptor::Integer(IntSize::U1) => i64::from(bytes[0].cast_signed()).into(),
        TypeDescriptor::Integer(IntSize::U2) => i64::from(i16::from_ne_bytes(fixed(bytes))).into(),
        TypeDescriptor::Integer(IntSize::U4) => i64::from(i32::from_ne_bytes(fixed(bytes))).into(),
        TypeDescriptor::Integer(IntSize::U8) => i64::from_ne_bytes(fixed(bytes)).into(),
        TypeDescriptor::Unsigned(IntSize::U1) => i64::from(bytes[0]).into(),
        TypeDescriptor::Unsigned(IntSize::U2) => i64::from(u16::from_ne_bytes(fixed(bytes))).into(),
        TypeDescriptor::Unsigned(IntSize::U4) => i64::from(u32::from_ne_bytes(fixed(bytes))).into(),
        TypeDescriptor::Unsigned(IntSize::U8) => u64::from_ne_bytes(fixed(bytes)).into(),
        TypeDescriptor::Float(FloatSize::U4) => {
            return whole(f32::from_ne_bytes(fixed(bytes)).into(), EXACT[0]);
        }
        TypeDescriptor::Float(FloatSize::U8) => {
            return whole(f64::from_ne_bytes(fixed(bytes)), EXACT[1]);
        }
        _ => {
            let text = String::from_utf8_lossy(bytes);
            return Ok(ObjectId::of_text(text.split('\0').next().unwrap_or("")));
        }
    }))
}
