//! Tables as CSV and HDF5.

use std::path::Path;

use hdf5::types::VarLenUnicode;

use super::table::{Table, Values};
use crate::base::error::{Error, Result};
use crate::base::output::PartialFile;
use crate::files::container::{Container, hdf5_file};

/// Group of the columns in HDF5.
const GROUP: &str = "catalog";

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
            (Self::Hdf5, Ok(Container::Hdf5)) => {
                hdf5_file::open(path).is_ok_and(|file| hdf5_file::member_names(&file) == [GROUP])
            }
            _ => false,
        }
    }
}

/// Writes a table, whole or not at all.
///
/// # Errors
/// Where the folder does not exist, the disk refuses, or a column cannot be named so in the format.
pub fn write_table(table: &Table, path: &Path, format: OutputFormat) -> Result<()> {
    let partial = PartialFile::beside(path)?;
    match format {
        OutputFormat::Csv => {
            write_csv(table, partial.path()).map_err(|source| Error::writing(path, source))?;
        }
        OutputFormat::Hdf5 => {
            if let Some(column) = table
                .columns()
                .iter()
                .find(|column| column.name.contains('/'))
            {
                return Err(table.error(format!(
                    "column `{}` cannot be named so in HDF5; write a .csv, or rename it",
                    column.name
                )));
            }
            write_hdf5(table, partial.path()).map_err(|source| Error::writing(path, source))?;
        }
    }
    partial.finish()
}

fn write_csv(table: &Table, path: &Path) -> csv::Result<()> {
    let mut writer = csv::WriterBuilder::new()
        .buffer_capacity(1 << 20)
        .from_path(path)?;
    writer.write_record(table.columns().iter().map(|column| &column.name))?;
    let mut cell = String::new();
    for row in 0..table.rows() {
        for column in table.columns() {
            cell.clear();
            match &column.values {
                Values::Integers(values) => push(&mut cell, format_args!("{}", values[row])),
                Values::Unsigned(values) => push(&mut cell, format_args!("{}", values[row])),
                Values::Floats(values) => push_float(&mut cell, values[row]),
                Values::Texts(values) => cell.push_str(&values[row]),
            }
            writer.write_field(&cell)?;
        }
        writer.write_record(None::<&[u8]>)?;
    }
    writer.flush()?;
    Ok(())
}

fn push(cell: &mut String, value: std::fmt::Arguments<'_>) {
    use std::fmt::Write;
    cell.write_fmt(value).expect("a string takes everything");
}

/// The shortest digits that read back as the same number.
fn push_float(cell: &mut String, value: f64) {
    let magnitude = value.abs();
    if value.is_nan() {
        // An empty cell.
    } else if magnitude == 0.0 || (1e-5..1e15).contains(&magnitude) || magnitude.is_infinite() {
        push(cell, format_args!("{value}"));
    } else {
        push(cell, format_args!("{value:e}"));
    }
}

fn write_hdf5(table: &Table, path: &Path) -> hdf5::Result<()> {
    let file = hdf5_file::create(path)?;
    let group = file.create_group(GROUP)?;
    for column in table.columns() {
        let builder = group.new_dataset_builder().obj_track_times(false);
        let name = column.name.as_str();
        match &column.values {
            Values::Integers(values) => builder.with_data(values).create(name)?,
            Values::Unsigned(values) => builder.with_data(values).create(name)?,
            Values::Floats(values) => builder.with_data(values).create(name)?,
            Values::Texts(values) => {
                let texts = values
                    .iter()
                    .map(|text| text.replace('\0', "").parse())
                    .collect::<Result<Vec<VarLenUnicode>, _>>()
                    .map_err(|_| hdf5::Error::from("text with a NUL"))?;
                builder.with_data(&texts).create(name)?
            }
        };
    }
    file.flush()?;
    file.close()
}
