//! Readers of survey files, each on files that it might meet.

mod fits;
mod hdf5;
mod hdf5_claims;
mod hdf5_storage;
mod holes;
mod pairs;
mod parquet;
mod parquet_writer;
mod pictures;
mod planes;
mod positions;
mod structs;

use std::path::Path;

use super::{Dataset, ReadOptions, open};
use crate::survey::Survey;

fn open_one(path: &Path) -> Dataset {
    open(
        &[path.to_owned()],
        &Survey::default(),
        &ReadOptions::default(),
    )
    .unwrap()
}

/// The message about a file that is refused.
fn refusal(path: &Path) -> String {
    let error = open(
        &[path.to_owned()],
        &Survey::default(),
        &ReadOptions::default(),
    )
    .unwrap_err();
    assert_eq!(error.exit_code(), 2);
    error.to_string()
}
