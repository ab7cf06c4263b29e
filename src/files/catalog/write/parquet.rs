//! Tables as Parquet, in groups of rows that are compressed by zstd.
//!
//! What Parquet itself has no place for stands in the file's metadata: under `astroclip` as JSON, and as a VOTable without
//! rows where the VO looks for it (IVOA note "Parquet in the VO", VOParquet 1.0).

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical, ZstdLevel};
use parquet::data_type::{
    ByteArray, ByteArrayType, DataType, DoubleType, FloatType, Int32Type, Int64Type,
};
use parquet::errors::Result;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::{ColumnPath, Type, TypePtr};
use serde_json::json;

use super::stored::{Stored, Values};
use super::{Layout, creator, votable};

/// Key of our metadata.
pub(super) const KEY: &str = "astroclip";
/// Bytes of a group of rows, as they are in memory.
const GROUP_BYTES: usize = 32 << 20;

/// Bytes of a long text.
const LONG: usize = 256;

/// Writes a table as Parquet.
pub(super) struct ParquetWriter {
    writer: SerializedFileWriter<File>,
    columns: Vec<Waiting>,
    /// Rows that wait to become a group.
    rows: usize,
    /// Rows of a group.
    group: usize,
}

/// Values that wait for the other rows of their group.
enum Waiting {
    I64(Vec<i64>),
    Texts(Vec<ByteArray>),
    F64(Vec<f64>),
    F32(Vec<f32>),
    I32(Vec<i32>),
    Lists(usize, Vec<f32>),
}

impl ParquetWriter {
    pub fn create(path: &Path, layout: &Layout<'_>) -> Result<Self> {
        let columns = layout.columns();
        let fields: Result<Vec<TypePtr>> = columns
            .map(|(column, stored)| field(&column.name, stored))
            .collect();
        let schema = Type::group_type_builder("schema")
            .with_fields(fields?)
            .build()?;
        let mut properties = WriterProperties::builder()
            .set_created_by(creator())
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            // Hardly a number comes twice.
            .set_dictionary_enabled(false)
            .set_key_value_metadata(Some(metadata(layout)));
        for (column, stored) in layout.columns() {
            if matches!(stored, Stored::Text(_)) {
                let path = ColumnPath::from(vec![column.name.clone()]);
                properties = properties.set_column_dictionary_enabled(path, true);
            }
        }
        let file = File::create(path)?;
        let writer = SerializedFileWriter::new(file, Arc::new(schema), properties.build().into())?;
        let waiting = layout.columns().map(|(_, stored)| match stored {
            Stored::I64 | Stored::U64 => Waiting::I64(Vec::new()),
            Stored::Text(_) => Waiting::Texts(Vec::new()),
            Stored::F64 => Waiting::F64(Vec::new()),
            Stored::F32 => Waiting::F32(Vec::new()),
            Stored::I32 => Waiting::I32(Vec::new()),
            Stored::F32Array(width) => Waiting::Lists(width, Vec::new()),
        });
        let row_bytes: usize = layout.columns().map(|(_, stored)| bytes(stored)).sum();
        Ok(Self {
            writer,
            columns: waiting.collect(),
            rows: 0,
            group: (GROUP_BYTES / row_bytes.max(1)).max(1),
        })
    }

    pub fn append(&mut self, rows: usize, columns: &[Values<'_>]) -> Result<()> {
        let mut start = 0;
        while start < rows {
            // Groups of a fixed size: the file does not depend on how its rows came.
            let end = rows.min(start + self.group - self.rows);
            for (waiting, values) in self.columns.iter_mut().zip(columns) {
                waiting.add(values, start, end);
            }
            self.rows += end - start;
            if self.rows == self.group {
                self.write_group()?;
            }
            start = end;
        }
        Ok(())
    }

    fn write_group(&mut self) -> Result<()> {
        let mut group = self.writer.next_row_group()?;
        for waiting in &mut self.columns {
            if let Some(mut column) = group.next_column()? {
                waiting.write(&mut column, self.rows)?;
                column.close()?;
            }
        }
        group.close()?;
        self.rows = 0;
        Ok(())
    }

    pub fn finish(mut self) -> Result<()> {
        if self.rows > 0 {
            self.write_group()?;
        }
        self.writer.close().map(drop)
    }
}

impl Waiting {
    /// Adds the rows from `start` to `end`.
    fn add(&mut self, values: &Values<'_>, start: usize, end: usize) {
        let rows = start..end;
        match (self, values) {
            (Self::I64(all), Values::I64(values)) => all.extend(&values[rows]),
            (Self::I64(all), Values::U64(values)) => {
                all.extend(values[rows].iter().map(|value| value.cast_signed()));
            }
            (Self::F64(all), Values::F64(values)) => all.extend(&values[rows]),
            (Self::F32(all), Values::F32(values)) => all.extend(&values[rows]),
            (Self::I32(all), Values::I32(values)) => all.extend(&values[rows]),
            (Self::Texts(all), Values::Texts(values)) => {
                all.extend(
                    values[rows]
                        .iter()
                        .map(|text| ByteArray::from(text.as_str())),
                );
            }
            (Self::Lists(_, all), Values::F32Array(values)) => {
                rows.for_each(|row| all.extend(values.row(row)));
            }
            _ => unreachable!("values of another type than the column"),
        }
    }

