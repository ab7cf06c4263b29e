//! Parquet files, column by column. Lists of one length become as many columns.

use std::path::{Path, PathBuf};

use parquet::basic::{ConvertedType, LogicalType};
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::FileReader;
use parquet::schema::types::{ColumnDescriptor, ColumnPath};

use super::table::{Column, IntegerBuilder, Values, WIDEST, element_name};
use crate::base::error::{Error, Result};
use crate::files::container::parquet_file::{
    self, Value, decode, is_half, is_unsigned, members, unreadable,
};

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
                decode(|| reader.get_row_group(group)?.get_column_reader(leaf))
                    .and_then(|mut chunk| {
                        parquet_file::scan(&mut chunk, &schema.column(leaf), |starts, value| {
                            part.builder.push(starts, value)
                        })
                    })
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

impl Builder {
    /// Adds a value; `starts` where it is the first of its row.
    fn push(&mut self, starts: bool, value: Option<Value<'_>>) -> Result<(), ParquetError> {
        match (self, value) {
            (Self::IntegerLists(lists, _), Some(Value::Integer(value))) => {
                lists.push(starts, Some(value));
            }
            (Self::IntegerLists(lists, _), Some(Value::Unsigned(value))) => {
                lists.push(starts, Some(value.cast_signed()));
            }
            (Self::IntegerLists(lists, _), None) => lists.push(starts, None),
            (Self::FloatLists(lists), Some(Value::Real(value))) => {
                lists.push(starts, (!value.is_nan()).then_some(value));
            }
            (Self::FloatLists(lists), None) => lists.push(starts, None),
            (Self::Integers(values), Some(Value::Integer(value))) => values.push(Some(value)),
            (Self::Integers(values), Some(Value::Unsigned(value))) => values.push(Some(value)),
            (Self::Integers(values), None) => values.push(None::<i64>),
            (Self::Floats(values), Some(Value::Real(value))) => values.push(value),
            (Self::Floats(values), None) => values.push(f64::NAN),
            (Self::Texts(values), Some(Value::Text(bytes))) => {
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
