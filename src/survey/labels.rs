//! Properties of galaxies by identifier: named columns of numbers, one row per galaxy.

use std::collections::{BTreeMap, HashMap};

use super::ObjectId;
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
}

impl Labels {
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
        let (row_of, _) = self.rows();
        let value = |id| row_of.get(id).map_or(f64::NAN, |&row| values[row]);
        Ok(ids.iter().map(value).collect())
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
