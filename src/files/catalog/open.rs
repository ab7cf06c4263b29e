//! From a file of any known format to a table.

use std::path::Path;

use super::{Table, csv_file, fits_table, hdf5_table, parquet_file};
use crate::base::error::Result;
use crate::files::container::Container;

impl Table {
    /// Reads a table, whatever its format: CSV (comma, semicolon or tab), the first table of a FITS file,
    /// HDF5 with one dataset per column or one compound dataset, or Parquet.
    ///
    /// # Errors
    /// Where the file cannot be read, is of no known format, is damaged, or holds no table or no row.
    pub fn open(path: &Path) -> Result<Self> {
        let columns = match Container::of(path)? {
            Container::Text => csv_file::read(path),
            Container::Fits => fits_table::read(path),
            Container::Hdf5 => hdf5_table::read(path),
            Container::Parquet => parquet_file::read(path),
        }?;
        Self::new(path, columns)
    }
}
