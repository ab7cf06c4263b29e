//! What an evaluation asks of a label table: its magnitudes, its cuts, and what to say of what it lacks.

use crate::base::error::Error;
use crate::survey::{Labels, MAGNITUDES, ObjectId, Target, known_magnitude};

/// Where a galaxy stands in a label table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::evaluation) struct LabelRow {
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
        let columns = MAGNITUDES.iter().map(|names| self.column(names));
        columns
            .map(|column| {
                Some(
                    column?
                        .iter()
                        .map(|&value| known_magnitude(value))
                        .collect(),
                )
            })
            .collect()
    }

    /// Whether there are columns of all magnitudes.
    pub(in crate::evaluation) fn has_magnitudes(&self) -> bool {
        self.missing_magnitudes().is_empty()
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

    /// Says which columns none of these quantities has, in one sentence; what the columns of one cannot be is said of each.
    pub(super) fn lack_targets(&self, targets: &[Target]) -> Error {
        match targets {
            [one] => self.lack_target(*one),
            _ => {
                let mut columns: Vec<&str> = Vec::new();
                for column in targets.iter().flat_map(|target| target.usual_columns()) {
                    if !columns.contains(column) {
                        columns.push(column);
                    }
                }
                let symbols: Vec<&str> = targets.iter().map(|target| target.symbol()).collect();
                let options: Vec<String> = targets
                    .iter()
                    .map(|target| target.column_option())
                    .collect();
                Error::input(format!(
                    "has none of the columns {}, which tell {}; there are {}; {} NAME say which are they",
                    columns.join(", "),
                    symbols.join(", "),
                    self.column_names(),
                    options.join(", ")
                ))
                .in_file(&self.name)
            }
        }
    }

    /// The columns of magnitudes that are missing.
    pub(super) fn missing_magnitudes(&self) -> Vec<&'static str> {
        let missing = MAGNITUDES
            .iter()
            .filter(|names| self.column(names).is_none());
        missing.map(|names| names[0]).collect()
    }

    /// Says that no column tells a quantity: why those that are called so cannot be it, else which are missing.
    pub(super) fn lack_target(&self, target: Target) -> Error {
        self.refusal(target).unwrap_or_else(|| {
            let remedy = format!("; {} NAME says which is it", target.column_option());
            self.lack(target.symbol(), target.usual_columns(), &remedy)
        })
    }
}
