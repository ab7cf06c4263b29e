//! From a file of any known format to a table.

use std::path::Path;

use super::mask::masked;
use super::{Table, fits_table, hdf5_table, parquet_file, text};
use crate::base::error::{Error, Result};
use crate::files::container::{Container, split_table};
use crate::files::hats::Catalog;

impl Table {
    /// Reads a table, whatever its format: text (comma, semicolon, tab or blanks), FITS, HDF5 with one dataset per
    /// column or one compound dataset, or Parquet; or of a folder that is a HATS catalogue, whose partitions are one
    /// table. `FILE[TABLE]` means one of the tables of a FITS or HDF5 file.
    ///
    /// # Errors
    /// Where the file cannot be read, is of no known format, is damaged, or holds no table or no row.
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_one(path, None)
    }

    /// Reads a table, of a file with several the one called `table` where the path does not say itself which.
    ///
    /// # Errors
    /// As [`open`](Self::open), and where there is no such table.
    pub fn open_one(path: &Path, table: Option<&str>) -> Result<Self> {
        if path.is_dir() {
            let Some(catalog) = Catalog::find(path)? else {
                return Err(Error::input(
                    "is a folder, and no HATS catalogue (dataset/Norder=*/Dir=*/Npix=*.parquet); name the file itself",
                )
                .in_file(path));
            };
            if let Some(incomplete) = catalog.incomplete() {
                tracing::warn!("{}: {incomplete}", path.display());
            }
            return Self::new(path, masked(parquet_file::read(&catalog.partitions)?));
        }
        let (file, of_path) = split_table(path);
        let table = of_path.as_deref().or(table);
        let container = Container::of(&file)?;
        let columns = match (container, table) {
            (Container::Text, None) => {
                let (columns, padded) = text::read(&file)?;
                return Ok(Self::new(path, masked(columns))?.of_text(padded));
            }
            (Container::Parquet, None) => parquet_file::read(std::slice::from_ref(&file)),
            (Container::Fits, table) => fits_table::read(&file, table),
            (Container::Hdf5, table) => hdf5_table::read(&file, table),
            (Container::Text | Container::Parquet, Some(table)) => Err(Error::input(format!(
                "holds one table, not several with names such as `{table}`; where that of another file is meant, \
                 say so by FILE[{table}]"
            ))
            .in_file(&file)),
        }?;
        Self::new(path, masked(columns))
    }
}
