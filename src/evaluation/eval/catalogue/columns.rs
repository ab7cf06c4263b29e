//! Which columns of a catalogue are estimates, and which of what.

use std::str::FromStr;

use serde::Serialize;

use super::density::GridDensities;
use super::sample::Catalogue;
use crate::base::error::{Error, Result};
use crate::survey::{Labels, Target};

/// Points of a distribution that a catalogue may have: level, ending of our columns, and of those of `eval posterior`.
const POINTS: [(f64, &str, &str); 5] = [
    (0.025, "p025", "low95"),
    (0.16, "p160", "low68"),
    (0.5, "p500", "median"),
    (0.84, "p840", "high68"),
    (0.975, "p975", "high95"),
];

/// Photometric redshifts of the Legacy Surveys (Zhou et al. 2021), points in the order of [`POINTS`].
const LEGACY_SURVEYS: [&str; 5] = [
    "z_phot_l95",
    "z_phot_l68",
    "z_phot_median",
    "z_phot_u68",
    "z_phot_u95",
];

/// What estimates are made from, as their columns say.
const SOURCES: [&str; 4] = ["image", "spectrum", "photometry", "both"];

/// What a column of a catalogue is: a point estimate, or a point of the distribution of one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EstimateKey {
    /// What is estimated.
    pub target: Target,
    /// Place in [`POINTS`]; `None` for the point estimate.
    point: Option<usize>,
}

/// A column that the user names: `KEY=COLUMN`, such as `redshift=Z_PHOT_MEDIAN` or `redshift_p160=Z_PHOT_L68`.
#[derive(Debug, Clone, PartialEq)]
pub struct EstimateColumn {
    /// What it is.
    pub key: EstimateKey,
    /// Its name in the catalogue.
    pub column: String,
}

impl FromStr for EstimateColumn {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refuse = || {
            let targets = Target::ALL.map(Target::name).join(", ");
            Error::input(format!(
                "`{text}`: expected KEY=COLUMN, where KEY is one of {targets}, or one of these with _p025, _p160, _p500, \
                 _p840 or _p975"
            ))
        };
        let (key, column) = text.split_once('=').ok_or_else(refuse)?;
        let key = match Target::from_name(key) {
            Some(target) => EstimateKey {
                target,
                point: None,
            },
            None => {
                let (target, ending) = key.rsplit_once('_').ok_or_else(refuse)?;
                let mut points = POINTS.iter();
                EstimateKey {
                    target: Target::from_name(target).ok_or_else(refuse)?,
                    point: Some(points.position(|of| of.1 == ending).ok_or_else(refuse)?),
                }
            }
        };
        match column.is_empty() {
            true => Err(refuse()),
            false => Ok(Self {
                key,
                column: column.to_owned(),
            }),
        }
    }
}

/// The columns of one estimate.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct EstimateColumns {
    /// What is estimated.
    pub target: Target,
    /// From what and how, where the catalogue has several estimates of it: `image knn`.
    pub label: Option<String>,
    /// The point estimate.
    pub point: String,
    /// Levels and columns of the points of the distribution, ascending.
    pub points: Vec<(f64, String)>,
}

impl EstimateColumns {
    /// The columns of the estimate of `target` by the plain names, those that the user named first; `None` where there is
    /// none.
    pub fn plain(target: Target, table: &Labels, named: &[EstimateColumn]) -> Option<Self> {
        let column = |name: &str| name_in(table, name);
        let of_user = |point: Option<usize>| {
            let key = EstimateKey { target, point };
            let mut named = named.iter().filter(|of| of.key == key);
            named.find_map(|of| column(&of.column))
        };
        let legacy = |point: usize| match target {
            Target::Redshift => column(LEGACY_SURVEYS[point]),
            _ => None,
        };
        let name = target.name();
        // A point estimate that the user names does not go with the distribution of another.
        let is_named = of_user(None).is_some();
        let ours = column(name).is_some() && !is_named;
        let distribution = |point: usize| {
            let (_, ending, other) = POINTS[point];
            let usual = || match (is_named, ours) {
                (true, _) => None,
                (_, true) => column(&format!("{name}_{ending}")),
                _ => column(&format!("{name}_{ending}"))
                    .or_else(|| column(&format!("{name}_{other}")))
                    .or_else(|| legacy(point)),
            };
            of_user(Some(point)).or_else(usual)
        };
        let points: Vec<Option<String>> = (0..POINTS.len()).map(distribution).collect();
        let point = of_user(None)
            .or_else(|| column(name))
            .or_else(|| points[POINTS.len() / 2].clone())?;
        Some(Self::of(target, None, point, points))
    }

    /// The levels of the points, where there are enough of them for a distribution.
    pub fn levels(&self) -> Option<Vec<f64>> {
        let levels = self.points.iter().map(|(level, _)| *level);
        (self.points.len() > 1).then(|| levels.collect())
    }

    /// The densities that are of this estimate: those of our column of redshifts.
    pub fn density_of<'a>(&self, catalogue: &'a Catalogue) -> Option<&'a GridDensities> {
        let is_ours = self.label.is_none() && self.point == Target::Redshift.name();
        catalogue.densities.as_ref().filter(|_| is_ours)
    }

    /// The further estimates of `target`, called `TARGET_SOURCE_METHOD`.
    pub fn further(target: Target, table: &Labels) -> Vec<Self> {
        let start = format!("{}_", target.name());
        let labels = table.columns.keys().filter_map(|column| {
            let label = column.strip_prefix(&start)?;
            let (source, method) = label.split_once('_')?;
            let is_estimate = SOURCES.contains(&source) && !method.contains('_');
            is_estimate.then_some((column, label))
        });
        labels
            .map(|(point, label)| {
                let points = POINTS.map(|(_, ending, _)| {
                    let name = format!("{point}_{ending}");
                    table.columns.contains_key(&name).then_some(name)
                });
                let label = label.replace('_', " ");
                Self::of(target, Some(label), point.clone(), points.into())
            })
            .collect()
    }

    fn of(
        target: Target,
        label: Option<String>,
        point: String,
        points: Vec<Option<String>>,
    ) -> Self {
        let levels = POINTS.iter().map(|(level, ..)| *level);
        let points = levels.zip(points);
        Self {
            target,
            label,
            point,
            points: points
                .filter_map(|(level, column)| Some((level, column?)))
                .collect(),
        }
    }
}

/// A column's name as the table has it, whatever its case.
fn name_in(table: &Labels, name: &str) -> Option<String> {
    let other_case = || {
        let mut columns = table.columns.keys();
        columns.find(|column| column.eq_ignore_ascii_case(name))
    };
    let exact = table.columns.get_key_value(name).map(|(name, _)| name);
    exact.or_else(other_case).cloned()
}

/// The columns that the user names and no catalogue has.
pub(super) fn check_named<'a>(
    named: &[EstimateColumn],
    mut tables: impl Iterator<Item = &'a Labels> + Clone,
) -> Result<()> {
    for EstimateColumn { column, .. } in named {
        let mut all = tables.clone();
        if all.all(|table| name_in(table, column).is_none())
            && let Some(first) = tables.next()
        {
            return Err(Error::input(format!(
                "no column `{column}` of numbers; there are {}",
                first.column_names()
            ))
            .in_file(&first.name));
        }
    }
    Ok(())
}
