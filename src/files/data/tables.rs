//! Tables of any files: catalogues as they are, and of survey files that are none what they know of their galaxies.

use std::path::{Path, PathBuf};

use super::{ReadOptions, expand, formats, holds_galaxies, paths};
use crate::base::error::{Error, Result};
use crate::files::catalog::{
    Column, JoinedCatalogue, LabelOptions, Table, Values, identified_positions, join_to_truth,
    labels_of,
};
use crate::files::container::split_table;
use crate::files::hats::Catalog;
use crate::survey::{Labels, ObjectId, Survey};

/// Reads label tables of any format that [`Table::open`] knows, and survey files, as [`labels_of`] joins them.
///
/// # Errors
/// Where a file cannot be read, and as there.
pub fn read_labels(paths: &[PathBuf], options: &LabelOptions) -> Result<Labels> {
    labels_of(paths, &label_tables(paths, options)?, options)
}

fn label_tables(paths: &[PathBuf], options: &LabelOptions) -> Result<Vec<Table>> {
    let suffices =
        |table: &Table| has_ids(table, options.id_column.as_deref()) || table.has_positions();
    let open =
        |path: &PathBuf| open_table(path, options.table.as_deref(), suffices, &Survey::default());
    paths.iter().map(open).collect()
}

/// Whether a table has the identifiers that are named, or some of a usual name.
fn has_ids(table: &Table, id_column: Option<&str>) -> bool {
    id_column.is_some_and(|name| table.find(&[name]).is_some()) || table.has_ids()
}

/// Reads tables of the truth as [`read_labels`] does, and catalogues of estimates, joined to it. Truth with positions
/// alone has the identifiers of the first catalogue that has identifiers and positions.
///
/// # Errors
/// Where a file cannot be read, a catalogue is among the tables of the truth, and as [`labels_of`] and
/// [`join_to_truth`].
pub fn read_catalogues(
    catalogues: &[PathBuf],
    id_column: Option<&str>,
    truth: &[PathBuf],
    options: &LabelOptions,
) -> Result<(Vec<JoinedCatalogue>, Labels)> {
    for path in catalogues {
        let file = |path: &Path| split_table(path).0.canonicalize().ok();
        let own = file(path).filter(|_| path.exists() || split_table(path).1.is_some());
        if own.is_some() && truth.iter().any(|truth| file(truth) == own) {
            return Err(Error::input(
                "is both a catalogue and its truth; estimates are scored against other tables alone: --labels TRUTH",
            )
            .in_file(path));
        }
    }
    let suffices = |table: &Table| has_ids(table, id_column) || table.has_positions();
    let opened = catalogues
        .iter()
        .map(|path| open_table(path, None, suffices, &Survey::default()))
        .collect::<Result<Vec<Table>>>()?;
    let mut tables = label_tables(truth, options)?;
    if !tables
        .iter()
        .any(|table| has_ids(table, options.id_column.as_deref()))
    {
        let mut identified = opened
            .iter()
            .filter_map(|table| identified_positions(table, id_column));
        tables.extend(identified.next());
    }
    let truth = labels_of(truth, &tables, options)?;
    let joined = opened
        .iter()
        .map(|table| join_to_truth(table, id_column, &truth))
        .collect::<Result<_>>()?;
    Ok((joined, truth))
}

/// Opens a table. Where `path` is none that has what it must, but names files of galaxies (a folder of cutouts, say), it
/// is the table of these: `object_id`, `ra`, `dec` in degrees and `redshift`, as far as they are known.
///
/// # Errors
/// Where the files cannot be read, hold neither a table nor galaxies, or not as `survey` says.
pub fn open_table(
    path: &Path,
    table: Option<&str>,
    suffices: impl Fn(&Table) -> bool,
    survey: &Survey,
) -> Result<Table> {
    let is_folder = path.is_dir() && Catalog::find(path)?.is_none();
    let (file, _) = split_table(path);
    if table.is_none() && (is_folder || paths::is_pattern(path) && !file.exists()) {
        return galaxies(path, survey);
    }
    let found = Table::open_one(path, table);
    let is_enough = found.as_ref().is_ok_and(suffices);
    if is_enough || table.is_some() || !holds_galaxies(path) {
        return found;
    }
    galaxies(path, survey).or_else(|error| found.map_err(|_| error))
}

/// What survey files know of their galaxies.
fn galaxies(path: &Path, survey: &Survey) -> Result<Table> {
    let (mut ids, mut positions, mut redshifts) = (Vec::new(), Vec::new(), Vec::new());
    for file in expand(&[path.to_owned()])? {
        let source = formats::open(&file, survey, &ReadOptions::default())?;
        let rows = 0..source.contents().rows();
        let labels = source.labels(rows.clone())?;
        ids.extend(labels.object_id);
        redshifts.extend(labels.redshift.into_iter().map(f64::from));
        positions.extend(source.positions(rows)?);
    }
    let numbers = |values: Vec<f64>| {
        let is_known = values.iter().any(|value| value.is_finite());
        is_known.then_some(Values::Floats(values))
    };
    let axis = |axis: usize| {
        positions
            .iter()
            .map(|position: &[f64; 2]| position[axis])
            .collect()
    };
    let columns = [
        ("object_id", identifiers(&ids)),
        ("ra", numbers(axis(0))),
        ("dec", numbers(axis(1))),
        ("redshift", numbers(redshifts)),
    ];
    let columns: Vec<Column> = columns
        .into_iter()
        .filter_map(|(name, values)| {
            let name = name.to_owned();
            Some(Column {
                name,
                values: values?,
            })
        })
        .collect();
    if columns.is_empty() {
        return Err(Error::input(
            "its galaxies have neither identifiers nor positions, by which they could be found in a table",
        )
        .in_file(path));
    }
    Table::new(path, columns)
}

/// A column of identifiers, empty text where there is none; `None` without any.
fn identifiers(ids: &[Option<ObjectId>]) -> Option<Values> {
    let known: Vec<ObjectId> = ids.iter().copied().flatten().collect();
    match known.len() {
        0 => None,
        count if count == ids.len() => Some(Values::of_ids(&known)),
        _ => {
            let texts = ids
                .iter()
                .map(|id| id.map_or_else(String::new, |id| id.to_string()));
            Some(Values::Texts(texts.collect()))
        }
    }
}
