use std::path::PathBuf;
use std::sync::Arc;

use ndarray::{Array2, Axis};
use rand::seq::SliceRandom;

use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::eval::{Galaxies, Labels, Target};
use crate::random::{Purpose, generator};
use crate::stages::TrainingData;
use crate::survey::Split;

/// Fewest training galaxies of which a target must be known.
const FEWEST: usize = 4;

/// The files' galaxies with what is to be predicted of them.
pub(super) struct SupervisedData {
    pub dataset: Arc<dyn Dataset>,
    /// `(galaxies, targets)`, NaN where unknown.
    pub targets: Arc<Array2<f64>>,
    /// Training galaxies of which a target is known.
    pub train: Vec<usize>,
}

impl SupervisedData {
    /// # Errors
    ///
    /// Where a file cannot be read, or a target is unknown of nearly all training or all test galaxies.
    pub fn open(paths: &[PathBuf], targets: &[Target], labels: Option<&Labels>) -> Result<Self> {
        let TrainingData { dataset, rows } = TrainingData::open(paths)?;
        let galaxies = Galaxies {
            object_id: dataset.object_ids(),
            redshift: dataset.redshifts(),
        };
        let values = galaxies.targets(targets, labels)?;
        for (column, target) in values.axis_iter(Axis(1)).zip(targets) {
            let known = |split: Split| {
                let of_split = dataset.splits().iter().zip(column);
                of_split
                    .filter(|(own, value)| **own == split && value.is_finite())
                    .count()
            };
            let (train, test) = (known(Split::Train), known(Split::Test));
            if train < FEWEST || test == 0 {
                let tables = labels.map_or("no label table", |labels| &labels.name);
                return Err(Error::input(format!(
                    "{target} is known of {train} training and {test} test galaxies ({tables}); expected at least \
                     {FEWEST} and 1: pass --labels with the survey's own identifiers, or leave `{}` out of --targets",
                    target.name()
                )));
            }
        }
        let has_target = |row: &usize| values.row(*row).iter().any(|value| value.is_finite());
        Ok(Self {
            train: rows.into_iter().filter(has_target).collect(),
            dataset,
            targets: Arc::new(values),
        })
    }

    /// The training galaxies that are fitted to, and those that validate.
    pub fn split(&self, validation_fraction: f64, seed: u64) -> (Vec<usize>, Vec<usize>) {
        let mut fitted = self.train.clone();
        fitted.shuffle(&mut generator(seed, Purpose::Validation, 0));
        let share = (fitted.len() as f64 * validation_fraction).round() as usize;
        let mut validation = fitted.split_off(fitted.len() - share.clamp(1, fitted.len() - 2));
        fitted.sort_unstable();
        validation.sort_unstable();
        (fitted, validation)
    }
}
