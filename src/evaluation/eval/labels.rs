//! What an evaluation asks of a label table: its usual columns, and its cuts.

use crate::base::error::Error;
use crate::survey::{Labels, ObjectId};

/// log10 of the stellar mass, here and in the PROVABGS catalogue.
pub(super) const STELLAR_MASS: &[&str] = &["LOG_MSTAR", "PROVABGS_LOGMSTAR_BF", "LOGMSTAR"];
/// Apparent magnitudes in g, r and z.
pub(super) const MAGNITUDES: [&[&str]; 3] = [&["MAG_G"], &["MAG_R"], &["MAG_Z"]];

/// Where a galaxy stands in a label table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LabelRow {
    pub row: usize,
    /// Whether it is a good fit of a real galaxy by the cuts of the released code: stellar mass and all magnitudes
    /// above 0, as far as the table has them.
    pub passes_cuts: bool,
}

impl Labels {
    /// Where galaxies stand in the table.
    pub(super) fn locate(&self, ids: &[ObjectId]) -> Vec<Option<LabelRow>> {
        let cut: Vec<&[f64]> = [STELLAR_MASS]
            .into_iter()
            .chain(MAGNITUDES)
            .filter_map(|names| self.column(names))
            .collect();
        let (rows, _) = self.rows();
        let locate = |id| {
            let row = *rows.get(id)?;
            let passes_cuts = cut.iter().all(|column| column[row] > 0.0);
            Some(LabelRow { row, passes_cuts })
        };
        ids.iter().map(locate).collect()
    }

    /// Says that columns are missing.
    pub(super) fn lack(&self, what: &str, columns: &[&[&str]]) -> Error {
        let columns: Vec<&str> = columns.iter().map(|names| names[0]).collect();
        Error::input(format!(
            "{what} needs the columns {}; there are {}",
            columns.join(", "),
            self.column_names()
        ))
        .in_file(&self.name)
    }
}