    /// Writes what waits, which is of so many rows.
    fn write(&mut self, column: &mut SerializedColumnWriter<'_>, rows: usize) -> Result<()> {
        match self {
            Self::I64(values) => write::<Int64Type>(column, values),
            Self::F64(values) => write::<DoubleType>(column, values),
            Self::F32(values) => write::<FloatType>(column, values),
            Self::I32(values) => write::<Int32Type>(column, values),
            Self::Texts(values) => write::<ByteArrayType>(column, values),
            Self::Lists(width, values) => {
                // A list begins at level 0; all its elements are there.
                let mut one = vec![1; *width];
                one[0] = 0;
                let begins = one.repeat(rows);
                let there = vec![1; values.len()];
                let writer = column.typed::<FloatType>();
                writer.write_batch(values, Some(&there), Some(&begins))?;
                values.clear();
                Ok(())
            }
        }
    }
}

fn write<T: DataType>(
    column: &mut SerializedColumnWriter<'_>,
    values: &mut Vec<T::T>,
) -> Result<()> {
    column.typed::<T>().write_batch(values, None, None)?;
    values.clear();
    Ok(())
}

/// Bytes of a value in memory.
fn bytes(stored: Stored) -> usize {
    match stored {
        Stored::I64 | Stored::U64 | Stored::F64 => 8,
        Stored::F32 | Stored::I32 => 4,
        Stored::F32Array(width) => 4 * width,
        // Where one is very long, most are not.
        Stored::Text(longest) => size_of::<ByteArray>() + longest.bytes.min(LONG),
    }
}

/// A column of the schema, in which every value is there.
fn field(name: &str, stored: Stored) -> Result<TypePtr> {
    let (physical, logical) = match stored {
        Stored::I64 => (Physical::INT64, None),
        Stored::U64 => (Physical::INT64, Some(LogicalType::integer(64, false))),
        Stored::F64 => (Physical::DOUBLE, None),
        Stored::F32 => (Physical::FLOAT, None),
        Stored::I32 => (Physical::INT32, None),
        Stored::Text(_) => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        Stored::F32Array(_) => {
            let element = field("element", Stored::F32)?;
            let list = Type::group_type_builder("list")
                .with_repetition(Repetition::REPEATED)
                .with_fields(vec![element])
                .build()?;
            let column = Type::group_type_builder(name)
                .with_repetition(Repetition::REQUIRED)
                .with_logical_type(Some(LogicalType::List))
                .with_fields(vec![Arc::new(list)])
                .build()?;
            return Ok(Arc::new(column));
        }
    };
    let column = Type::primitive_type_builder(name, physical)
        .with_repetition(Repetition::REQUIRED)
        .with_logical_type(logical)
        .build()?;
    Ok(Arc::new(column))
}

/// What the table says of itself.
fn metadata(layout: &Layout<'_>) -> Vec<KeyValue> {
    let head = layout.head;
    let columns = head.columns.iter().map(|column| {
        json!({
            "name": column.name,
            "unit": column.unit,
            "ucd": column.ucd,
            "description": column.description,
        })
    });
    let ours = json!({
        "name": head.name,
        "description": head.description,
        "columns": columns.collect::<Vec<_>>(),
        "keywords": head.keywords,
        "provenance": head.provenance,
    });
    [
        (KEY, ours.to_string()),
        ("IVOA.VOTable-Parquet.version", "1.0".to_owned()),
        (
            "IVOA.VOTable-Parquet.content",
            votable::without_rows(layout),
        ),
    ]
    .map(|(key, value)| KeyValue::new(key.to_owned(), value))
    .into()
}
