//! Properties of galaxies by identifier, gathered from any number of tables.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::matching::match_by_position;
use super::sky::Position;
use super::table::{Table, Values};
use crate::base::error::{Error, Result};
use crate::survey::{
    Choice, Columns, Labels, ObjectId, Quantity, Role, TakenColumn, Target, choose,
};

/// How near a row without an identifier must be to a galaxy whose position is known, arcsec.
const RADIUS: f64 = 0.5;

/// A table's rows with the identifiers of their galaxies.
struct Part<'a> {
    table: &'a Table,
    ids: Vec<Option<ObjectId>>,
    /// Name of the column that the identifiers came from; empty for those matched by position.
    id_name: String,
}

/// What the user says about the columns of label tables.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LabelOptions {
    /// The identifier column; one of the usual names where it is not given.
    pub id_column: Option<String>,
    /// Which table is meant in files that have several.
    pub table: Option<String>,
    /// The columns of quantities; where one is not given, names and values say which.
    pub columns: BTreeMap<Target, String>,
}

impl LabelOptions {
    /// These where they say something, else what `others` say: the names of columns one by one.
    pub fn or(&self, others: &Self) -> Self {
        let mut columns = others.columns.clone();
        columns.extend(self.columns.clone());
        Self {
            id_column: self.id_column.clone().or_else(|| others.id_column.clone()),
            table: self.table.clone().or_else(|| others.table.clone()),
            columns,
        }
    }
}

/// Joins the label tables of these paths.
///
/// Rows are joined by the identifier column, the one named or one of the usual names. A table without
/// one, but with positions, is matched to the positions of the other tables within 0.5 arcsec. Where
/// several tables tell the same property of a galaxy, the first that knows it counts. There is a column for every
/// numeric one but the identifier, and `split` of the names of a [`Role`], which become its numbers; no identifier
/// appears twice. The columns of quantities are chosen table by table.
///
/// # Errors
/// Where a table has neither identifiers nor positions that can be matched, or no column of
/// numbers, and where no table has a column that is named.
pub fn labels_of(paths: &[PathBuf], tables: &[Table], options: &LabelOptions) -> Result<Labels> {
    let id_column = options.id_column.as_deref();
    for name in id_column
        .into_iter()
        .chain(options.columns.values().map(String::as_str))
    {
        if let Some(first) = tables.first()
            && tables.iter().all(|table| table.find(&[name]).is_none())
        {
            first.column(name)?;
        }
    }
    let mut parts = Vec::new();
    let mut by_position = Vec::new();
    for table in tables {
        let has_id = match id_column {
            Some(name) => table.find(&[name]).is_some(),
            None => table.has_ids(),
        };
        if has_id || !table.has_positions() {
            let column = table.id_column(id_column)?;
            parts.push(Part {
                table,
                ids: table.object_ids(column)?,
                id_name: column.name.clone(),
            });
        } else {
            by_position.push(table);
        }
    }
    for table in by_position {
        parts.push(match_to_known(table, &parts)?);
    }
    merge(paths, &parts, &options.columns)
}

