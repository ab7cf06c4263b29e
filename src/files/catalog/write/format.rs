//! Which format a table is written in, and which files are tables that we wrote.

use std::collections::HashSet;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use ::parquet::file::reader::FileReader;

use super::head::{ColumnHead, ColumnKind, TableHead};
use super::{CREATOR, creator, fits, fits_header, hdf5, parquet};
use crate::base::error::{Error, Result};
use crate::files::container::fits::{FitsFile, HduKind};
use crate::files::container::{Container, hdf5_file, parquet_file};

/// How a table is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputFormat {
    /// Text with commas; unknown numbers are empty cells.
    Csv,
    /// HDF5: a group `catalog` with one dataset per column.
    Hdf5,
    /// FITS: a binary table.
    Fits,
    /// Parquet.
    Parquet,
    /// VOTable, the XML of the Virtual Observatory.
    VoTable,
}

impl OutputFormat {
    /// How the names of tables may end, for messages and help.
    pub const ENDINGS: &'static str = ".fits, .parquet, .vot, .h5 or .csv";

    /// The format that a file's name asks for.
    ///
    /// # Errors
    /// For a name that ends in none of [`ENDINGS`](Self::ENDINGS) or their longer forms.
    pub fn of(path: &Path) -> Result<Self> {
        let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
        match extension.to_str() {
            Some("csv") => Ok(Self::Csv),
            Some("h5" | "hdf5") => Ok(Self::Hdf5),
            Some("fits" | "fit") => Ok(Self::Fits),
            Some("parquet" | "pq") => Ok(Self::Parquet),
            Some("vot" | "votable" | "xml") => Ok(Self::VoTable),
            _ => Err(Error::input(format!(
                "the name must end in {}, which says how the table is written",
                Self::ENDINGS
            ))
            .in_file(path)),
        }
    }

    /// Whether a file is a table of this format, and nothing that we did not write.
    pub fn is_of(self, path: &Path) -> bool {
        match (self, Container::of(path)) {
            (Self::Csv, Ok(Container::Text)) => !is_votable(path),
            (Self::VoTable, Ok(Container::Text)) => is_votable(path),
            (Self::Hdf5, Ok(Container::Hdf5)) => hdf5_file::open(path)
                .is_ok_and(|file| hdf5_file::member_names(&file) == [hdf5::GROUP]),
            (Self::Fits, Ok(Container::Fits)) => FitsFile::open(path).is_ok_and(|file| {
                let kinds = file.hdus().iter().map(|hdu| hdu.kind);
                let is_ours = file.hdus()[0].text(CREATOR).is_some_and(names_us);
                is_ours && kinds.eq([HduKind::Image, HduKind::Table])
            }),
            (Self::Parquet, Ok(Container::Parquet)) => {
                let is_ours = |file: &dyn FileReader| {
                    let metadata = file.metadata().file_metadata();
                    let mut known = metadata.key_value_metadata().into_iter().flatten();
                    known.any(|pair| pair.key == parquet::KEY)
                };
                parquet_file::open(path).is_ok_and(|file| is_ours(&file))
            }
            _ => false,
        }
    }

    /// Finds out whether the columns can be in a file of this format.
    pub(super) fn check(self, head: &TableHead) -> Result<()> {
        let columns = head.columns.as_slice();
        check_names(head)?;
        let (format, is_name): (_, fn(&str) -> bool) = match self {
            Self::Csv | Self::Parquet | Self::VoTable => return Ok(()),
            Self::Hdf5 => ("HDF5", |name| !name.contains(['/', '\0']) && name != "."),
            Self::Fits => ("FITS", |name| fits_header::printable(name) == name),
        };
        if let Some(column) = columns.iter().find(|column| !is_name(&column.name)) {
            return Err(Error::input(format!(
                "column `{}` cannot be named so in {format}; write a .csv, or rename it",
                column.name
            )));
        }
        match self {
            Self::Fits if columns.len() > fits::MOST_COLUMNS => Err(Error::input(format!(
                "{} columns are more than the {} of FITS; write a .parquet",
                columns.len(),
                fits::MOST_COLUMNS
            ))),
            _ => Ok(()),
        }
    }
}

/// Finds out whether a table can be described so in any format; that it cannot is a mistake of the program.
fn check_names(head: &TableHead) -> Result<()> {
    /// What a card of FITS has room for beside a number.
    const LONGEST_KEY: usize = 40;
    let is_empty = |column: &&ColumnHead| column.kind == ColumnKind::F32Array(0);
    if let Some(column) = head.columns.iter().find(is_empty) {
        let name = &column.name;
        return Err(Error::run(format!(
            "column `{name}` holds arrays of no number"
        )));
    }
    let mut names = HashSet::new();
    let mut columns = head.columns.iter();
    if let Some(column) = columns.find(|column| !names.insert(&column.name)) {
        let name = &column.name;
        return Err(Error::run(format!("two columns are called `{name}`")));
    }
    let mut keys = HashSet::from(["name", "description", "provenance"]);
    let is_key = |key: &str| key.len() <= LONGEST_KEY && fits_header::printable(key) == key;
    match (head.keywords.iter()).find(|keyword| !is_key(&keyword.key) || !keys.insert(&keyword.key))
    {
        Some(keyword) => Err(Error::run(format!(
            "a keyword cannot be called `{}`",
            keyword.key
        ))),
        None => Ok(()),
    }
}

/// Whether what a file says of its creator names us, in whatever version.
fn names_us(says: &str) -> bool {
    says.split(' ').next() == creator().split(' ').next()
}

/// Whether a file of text begins as our VOTables do.
fn is_votable(path: &Path) -> bool {
    const SAMPLE: u64 = 1024;
    let mut start = Vec::new();
    let read = File::open(path).and_then(|file| file.take(SAMPLE).read_to_end(&mut start));
    let start = String::from_utf8_lossy(&start);
    let ours = format!("<INFO name=\"{CREATOR}\" value=\"");
    let creator = start.split_once(&ours).map(|(_, rest)| rest);
    read.is_ok() && start.contains("<VOTABLE") && creator.is_some_and(names_us)
}
