//! Parquet files: opened, what their columns are called, whatever lists lie between a column and its values, and those.

use std::fs::File;
use std::path::Path;

use half::f16;
use parquet::basic::{Compression, ConvertedType, LogicalType, Repetition};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, DataType, FixedLenByteArray};
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::schema::types::{ColumnDescriptor, SchemaDescriptor, Type};

use crate::base::error::{Error, Result};
use crate::base::input;
use crate::files::container::guard::guarded;

/// Records decoded at once.
const BATCH: usize = 1024;

/// A value of a column.
pub(crate) enum Value<'a> {
    /// Signed or not; true and false are 1 and 0.
    Integer(i64),
    /// Of 64 bits without a sign.
    Unsigned(u64),
    Real(f64),
    /// Text, or bytes that are none.
    Text(&'a [u8]),
}

/// Opens a file.
///
/// # Errors
/// Where it cannot be read, is damaged, or a column is compressed in a way that is not read.
pub(crate) fn open(path: &Path) -> Result<SerializedFileReader<File>> {
    let file = input::open(path)?;
    let reader = decode(|| SerializedFileReader::new(file));
    let reader = reader.map_err(|source| unreadable(path, source))?;
    check_rows(path, &reader)?;
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

/// Refuses a file that claims more rows than it can have, before room is made for them: equal values take next to nothing,
/// but a page of them has its header.
fn check_rows(path: &Path, reader: &SerializedFileReader<File>) -> Result<()> {
    const ROWS_PER_BYTE: u64 = 1 << 10;
    let bytes = input::metadata(path)?.len();
    let groups = reader.metadata().row_groups().iter();
    let rows = groups.map(|group| u64::try_from(group.num_rows()).ok());
    let rows = rows.fold(Some(0_u64), |all, rows| all?.checked_add(rows?));
    match rows {
        Some(rows) if rows <= (1 << 20) + bytes.saturating_mul(ROWS_PER_BYTE) => Ok(()),
        _ => Err(Error::input(format!(
            "Parquet file of {bytes} bytes that claims {} rows; it is damaged",
            rows.map_or("impossible numbers of".to_owned(), |rows| rows.to_string())
        ))
        .in_file(path)),
    }
}

/// What the library reads, which panics on some damaged pages; what it read with must not be used again then.
///
/// # Errors
/// Its own, or what it said when it panicked.
pub(crate) fn decode<T>(read: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, ParquetError> {
    guarded(read)
        .unwrap_or_else(|what| Err(ParquetError::General(format!("contradictory: {what}"))))
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

/// Whether the integers of a column have no sign.
pub(crate) fn is_unsigned(descriptor: &ColumnDescriptor) -> bool {
    matches!(
        descriptor.converted_type(),
        ConvertedType::UINT_8
            | ConvertedType::UINT_16
            | ConvertedType::UINT_32
            | ConvertedType::UINT_64
    )
}

/// Whether the values of a column are numbers of half precision, which Parquet keeps as two bytes.
pub(crate) fn is_half(descriptor: &ColumnDescriptor) -> bool {
    matches!(descriptor.logical_type_ref(), Some(LogicalType::Float16))
}

/// The number in two bytes.
pub(crate) fn half(bytes: &FixedLenByteArray) -> f16 {
    let bytes = bytes.data().try_into();
    bytes.map_or(f16::NAN, f16::from_le_bytes)
}

/// The error about a column of times of 96 bits or the like.
pub(crate) fn unknown_type() -> ParquetError {
    ParquetError::General("a type that is not read".to_owned())
}

/// Hands `take` every value of a column chunk in turn with whether it is the first of its row; `None` where one is
/// missing.
///
/// # Errors
/// Where the chunk cannot be read, or `take` refuses a value.
pub(crate) fn scan(
    reader: &mut ColumnReader,
    descriptor: &ColumnDescriptor,
    take: impl FnMut(bool, Option<Value<'_>>) -> Result<(), ParquetError>,
) -> Result<(), ParquetError> {
    let known = descriptor.max_def_level();
    let unsigned = is_unsigned(descriptor);
    use ColumnReader as Reader;
    decode(|| match reader {
        Reader::BoolColumnReader(reader) => each(reader, known, take, |&value| {
            Value::Integer(i64::from(value))
        }),
        Reader::Int32ColumnReader(reader) => each(reader, known, take, |&value| {
            Value::Integer(match unsigned {
                true => i64::from(value.cast_unsigned()),
                false => i64::from(value),
            })
        }),
        Reader::Int64ColumnReader(reader) => each(reader, known, take, |&value| match unsigned {
            true => Value::Unsigned(value.cast_unsigned()),
            false => Value::Integer(value),
        }),
        Reader::FloatColumnReader(reader) => {
            each(reader, known, take, |&value| Value::Real(f64::from(value)))
        }
        Reader::DoubleColumnReader(reader) => {
            each(reader, known, take, |&value| Value::Real(value))
        }
        Reader::ByteArrayColumnReader(reader) => each(reader, known, take, |value: &ByteArray| {
            Value::Text(value.data())
        }),
        Reader::FixedLenByteArrayColumnReader(reader) => each(reader, known, take, |value| {
            Value::Real(f64::from(half(value)))
        }),
        Reader::Int96ColumnReader(_) => Err(unknown_type()),
    })
}

/// As [`scan`], of values of one type, which are there where their level is `known`.
fn each<T: DataType>(
    reader: &mut ColumnReaderImpl<T>,
    known: i16,
    mut take: impl FnMut(bool, Option<Value<'_>>) -> Result<(), ParquetError>,
    value: impl Fn(&T::T) -> Value<'_>,
) -> Result<(), ParquetError> {
    let (mut levels, mut repeats, mut values) = (Vec::new(), Vec::new(), Vec::new());
    loop {
        levels.clear();
        repeats.clear();
        values.clear();
        let (records, ..) =
            reader.read_records(BATCH, Some(&mut levels), Some(&mut repeats), &mut values)?;
        if records == 0 {
            return Ok(());
        }
        let mut values = values.iter();
        // A column that is never null has no levels.
        let count = match known {
            0 => values.len(),
            _ => levels.len(),
        };
        for index in 0..count {
            let starts = repeats.get(index).is_none_or(|&repeat| repeat == 0);
            let is_there = levels.get(index).is_none_or(|&level| level == known);
            let found = if is_there { values.next() } else { None };
            // `Option::map` is slower here: it is not inlined.
            match found {
                Some(found) => take(starts, Some(value(found)))?,
                None => take(starts, None)?,
            }
        }
    }
}
