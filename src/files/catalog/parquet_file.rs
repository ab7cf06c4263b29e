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
    /// Integers as they are stored, and whether they have no sign.
    IntegerLists(Lists<i64>, bool),
    FloatLists(Lists<f64>),
}

/// The lists of a column.
#[derive(Default)]
struct Lists<T> {
    /// Elements of all rows, zero where unknown.
    values: Vec<T>,
    /// Places of unknown elements, rising.
    unknown: Vec<usize>,
    /// The number of elements of each row; a row without a list has one unknown element.
    counts: Vec<usize>,
}

impl<T: Copy + Default> Lists<T> {
    /// Adds an element; `starts` where it is the first of its row.
    fn push(&mut self, starts: bool, value: Option<T>) {
        if starts {
            self.counts.push(0);
        }
        if let Some(count) = self.counts.last_mut() {
            *count += 1;
        }
        if value.is_none() {
            self.unknown.push(self.values.len());
        }
        self.values.push(value.unwrap_or_default());
    }

    /// A column for each element, with its unknown rows; `None` where lists differ in length or are too long.
    fn columns(&self) -> Option<Vec<(Vec<T>, Vec<usize>)>> {
        let width = *self.counts.iter().max()?;
        if width > WIDEST {
            return None;
        }
        let rows = self.counts.len();
        let mut columns = vec![(Vec::with_capacity(rows), Vec::new()); width];
        let (mut rest, mut first) = (self.values.as_slice(), 0);
        let mut unknown = self.unknown.as_slice();
        for (row, &count) in self.counts.iter().enumerate() {
            let (list, later) = rest.split_at(count);
            let among = unknown
                .iter()
                .take_while(|&&place| place < first + count)
                .count();
            let (unknown_here, unknown_later) = unknown.split_at(among);
            if count != width && !(count == 1 && unknown_here.len() == 1) {
                return None;
            }
            for (index, (column, _)) in columns.iter_mut().enumerate() {
                column.push(list.get(index).copied().unwrap_or_default());
            }
            match count == width {
                true => unknown_here
                    .iter()
                    .for_each(|place| columns[place - first].1.push(row)),
                false => columns
                    .iter_mut()
                    .for_each(|(_, unknown)| unknown.push(row)),
            }
            (rest, first, unknown) = (later, first + count, unknown_later);
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
            Type::INT32 | Type::INT64 => {
                Builder::IntegerLists(Lists::default(), is_unsigned(descriptor))
            }
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
            (Self::IntegerLists(lists, _), Some(Cell::Integer(value))) => {
                lists.push(starts, Some(value));
            }
            (Self::IntegerLists(lists, _), Some(Cell::Unsigned(value))) => {
                lists.push(starts, Some(value.cast_signed()));
            }
            (Self::IntegerLists(lists, _), None) => lists.push(starts, None),
            (Self::FloatLists(lists), Some(Cell::Float(value))) => {
                lists.push(starts, (!value.is_nan()).then_some(value));
            }
            (Self::FloatLists(lists), None) => lists.push(starts, None),
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
            Self::IntegerLists(lists, unsigned) => {
                let columns = lists.columns()?.into_iter().map(|(values, unknown)| {
                    if unknown.is_empty() && !unsigned {
                        return Values::Integers(values);
                    }
                    let mut builder = IntegerBuilder::default();
                    for value in values {
                        builder.push(Some(match unsigned {
                            true => i128::from(value.cast_unsigned()),
                            false => i128::from(value),
                        }));
                    }
                    builder.forget(&unknown);
                    builder.finish()
                });
                return Some(columns.collect());
            }
            Self::FloatLists(lists) => {
                let columns = lists.columns()?.into_iter().map(|(mut values, unknown)| {
                    unknown.into_iter().for_each(|row| values[row] = f64::NAN);
                    Values::Floats(values)
                });
                return Some(columns.collect());
            }
        }])
    }
}
