//! Columns of a shard: a reader for each that stays where it stopped.

use std::sync::{Mutex, PoisonError};

use parquet::column::reader::ColumnReader;
use parquet::errors::ParquetError;

/// Readers kept where they stopped, for each column: rows that follow need no second look at those before.
const CURSORS: usize = 8;

/// A column of nested lists of one shape.
pub(super) struct Nested {
    pub(super) leaf: usize,
    pub(super) name: String,
    pub(super) shape: Vec<usize>,
    pub(super) cursors: Mutex<Vec<Cursor>>,
}

/// A column reader of a row group, and the next row that it gives.
pub(super) struct Cursor {
    pub(super) group: usize,
    pub(super) next: usize,
    pub(super) reader: ColumnReader,
}

impl Nested {
    /// The cursor nearest before `row`, taken out of those kept.
    pub(super) fn take_cursor(&self, group: usize, row: usize) -> Option<Cursor> {
        let mut cursors = self.cursors.lock().unwrap_or_else(PoisonError::into_inner);
        let nearest = cursors
            .iter()
            .enumerate()
            .filter(|(_, cursor)| cursor.group == group && cursor.next <= row)
            .max_by_key(|(_, cursor)| cursor.next)
            .map(|(index, _)| index)?;
        Some(cursors.remove(nearest))
    }

    pub(super) fn keep_cursor(&self, cursor: Cursor) {
        let mut cursors = self.cursors.lock().unwrap_or_else(PoisonError::into_inner);
        cursors.push(cursor);
        if cursors.len() > CURSORS {
            cursors.remove(0);
        }
    }
}

/// The values of a column without lists.
pub(super) enum Numbers {
    Integers(Vec<i64>),
    Floats(Vec<f64>),
}

impl Numbers {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Integers(values) => values.len(),
            Self::Floats(values) => values.len(),
        }
    }

    pub(super) fn floats(self) -> Box<dyn Iterator<Item = f64>> {
        match self {
            Self::Integers(values) => Box::new(values.into_iter().map(|value| value as f64)),
            Self::Floats(values) => Box::new(values.into_iter()),
        }
    }
}

impl Cursor {
    /// Moves on to `row`.
    pub(super) fn skip(&mut self, row: usize) -> Result<(), ParquetError> {
        let count = row - self.next;
        match &mut self.reader {
            ColumnReader::FloatColumnReader(reader) => reader.skip_records(count)?,
            ColumnReader::DoubleColumnReader(reader) => reader.skip_records(count)?,
            _ => return Err(ParquetError::General("not floating point".into())),
        };
        self.next = row;
        Ok(())
    }

    /// The values of one row, and where their lists begin.
    pub(super) fn read(
        &mut self,
        repetition: Option<&mut Vec<i16>>,
    ) -> Result<Vec<f32>, ParquetError> {
        self.next += 1;
        let mut unused = (Vec::new(), Vec::new());
        let repetition = repetition.unwrap_or(&mut unused.0);
        let definition = &mut unused.1;
        match &mut self.reader {
            ColumnReader::FloatColumnReader(reader) => {
                let mut values = Vec::new();
                reader.read_records(1, Some(definition), Some(repetition), &mut values)?;
                Ok(values)
            }
            ColumnReader::DoubleColumnReader(reader) => {
                let mut values: Vec<f64> = Vec::new();
                reader.read_records(1, Some(definition), Some(repetition), &mut values)?;
                Ok(values.into_iter().map(|value| value as f32).collect())
            }
            _ => Err(ParquetError::General("not floating point".into())),
        }
    }

    /// All values of a column without lists; unknown ones are −1 or NaN.
    pub(super) fn numbers(&mut self, rows: usize) -> Result<Numbers, ParquetError> {
        macro_rules! all {
            ($reader:expr, $unknown:expr, $convert:expr) => {{
                let (mut definition, mut values) = (Vec::new(), Vec::new());
                $reader.read_records(rows, Some(&mut definition), None, &mut values)?;
                let most = definition.iter().copied().max().unwrap_or(0);
                let mut values = values.into_iter().map($convert);
                match definition.is_empty() {
                    true => values.collect(),
                    false => definition
                        .iter()
                        .map(|&level| match level == most {
                            true => values.next().unwrap_or($unknown),
                            false => $unknown,
                        })
                        .collect(),
                }
            }};
        }
        Ok(match &mut self.reader {
            ColumnReader::Int32ColumnReader(reader) => {
                Numbers::Integers(all!(reader, -1, i64::from))
            }
            ColumnReader::Int64ColumnReader(reader) => {
                Numbers::Integers(all!(reader, -1, |value| value))
            }
            ColumnReader::FloatColumnReader(reader) => {
                Numbers::Floats(all!(reader, f64::NAN, f64::from))
            }
            ColumnReader::DoubleColumnReader(reader) => {
                Numbers::Floats(all!(reader, f64::NAN, |value| value))
            }
            _ => return Err(ParquetError::General("not a column of numbers".into())),
        })
    }
}
