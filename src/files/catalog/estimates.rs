//! A catalogue of estimates, joined to tables of the truth: its rows by the identifiers that galaxies have there.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;

use super::labels::{LabelOptions, labels_of};
use super::sky::position_columns;
use super::table::{Column, Table, Values, is_id_name};
use crate::base::error::Result;
use crate::survey::{Labels, ObjectId};

/// What rows are numbered in while they are joined; no file has such a name.
const ROW: &str = "\u{0}row";

/// The rows of a catalogue, of several with one identifier the first.
#[derive(Debug, Clone)]
pub struct JoinedCatalogue {
    /// Its columns of numbers.
    pub labels: Labels,
    /// Right ascension and declination of each row, degrees: its own, or those of the truth where it has none or was joined
    /// by them; NaN where unknown.
    pub positions: Vec<[f64; 2]>,
    /// The row of the file that each is from, of those that the truth has.
    pub rows: Vec<Option<usize>>,
    /// How its rows found their galaxies, in words.
    pub joined_by: String,
}

/// Joins a catalogue to the truth: by its identifiers, those of `id_column` or of a usual name, where any of them is
/// known there, else by position.
///
/// # Errors
/// Where it has neither identifiers nor positions, or no column of numbers.
pub fn join_to_truth(
    table: &Table,
    id_column: Option<&str>,
    truth: &Labels,
) -> Result<JoinedCatalogue> {
    let paths = [table.path.clone()];
    let known = positions_of(truth);
    let has_ids = id_column.is_some() || table.has_ids();
    let numbered = |keep: &dyn Fn(&Column) -> bool| {
        let mut columns: Vec<Column> = table
            .columns()
            .iter()
            .filter(|column| keep(column))
            .cloned()
            .collect();
        let rows = (0..table.rows() as i64).collect();
        columns.push(column(ROW, Values::Integers(rows)));
        Table::new(&table.path, columns)
    };
    if has_ids || known.is_none() || !table.has_positions() {
        // The table itself: of text it knows what its numbers cannot say.
        let options = LabelOptions {
            id_column: id_column.map(str::to_owned),
            ..LabelOptions::default()
        };
        let labels = labels_of(&paths, std::slice::from_ref(table), &options)?;
        let ids: HashSet<&ObjectId> = truth.object_id.iter().collect();
        let is_known = labels.object_id.iter().any(|id| ids.contains(id));
        if is_known || known.is_none() || !table.has_positions() {
            let id_column = table.id_column(id_column)?;
            let mut first = HashMap::new();
            for (row, id) in table.object_ids(id_column)?.into_iter().enumerate() {
                if let Some(id) = id.filter(|id| ids.contains(id)) {
                    first.entry(id).or_insert(row);
                }
            }
            let rows = labels.object_id.iter().map(|id| first.get(id).copied());
            let rows = rows.collect();
            return Ok(joined(labels, truth, rows, "by identifier"));
        }
    }
    let is_id = |name: &str| id_column.map_or_else(|| is_id_name(name), |id| name == id);
    let known = known.expect("looked for above");
    let tables = [numbered(&|column| !is_id(&column.name))?, known];
    let mut labels = labels_of(&paths, &tables, &LabelOptions::default())?;
    let rows = labels.columns.remove(ROW).unwrap_or_default();
    let matched: Vec<usize> = (0..rows.len()).filter(|&at| rows[at].is_finite()).collect();
    let of_file = matched.iter().map(|&at| Some(rows[at] as usize)).collect();
    let matched = rows_of(labels, &matched);
    Ok(joined(matched, truth, of_file, "by position"))
}

/// Identifiers and positions alone of a table that has both.
pub fn identified_positions(table: &Table, id_column: Option<&str>) -> Option<Table> {
    let names: Vec<&str> = table.columns().iter().map(|of| of.name.as_str()).collect();
    let [ra, dec] = position_columns(&names)?;
    let id = table.id_column(id_column).ok()?;
    let kept = [id, &table.columns()[ra], &table.columns()[dec]];
    Table::new(&table.path, kept.map(Column::clone).into()).ok()
}

/// Identifiers and positions of galaxies, where the labels have positions.
fn positions_of(labels: &Labels) -> Option<Table> {
    let names: Vec<&str> = labels.columns.keys().map(String::as_str).collect();
    let [ra, dec] = position_columns(&names)?.map(|place| labels.columns[names[place]].clone());
    let columns = vec![
        column("object_id", Values::of_ids(&labels.object_id)),
        column("ra", Values::Floats(ra)),
        column("dec", Values::Floats(dec)),
    ];
    Table::new(&PathBuf::from(&labels.name), columns).ok()
}

fn column(name: &str, values: Values) -> Column {
    Column {
        name: name.to_owned(),
        values,
    }
}

/// These rows alone.
fn rows_of(labels: Labels, rows: &[usize]) -> Labels {
    let columns = labels.columns.into_iter().map(|(name, values)| {
        let values = rows.iter().map(|&row| values[row]).collect();
        (name, values)
    });
    Labels {
        name: labels.name,
        object_id: rows.iter().map(|&row| labels.object_id[row]).collect(),
        columns: columns.collect(),
        quantities: BTreeMap::new(),
    }
}

fn joined(labels: Labels, truth: &Labels, rows: Vec<Option<usize>>, by: &str) -> JoinedCatalogue {
    let axes = |labels: &Labels| {
        let names: Vec<&str> = labels.columns.keys().map(String::as_str).collect();
        position_columns(&names)
            .map(|places| places.map(|place| labels.columns[names[place]].clone()))
    };
    let of_truth = axes(truth).map(|[ra, dec]| {
        let positions = ra.into_iter().zip(dec).map(<[f64; 2]>::from);
        let ids = truth.object_id.iter().copied();
        ids.zip(positions).collect::<HashMap<ObjectId, [f64; 2]>>()
    });
    let own = axes(&labels);
    let position = |(row, id): (usize, &ObjectId)| {
        let own = own.as_ref().map(|[ra, dec]| [ra[row], dec[row]]);
        own.filter(|position| position.iter().all(|value| value.is_finite()))
            .or_else(|| of_truth.as_ref()?.get(id).copied())
            .unwrap_or([f64::NAN; 2])
    };
    JoinedCatalogue {
        positions: labels.object_id.iter().enumerate().map(position).collect(),
        joined_by: by.to_owned(),
        rows,
        labels,
    }
}
