//! Tables in HDF5 files: a compound dataset, or one dataset per column in a group.

use std::path::Path;

use hdf5::types::{TypeDescriptor, VarLenAscii, VarLenUnicode};
use hdf5::{Dataset, Group};

use super::table::{Column, IntegerBuilder, Values, WIDEST, element_name};
use crate::base::error::{Error, Result};
use crate::files::container::hdf5_file::{self, Records, member_names};

/// Name of the group that is looked for first.
const CATALOG: &str = "catalog";

enum Builder {
    Signed(Vec<i64>),
    Unsigned(IntegerBuilder),
    Floats(Vec<f64>),
    Texts(Vec<String>),
}

/// Reads the group `catalog`, else the largest compound dataset, else the columns at the root.
pub(super) fn read(path: &Path) -> Result<Vec<Column>> {
    let file = hdf5_file::open(path)?;
    if let Ok(catalog) = file.group(CATALOG) {
        return read_group(path, &catalog);
    }
    let mut groups: Vec<Group> = member_names(&file)
        .iter()
        .filter_map(|name| file.group(name).ok())
        .collect();
    groups.extend(file.as_group());
    let compound = groups
        .iter()
        .flat_map(|group| {
            member_names(group)
                .into_iter()
                .filter_map(|name| group.dataset(&name).ok())
        })
        .filter(|dataset| {
            let descriptor = dataset.dtype().and_then(|dtype| dtype.to_descriptor());
            dataset.ndim() == 1 && matches!(descriptor, Ok(TypeDescriptor::Compound(_)))
        })
        .max_by_key(|dataset| dataset.size());
    if let Some(dataset) = compound {
        return read_dataset(path, &dataset, "");
    }
    let root = file.as_group().map_err(|source| {
        Error::input(format!("cannot be read: {source}"))
            .caused_by(source)
            .in_file(path)
    })?;
    let columns = read_group(path, &root)?;
    if columns.is_empty() {
        return Err(Error::input(format!(
            "holds no table; expected a compound dataset, or one dataset per column in a group \
             `{CATALOG}` or at the root; there are {}",
            member_names(&file).join(", ")
        ))
        .in_file(path));
    }
    Ok(columns)
}

/// One column per dataset of a group; those that are shorter or longer than the identifiers, or else than
/// most, are no columns.
fn read_group(path: &Path, group: &Group) -> Result<Vec<Column>> {
    let datasets: Vec<(String, Dataset)> = member_names(group)
        .into_iter()
        .filter_map(|name| Some((name.clone(), group.dataset(&name).ok()?)))
        .filter(|(_, dataset)| {
            let shape = dataset.shape();
            (1..=2).contains(&shape.len())
                && shape
                    .get(1)
                    .is_none_or(|&width| (1..=WIDEST).contains(&width))
        })
        .collect();
    let mut lengths = std::collections::BTreeMap::<usize, usize>::new();
    for (_, dataset) in &datasets {
        *lengths.entry(dataset.shape()[0]).or_default() += 1;
    }
    let Some((&rows, _)) = lengths
        .iter()
        .max_by_key(|(length, count)| (**count, **length))
    else {
        return Ok(Vec::new());
    };
    let mut columns = Vec::new();
    for (name, dataset) in datasets {
        if dataset.shape()[0] == rows {
            columns.extend(read_dataset(path, &dataset, &name)?);
        } else {
            tracing::debug!(
                "{}: dataset `{name}` has {} rows, not {rows}, and is passed over",
                path.display(),
                dataset.shape()[0]
            );
        }
    }
    Ok(columns)
}

