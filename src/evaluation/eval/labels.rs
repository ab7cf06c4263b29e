//! What an evaluation asks of a label table: its magnitudes, its cuts, and what to say of what it lacks.

use crate::base::error::Error;
use crate::survey::{Labels, ObjectId, Target};

/// Apparent magnitudes in g, r and z.
pub(super) const MAGNITUDES: [&[&str]; 3] = [&["MAG_G"], &["MAG_R"], &["MAG_Z"]];
/// Above are placeholders such as 99: no survey sees so deep.
const FAINTEST_MAGNITUDE: f64 = 40.0;

/// Where a galaxy stands in a label table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LabelRow {
    pub row: usize,
    /// Whether it is a good fit of a real galaxy by the cuts of the released code: stellar mass and all magnitudes
    /// above 0, as far as the table has them. What is not known of a galaxy does not cut it.
    pub passes_cuts: bool,
}

impl Labels {
    /// Where galaxies stand in the table.
    pub(super) fn locate(&self, ids: &[ObjectId]) -> Vec<Option<LabelRow>> {
        let mass = self.quantities.get(&Target::StellarMass);
        let mass = mass.map(|mass| mass.recorded.as_slice());
        let magnitudes = MAGNITUDES.iter().filter_map(|names| self.column(names));
        let cut: Vec<&[f64]> = mass
            .into_iter()
            .filter(|mass| !mass.is_empty())
            .chain(magnitudes)
            .collect();
        let (rows, _) = self.rows();
        let locate = |id| {
            let row = *rows.get(id)?;
            let fails = |column: &&[f64]| column[row] <= 0.0;
            let passes_cuts = !cut.iter().any(fails);
            Some(LabelRow { row, passes_cuts })
        };
        ids.iter().map(locate).collect()
    }

    /// Magnitudes g, r, z by row, NaN where unknown; `None` where a column is missing.
    pub(super) fn magnitudes(&self) -> Option<Vec<Vec<f64>>> {
        let known = |&value: &f64| match value < FAINTEST_MAGNITUDE {
            true => value,
            false => f64::NAN,
        };
        let columns = MAGNITUDES.iter().map(|names| self.column(names));
        columns
            .map(|column| Some(column?.iter().map(known).collect()))
            .collect()
    }

    /// Says that columns are missing.
    pub(super) fn lack(&self, what: &str, columns: &[&str], remedy: &str) -> Error {
        Error::input(format!(
            "{what} needs the columns {}; there are {}{remedy}",
            columns.join(", "),
            self.column_names()
        ))
        .in_file(&self.name)
    }

    /// Says that no column tells a quantity: why those that are called so cannot be it, else which are missing.
    pub(super) fn lack_target(&self, target: Target) -> Error {
        self.refusal(target).unwrap_or_else(|| {
            let remedy = format!("; {} NAME says which is it", target.column_option());
            self.lack(target.symbol(), target.usual_columns(), &remedy)
        })
    }
}
