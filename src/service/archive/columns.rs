//! What is known of the galaxies: columns of numbers, one for each galaxy, and filters on them.

use std::collections::BTreeSet;

use serde::Serialize;
use utoipa::ToSchema;

use crate::base::error::{Error, Result};
use crate::files::embeddings::EmbeddingFile;
use crate::survey::{Labels, Target};

/// Columns of an archive, in the order in which they are shown: the quantities that models estimate, then all others by
/// name.
pub struct Columns(Vec<Column>);

/// A column.
pub struct Column {
    /// Its name.
    pub name: String,
    /// The quantity that it tells, in the quantity's unit.
    pub target: Option<Target>,
    /// By row of the embedding file, NaN where unknown.
    pub values: Vec<f64>,
}

/// What a column holds.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ColumnSummary {
    /// Its name, for filters.
    pub name: String,
    /// What it is, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub meaning: Option<&'static str>,
    /// Unit, where it has one that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<&'static str>,
    /// Galaxies whose value is known.
    pub known: usize,
    /// The least of the values.
    pub min: f64,
    /// The largest of the values.
    pub max: f64,
}

/// Galaxies whose value in a column lies in a range, ends included. Unknown values do not.
#[derive(Debug, Clone, PartialEq)]
pub struct Filter {
    /// Name of the column.
    pub column: String,
    /// From here on; no limit where it is not given.
    pub min: Option<f64>,
    /// Up to here.
    pub max: Option<f64>,
}

impl Columns {
    /// The redshifts of an embedding file, and what label tables tell of its galaxies.
    pub fn new(file: &EmbeddingFile, labels: Option<&Labels>) -> Self {
        let mut columns = Vec::new();
        let mut taken = BTreeSet::new();
        let rows: Vec<Option<usize>> = match labels {
            None => Vec::new(),
            Some(labels) => {
                let (rows, _) = labels.rows();
                file.object_id
                    .iter()
                    .map(|id| rows.get(id).copied())
                    .collect()
            }
        };
        let of_galaxies = |values: &[f64]| -> Vec<f64> {
            let value = |row: &Option<usize>| row.map_or(f64::NAN, |row| values[row]);
            rows.iter().map(value).collect()
        };
        for target in Target::ALL {
            let told = labels.and_then(|labels| labels.known(target));
            let mut values = told.map_or_else(Vec::new, |values| of_galaxies(&values));
            if target == Target::Redshift {
                let of_file = file.redshift.iter().map(|&z| f64::from(z));
                match values.is_empty() {
                    true => values = of_file.collect(),
                    false => (values.iter_mut().zip(of_file))
                        .filter(|(value, _)| value.is_nan())
                        .for_each(|(value, of_file)| *value = of_file),
                }
            }
            if values.iter().any(|value| value.is_finite()) {
                columns.push(Column {
                    name: target.name().to_owned(),
                    target: Some(target),
                    values,
                });
            }
            let quantity = labels.and_then(|labels| labels.quantities.get(&target));
            let same = quantity.iter().flat_map(|quantity| &quantity.taken);
            let same = same.filter(|column| column.conversion.is_none());
            taken.extend(same.map(|column| column.column.clone()));
        }
        let names: BTreeSet<String> = columns.iter().map(|column| column.name.clone()).collect();
        for (name, values) in labels.iter().flat_map(|labels| &labels.columns) {
            let values = of_galaxies(values);
            let is_new = !taken.contains(name) && !names.contains(name);
            if is_new && values.iter().any(|value| value.is_finite()) {
                columns.push(Column {
                    name: name.clone(),
                    target: None,
                    values,
                });
            }
        }
        Self(columns)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Column> {
        self.0.iter()
    }

    /// The column of this name.
    ///
    /// # Errors
    /// Where there is none; the message lists those that there are.
    pub fn find(&self, name: &str) -> Result<&Column> {
        let found = self.0.iter().find(|column| column.name == name);
        found.ok_or_else(|| {
            let names: Vec<&str> = self.0.iter().map(|column| column.name.as_str()).collect();
            let there = match names.is_empty() {
                true => "nothing is known of the galaxies: give a table by --labels".to_owned(),
                false => format!("there are {}", names.join(", ")),
            };
            Error::input(format!("no column `{name}`; {there}"))
        })
    }

    /// What each of them holds.
    pub fn summaries(&self) -> Vec<ColumnSummary> {
        let summary = |column: &Column| {
            let known = || {
                column
                    .values
                    .iter()
                    .copied()
                    .filter(|value| value.is_finite())
            };
            ColumnSummary {
                name: column.name.clone(),
                meaning: column.target.map(Target::meaning),
                unit: column.target.and_then(Target::unit),
                known: known().count(),
                min: known().fold(f64::INFINITY, f64::min),
                max: known().fold(f64::NEG_INFINITY, f64::max),
            }
        };
        self.0.iter().map(summary).collect()
    }

    /// Says of each galaxy whether it passes all filters; `None` where there are none.
    ///
    /// # Errors
    /// Where a column does not exist, or a range is empty.
    pub fn passing(&self, filters: &[Filter]) -> Result<Option<Vec<bool>>> {
        let mut passing: Option<Vec<bool>> = None;
        for filter in filters {
            let column = self.find(&filter.column)?;
            let min = filter.min.unwrap_or(f64::NEG_INFINITY);
            let max = filter.max.unwrap_or(f64::INFINITY);
            if min.is_nan() || max.is_nan() || min > max {
                return Err(Error::input(format!(
                    "filter on `{}`: {min} to {max} is no range; the first must not be above the second",
                    filter.column
                )));
            }
            let within = column
                .values
                .iter()
                .map(|value| (min..=max).contains(value));
            passing = Some(match passing {
                None => within.collect(),
                Some(passing) => passing
                    .into_iter()
                    .zip(within)
                    .map(|(a, b)| a && b)
                    .collect(),
            });
        }
        Ok(passing)
    }
}

impl std::str::FromStr for Filter {
    type Err = Error;

    /// `COLUMN:MIN..MAX`, either of which may be missing.
    fn from_str(text: &str) -> Result<Self> {
        let refuse = || {
            Error::input(format!(
                "`{text}` is no filter; expected COLUMN:MIN..MAX, such as redshift:0.1..0.3 or redshift:..0.3"
            ))
        };
        let (column, range) = text.rsplit_once(':').ok_or_else(refuse)?;
        let (min, max) = range.split_once("..").ok_or_else(refuse)?;
        let number = |text: &str| match text.trim() {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|_| refuse()),
        };
        Ok(Self {
            column: column.trim().to_owned(),
            min: number(min)?,
            max: number(max)?,
        })
    }
}