/// The columns of a dataset: of every field of a compound one, else one called `name`.
fn read_dataset(path: &Path, dataset: &Dataset, name: &str) -> Result<Vec<Column>> {
    let failed = |source: hdf5::Error| {
        Error::input(format!(
            "dataset `{}` cannot be read: {source}",
            dataset.name()
        ))
        .caused_by(source)
        .in_file(path)
    };
    let texts = |texts: Vec<String>| {
        vec![Column {
            name: name.to_owned(),
            values: Values::Texts(texts),
        }]
    };
    match dataset.dtype().and_then(|dtype| dtype.to_descriptor()) {
        Ok(TypeDescriptor::VarLenUnicode) if dataset.ndim() == 1 => {
            let values = dataset.read_raw::<VarLenUnicode>().map_err(failed)?;
            return Ok(texts(values.iter().map(|text| text.to_string()).collect()));
        }
        Ok(TypeDescriptor::VarLenAscii) if dataset.ndim() == 1 => {
            let values = dataset.read_raw::<VarLenAscii>().map_err(failed)?;
            return Ok(texts(values.iter().map(|text| text.to_string()).collect()));
        }
        Ok(_) => {}
        // Such as times and opaque bytes.
        Err(_) => return Ok(Vec::new()),
    }
    let records = Records::new(dataset, |field, descriptor| {
        let wanted = builder(descriptor).is_some();
        if !wanted {
            tracing::debug!(
                "{}: `{}` {field} is passed over: {descriptor}",
                path.display(),
                dataset.name()
            );
        }
        wanted
    })
    .map_err(failed)?;
    let mut builders: Vec<(Vec<Builder>, usize)> = records
        .fields
        .iter()
        .map(|field| {
            let (element, width) = elements(&field.ty);
            let builders = (0..width).filter_map(|_| builder(element)).collect();
            (builders, element.size())
        })
        .collect();
    records
        .read(|row| {
            for (field, (builders, size)) in records.fields.iter().zip(&mut builders) {
                let values = row[field.offset..].chunks_exact(*size);
                for (builder, bytes) in builders.iter_mut().zip(values) {
                    builder.push(bytes);
                }
            }
        })
        .map_err(failed)?;
    Ok(records
        .fields
        .iter()
        .zip(builders)
        .flat_map(|(field, (builders, _))| {
            let field_name = match field.name.as_str() {
                "" => name,
                field_name => field_name,
            };
            let width = builders.len();
            builders
                .into_iter()
                .enumerate()
                .map(move |(index, builder)| Column {
                    name: element_name(field_name, index, width),
                    values: builder.finish(),
                })
        })
        .collect())
}

/// The type of the elements of an array, and their number; 1 for anything else.
fn elements(descriptor: &TypeDescriptor) -> (&TypeDescriptor, usize) {
    match descriptor {
        TypeDescriptor::FixedArray(element, width) => (element, *width),
        other => (other, 1),
    }
}

/// What collects the values of a type; `None` for types that make no column.
fn builder(descriptor: &TypeDescriptor) -> Option<Builder> {
    let (element, width) = elements(descriptor);
    if !(1..=WIDEST).contains(&width) {
        return None;
    }
    match element {
        TypeDescriptor::Integer(_) => Some(Builder::Signed(Vec::new())),
        TypeDescriptor::Enum(values) if values.signed => Some(Builder::Signed(Vec::new())),
        TypeDescriptor::Unsigned(_) | TypeDescriptor::Boolean => {
            Some(Builder::Unsigned(IntegerBuilder::default()))
        }
        TypeDescriptor::Float(_) => Some(Builder::Floats(Vec::new())),
        TypeDescriptor::FixedAscii(_) | TypeDescriptor::FixedUnicode(_) => {
            Some(Builder::Texts(Vec::new()))
        }
        _ => None,
    }
}

impl Builder {
    /// Adds a value in this machine's byte order.
    fn push(&mut self, bytes: &[u8]) {
        match self {
            Self::Signed(values) => values.push(match *bytes {
                [a] => i64::from(a as i8),
                [a, b] => i64::from(i16::from_ne_bytes([a, b])),
                [a, b, c, d] => i64::from(i32::from_ne_bytes([a, b, c, d])),
                _ => i64::from_ne_bytes(bytes.try_into().expect("8 bytes")),
            }),
            Self::Unsigned(values) => values.push(Some(match *bytes {
                [a] => u64::from(a),
                [a, b] => u64::from(u16::from_ne_bytes([a, b])),
                [a, b, c, d] => u64::from(u32::from_ne_bytes([a, b, c, d])),
                _ => u64::from_ne_bytes(bytes.try_into().expect("8 bytes")),
            })),
            Self::Floats(values) => values.push(match *bytes {
                [a, b, c, d] => f64::from(f32::from_ne_bytes([a, b, c, d])),
                _ => f64::from_ne_bytes(bytes.try_into().expect("8 bytes")),
            }),
            Self::Texts(values) => {
                let end = bytes.iter().position(|&byte| byte == 0);
                let text = String::from_utf8_lossy(&bytes[..end.unwrap_or(bytes.len())]);
                values.push(text.trim_end().to_owned());
            }
        }
    }

    fn finish(self) -> Values {
        match self {
            Self::Signed(values) => Values::Integers(values),
            Self::Unsigned(values) => values.finish(),
            Self::Floats(values) => Values::Floats(values),
            Self::Texts(values) => Values::Texts(values),
        }
    }
}
