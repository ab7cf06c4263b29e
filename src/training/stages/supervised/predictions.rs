//! Predictions of supervised networks as a table, and their scores.

use std::path::Path;

use ndarray::{Array2, Axis};
use serde::Serialize;

use crate::base::error::Result;
use crate::evaluation::eval::{Metrics, Target, accuracy_of_properties, accuracy_of_redshifts};
use crate::files::catalog::{
    Column, ColumnHead, ColumnKind, Table, TableHead, Values, write_table,
};
use crate::files::data::Labels;
use crate::survey::{Role, Split};

/// Name of the table of predictions in a run folder.
pub const PREDICTIONS_FILE: &str = "predictions.csv";

/// How well a target is predicted.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TargetScore {
    /// What is predicted.
    pub target: Target,
    /// How good it is, on the test galaxies.
    #[serde(flatten)]
    pub metrics: Metrics,
    /// Training galaxies of which it is known, those that validate among them.
    pub n_train: usize,
    /// Test galaxies that are scored.
    pub n_test: usize,
    /// Training galaxies left out: the target or the input is unknown.
    pub unknown_train: usize,
    /// Test galaxies left out: the target or the input is unknown.
    pub unknown_test: usize,
}

/// Compares predictions `(galaxies, targets)` of all galaxies with `truth`, NaN where unknown.
pub(in crate::training::stages) fn score(
    splits: &[Split],
    targets: &[Target],
    truth: &Array2<f64>,
    predicted: &Array2<f64>,
) -> Vec<TargetScore> {
    let columns = truth
        .axis_iter(Axis(1))
        .zip(predicted.axis_iter(Axis(1)))
        .zip(targets);
    let results = columns.map(|((truth, predicted), &target)| {
        let of_split = |split: Split| {
            let rows = splits.iter().zip(truth.iter().zip(predicted));
            let rows = rows.filter(move |(own, _)| **own == split);
            let total = rows.clone().count();
            let known = rows.filter(|(_, (truth, predicted))| (*truth + *predicted).is_finite());
            let (truth, predicted): (Vec<f64>, Vec<f64>) = known
                .map(|(_, (truth, predicted))| (*truth, *predicted))
                .unzip();
            (truth, predicted, total)
        };
        let (train, _, all_train) = of_split(Split::Train);
        let (truth, predicted, all_test) = of_split(Split::Test);
        let accuracy = match target {
            Target::Redshift => accuracy_of_redshifts,
            _ => accuracy_of_properties,
        };
        TargetScore {
            target,
            metrics: accuracy(&truth, &predicted),
            n_train: train.len(),
            n_test: truth.len(),
            unknown_train: all_train - train.len(),
            unknown_test: all_test - truth.len(),
        }
    });
    results.collect()
}

/// Writes predictions `(galaxies, targets)` of all galaxies, with identifier and role, in the column `split`.
///
/// # Errors
///
/// When the file cannot be written.
pub(in crate::training::stages) fn write(
    path: &Path,
    own: &Labels,
    roles: &[Role],
    targets: &[Target],
    predicted: &Array2<f64>,
) -> Result<()> {
    let name = |role: &Role| role.name().to_owned();
    let mut columns = vec![
        Column {
            name: "object_id".to_owned(),
            values: Values::of_ids(&own.object_id),
        },
        Column {
            name: "split".to_owned(),
            values: Values::Texts(roles.iter().map(name).collect()),
        },
    ];
    let predicted = predicted.axis_iter(Axis(1)).zip(targets);
    columns.extend(predicted.map(|(values, target)| Column {
        name: target.name().to_owned(),
        values: Values::Floats(values.to_vec()),
    }));
    let head = targets.iter().map(|target| {
        let head = ColumnHead::plain(target.name(), ColumnKind::F64)
            .of_ucd(target.ucd())
            .described(format!("prediction of the {}", target.meaning()));
        target.unit().into_iter().fold(head, ColumnHead::in_unit)
    });
    let split =
        ColumnHead::plain("split", ColumnKind::Text).described("what the galaxy was used for");
    let head = [ColumnHead::object_id(), split].into_iter().chain(head);
    let head = TableHead::new(
        "predictions",
        "Predictions of a supervised network",
        head.collect(),
    );
    write_table(&Table::new(path, columns)?, head, path)
}
