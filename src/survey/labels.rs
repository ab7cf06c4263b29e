//! Properties of galaxies by identifier: named columns of numbers, one row per galaxy.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use super::{ObjectId, Target};
use crate::base::error::{Error, Result};

/// A label table, joined to galaxies by identifier.
#[derive(Debug, Clone, PartialEq)]
pub struct Labels {
    /// What to call the table in messages, such as the files that it is from.
    pub name: String,
    /// Identifier of each row. Of several rows with one identifier the first counts.
    pub object_id: Vec<ObjectId>,
    /// Columns by name, as long as `object_id`, NaN where unknown. A column `split` holds the numbers of a
    /// [`Role`](super::Role).
    pub columns: BTreeMap<String, Vec<f64>>,
    /// What the columns say of the quantities that are predicted.
    pub quantities: BTreeMap<Target, Quantity>,
}

/// A quantity as the tables tell it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Quantity {
    /// By row, in the unit of the target, also what no galaxy can have; NaN where there is no number. Empty where no
    /// column tells it.
    pub recorded: Vec<f64>,
    /// The columns that tell it.
    pub taken: Vec<TakenColumn>,
    /// Why columns that are called so were not taken.
    pub refused: Vec<String>,
}

/// A column that was taken for a quantity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TakenColumn {
    /// The table.
    pub file: String,
    /// Its name.
    pub column: String,
    /// What was done to its values, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversion: Option<String>,
    /// Rows of the table.
    pub rows: usize,
    /// Rows that count as unknown, by what stands there.
    pub unknown: BTreeMap<String, usize>,
}

impl TakenColumn {
    /// "column `Z` of FILE; 114 of 1000 unknown (-99: 100, blank: 14)".
    pub fn in_words(&self) -> String {
        let Self { file, column, .. } = self;
        let conversion = self.conversion.as_ref();
        let conversion = conversion.map_or_else(String::new, |how| format!(", {how}"));
        let mut counts: Vec<(&String, &usize)> = self.unknown.iter().collect();
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let total: usize = counts.iter().map(|(_, count)| **count).sum();
        let counts = counts
            .iter()
            .map(|(what, count)| format!("{what}: {count}"));
        let counts: Vec<String> = counts.collect();
        let unknown = match total {
            0 => String::new(),
            _ => format!("; {total} of {} unknown ({})", self.rows, counts.join(", ")),
        };
        format!("column `{column}` of {file}{conversion}{unknown}")
    }
}

impl Labels {
    /// Values of a quantity by row, NaN where unknown; `None` where no column tells it.
    pub fn known(&self, target: Target) -> Option<Vec<f64>> {
        let recorded = &self.quantities.get(&target)?.recorded;
        let known = |&value: &f64| target.known(value);
        (!recorded.is_empty()).then(|| recorded.iter().map(known).collect())
    }

    /// Why columns that are called like a quantity cannot be it, where none can.
    pub fn refusal(&self, target: Target) -> Option<Error> {
        let quantity = self.quantities.get(&target)?;
        let why = quantity.refused.first()?;
        quantity
            .recorded
            .is_empty()
            .then(|| Error::input(why.as_str()))
    }

    /// The column of the first of `names` that exists, preferably in this case.
    pub fn column(&self, names: &[&str]) -> Option<&[f64]> {
        names.iter().find_map(|&name| {
            let other_case = || {
                let mut columns = self.columns.iter();
                columns.find(|(column, _)| column.eq_ignore_ascii_case(name))
            };
            let found = self.columns.get_key_value(name).or_else(other_case);
            found.map(|(_, values)| values.as_slice())
        })
    }

    /// The values of a column for these galaxies, NaN where the table lacks one.
    ///
    /// # Errors
    /// Where there is no such column; the message lists those that there are.
    pub fn values_of(&self, column: &str, ids: &[ObjectId]) -> Result<Vec<f64>> {
        let values = self.column(&[column]).ok_or_else(|| {
            Error::input(format!(
                "no column `{column}` of numbers; there are {}",
                self.column_names()
            ))
            .in_file(&self.name)
        })?;
        Ok(self.values_at(values, ids))
    }

    /// What `values`, one per row, are of these galaxies; NaN where the table lacks one.
    pub fn values_at(&self, values: &[f64], ids: &[ObjectId]) -> Vec<f64> {
        let (row_of, _) = self.rows();
        let value = |id| row_of.get(id).map_or(f64::NAN, |&row| values[row]);
        ids.iter().map(value).collect()
    }

    /// The row of each identifier, and the number of rows that repeat one.
    pub fn rows(&self) -> (HashMap<ObjectId, usize>, usize) {
        let mut rows = HashMap::with_capacity(self.object_id.len());
        for (row, &object_id) in self.object_id.iter().enumerate() {
            rows.entry(object_id).or_insert(row);
        }
        let repeated = self.object_id.len() - rows.len();
        (rows, repeated)
    }

    /// Names of all columns, for messages.
    pub fn column_names(&self) -> String {
        let names: Vec<&str> = self.columns.keys().map(String::as_str).collect();
        names.join(", ")
    }
}
