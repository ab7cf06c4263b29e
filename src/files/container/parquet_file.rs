//! Parquet files: opened, and what their columns are called, whatever lists lie between a column and its values.

use std::fs::File;
use std::path::Path;

use parquet::basic::{Compression, ConvertedType, LogicalType, Repetition};
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::schema::types::{SchemaDescriptor, Type};

use crate::base::error::{Error, Result};

/// Opens a file.
///
/// # Errors
/// Where it cannot be read, is damaged, or a column is compressed in a way that is not read.
pub(crate) fn open(path: &Path) -> Result<SerializedFileReader<File>> {
    let file = File::open(path).map_err(|source| Error::reading(path, source))?;
    let reader = SerializedFileReader::new(file).map_err(|source| unreadable(path, source))?;
    let mut columns = reader
        .metadata()
        .row_groups()
        .iter()
        .flat_map(|group| group.columns());
    let is_read = |compression| {
        use Compression::{GZIP, SNAPPY, UNCOMPRESSED, ZSTD};
        matches!(compression, UNCOMPRESSED | SNAPPY | ZSTD(_) | GZIP(_))
    };
    match columns.find(|column| !is_read(column.compression())) {
        None => Ok(reader),
        Some(column) => {
            // Without the level.
            let compression = column.compression().to_string();
            let compression = compression.split('(').next().unwrap_or_default();
            Err(Error::input(format!(
                "column `{}` is compressed by {compression}; expected snappy, zstd, gzip or nothing: write the file anew",
                column.column_path().string()
            ))
            .in_file(path))
        }
    }
}

/// The error about a file whose contents contradict themselves.
pub(crate) fn unreadable(path: &Path, source: ParquetError) -> Error {
    Error::input(format!(
        "Parquet file cannot be read: {source}; it may be damaged or cut short"
    ))
    .caused_by(source)
    .in_file(path)
}

/// For each leaf of a schema the names of its column and of the members of structs down to its values. A list of structs
/// and a struct of lists have the same.
pub(crate) fn members(schema: &SchemaDescriptor) -> Vec<Vec<String>> {
    let mut found = Vec::with_capacity(schema.num_columns());
    for field in schema.root_schema().get_fields() {
        collect(field, &mut vec![field.name().to_owned()], &mut found);
    }
    found
}

/// Appends the names down to each leaf of `node`, whose own are `names`.
fn collect(node: &Type, names: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
    if node.is_primitive() {
        found.push(names.clone());
    } else if let Some(element) = list_element(node) {
        collect(element, names, found);
    } else {
        for field in node.get_fields() {
            names.push(field.name().to_owned());
            collect(field, names, found);
            names.pop();
        }
    }
}

/// What a group that stands for a list is a list of; `None` for a struct.
///
/// The format asks for a repeated group with one field in between; older writers leave that out.
fn list_element(node: &Type) -> Option<&Type> {
    let [inner] = node.get_fields() else {
        return None;
    };
    let info = node.get_basic_info();
    let is_list = info.converted_type() == ConvertedType::LIST
        || info.logical_type_ref() == Some(&LogicalType::List);
    let is_repeated = inner.get_basic_info().has_repetition()
        && inner.get_basic_info().repetition() == Repetition::REPEATED;
    if !is_list || !is_repeated {
        return None;
    }
    let is_element = inner.name() == "array" || inner.name().ends_with("_tuple");
    match inner.is_group() && !is_element {
        true => match inner.get_fields() {
            [element] => Some(element),
            _ => Some(inner),
        },
        false => Some(inner),
    }
}