/// Gives the rows of a table the identifiers of the galaxies at their positions.
fn match_to_known<'a>(table: &'a Table, parts: &[Part<'_>]) -> Result<Part<'a>> {
    let mut known: Vec<Option<Position>> = Vec::new();
    let mut known_ids: Vec<ObjectId> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for part in parts.iter().filter(|part| part.table.has_positions()) {
        for (id, position) in part.ids.iter().zip(part.table.positions(None)?) {
            if let (Some(id), Some(position)) = (id, position)
                && seen.insert(*id)
            {
                known_ids.push(*id);
                known.push(Some(position));
            }
        }
    }
    if known.is_empty() {
        return Err(table.error(
            "has positions but no identifiers, and no other label table has both; name one that has, which may be the survey itself: --labels FILE \
             SURVEY, or join it first: astroclip match FILE SURVEY --on sky --out joined.h5",
        ));
    }
    let matches = match_by_position(&table.positions(None)?, &known, RADIUS)?;
    tracing::info!(
        "{}: {} of {} rows matched by position within {RADIUS} arcsec",
        table.path.display(),
        matches.len(),
        table.rows()
    );
    let mut ids = vec![None; table.rows()];
    for pair in matches {
        ids[pair.left] = Some(known_ids[pair.right]);
    }
    Ok(Part {
        table,
        ids,
        id_name: String::new(),
    })
}

fn merge(
    paths: &[PathBuf],
    parts: &[Part<'_>],
    named: &BTreeMap<Target, String>,
) -> Result<Labels> {
    let mut ids: Vec<ObjectId> = Vec::new();
    let mut row_of: HashMap<ObjectId, usize> = HashMap::new();
    // Per part: the merged row of each of its rows, for the first row of each identifier.
    let mut rows_of: Vec<Vec<Option<usize>>> = Vec::new();
    for part in parts {
        let mut in_part = std::collections::HashSet::new();
        let mut first_repeated = None;
        let mut repeated = 0;
        let mut rows = Vec::with_capacity(part.ids.len());
        for (row, id) in part.ids.iter().enumerate() {
            let Some(id) = *id else {
                rows.push(None);
                continue;
            };
            if !in_part.insert(id) {
                repeated += 1;
                first_repeated.get_or_insert((id, row));
                rows.push(None);
                continue;
            }
            rows.push(Some(*row_of.entry(id).or_insert_with(|| {
                ids.push(id);
                ids.len() - 1
            })));
        }
        if let Some((id, row)) = first_repeated {
            tracing::warn!(
                "{}: {repeated} of {} rows repeat an earlier identifier and are not used; the first is \
                 {id} in row {row}",
                part.table.path.display(),
                part.table.rows()
            );
        }
        rows_of.push(rows);
    }
    let mut columns: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for (part, rows) in parts.iter().zip(&rows_of) {
        for column in part.table.columns() {
            if column.name == part.id_name {
                continue;
            }
            let numbers = match &column.values {
                Values::Texts(texts) if column.name.eq_ignore_ascii_case("split") => {
                    texts.iter().map(|text| role_code(text)).collect()
                }
                values => match values.numbers() {
                    Some(numbers) => numbers,
                    None => continue,
                },
            };
            let merged = columns
                .entry(column.name.clone())
                .or_insert_with(|| vec![f64::NAN; ids.len()]);
            for (number, row) in numbers.iter().zip(rows) {
                if let Some(row) = *row
                    && merged[row].is_nan()
                {
                    merged[row] = *number;
                }
            }
        }
    }
    let names: Vec<String> = paths
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    let name = names.join(", ");
    if columns.is_empty() {
        return Err(Error::input("no column of numbers beside the identifiers").in_file(name));
    }
    let quantities = Target::ALL.into_iter().filter_map(|target| {
        let quantity = quantity(target, parts, &rows_of, ids.len(), named);
        Some((target, quantity?))
    });
    Ok(Labels {
        name,
        quantities: quantities.collect(),
        object_id: ids,
        columns,
    })
}

/// What the tables say of a quantity, in `count` merged rows; `None` where they do not know its names.
fn quantity(
    target: Target,
    parts: &[Part<'_>],
    rows_of: &[Vec<Option<usize>>],
    count: usize,
    named: &BTreeMap<Target, String>,
) -> Option<Quantity> {
    let mut quantity = Quantity::default();
    for (part, rows) in parts.iter().zip(rows_of) {
        let table = part.table;
        let columns = table.columns();
        let seen = Columns {
            names: columns.iter().map(|column| column.name.as_str()).collect(),
            numbers: &|at| match &columns[at].values {
                Values::Texts(texts) => {
                    let known = texts.iter().find(|text| !text.is_empty());
                    Err(known.cloned().unwrap_or_default())
                }
                values => Ok(values.numbers().unwrap_or(Cow::Borrowed(&[]))),
            },
        };
        match choose(target, &seen, named) {
            Choice::Absent => {}
            Choice::Refused(why) => {
                let why = format!("{why}; {}", target.name_its_column());
                quantity.refused.push(table.error(why).to_string());
            }
            Choice::Chosen(chosen) => {
                quantity.recorded.resize(count, f64::NAN);
                for (value, row) in chosen.recorded.iter().zip(rows) {
                    if let Some(row) = *row
                        && !target.is_possible(quantity.recorded[row])
                        && !value.is_nan()
                    {
                        quantity.recorded[row] = *value;
                    }
                }
                quantity.taken.push(TakenColumn {
                    file: table.path.display().to_string(),
                    column: chosen.column,
                    conversion: chosen.conversion,
                    rows: table.rows(),
                    unknown: chosen.unknown,
                });
            }
        }
    }
    (quantity != Quantity::default()).then_some(quantity)
}

fn role_code(name: &str) -> f64 {
    Role::from_name(name).map_or(f64::NAN, Role::code)
}
