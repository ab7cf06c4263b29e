//! Tables of every format, their joins and labels.

mod fits;
mod formats;
mod hdf5_tables;
mod joins;
mod labels;
mod odd_types;
mod positions;
mod text;

use std::fs;
use std::path::{Path, PathBuf};

use super::*;
use crate::survey::{Labels, ObjectId, Target};

/// One identifier of DESI; it and its successors are not exact as floating point.
const ID: i64 = 39_627_000_000_000_001;

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn csv(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    path
}

fn names(table: &Table) -> Vec<&str> {
    let columns = table.columns().iter();
    columns.map(|column| column.name.as_str()).collect()
}

fn values(table: &Table, name: &str) -> Values {
    table.column(name).unwrap().values.clone()
}

/// Same numbers, NaN being the same as NaN.
fn assert_numbers(table: &Table, name: &str, expected: &[f64]) {
    let found = table.numbers(name).unwrap();
    let bits = |values: &[f64]| {
        values
            .iter()
            .map(|value| value.to_bits())
            .collect::<Vec<_>>()
    };
    assert_eq!(bits(&found), bits(expected), "{name}: {found:?}");
}
