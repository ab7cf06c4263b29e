//! Densities of redshifts, as this program's catalogues have them: a column `pz`, and its grid in the head of the table.

use std::collections::HashMap;
use std::path::Path;

use ndarray::{Array2, s};

use crate::base::error::{Error, Result};
use crate::files::container::fits::{FitsFile, HduKind};
use crate::files::container::{Container, hdf5_file};

/// The column.
const DENSITY: &str = "pz";
/// What the first redshift of the grid is called in the head of the table, and what its step.
const GRID: [&str; 2] = ["PZSTART", "PZSTEP"];
/// Rows that are read at once.
const BLOCK: usize = 4096;

/// Densities of the redshift of some galaxies.
#[derive(Debug, Clone)]
pub struct Densities {
    /// First redshift of the grid.
    pub start: f64,
    /// Step of the grid.
    pub step: f64,
    /// The row of `values` of each galaxy; `None` for those that were not asked for.
    pub row_of: Vec<Option<usize>>,
    /// Densities (rows, redshifts).
    pub values: Array2<f32>,
}

/// Reads the densities of galaxies from FITS and HDF5 files; `rows` says in which row of the file each is. `None` where
/// there are none, or no grid.
///
/// # Errors
/// Where the file cannot be read.
pub fn read_densities(path: &Path, rows: &[Option<usize>]) -> Result<Option<Densities>> {
    if !path.is_file() {
        return Ok(None);
    }
    match Container::of(path)? {
        Container::Fits => of_fits(path, rows),
        Container::Hdf5 => of_hdf5(path, rows),
        _ => Ok(None),
    }
}

impl Densities {
    /// Nothing is known yet of the galaxies of these rows of a file.
    fn unknown([start, step]: [f64; 2], width: usize, rows: &[Option<usize>]) -> Self {
        let mut count = 0;
        let row_of = rows.iter().map(|row| {
            row.map(|_| {
                count += 1;
                count - 1
            })
        });
        let row_of = row_of.collect();
        Self {
            start,
            step,
            row_of,
            values: Array2::from_elem((count, width), f32::NAN),
        }
    }
}

/// The row of densities of each row of the file that is asked for.
fn places(rows: &[Option<usize>]) -> HashMap<usize, usize> {
    rows.iter().flatten().copied().zip(0..).collect()
}

fn of_fits(path: &Path, rows: &[Option<usize>]) -> Result<Option<Densities>> {
    let file = FitsFile::open(path)?;
    for hdu in file.hdus().iter().filter(|hdu| hdu.kind == HduKind::Table) {
        let [Some(start), Some(step)] = GRID.map(|key| hdu.number(key)) else {
            continue;
        };
        let table = file.table(hdu)?;
        let Some(field) = table.field(DENSITY) else {
            continue;
        };
        let places = places(rows);
        let mut found = Densities::unknown([start, step], field.count, rows);
        let mut row = 0;
        file.rows(hdu, &table, |bytes| {
            if let Some(&place) = places.get(&row) {
                let densities = found.values.row_mut(place);
                for (index, density) in densities.into_iter().enumerate() {
                    *density = field.number(bytes, index) as f32;
                }
            }
            row += 1;
        })?;
        return Ok(Some(found));
    }
    Ok(None)
}

fn of_hdf5(path: &Path, rows: &[Option<usize>]) -> Result<Option<Densities>> {
    let file = hdf5_file::open(path)?;
    for name in hdf5_file::member_names(&file) {
        let Some(group) = hdf5_file::group(path, &file, &name)? else {
            continue;
        };
        let number = |key: &str| group.attr(key).and_then(|of| of.read_scalar::<f64>()).ok();
        let [Some(start), Some(step)] = GRID.map(number) else {
            continue;
        };
        let Some(dataset) = hdf5_file::find(path, &group, DENSITY)? else {
            continue;
        };
        let [length, width] = dataset.shape()[..] else {
            continue;
        };
        let places = places(rows);
        let mut found = Densities::unknown([start, step], width, rows);
        for first in (0..length).step_by(BLOCK) {
            let end = (first + BLOCK).min(length);
            let block = dataset
                .read_slice_2d::<f32, _>(s![first..end, ..])
                .map_err(|source| {
                    Error::input(format!("{DENSITY} cannot be read: {source}"))
                        .caused_by(source)
                        .in_file(path)
                })?;
            for (row, densities) in (first..end).zip(block.rows()) {
                if let Some(&place) = places.get(&row) {
                    found.values.row_mut(place).assign(&densities);
                }
            }
        }
        return Ok(Some(found));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::files::catalog::{
        Cells, ColumnHead, ColumnKind, Keyword, TableHead, TablePlan, UnfinishedTable,
    };

    #[test]
    fn densities_of_our_catalogues_come_back_row_by_row() {
        let folder = tempfile::tempdir().unwrap();
        let rows = BLOCK + 3;
        let density = |row: usize, index: usize| (row % 1000) as f32 + 0.25 * index as f32;
        let columns = vec![
            ColumnHead::object_id(),
            ColumnHead::plain(DENSITY, ColumnKind::F32Array(70)),
        ];
        let mut head = TableHead::new("estimates", "of densities", columns);
        for (key, value) in GRID.into_iter().zip([0.0, 0.01]) {
            head.keywords.push(Keyword {
                key: key.to_owned(),
                value: json!(value),
                comment: String::new(),
            });
        }
        for name in ["catalogue.fits", "catalogue.h5"] {
            let path = folder.path().join(name);
            let plan = TablePlan {
                head: head.clone(),
                rows,
                identity: json!(null),
            };
            let mut table = UnfinishedTable::open(&path, &plan, false).unwrap();
            let ids = (0..rows as i64).map(Into::into).collect();
            let values = Array2::from_shape_fn((rows, 70), |(row, index)| density(row, index));
            table
                .append(0..rows, &[Cells::Ids(ids), Cells::F32Array(values)])
                .unwrap();
            table.finish().unwrap();
            let asked = [Some(7), None, Some(rows - 1)];
            let found = read_densities(&path, &asked).unwrap().expect(name);
            assert_eq!((found.start, found.step), (0.0, 0.01), "{name}");
            assert_eq!(found.row_of, [Some(0), None, Some(1)]);
            let expected = Array2::from_shape_fn((2, 70), |(place, index)| {
                density([7, rows - 1][place], index)
            });
            assert_eq!(found.values, expected, "{name}");
        }
    }
}
