//! From a file of any known format to a table.

use std::path::Path;

use super::{Table, csv_file, fits_table, hdf5_table, parquet_file};
use crate::base::error::{Error, Result};
use crate::files::container::Container;
use crate::files::container::hats::Catalog;

impl Table {
    /// Reads a table, whatever its format: CSV (comma, semicolon or tab), the first table of a FITS file,
    /// HDF5 with one dataset per column or one compound dataset, or Parquet; or of a folder that is a HATS catalogue,
    /// whose partitions are one table.
    ///
    /// # Errors
    /// Where the file cannot be read, is of no known format, is damaged, or holds no table or no row.
    pub fn open(path: &Path) -> Result<Self> {
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
            return Self::new(path, parquet_file::read(&catalog.partitions)?);
        }
        let columns = match Container::of(path)? {
            Container::Text => csv_file::read(path),
            Container::Fits => fits_table::read(path),
            Container::Hdf5 => hdf5_table::read(path),
            Container::Parquet => parquet_file::read(&[path.to_owned()]),
        }?;
        Self::new(path, columns)
    }
}
