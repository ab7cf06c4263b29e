//! Rows of a leaf column, and the readers of it, which stay where they stopped.

use std::collections::VecDeque;
use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use parquet::column::reader::{ColumnReader, get_column_reader};
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::SerializedPageReader;

use super::schema::Leaf;
use crate::files::container::parquet_file::{Value, decode, half, scan, unknown_type};

/// Readers that the program keeps, of all columns of all files: each holds an open file and a page or two.
const KEPT: usize = 128;

static CURSORS: Mutex<VecDeque<Kept>> = Mutex::new(VecDeque::new());

/// Tells files apart among the kept readers.
static FILES: AtomicU64 = AtomicU64::new(0);

struct Kept {
    file: u64,
    leaf: usize,
    cursor: Cursor,
}

fn kept() -> MutexGuard<'static, VecDeque<Kept>> {
    CURSORS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The row groups of a file, and the readers of its columns that were kept. No file stays open but those of readers.
pub(super) struct RowGroups {
    id: u64,
    metadata: ParquetMetaData,
    /// First row of each row group, and the number of all rows.
    starts: Vec<usize>,
}

/// A column reader of a row group, and the next row that it gives.
pub(super) struct Cursor {
    group: usize,
    next: usize,
    reader: ColumnReader,
}

/// Where the lists of one row begin, and where values are missing.
#[derive(Default)]
pub(super) struct Levels {
    pub repetition: Vec<i16>,
    definition: Vec<i16>,
}

impl RowGroups {
    pub fn new(metadata: ParquetMetaData) -> Self {
        let mut starts = vec![0];
        for group in metadata.row_groups() {
            let rows = usize::try_from(group.num_rows()).unwrap_or(0);
            starts.push(starts[starts.len() - 1] + rows);
        }
        Self {
            id: FILES.fetch_add(1, Ordering::Relaxed),
            metadata,
            starts,
        }
    }

    pub fn rows(&self) -> usize {
        self.starts[self.starts.len() - 1]
    }

    /// Values of a leaf in all rows, those that are missing included.
    pub fn values(&self, leaf: &Leaf) -> u64 {
        let groups = self.metadata.row_groups().iter();
        let values = groups.map(|group| group.column(leaf.index).num_values());
        values
            .map(|values| u64::try_from(values).unwrap_or(0))
            .sum()
    }

    /// Bytes that a leaf takes in the file.
    pub fn bytes(&self, leaf: &Leaf) -> i64 {
        let groups = self.metadata.row_groups().iter();
        groups
            .map(|group| group.column(leaf.index).compressed_size())
            .sum()
    }

    /// A reader of `leaf` that stands at `row`: the nearest before it of those that were kept, or a new one.
    pub fn cursor(&self, path: &Path, leaf: &Leaf, row: usize) -> Result<Cursor, ParquetError> {
        let group = self.starts.partition_point(|&start| start <= row) - 1;
        let mut cursor = match self.take(leaf, group, row) {
            Some(cursor) => cursor,
            None => self.new_cursor(path, leaf, group)?,
        };
        cursor.skip(row)?;
        Ok(cursor)
    }

    /// Takes a reader on to a later row, or exchanges it for another where that is in another row group.
    pub fn forward(
        &self,
        path: &Path,
        leaf: &Leaf,
        mut cursor: Cursor,
        row: usize,
    ) -> Result<Cursor, ParquetError> {
        if row < self.starts[cursor.group + 1] {
            cursor.skip(row)?;
            return Ok(cursor);
        }
        self.keep(leaf, cursor);
        self.cursor(path, leaf, row)
    }

    fn take(&self, leaf: &Leaf, group: usize, row: usize) -> Option<Cursor> {
        let mut kept = kept();
        let fits = |known: &Kept| {
            (known.file, known.leaf, known.cursor.group) == (self.id, leaf.index, group)
                && known.cursor.next <= row
        };
        let nearest = kept
            .iter()
            .enumerate()
            .filter(|(_, known)| fits(known))
            .max_by_key(|(_, known)| known.cursor.next)
            .map(|(index, _)| index)?;
        kept.remove(nearest).map(|known| known.cursor)
    }

    fn new_cursor(&self, path: &Path, leaf: &Leaf, group: usize) -> Result<Cursor, ParquetError> {
        let row_group = self.metadata.row_group(group);
        let file = Arc::new(File::open(path)?);
        let rows = self.starts[group + 1] - self.starts[group];
        let column = row_group.column(leaf.index);
        Ok(Cursor {
            group,
            next: self.starts[group],
            reader: decode(|| {
                let pages = SerializedPageReader::new(file, column, rows, None)?;
                Ok(get_column_reader(leaf.descriptor.clone(), Box::new(pages)))
            })?,
        })
    }

    /// Keeps a reader for the rows that follow.
    pub fn keep(&self, leaf: &Leaf, cursor: Cursor) {
        if cursor.next >= self.starts[cursor.group + 1] {
            return;
        }
        let mut kept = kept();
        if kept.len() >= KEPT {
            kept.pop_front();
        }
        kept.push_back(Kept {
            file: self.id,
            leaf: leaf.index,
            cursor,
        });
    }

