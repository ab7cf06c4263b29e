//! Parquet files, column by column. Lists of one length become as many columns.

use std::path::{Path, PathBuf};

use parquet::basic::{ConvertedType, LogicalType};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, DataType, FixedLenByteArray};
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::FileReader;
use parquet::schema::types::{ColumnDescriptor, ColumnPath};

use super::table::{Column, IntegerBuilder, Values, WIDEST, element_name};
use crate::base::error::{Error, Result};
use crate::files::container::parquet_file::{self, members, unreadable};

/// Records decoded at once.
const BATCH: usize = 8192;

/// A value of whatever type, `None` where unknown.
enum Cell<'a> {
    Integer(i64),
    Unsigned(u64),
    Float(f64),
    Text(&'a [u8]),
}

enum Builder {
    Integers(IntegerBuilder),
    Floats(Vec<f64>),
    Texts(Vec<String>),
    IntegerLists(Lists<Option<i128>>),
    FloatLists(Lists<f64>),
}

/// The lists of a column.
#[derive(Default)]
struct Lists<T> {
    /// Elements of all rows.
    values: Vec<T>,
    /// The number of elements of each row; a row without a list has one unknown element.
    counts: Vec<usize>,
}

impl<T: Copy> Lists<T> {
    /// Adds an element; `starts` where it is the first of its row.
    fn push(&mut self, starts: bool, value: T) {
        if starts {
            self.counts.push(0);
        }
        if let Some(count) = self.counts.last_mut() {
            *count += 1;
        }
        self.values.push(value);
    }

    /// A column for each element; `None` where lists differ in length or are too long.
    fn columns(&self, unknown: T, is_unknown: fn(&T) -> bool) -> Option<Vec<Vec<T>>> {
        let width = *self.counts.iter().max()?;
        if width > WIDEST {
            return None;
        }
        let mut columns = vec![Vec::with_capacity(self.counts.len()); width];
        let mut rest = self.values.as_slice();
        for &count in &self.counts {
            let (row, later) = rest.split_at(count);
            rest = later;
            if count != width && !(count == 1 && is_unknown(&row[0])) {
                return None;
            }
            for (index, column) in columns.iter_mut().enumerate() {
                column.push(row.get(index).copied().unwrap_or(unknown));
            }
        }
        Some(columns)
    }
}

/// The columns of a table that may lie in several files of the same columns, one behind the other: those of the first.
pub(super) fn read(files: &[PathBuf]) -> Result<Vec<Column>> {
    let mut parts: Vec<Part> = Vec::new();
    for (index, path) in files.iter().enumerate() {
        let failed = |source| unreadable(path, source);
        let reader = parquet_file::open(path)?;
        let schema = reader.metadata().file_metadata().schema_descr_ptr();
        if index == 0 {
            parts = columns_of(path, reader.metadata());
        }
        for part in &mut parts {
            let leaf = (schema.columns().iter()).position(|column| column.path() == &part.path);
            let leaf = leaf.ok_or_else(|| {
                Error::input(format!(
                    "lacks the column `{}`, which {} has; files of one table have the same columns",
                    part.name,
                    files[0].display()
                ))
                .in_file(path)
            })?;
            for group in 0..reader.num_row_groups() {
                reader
                    .get_row_group(group)
                    .and_then(|group| group.get_column_reader(leaf))
                    .and_then(|column| read_chunk(column, &schema.column(leaf), &mut part.builder))
                    .map_err(failed)?;
            }
        }
    }
    let mut columns = Vec::new();
    for Part { name, builder, .. } in parts {
        let Some(values) = builder.finish() else {
            tracing::debug!("column `{name}` is passed over: its lists differ in length");
            continue;
        };
        let width = values.len();
        columns.extend(
            values
                .into_iter()
                .enumerate()
                .map(|(index, values)| Column {
                    name: element_name(&name, index, width),
                    values,
                }),
        );
    }
    Ok(columns)
}

/// A column that is being read.
struct Part {
    path: ColumnPath,
    name: String,
    builder: Builder,
}

