//! Tables in files of the format that their name asks for, block by block: memory does not grow with the rows.

mod csv;
mod fits;
mod fits_header;
mod format;
mod hdf5;
mod head;
mod parquet;
mod stored;
#[cfg(test)]
mod tests;
mod unfinished;
mod votable;

use std::io;
use std::path::{Path, PathBuf};

use ::hdf5 as libhdf5;
use ::parquet::errors::ParquetError;

use self::csv::CsvWriter;
use self::hdf5::Hdf5Writer;
use super::table::{self, Column, Table};
use crate::base::error::{Error, Result};
use crate::base::output::PartialFile;
use fits::FitsWriter;
pub use format::OutputFormat;
pub use head::{Cells, ColumnHead, ColumnKind, Keyword, TableHead};
use parquet::ParquetWriter;
use stored::{Longest, Stored, Values};
pub use unfinished::{TablePlan, UnfinishedTable};
use votable::VoTableWriter;

/// Rows of a table in memory that are written at once.
const BLOCK: usize = 1 << 12;
/// What FITS and VOTable call the program that wrote a file.
const CREATOR: &str = "CREATOR";

/// This program.
fn creator() -> String {
    format!("astroclip {}", env!("CARGO_PKG_VERSION"))
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

    /// Whether there are positions on the sky, which are those of ICRS.
    fn has_positions(&self) -> bool {
        self.head.columns.iter().any(ColumnHead::is_position)
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
    Csv(Box<CsvWriter>),
    Hdf5(Hdf5Writer),
    Fits(FitsWriter),
    Parquet(Box<ParquetWriter>),
    VoTable(VoTableWriter),
}

/// Why a library cannot go on.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    Csv(#[from] ::csv::Error),
    #[error("{0}")]
    Hdf5(#[from] libhdf5::Error),
    #[error("{0}")]
    Parquet(#[from] ParquetError),
    #[error("{0}")]
    System(#[from] io::Error),
}

impl Writer {
    fn create(format: OutputFormat, path: &Path, layout: &Layout<'_>) -> Result<Self, Failure> {
        Ok(match format {
            OutputFormat::Csv => Self::Csv(CsvWriter::create(path, layout)?.into()),
            OutputFormat::Hdf5 => Self::Hdf5(Hdf5Writer::create(path, layout)?),
            OutputFormat::Fits => Self::Fits(FitsWriter::create(path, layout)?),
            OutputFormat::Parquet => Self::Parquet(ParquetWriter::create(path, layout)?.into()),
            OutputFormat::VoTable => Self::VoTable(VoTableWriter::create(path, layout)?),
        })
    }

    fn append(&mut self, rows: usize, columns: &[Values<'_>]) -> Result<(), Failure> {
        match self {
            Self::Csv(writer) => writer.append(rows, columns)?,
            Self::Hdf5(writer) => writer.append(rows, columns)?,
            Self::Fits(writer) => writer.append(rows, columns)?,
            Self::Parquet(writer) => writer.append(rows, columns)?,
            Self::VoTable(writer) => writer.append(rows, columns)?,
        }
        Ok(())
    }

    fn finish(self) -> Result<(), Failure> {
        match self {
            Self::Csv(writer) => writer.finish()?,
            Self::Hdf5(writer) => writer.finish()?,
            Self::Fits(writer) => writer.finish()?,
            Self::Parquet(writer) => writer.finish()?,
            Self::VoTable(writer) => writer.finish()?,
        }
        Ok(())
    }
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
        if format == OutputFormat::Fits {
            warn_of_letters(path, layout);
        }
        let partial = PartialFile::beside(path)?;
        let writer = Writer::create(format, partial.path(), layout);
        Ok(Self {
            writer: writer.map_err(|source| Error::writing(path, source))?,
            partial,
            path: path.to_owned(),
            missing: layout.rows,
        })
    }

    /// Appends so many rows, of all columns.
    fn append(&mut self, rows: usize, columns: &[Values<'_>]) -> Result<()> {
        self.missing -= rows;
        let written = self.writer.append(rows, columns);
        written.map_err(|source| Error::writing(&self.path, source))
    }

    fn finish(self) -> Result<()> {
        assert_eq!(self.missing, 0, "all rows that were announced");
        let written = self.writer.finish();
        written.map_err(|source| Error::writing(&self.path, source))?;
        self.partial.finish()
    }
}

/// Says which texts are no FITS to the letter: it has ASCII alone.
fn warn_of_letters(path: &Path, layout: &Layout<'_>) {
    let columns = layout
        .columns()
        .filter_map(|(column, stored)| match stored {
            Stored::Text(longest) if !longest.is_ascii => Some(column.name.as_str()),
            _ => None,
        });
    let columns: Vec<&str> = columns.collect();
    if !columns.is_empty() {
        tracing::warn!(
            "{}: texts in the columns {} are not ASCII, which is all that FITS allows; they are written in UTF-8, which \
             some programs show as other letters. The other formats hold them",
            path.display(),
            columns.join(", ")
        );
    }
}

/// Writes a table, whole or not at all, in the format that its name asks for. Of what `head` says, its columns tell of
/// those of the table that are called so; their kinds are those of the table.
///
/// # Errors
/// Where the folder does not exist, the disk refuses, or a column cannot be named so in the format.
pub fn write_table(table: &Table, head: TableHead, path: &Path) -> Result<()> {
    write_columns(table.columns(), head, path)
}

/// As [`write_table`], of columns that are equally long and differ in name; there may be no row.
///
/// # Errors
/// As there.
pub fn write_columns(columns: &[Column], head: TableHead, path: &Path) -> Result<()> {
    let rows = columns.first().map_or(0, |column| column.values.len());
    let stored = |values: &table::Values| match values {
        table::Values::Integers(_) => (ColumnKind::Id, Stored::I64),
        table::Values::Unsigned(_) => (ColumnKind::Id, Stored::U64),
        table::Values::Floats(_) => (ColumnKind::F64, Stored::F64),
        table::Values::Texts(texts) => (ColumnKind::Text, Stored::Text(Longest::of(texts))),
    };
    let (heads, stored) = (columns.iter())
        .map(|column| {
            let (kind, stored) = stored(&column.values);
            let mut told = head.columns.iter();
            let told = told.find(|told| told.name == column.name).cloned();
            let told = told.unwrap_or_else(|| ColumnHead::plain(column.name.clone(), kind));
            (ColumnHead { kind, ..told }, stored)
        })
        .unzip();
    let head = TableHead {
        columns: heads,
        ..head
    };
    let layout = Layout {
        head: &head,
        stored,
        rows,
    };
    let mut writer = TableWriter::create(path, &layout)?;
    for start in (0..rows).step_by(BLOCK) {
        let rows = start..rows.min(start + BLOCK);
        let block = columns.iter().map(|column| match &column.values {
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
