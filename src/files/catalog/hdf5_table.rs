//! Tables in HDF5 files: a compound dataset, one dataset per column in a group, or what pandas saved.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use hdf5::types::TypeDescriptor;
use hdf5::{Dataset, Group};

use super::pandas_table;
use super::table::{Column, IntegerBuilder, Values, WIDEST, element_name};
use crate::base::error::{Error, Result};
use crate::files::container::hdf5_file::{self, Records, member_names};

/// Name of the group that is looked for first.
const CATALOG: &str = "catalog";

/// What astropy adds to the name of a column for that of its mask.
const MASK: &str = ".mask";

enum Builder {
    Signed(Vec<i64>),
    Unsigned(IntegerBuilder),
    Floats(Vec<f64>),
    Texts(Vec<String>),
}

/// The columns of a field, by the number of the field.
type Fields = HashMap<String, Vec<Values>>;

/// Reads the frame of pandas, the group or the dataset called `table`. Without a name, what pandas saved, else the group
/// `catalog`, else the largest compound dataset, else the columns at the root.
pub(super) fn read(path: &Path, table: Option<&str>) -> Result<Vec<Column>> {
    let file = hdf5_file::open(path)?;
    let root = file.as_group().map_err(|source| {
        Error::input(format!("cannot be read: {source}"))
            .caused_by(source)
            .in_file(path)
    })?;
    if let Some(columns) = pandas_table::read(path, &root, table)? {
        return Ok(columns);
    }
    if let Some(name) = table {
        return Ok(masked(read_named(path, &root, name)?));
    }
    if let Some(catalog) = hdf5_file::group(path, &root, CATALOG)? {
        return Ok(masked(read_group(path, &catalog)?));
    }
    if let Some((name, dataset)) = largest_compound(path, &root)? {
        return Ok(masked(read_dataset(path, &dataset, &name, WIDEST)?));
    }
    let columns = read_group(path, &root)?;
    if columns.is_empty() {
        return Err(Error::input(format!(
            "holds no table; expected a compound dataset, or one dataset per column in a group \
             `{CATALOG}` or at the root; there are {}",
            member_names(&file).join(", ")
        ))
        .in_file(path));
    }
    Ok(masked(columns))
}

/// The compound dataset with the most rows, at the root and in the groups there, and its name.
fn largest_compound(path: &Path, root: &Group) -> Result<Option<(String, Dataset)>> {
    let mut groups = Vec::new();
    for name in member_names(root) {
        groups.extend(hdf5_file::group(path, root, &name)?);
    }
    groups.push(root.clone());
    let mut found = Vec::new();
    for group in &groups {
        for name in member_names(group) {
            let Some(dataset) = hdf5_file::find(path, group, &name)? else {
                continue;
            };
            let is_compound = dataset.dtype().is_ok_and(|ty| hdf5_file::is_compound(&ty));
            if dataset.ndim() == 1 && is_compound {
                found.push((hdf5_file::full_name(group, &name), dataset));
            }
        }
    }
    let names: Vec<String> = found.iter().map(|(name, _)| format!("`{name}`")).collect();
    let largest = found.into_iter().max_by_key(|(_, dataset)| dataset.size());
    if let (Some((name, dataset)), true) = (&largest, names.len() > 1) {
        tracing::info!(
            "{}: holds the tables {}; taking `{name}`, which has the most rows ({})",
            path.display(),
            names.join(", "),
            dataset.size()
        );
    }
    Ok(largest)
}

/// Reads the group or the dataset of this name.
fn read_named(path: &Path, root: &Group, name: &str) -> Result<Vec<Column>> {
    if let Some(group) = hdf5_file::group(path, root, name)? {
        return read_group(path, &group);
    }
    match hdf5_file::find(path, root, name)? {
        Some(dataset) => read_dataset(path, &dataset, name, WIDEST),
        None => Err(Error::input(format!(
            "no group or dataset `{name}`; there are {}",
            member_names(root).join(", ")
        ))
        .in_file(path)),
    }
}

