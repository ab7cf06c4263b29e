//! Catalogues of galaxies: tables with named columns from CSV, FITS, HDF5 and Parquet files, joined by
//! identifier or by position on the sky.

mod densities;
mod estimates;
mod fits_table;
mod hdf5_table;
mod ids;
mod labels;
mod mask;
mod matching;
mod open;
mod pandas_table;
mod parquet_file;
mod sky;
mod table;
#[cfg(test)]
mod tests;
mod text;
mod write;

pub use densities::{Densities, read_densities};
pub use estimates::{JoinedCatalogue, identified_positions, join_to_truth};
pub use ids::read_ids;
pub use labels::{LabelOptions, labels_of};
pub use matching::{JoinCounts, Key, MatchOptions, match_tables};
pub(crate) use sky::{Position, position_columns};
pub(crate) use table::WIDEST;
pub use table::{Column, Table, Values};
pub use write::{
    Cells, ColumnHead, ColumnKind, Keyword, OutputFormat, TableHead, TablePlan, UnfinishedTable,
    write_columns, write_table,
};
