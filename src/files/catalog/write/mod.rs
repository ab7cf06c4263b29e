//! Tables in files of the format that their name asks for, block by block: memory does not grow with the rows.

mod csv;
mod hdf5;
mod head;
mod stored;
mod unfinished;

use std::path::{Path, PathBuf};

use self::csv::CsvWriter;
use self::hdf5::Hdf5Writer;
use super::table::{self, Table};
use crate::base::error::{Error, Result};
use crate::base::output::PartialFile;
use crate::files::container::{Container, hdf5_file};
pub use head::{Cells, ColumnHead, ColumnKind, Keyword, TableHead};
use stored::{Longest, Stored, Values};
pub use unfinished::{TablePlan, UnfinishedTable};

/// Rows of a table in memory that are written at once.
const BLOCK: usize = 1 << 12;

/// How a table is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputFormat {
    /// Text with commas; unknown numbers are empty cells.
    Csv,
    /// HDF5: a group `catalog` with one dataset per column.
    Hdf5,
}

impl OutputFormat {
    /// The format that a file's name asks for.
    ///
    /// # Errors
    /// For a name that ends in neither `.csv` nor `.h5`, `.hdf5`.
    pub fn of(path: &Path) -> Result<Self> {
        let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
        match extension.to_str() {
            Some("csv") => Ok(Self::Csv),
            Some("h5" | "hdf5") => Ok(Self::Hdf5),
            _ => Err(Error::input(
                "the name must end in .csv, .h5 or .hdf5, which says how the table is written",
            )
            .in_file(path)),
        }
    }

    /// Whether a file is a table of this format.
    pub fn is_of(self, path: &Path) -> bool {
        match (self, Container::of(path)) {
            (Self::Csv, Ok(Container::Text)) => true,
            (Self::Hdf5, Ok(Container::Hdf5)) => hdf5_file::open(path)
                .is_ok_and(|file| hdf5_file::member_names(&file) == [hdf5::GROUP]),
            _ => false,
        }
    }

    /// Finds out whether the columns can be called so in a file of this format.
    fn check(self, head: &TableHead) -> Result<()> {
        let mut columns = head.columns.iter();
        match self {
            Self::Csv => Ok(()),
            Self::Hdf5 => match columns.find(|column| column.name.contains('/')) {
                Some(column) => Err(Error::input(format!(
                    "column `{}` cannot be named so in HDF5; write a .csv, or rename it",
                    column.name
                ))),
                None => Ok(()),
            },
        }
    }
}

/// What a file is to hold.
#[derive(Debug, Clone)]
struct Layout<'a> {
    head: &'a TableHead,
    /// The types of the columns.
    stored: Vec<Stored>,
    rows: usize,
}

impl Layout<'_> {
    fn columns(&self) -> impl Iterator<Item = (&ColumnHead, Stored)> {
        self.head.columns.iter().zip(self.stored.iter().copied())
    }
}

/// A table on its way into a file, whole or not at all.
struct TableWriter {
    // Declared before `partial`: a library lets go of the file before the file is removed.
    writer: Writer,
    partial: PartialFile,
    path: PathBuf,
    /// Rows that are still to come.
    missing: usize,
}

enum Writer {
    Csv(CsvWriter),
    Hdf5(Hdf5Writer),
}

impl TableWriter {
    /// Starts a file that will be `path`.
    ///
    /// # Errors
    /// Where the folder does not exist, the disk refuses, or a column cannot be named so in the format.
    fn create(path: &Path, layout: &Layout<'_>) -> Result<Self> {
        let format = OutputFormat::of(path)?;
        format
            .check(layout.head)
            .map_err(|error| error.in_file(path))?;
        let partial = PartialFile::beside(path)?;
        let place = partial.path();
        let writer = match format {
            OutputFormat::Csv => CsvWriter::create(place, layout)
                .map(Writer::Csv)
                .map_err(|source| Error::writing(path, source)),
            OutputFormat::Hdf5 => Hdf5Writer::create(place, layout)
                .map(Writer::Hdf5)
                .map_err(|source| Error::writing(path, source)),
        }?;
        Ok(Self {
            writer,
            partial,
            path: path.to_owned(),
            missing: layout.rows,
        })
    }

    /// Appends so many rows, of all columns.
    fn append(&mut self, rows: usize, columns: &[Values<'_>]) -> Result<()> {
        self.missing -= rows;
        match &mut self.writer {
            Writer::Csv(writer) => writer
                .append(rows, columns)
                .map_err(|source| Error::writing(&self.path, source)),
            Writer::Hdf5(writer) => writer
                .append(rows, columns)
                .map_err(|source| Error::writing(&self.path, source)),
        }
    }

    fn finish(self) -> Result<()> {
        assert_eq!(self.missing, 0, "all rows that were announced");
        match self.writer {
            Writer::Csv(writer) => writer
                .finish()
                .map_err(|source| Error::writing(&self.path, source)),
            Writer::Hdf5(writer) => writer
                .finish()
                .map_err(|source| Error::writing(&self.path, source)),
        }?;
        self.partial.finish()
    }
}

/// Writes a table, whole or not at all, in the format that its name asks for.
///
/// # Errors
/// Where the folder does not exist, the disk refuses, or a column cannot be named so in the format.
pub fn write_table(table: &Table, path: &Path) -> Result<()> {
    let columns = table.columns().iter();
    let kind = |values: &table::Values| match values {
        table::Values::Integers(_) => (ColumnKind::Id, Stored::I64),
        table::Values::Unsigned(_) => (ColumnKind::Id, Stored::U64),
        table::Values::Floats(_) => (ColumnKind::F64, Stored::F64),
        table::Values::Texts(texts) => (ColumnKind::Text, Stored::Text(Longest::of(texts))),
    };
    let (columns, stored): (Vec<_>, Vec<_>) = columns
        .map(|column| {
            let (kind, stored) = kind(&column.values);
            (ColumnHead::plain(column.name.clone(), kind), stored)
        })
        .unzip();
    let head = TableHead {
        name: "catalog".to_owned(),
        description: String::new(),
        columns,
        keywords: Vec::new(),
        provenance: serde_json::Value::Null,
    };
    let layout = Layout {
        head: &head,
        stored,
        rows: table.rows(),
    };
    let mut writer = TableWriter::create(path, &layout)?;
    for start in (0..table.rows()).step_by(BLOCK) {
        let rows = start..table.rows().min(start + BLOCK);
        let columns = table.columns().iter();
        let block = columns.map(|column| match &column.values {
            table::Values::Integers(values) => Values::I64(values[rows.clone()].into()),
            table::Values::Unsigned(values) => Values::U64(values[rows.clone()].into()),
            table::Values::Floats(values) => Values::F64(&values[rows.clone()]),
            table::Values::Texts(values) => Values::Texts(values[rows.clone()].into()),
        });
        let block: Vec<Values<'_>> = block.collect();
        writer.append(rows.len(), &block)?;
    }
    writer.finish()
}