/// One column per dataset of a group; those that are shorter or longer than the identifiers, or else than
/// most, are no columns.
fn read_group(path: &Path, group: &Group) -> Result<Vec<Column>> {
    let mut datasets = Vec::new();
    for name in member_names(group) {
        let Some(dataset) = hdf5_file::find(path, group, &name)? else {
            continue;
        };
        let shape = dataset.shape();
        let is_narrow = shape
            .get(1)
            .is_none_or(|&width| (1..=WIDEST).contains(&width));
        if (1..=2).contains(&shape.len()) && is_narrow {
            datasets.push((name, dataset));
        }
    }
    let mut lengths = BTreeMap::<usize, usize>::new();
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
            columns.extend(read_dataset(path, &dataset, &name, WIDEST)?);
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

/// The columns of a dataset: of every field of a compound one, else one called `name`. Arrays wider than `widest` make
/// none.
pub(super) fn read_dataset(
    path: &Path,
    dataset: &Dataset,
    name: &str,
    widest: usize,
) -> Result<Vec<Column>> {
    let mut columns = Vec::new();
    let mut fields = read_fields(path, dataset, name, widest)?;
    for field in hdf5_file::fields(dataset) {
        let values = fields.remove(&field.name).unwrap_or_default();
        let field_name = match field.name.as_str() {
            "" => name,
            field_name => field_name,
        };
        let width = values.len();
        columns.extend(
            values
                .into_iter()
                .enumerate()
                .map(|(index, values)| Column {
                    name: element_name(field_name, index, width),
                    values,
                }),
        );
    }
    Ok(columns)
}

/// The values of every field of a dataset that makes columns, by its name.
pub(super) fn read_fields(
    path: &Path,
    dataset: &Dataset,
    name: &str,
    widest: usize,
) -> Result<Fields> {
    hdf5_file::check(path, dataset, name)?;
    let failed = |source: hdf5::Error| {
        Error::input(format!("dataset `{name}` cannot be read: {source}"))
            .caused_by(source)
            .in_file(path)
    };
    let mut found = Fields::new();
    let mut has_records = false;
    for field in hdf5_file::fields(dataset) {
        let shown = match field.name.as_str() {
            "" => name.to_owned(),
            field => format!("{name}.{field}"),
        };
        let passed_over = |what: &dyn std::fmt::Display| {
            format!(
                "{}: `{shown}` is passed over: it holds {what}",
                path.display()
            )
        };
        match &field.ty {
            Err(what) => tracing::warn!("{}", passed_over(what)),
            Ok(ty) if builder(ty, widest).is_some() => has_records = true,
            Ok(ty) => match elements(ty) {
                (
                    element @ (TypeDescriptor::VarLenAscii | TypeDescriptor::VarLenUnicode),
                    width,
                ) if (1..=widest).contains(&width) => {
                    let of = Some(field.name.as_str()).filter(|name| !name.is_empty());
                    let texts = hdf5_file::texts(dataset, of, element, 0..dataset.shape()[0])
                        .map_err(failed)?;
                    let column = |index| {
                        let column = texts.iter().skip(index).step_by(width);
                        Values::Texts(column.map(|text| text.trim_end().to_owned()).collect())
                    };
                    found.insert(field.name, (0..width).map(column).collect());
                }
                _ => tracing::debug!("{}", passed_over(ty)),
            },
        }
    }
    if !has_records {
        return Ok(found);
    }
    let records = Records::new(dataset, |_, ty| builder(ty, widest).is_some()).map_err(failed)?;
    let mut builders: Vec<(Vec<Builder>, usize)> = records
        .fields
        .iter()
        .map(|field| {
            let (element, width) = elements(&field.ty);
            let builders = (0..width)
                .filter_map(|_| builder(element, widest))
                .collect();
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
    for (field, (builders, _)) in records.fields.iter().zip(builders) {
        let values = builders.into_iter().map(Builder::finish).collect();
        found.insert(field.name.clone(), values);
    }
    Ok(found)
}

/// Columns without their masks, as astropy writes both: a value that is masked is unknown.
fn masked(columns: Vec<Column>) -> Vec<Column> {
    let base = |name: &str| -> Option<String> {
        let (base, element) = name.rsplit_once(MASK)?;
        let is_element = element
            .strip_prefix('_')
            .is_some_and(|index| index.parse::<usize>().is_ok());
        (element.is_empty() || is_element).then(|| format!("{base}{element}"))
    };
    let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    let mut masks: HashMap<String, Vec<bool>> = HashMap::new();
    for column in &columns {
        if let Some(base) = base(&column.name).filter(|base| names.contains(&base.as_str()))
            && let Values::Integers(mask) = &column.values
        {
            masks.insert(base, mask.iter().map(|&mask| mask != 0).collect());
        }
    }
    let is_mask =
        |column: &Column| base(&column.name).is_some_and(|base| masks.contains_key(&base));
    let kept: Vec<Column> = columns
        .into_iter()
        .filter(|column| !is_mask(column))
        .collect();
    let with_mask = |column: Column| match masks.get(&column.name) {
        None => column,
        Some(mask) => Column {
            values: unknown_where(column.values, mask),
            name: column.name,
        },
    };
    kept.into_iter().map(with_mask).collect()
}

/// Values of which those are unknown that `mask` marks.
pub(super) fn unknown_where(values: Values, mask: &[bool]) -> Values {
    fn known<T: Into<i128>>(values: Vec<T>, mask: &[bool]) -> Values {
        let mut builder = IntegerBuilder::default();
        for (value, &masked) in values.into_iter().zip(mask) {
            builder.push((!masked).then_some(value));
        }
        builder.finish()
    }
    match values {
        Values::Integers(values) => known(values, mask),
        Values::Unsigned(values) => known(values, mask),
        Values::Floats(mut values) => {
            for (value, &masked) in values.iter_mut().zip(mask) {
                *value = if masked { f64::NAN } else { *value };
            }
            Values::Floats(values)
        }
        Values::Texts(mut values) => {
            let masked = values.iter_mut().zip(mask).filter(|(_, masked)| **masked);
            masked.for_each(|(value, _)| value.clear());
            Values::Texts(values)
        }
    }
}

/// The type of the elements of an array, and their number; 1 for anything else.
fn elements(descriptor: &TypeDescriptor) -> (&TypeDescriptor, usize) {
    match descriptor {
        TypeDescriptor::FixedArray(element, width) => (element, *width),
        other => (other, 1),
    }
}

/// What collects the values of a type; `None` for types that make no column.
fn builder(descriptor: &TypeDescriptor, widest: usize) -> Option<Builder> {
    let (element, width) = elements(descriptor);
    if !(1..=widest).contains(&width) {
        return None;
    }
    match element {
        TypeDescriptor::Integer(_) => Some(Builder::Signed(Vec::new())),
        TypeDescriptor::Enum(values) if values.signed => Some(Builder::Signed(Vec::new())),
        TypeDescriptor::Unsigned(_) | TypeDescriptor::Boolean | TypeDescriptor::Enum(_) => {
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
