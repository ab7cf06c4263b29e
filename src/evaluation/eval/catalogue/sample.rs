//! The galaxies of a catalogue that are scored.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::columns::EstimateColumns;
use super::density::GridDensities;
use super::quantiles::{Assessed, Levels};
use super::results::Counts;
use crate::base::error::Result;
use crate::evaluation::eval::truth::SurveyGalaxies;
use crate::survey::{Labels, ObjectId, Role, is_placeholder};

/// A catalogue of estimates, its rows by the identifiers that galaxies have in the tables of the truth.
#[derive(Debug, Clone)]
pub struct Catalogue {
    /// What to call it.
    pub name: String,
    /// Its columns of numbers; of several rows with one identifier the first counts.
    pub table: Labels,
    /// Right ascension and declination of each row, degrees; NaN where unknown.
    pub positions: Vec<[f64; 2]>,
    /// Densities of the redshift, which say more than its percentiles.
    pub densities: Option<GridDensities>,
    /// How its rows found their galaxies.
    pub joined_by: String,
}

/// Which galaxies of a catalogue are scored, where it says which the estimator was fitted to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum ScoredSplit {
    /// Those that the estimator never saw: test galaxies, and those of which the catalogue says nothing.
    #[default]
    Test,
    /// Those that decided which weights were kept, or how intervals were widened.
    Validation,
    /// Those that the estimator was fitted to.
    Train,
    /// All.
    All,
}

impl ScoredSplit {
    fn takes(self, role: Option<Role>) -> bool {
        match self {
            Self::All => true,
            Self::Test => matches!(role, None | Some(Role::Test)),
            Self::Validation => role == Some(Role::Validation),
            Self::Train => role == Some(Role::Train),
        }
    }

    /// The name of those that are scored.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Test => "test",
            Self::Validation => "validation",
            Self::Train => "train",
            Self::All => "all",
        }
    }
}

/// Galaxies with truth and estimate.
#[derive(Debug, Clone, Default)]
pub(super) struct Sample {
    /// Rows of the catalogue.
    pub rows: Vec<usize>,
    pub object_id: Vec<ObjectId>,
    pub truth: Vec<f64>,
    pub estimate: Vec<f64>,
    /// The points of each distribution, ascending; empty where one of them is not known.
    pub points: Vec<Vec<f64>>,
    /// What each distribution says of the truth, where it is known.
    pub assessed: Vec<Option<Assessed>>,
}

impl Sample {
    /// Those of a catalogue, and how many are left out for what reason.
    pub fn of(
        catalogue: &Catalogue,
        columns: &EstimateColumns,
        truth: &Labels,
        split: ScoredSplit,
    ) -> Result<(Self, Counts)> {
        let Catalogue { table, .. } = catalogue;
        let ids = &table.object_id;
        let known: HashSet<ObjectId> = truth.object_id.iter().copied().collect();
        let unknown = vec![f32::NAN; ids.len()];
        let galaxies = SurveyGalaxies {
            object_id: ids,
            redshift: &unknown,
        };
        let true_values = galaxies.targets(&[columns.target], Some(truth))?;
        let estimates = &table.columns[&columns.point];
        let of_points: Vec<&[f64]> = columns
            .points
            .iter()
            .map(|(_, column)| table.columns[column].as_slice())
            .collect();
        let roles = table.column(&["split"]);
        let densities = columns.density_of(catalogue);
        let levels = columns.levels();
        let levels = levels.as_deref().map(Levels::new);
        let mut sample = Self::default();
        let mut counts = Counts {
            rows: ids.len(),
            ..Counts::default()
        };
        for (row, &id) in ids.iter().enumerate() {
            counts.in_truth += usize::from(known.contains(&id));
            let value = true_values[[row, 0]];
            if !value.is_finite() {
                continue;
            }
            counts.with_truth += 1;
            let estimate = columns.target.known(estimates[row]);
            if !estimate.is_finite() {
                counts.without_estimate += 1;
                continue;
            }
            let role = roles.and_then(|roles| Role::from_code(roles[row]));
            if !split.takes(role) {
                counts.of_other_split += 1;
                continue;
            }
            let mut points: Vec<f64> = of_points.iter().map(|column| column[row]).collect();
            let is_point = |point: &f64| point.is_finite() && !is_placeholder(*point);
            if points.len() < 2 || !points.iter().all(is_point) {
                points.clear();
            }
            if !points.is_sorted() {
                counts.crossing += 1;
                points.sort_by(f64::total_cmp);
            }
            let of_density = densities.map(|densities| densities.assess(row, value));
            let of_points = || {
                let levels = levels.as_ref().filter(|_| !points.is_empty())?;
                Some(levels.assess(&points, value))
            };
            sample.assessed.push(of_density.unwrap_or_else(of_points));
            sample.rows.push(row);
            sample.object_id.push(id);
            sample.truth.push(value);
            sample.estimate.push(estimate);
            sample.points.push(points);
        }
        counts.scored = sample.rows.len();
        Ok((sample, counts))
    }

    /// The galaxies at these places.
    pub fn at(&self, places: &[usize]) -> Self {
        Self {
            rows: places.iter().map(|&place| self.rows[place]).collect(),
            object_id: places.iter().map(|&place| self.object_id[place]).collect(),
            truth: places.iter().map(|&place| self.truth[place]).collect(),
            estimate: places.iter().map(|&place| self.estimate[place]).collect(),
            points: places
                .iter()
                .map(|&place| self.points[place].clone())
                .collect(),
            assessed: places.iter().map(|&place| self.assessed[place]).collect(),
        }
    }

    /// The galaxies for which this holds, by their places.
    pub fn only(&self, mut holds: impl FnMut(usize) -> bool) -> Self {
        let places: Vec<usize> = (0..self.rows.len()).filter(|&place| holds(place)).collect();
        self.at(&places)
    }
}
