//! Predictions of networks that were trained end to end.

use ndarray::Array2;

use super::source::Source;
use crate::survey::{Labels, ObjectId, Role, Target};

/// Predictions of a network that was trained end to end, such as those of `astroclip baseline`.
#[derive(Debug, Clone, PartialEq)]
pub struct PredictionTable {
    /// What to call the network.
    pub model: String,
    /// What it predicts from.
    pub source: Source,
    /// A column per target, named as [`Target::name`], and `split`: what each galaxy was to the network, by
    /// [`Role::code`]. A galaxy of which it does not say so counts as one that the network never saw.
    pub table: Labels,
}

impl PredictionTable {
    /// Whether the table says which galaxies the network was fitted to.
    pub(super) fn says_roles(&self) -> bool {
        self.table.column(&["split"]).is_some()
    }

    /// What the galaxy of each row was to the network.
    pub(super) fn roles(&self) -> Vec<Role> {
        match self.table.column(&["split"]) {
            Some(codes) => {
                let roles = codes.iter().map(|&code| Role::from_code(code));
                roles.map(|role| role.unwrap_or(Role::Test)).collect()
            }
            None => vec![Role::Test; self.table.object_id.len()],
        }
    }

    /// What it predicts.
    pub(super) fn targets(&self) -> Vec<Target> {
        let targets = Target::ALL.into_iter();
        targets
            .filter(|target| self.table.column(&[target.name()]).is_some())
            .collect()
    }
}

/// Predictions of all targets of a table as features of given galaxies.
pub(super) struct PredictedFeatures<'a> {
    pub(super) from: &'a PredictionTable,
    /// (galaxies, targets), NaN where unknown.
    pub(super) values: Array2<f32>,
    /// What each galaxy was to the network; `None` where the table does not have it.
    pub(super) roles: Vec<Option<Role>>,
}

impl<'a> PredictedFeatures<'a> {
    /// Joined by identifier.
    pub(super) fn of(from: &'a PredictionTable, object_id: &[ObjectId]) -> Self {
        let (row_of, _) = from.table.rows();
        let rows: Vec<Option<usize>> = object_id.iter().map(|id| row_of.get(id).copied()).collect();
        let roles = from.roles();
        let targets = from.targets();
        let columns = targets
            .iter()
            .filter_map(|target| from.table.column(&[target.name()]));
        let columns: Vec<&[f64]> = columns.collect();
        Self {
            from,
            values: Array2::from_shape_fn((rows.len(), columns.len()), |(galaxy, column)| {
                rows[galaxy].map_or(f32::NAN, |row| columns[column][row] as f32)
            }),
            roles: rows.iter().map(|row| row.map(|row| roles[row])).collect(),
        }
    }
}
