//! Tables in HDF5 files: a compound dataset, one dataset per column in a group, or what pandas saved.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use hdf5::types::TypeDescriptor;
use hdf5::{Dataset, Group};

use super::pandas_table;
use super::table::{Column, IntegerBuilder, Values, WIDEST, element_name};
use crate::base::error::{Error, Result};
use crate::files::container::hdf5_file::{self, Records, Value, member_names, value};

/// Name of the group that is looked for first.
const CATALOG: &str = "catalog";

enum Builder {
    Integers(IntegerBuilder),
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
        return read_named(path, &root, name);
    }
    if let Some(catalog) = hdf5_file::group(path, &root, CATALOG)? {
        return read_group(path, &catalog);
    }
    if let Some((name, dataset)) = largest_compound(path, &root)? {
        return read_dataset(path, &dataset, &name, WIDEST);
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
    Ok(columns)
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
            if dataset.ndim() == 1 && is_compound(&dataset) {
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

fn is_compound(dataset: &Dataset) -> bool {
    let ty = dataset.dtype();
    ty.is_ok_and(|ty| hdf5_file::is_compound(&ty))
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
        let is_column = match dataset.shape()[..] {
            [_] => true,
            [_, width] => (1..=WIDEST).contains(&width) && !is_compound(&dataset),
            _ => false,
        };
        match is_column {
            true => datasets.push((name, dataset)),
            false => tracing::debug!(
                "{}: dataset `{name}` of shape {:?} is passed over",
                path.display(),
                dataset.shape()
            ),
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
///
/// # Errors
/// Where the dataset has no rows of one value or record each, or cannot be read.
pub(super) fn read_fields(
    path: &Path,
    dataset: &Dataset,
    name: &str,
    widest: usize,
) -> Result<Fields> {
    hdf5_file::check(path, dataset, name)?;
    let shape = dataset.shape();
    if shape.is_empty() || (shape.len() > 1 && is_compound(dataset)) {
        return Err(Error::input(format!(
            "dataset `{name}` has shape {shape:?}; expected a table: one row per galaxy"
        ))
        .in_file(path));
    }
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
                (TypeDescriptor::VarLenAscii | TypeDescriptor::VarLenUnicode, width)
                    if (1..=widest).contains(&width) =>
                {
                    let of = Some(field.name.as_str()).filter(|name| !name.is_empty());
                    let texts = hdf5_file::texts(dataset, of, 0..shape[0]).map_err(failed)?;
                    let texts = texts.unwrap_or_default();
                    let column = |index| {
                        Values::Texts(texts.iter().skip(index).step_by(width).cloned().collect())
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
    let mut builders: Vec<(Vec<Builder>, &TypeDescriptor)> = records
        .fields
        .iter()
        .map(|field| {
            let (element, width) = elements(&field.ty);
            let builders = (0..width)
                .filter_map(|_| builder(element, widest))
                .collect();
            (builders, element)
        })
        .collect();
    records
        .read(|row| {
            for (field, (builders, element)) in records.fields.iter().zip(&mut builders) {
                let values = row[field.offset..].chunks_exact(element.size());
                for (builder, bytes) in builders.iter_mut().zip(values) {
                    builder.push(value(element, bytes));
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
        TypeDescriptor::Integer(_)
        | TypeDescriptor::Unsigned(_)
        | TypeDescriptor::Boolean
        | TypeDescriptor::Enum(_) => Some(Builder::Integers(IntegerBuilder::default())),
        TypeDescriptor::Float(_) => Some(Builder::Floats(Vec::new())),
        TypeDescriptor::FixedAscii(_) | TypeDescriptor::FixedUnicode(_) => {
            Some(Builder::Texts(Vec::new()))
        }
        _ => None,
    }
}

impl Builder {
    /// Adds a value of the type that the builder is for.
    fn push(&mut self, value: Option<Value<'_>>) {
        match (self, value) {
            (Self::Integers(values), Some(Value::Integer(value))) => values.push(Some(value)),
            (Self::Floats(values), Some(Value::Float(value))) => values.push(value),
            (Self::Texts(values), Some(Value::Text(text))) => values.push(text.into_owned()),
            _ => unreachable!("the builder of another type"),
        }
    }

    fn finish(self) -> Values {
        match self {
            Self::Integers(values) => values.finish(),
            Self::Floats(values) => Values::Floats(values),
            Self::Texts(values) => Values::Texts(values),
        }
    }
}