    /// Hands `take` every value of a leaf in turn with whether it is the first of its row; `None` where one is missing.
    pub fn scan(
        &self,
        path: &Path,
        leaf: &Leaf,
        mut take: impl FnMut(bool, Option<Value<'_>>),
    ) -> Result<(), ParquetError> {
        for group in 0..self.starts.len() - 1 {
            let mut cursor = self.new_cursor(path, leaf, group)?;
            scan(&mut cursor.reader, &leaf.descriptor, |starts, value| {
                take(starts, value);
                Ok(())
            })?;
        }
        Ok(())
    }
}

impl Drop for RowGroups {
    fn drop(&mut self) {
        kept().retain(|known| known.file != self.id);
    }
}

impl Cursor {
    /// Moves on to `row`.
    fn skip(&mut self, row: usize) -> Result<(), ParquetError> {
        let count = row - self.next;
        if count > 0 {
            decode(|| match &mut self.reader {
                ColumnReader::BoolColumnReader(reader) => reader.skip_records(count),
                ColumnReader::Int32ColumnReader(reader) => reader.skip_records(count),
                ColumnReader::Int64ColumnReader(reader) => reader.skip_records(count),
                ColumnReader::FloatColumnReader(reader) => reader.skip_records(count),
                ColumnReader::DoubleColumnReader(reader) => reader.skip_records(count),
                ColumnReader::FixedLenByteArrayColumnReader(reader) => reader.skip_records(count),
                _ => Err(unknown_type()),
            })?;
        }
        self.next = row;
        Ok(())
    }

    /// Reads the values of one row in place of `values`, NaN where one is missing; none where the row is null or empty.
    pub fn read(
        &mut self,
        leaf: &Leaf,
        levels: &mut Levels,
        values: &mut Vec<f32>,
    ) -> Result<(), ParquetError> {
        match &mut self.reader {
            // Without a second buffer: these are most of all values.
            ColumnReader::FloatColumnReader(reader) => {
                levels.clear();
                values.clear();
                let Levels {
                    repetition,
                    definition,
                } = levels;
                decode(|| reader.read_records(1, Some(definition), Some(repetition), values))?;
                self.next += 1;
                levels.settle(leaf, values, f32::NAN);
                Ok(())
            }
            _ => self.read_as(leaf, levels, values, f32::NAN, |value| value as f32),
        }
    }

    /// As [`Cursor::read`], in double precision; logical values are 0 and 1.
    pub fn read_exact(
        &mut self,
        leaf: &Leaf,
        levels: &mut Levels,
        values: &mut Vec<f64>,
    ) -> Result<(), ParquetError> {
        self.read_as(leaf, levels, values, f64::NAN, |value| value)
    }

    fn read_as<T: Copy>(
        &mut self,
        leaf: &Leaf,
        levels: &mut Levels,
        values: &mut Vec<T>,
        missing: T,
        convert: impl Fn(f64) -> T,
    ) -> Result<(), ParquetError> {
        levels.clear();
        values.clear();
        let Levels {
            repetition,
            definition,
        } = levels;
        macro_rules! record {
            ($reader:expr, $to_f64:expr) => {{
                let mut found = Vec::new();
                decode(|| $reader.read_records(1, Some(definition), Some(repetition), &mut found))?;
                values.extend(found.iter().map($to_f64).map(&convert));
            }};
        }
        match &mut self.reader {
            ColumnReader::FloatColumnReader(reader) => record!(reader, |&value| f64::from(value)),
            ColumnReader::DoubleColumnReader(reader) => record!(reader, |&value| value),
            ColumnReader::FixedLenByteArrayColumnReader(reader) => {
                record!(reader, |value| f64::from(half(value)));
            }
            ColumnReader::BoolColumnReader(reader) => {
                record!(reader, |&value| f64::from(u8::from(value)));
            }
            ColumnReader::Int32ColumnReader(reader) => record!(reader, |&value| f64::from(value)),
            ColumnReader::Int64ColumnReader(reader) => record!(reader, |&value| value as f64),
            _ => return Err(unknown_type()),
        }
        self.next += 1;
        levels.settle(leaf, values, missing);
        Ok(())
    }
}

impl Levels {
    /// The elements of a row that are null.
    pub fn missing(&self, leaf: &Leaf) -> impl Iterator<Item = usize> {
        let known = leaf.descriptor.max_def_level();
        let element = leaf.descriptor.repeated_ancestor_def_level();
        let elements = self
            .definition
            .iter()
            .filter(move |&&level| level >= element);
        let places = elements.enumerate();
        places.filter_map(move |(place, &level)| (level < known).then_some(place))
    }

    fn clear(&mut self) {
        self.repetition.clear();
        self.definition.clear();
    }

    /// Puts `missing` between the values of a row, at the places of elements that are null.
    fn settle<T: Copy>(&self, leaf: &Leaf, values: &mut Vec<T>, missing: T) {
        if values.len() == self.definition.len() || self.definition.is_empty() {
            return;
        }
        let known = leaf.descriptor.max_def_level();
        // Below it there is no element: the list is null or empty.
        let element = leaf.descriptor.repeated_ancestor_def_level();
        let mut found = std::mem::take(values).into_iter();
        for &level in self.definition.iter().filter(|&&level| level >= element) {
            let value = if level == known { found.next() } else { None };
            values.push(value.unwrap_or(missing));
        }
    }
}
