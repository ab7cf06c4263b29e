use std::collections::{BTreeMap, HashMap};

use crate::survey::ObjectId;

/// A label table: named columns, one row per galaxy, joined to embeddings by identifier.
#[derive(Debug, Clone, PartialEq)]
pub struct Labels {
    /// What to call the table in messages, such as its path.
    pub name: String,
    /// Identifier of each row. Of several rows with one identifier the first counts.
    pub object_id: Vec<ObjectId>,
    /// Columns by name, as long as `object_id`, NaN where unknown.
    pub columns: BTreeMap<String, Vec<f64>>,
}

impl Labels {
    /// The column of the first of `names` that exists, in whatever case.
    pub(super) fn column(&self, names: &[&str]) -> Option<&[f64]> {
        names.iter().find_map(|name| {
            self.columns
                .iter()
                .find(|(column, _)| column.eq_ignore_ascii_case(name))
                .map(|(_, values)| values.as_slice())
        })
    }

    /// The row of each identifier, and the number of rows that repeat one.
    pub(super) fn rows(&self) -> (HashMap<ObjectId, usize>, usize) {
        let mut rows = HashMap::with_capacity(self.object_id.len());
        for (row, &object_id) in self.object_id.iter().enumerate() {
            rows.entry(object_id).or_insert(row);
        }
        let repeated = self.object_id.len() - rows.len();
        (rows, repeated)
    }

    /// Whether a row is a good fit of a real galaxy by the cuts of the released code: stellar mass
    /// and all magnitudes above 0, as far as the table has them.
    pub(super) fn passes_cuts(&self) -> Vec<bool> {
        let columns: Vec<&[f64]> = [STELLAR_MASS, MAGNITUDES[0], MAGNITUDES[1], MAGNITUDES[2]]
            .into_iter()
            .filter_map(|names| self.column(names))
            .collect();
        (0..self.object_id.len())
            .map(|row| columns.iter().all(|column| column[row] > 0.0))
            .collect()
    }

    /// Names of all columns, for messages.
    pub(super) fn column_names(&self) -> String {
        let names: Vec<&str> = self.columns.keys().map(String::as_str).collect();
        names.join(", ")
    }
}

/// log10 of the stellar mass, here and in the PROVABGS catalogue.
pub(super) const STELLAR_MASS: &[&str] = &["LOG_MSTAR", "PROVABGS_LOGMSTAR_BF", "LOGMSTAR"];
/// Apparent magnitudes in g, r and z.
pub(super) const MAGNITUDES: [&[&str]; 3] = [&["MAG_G"], &["MAG_R"], &["MAG_Z"]];