/// The columns of a file that are read.
fn columns_of(path: &Path, metadata: &ParquetMetaData) -> Vec<Part> {
    let schema = metadata.file_metadata().schema_descr();
    let parts = schema.columns().iter().zip(members(schema)).enumerate();
    let parts = parts.filter_map(|(leaf, (descriptor, members))| {
        let name = members.join(".");
        let builder = builder(metadata, leaf, descriptor);
        if builder.is_none() {
            tracing::debug!("{}: column `{name}` is passed over", path.display());
        }
        Some(Part {
            path: descriptor.path().clone(),
            name,
            builder: builder?,
        })
    });
    parts.collect()
}

/// What collects a column; `None` for those that are not read.
fn builder(
    metadata: &ParquetMetaData,
    leaf: usize,
    descriptor: &ColumnDescriptor,
) -> Option<Builder> {
    use parquet::basic::Type;
    let values: i64 = metadata
        .row_groups()
        .iter()
        .map(|group| group.column(leaf).num_values())
        .sum();
    let rows = metadata.file_metadata().num_rows().max(1);
    let is_decimal = descriptor.converted_type() == ConvertedType::DECIMAL;
    let physical = descriptor.physical_type();
    let is_number = matches!(
        physical,
        Type::INT32 | Type::INT64 | Type::FLOAT | Type::DOUBLE
    ) && !is_decimal
        || is_half(descriptor);
    match (descriptor.max_rep_level(), physical) {
        (0, Type::BOOLEAN) => Some(Builder::Integers(IntegerBuilder::default())),
        (0, Type::INT32 | Type::INT64) if is_number => {
            Some(Builder::Integers(IntegerBuilder::default()))
        }
        (0, Type::FLOAT | Type::DOUBLE) => Some(Builder::Floats(Vec::new())),
        (0, Type::FIXED_LEN_BYTE_ARRAY) if is_number => Some(Builder::Floats(Vec::new())),
        (0, Type::BYTE_ARRAY) if is_text(descriptor) => Some(Builder::Texts(Vec::new())),
        (1, physical) if is_number && values / rows <= WIDEST as i64 => Some(match physical {
            Type::INT32 | Type::INT64 => Builder::IntegerLists(Lists::default()),
            _ => Builder::FloatLists(Lists::default()),
        }),
        _ => None,
    }
}

fn is_text(descriptor: &ColumnDescriptor) -> bool {
    descriptor.converted_type() == ConvertedType::UTF8
        || matches!(descriptor.logical_type_ref(), Some(LogicalType::String))
}

/// Whether the values are numbers of half precision, which Parquet keeps as two bytes.
fn is_half(descriptor: &ColumnDescriptor) -> bool {
    matches!(descriptor.logical_type_ref(), Some(LogicalType::Float16))
}

fn is_unsigned(descriptor: &ColumnDescriptor) -> bool {
    matches!(
        descriptor.converted_type(),
        ConvertedType::UINT_8
            | ConvertedType::UINT_16
            | ConvertedType::UINT_32
            | ConvertedType::UINT_64
    )
}

fn read_chunk(
    column: ColumnReader,
    descriptor: &ColumnDescriptor,
    builder: &mut Builder,
) -> Result<(), ParquetError> {
    let unsigned = is_unsigned(descriptor);
    match column {
        ColumnReader::BoolColumnReader(reader) => each(reader, descriptor, builder, |value| {
            Cell::Integer(i64::from(*value))
        }),
        ColumnReader::Int32ColumnReader(reader) => {
            each(reader, descriptor, builder, move |value| {
                Cell::Integer(match unsigned {
                    true => i64::from(*value as u32),
                    false => i64::from(*value),
                })
            })
        }
        ColumnReader::Int64ColumnReader(reader) => {
            each(reader, descriptor, builder, move |value| match unsigned {
                true => Cell::Unsigned(*value as u64),
                false => Cell::Integer(*value),
            })
        }
        ColumnReader::FloatColumnReader(reader) => each(reader, descriptor, builder, |value| {
            Cell::Float(f64::from(*value))
        }),
        ColumnReader::DoubleColumnReader(reader) => {
            each(reader, descriptor, builder, |value| Cell::Float(*value))
        }
        ColumnReader::ByteArrayColumnReader(reader) => {
            each(reader, descriptor, builder, |value: &ByteArray| {
                Cell::Text(value.data())
            })
        }
        ColumnReader::FixedLenByteArrayColumnReader(reader) => {
            each(reader, descriptor, builder, |value: &FixedLenByteArray| {
                let half = value.data().try_into().map(half::f16::from_le_bytes);
                Cell::Float(half.map_or(f64::NAN, f64::from))
            })
        }
        ColumnReader::Int96ColumnReader(_) => {
            Err(ParquetError::General("a type that is not read".to_owned()))
        }
    }
}

