//! One Parquet file: its columns, and rows of them in any order.

use std::path::{Path, PathBuf};

use parquet::errors::ParquetError;
use parquet::file::reader::FileReader;

use super::column::{Cursor, Levels, RowGroups};
use super::schema::{Leaf, Schema};
use crate::base::error::{Error, Result};
use crate::files::container::parquet_file::{self, Value, unreadable};

/// A Parquet file. Rows are fast in their order; a row anywhere costs a look at those before it in its row group.
pub(super) struct Shard {
    pub path: PathBuf,
    pub schema: Schema,
    pub groups: RowGroups,
}

impl Shard {
    /// Reads what the file says of its columns.
    ///
    /// # Errors
    /// Where the file is damaged.
    pub fn open(path: &Path) -> Result<Self> {
        let reader = parquet_file::open(path)?;
        let metadata = reader.metadata();
        Ok(Self {
            path: path.to_owned(),
            schema: Schema::of(metadata.file_metadata().schema_descr()),
            groups: RowGroups::new(metadata.clone()),
        })
    }

    /// An error about this file.
    pub fn error(&self, message: impl std::fmt::Display) -> Error {
        Error::input(message).in_file(&self.path)
    }

    /// The leaf that an option names: a column, or a struct's member such as `spectrum.flux`.
    ///
    /// # Errors
    /// Where there is none of this name.
    pub fn named(&self, flag: &str, name: &str) -> Result<&Leaf> {
        let mut leaves = self.schema.leaves().iter();
        leaves.find(|leaf| leaf.name() == name).ok_or_else(|| {
            self.error(format!(
                "no column `{name}`, which {flag} names; it holds {}",
                self.schema.listed()
            ))
        })
    }

    /// Hands `take(position, row, levels, values)` each `(position, row)` in the order of rows; what it finds wrong is an
    /// error about that row.
    ///
    /// # Errors
    /// Where a row cannot be read, or `take` refuses it.
    pub fn for_rows(
        &self,
        leaf: &Leaf,
        wanted: &[(usize, usize)],
        take: impl FnMut(usize, usize, &Levels, &[f32]) -> Result<(), String>,
    ) -> Result<()> {
        self.each_row(leaf, wanted, Cursor::read, take)
    }

    /// As [`Shard::for_rows`], in double precision.
    ///
    /// # Errors
    /// As [`Shard::for_rows`].
    pub fn for_rows_exact(
        &self,
        leaf: &Leaf,
        wanted: &[(usize, usize)],
        take: impl FnMut(usize, usize, &Levels, &[f64]) -> Result<(), String>,
    ) -> Result<()> {
        self.each_row(leaf, wanted, Cursor::read_exact, take)
    }

    fn each_row<T>(
        &self,
        leaf: &Leaf,
        wanted: &[(usize, usize)],
        read: fn(&mut Cursor, &Leaf, &mut Levels, &mut Vec<T>) -> Result<(), ParquetError>,
        mut take: impl FnMut(usize, usize, &Levels, &[T]) -> Result<(), String>,
    ) -> Result<()> {
        let failed = |source| unreadable(&self.path, source);
        let mut wanted = wanted.to_vec();
        wanted.sort_unstable_by_key(|&(_, row)| row);
        let (mut levels, mut values) = (Levels::default(), Vec::new());
        let mut last = None;
        let mut cursor: Option<Cursor> = None;
        for (position, row) in wanted {
            if last != Some(row) {
                let mut here = match cursor.take() {
                    Some(here) => self.groups.forward(&self.path, leaf, here, row),
                    None => self.groups.cursor(&self.path, leaf, row),
                }
                .map_err(failed)?;
                read(&mut here, leaf, &mut levels, &mut values).map_err(failed)?;
                cursor = Some(here);
                last = Some(row);
            }
            take(position, row, &levels, &values).map_err(|message| {
                Error::input(message)
                    .about(format!("column `{}` row {row}", leaf.name()))
                    .in_file(&self.path)
            })?;
        }
        if let Some(cursor) = cursor {
            self.groups.keep(leaf, cursor);
        }
        Ok(())
    }

    /// Hands `take` every value of a leaf in turn with whether it is the first of its row; `None` where one is missing.
    ///
    /// # Errors
    /// Where the column cannot be read.
    pub fn scan(&self, leaf: &Leaf, take: impl FnMut(bool, Option<Value<'_>>)) -> Result<()> {
        let scanned = self.groups.scan(&self.path, leaf, take);
        scanned.map_err(|source| unreadable(&self.path, source))
    }
}