/// Adds every value of a column chunk to `builder`.
fn each<T: DataType>(
    mut reader: ColumnReaderImpl<T>,
    descriptor: &ColumnDescriptor,
    builder: &mut Builder,
    cell: impl Fn(&T::T) -> Cell<'_>,
) -> Result<(), ParquetError> {
    let known = descriptor.max_def_level();
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
        let count = match known {
            0 => values.len(),
            _ => levels.len(),
        };
        for index in 0..count {
            let starts = repeats.get(index).is_none_or(|&repeat| repeat == 0);
            // A column that cannot be unknown has no levels.
            let is_known = levels.get(index).is_none_or(|&level| level == known);
            let value = match is_known {
                true => values.next().map(&cell),
                false => None,
            };
            builder.push(starts, value)?;
        }
    }
}

impl Builder {
    /// Adds a value; `starts` where it is the first of its row.
    fn push(&mut self, starts: bool, cell: Option<Cell<'_>>) -> Result<(), ParquetError> {
        match (self, cell) {
            (Self::IntegerLists(lists), Some(Cell::Integer(value))) => {
                lists.push(starts, Some(value.into()));
            }
            (Self::IntegerLists(lists), Some(Cell::Unsigned(value))) => {
                lists.push(starts, Some(value.into()));
            }
            (Self::IntegerLists(lists), None) => lists.push(starts, None),
            (Self::FloatLists(lists), Some(Cell::Float(value))) => lists.push(starts, value),
            (Self::FloatLists(lists), None) => lists.push(starts, f64::NAN),
            (Self::Integers(values), Some(Cell::Integer(value))) => values.push(Some(value)),
            (Self::Integers(values), Some(Cell::Unsigned(value))) => values.push(Some(value)),
            (Self::Integers(values), None) => values.push(None::<i64>),
            (Self::Floats(values), Some(Cell::Float(value))) => values.push(value),
            (Self::Floats(values), None) => values.push(f64::NAN),
            (Self::Texts(values), Some(Cell::Text(bytes))) => {
                let text = std::str::from_utf8(bytes)
                    .map_err(|_| ParquetError::General("a text is not in UTF-8".to_owned()))?;
                values.push(text.to_owned());
            }
            (Self::Texts(values), None) => values.push(String::new()),
            (_, Some(_)) => {
                return Err(ParquetError::General(
                    "a column changes its type".to_owned(),
                ));
            }
        }
        Ok(())
    }

    /// One column, or several of a list; `None` where its lists differ in length.
    fn finish(self) -> Option<Vec<Values>> {
        Some(vec![match self {
            Self::Integers(values) => values.finish(),
            Self::Floats(values) => Values::Floats(values),
            Self::Texts(values) => Values::Texts(values),
            Self::IntegerLists(lists) => {
                let columns = lists.columns(None, Option::is_none)?.into_iter();
                let columns = columns.map(|values| {
                    let mut builder = IntegerBuilder::default();
                    values.into_iter().for_each(|value| builder.push(value));
                    builder.finish()
                });
                return Some(columns.collect());
            }
            Self::FloatLists(lists) => {
                let columns = lists.columns(f64::NAN, |value| value.is_nan())?;
                return Some(columns.into_iter().map(Values::Floats).collect());
            }
        }])
    }
}
