//! Galaxies with what is to be predicted of them.

use std::sync::Arc;

use ndarray::{Array2, Axis};
use rand::seq::SliceRandom;

use crate::base::error::{Error, Result};
use crate::base::random::{Purpose, generator};
use crate::evaluation::eval::{Labels, SurveyGalaxies, Target, constant};
use crate::files::data;
use crate::files::data::{SurveyFiles, TrainingData};
use crate::survey::{Modality, Role, Split, Survey};
use crate::training::train::RunConfig;

/// Fewest training galaxies of which a target must be known.
const FEWEST: usize = 4;

/// The first so many of the labelled training galaxies, in an order that hangs on the seed alone; of the others nothing is
/// known.
#[derive(Debug, Clone, Copy)]
pub(in crate::training::stages) struct LabelsLimit {
    pub count: usize,
    pub seed: u64,
}

/// Which of the training galaxies validate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::training::stages) enum Holdout {
    /// This share, between 0 and 1, and at least one.
    Fraction(f64),
    /// A part of so many parts of about the same size, of which no two share a galaxy.
    Fold { index: usize, of: usize },
    /// None.
    Nobody,
}

/// The files' galaxies with what is to be predicted of them.
pub(in crate::training::stages) struct SupervisedData {
    pub files: TrainingData,
    /// Identifiers and redshifts of all galaxies.
    pub own: data::Labels,
    /// Training or test.
    pub split: Vec<Split>,
    /// `(galaxies, targets)`, NaN where unknown.
    pub targets: Arc<Array2<f64>>,
    /// Training galaxies of which a target is known.
    pub train: Vec<usize>,
}

impl SupervisedData {
    /// Opens files that must hold `modalities`, with `limit` to the labels that are used.
    ///
    /// # Errors
    ///
    /// Where a file cannot be read, or a target is unknown of nearly all training or all test galaxies.
    pub fn open(
        files: &SurveyFiles,
        survey: &Survey,
        modalities: &'static [Modality],
        targets: &[Target],
        labels: Option<&Labels>,
        limit: Option<LabelsLimit>,
    ) -> Result<Self> {
        let files = TrainingData::open(files, survey, modalities)?;
        let own = files.dataset.labels(0..files.dataset.len())?;
        let split: Vec<Split> = (0..files.dataset.len())
            .map(|row| files.dataset.split(row))
            .collect();
        let galaxies = SurveyGalaxies {
            object_id: &own.object_id,
            redshift: &own.redshift,
        };
        let mut values = galaxies.targets(targets, labels)?;
        if let Some(limit) = limit {
            limit.apply(files.dataset.train_rows().iter(), &mut values);
        }
        for (column, target) in values.axis_iter(Axis(1)).zip(targets) {
            let known = |wanted: Split| {
                let of_split = split.iter().zip(column);
                of_split
                    .filter(|(own, value)| **own == wanted && value.is_finite())
                    .count()
            };
            let (train, test) = (known(Split::Train), known(Split::Test));
            if train < FEWEST || test == 0 {
                let tables = labels.map_or("no label table", |labels| &labels.name);
                let limited = limit.map_or(String::new(), |limit| {
                    format!(", raise `labels_limit` = {}", limit.count)
                });
                return Err(Error::input(format!(
                    "{target} is known of {train} training and {test} test galaxies ({tables}); expected at least \
                     {FEWEST} and 1: pass --labels with the survey's own identifiers{limited}, or leave `{}` out of \
                     --targets",
                    target.name()
                )));
            }
        }
        for (column, target) in values.axis_iter(Axis(1)).zip(targets) {
            let known = column.iter().copied().filter(|value| value.is_finite());
            if let Some(value) = constant(known) {
                return Err(Error::input(format!(
                    "{target} is {value} for all galaxies: of a constant there is nothing to predict; leave `{}` out \
                     of --targets",
                    target.name()
                )));
            }
        }
        let has_target = |row: &usize| values.row(*row).iter().any(|value| value.is_finite());
        let train = files.dataset.train_rows().iter().filter(has_target);
        Ok(Self {
            train: train.collect(),
            files,
            own,
            split,
            targets: Arc::new(values),
        })
    }

    /// The training galaxies that are `usable` in two parts: those that are fitted to, and those that validate.
    /// The order in which galaxies are set aside hangs on the seed alone, so that nearly the same validate
    /// whatever is usable.
    ///
    /// # Errors
    ///
    /// Where fewer than 4 are usable, or fewer than there are folds.
    pub fn set_aside(
        &self,
        holdout: &Holdout,
        seed: u64,
        usable: impl Fn(usize) -> bool,
    ) -> Result<(Vec<usize>, Vec<usize>)> {
        let mut fitted = self.train.clone();
        fitted.shuffle(&mut generator(seed, Purpose::Validation, 0));
        fitted.retain(|&row| usable(row));
        let fewest = match holdout {
            Holdout::Fold { of, .. } => FEWEST.max(*of),
            _ => FEWEST,
        };
        if fitted.len() < fewest {
            return Err(Error::input(format!(
                "{} training galaxies with known target and input; expected at least {fewest}, better some hundred",
                fitted.len()
            )));
        }
        let mut validation = match *holdout {
            Holdout::Fraction(fraction) => {
                let share = (fitted.len() as f64 * fraction).round() as usize;
                fitted.split_off(fitted.len() - share.clamp(1, fitted.len() - 2))
            }
            Holdout::Fold { index, of } => {
                let places = fitted.iter().enumerate();
                let (inside, outside): (Vec<_>, Vec<_>) =
                    places.partition(|(place, _)| place % of == index);
                let rows = |of: Vec<(usize, &usize)>| of.into_iter().map(|(_, &row)| row).collect();
                let validation: Vec<usize> = rows(inside);
                fitted = rows(outside);
                validation
            }
            Holdout::Nobody => Vec::new(),
        };
        fitted.sort_unstable();
        validation.sort_unstable();
        Ok((fitted, validation))
    }

    /// What each galaxy is to a network that `validation` galaxies were set aside for. Others of the training
    /// split count as fitted to.
    pub fn roles(&self, validation: &[usize]) -> Vec<Role> {
        let of_split = self.split.iter().map(|split| match split {
            Split::Train => Role::Train,
            Split::Test => Role::Test,
        });
        let mut roles: Vec<Role> = of_split.collect();
        for &row in validation {
            roles[row] = Role::Validation;
        }
        roles
    }
}

impl LabelsLimit {
    /// That of a run with this setting; none where there is none.
    pub fn of(count: Option<usize>, train: &RunConfig) -> Option<Self> {
        count.map(|count| Self {
            count,
            seed: train.seed,
        })
    }

    /// Forgets the labels of all other training galaxies.
    fn apply(self, train: impl Iterator<Item = usize>, values: &mut Array2<f64>) {
        let has_target = |row: &usize| values.row(*row).iter().any(|value| value.is_finite());
        let mut labelled: Vec<usize> = train.filter(has_target).collect();
        labelled.shuffle(&mut generator(self.seed, Purpose::Labels, 0));
        if labelled.len() < self.count {
            tracing::warn!(
                "`labels_limit` is {}, and {} training galaxies have labels: all are used",
                self.count,
                labelled.len()
            );
        }
        for &row in labelled.iter().skip(self.count) {
            values.row_mut(row).fill(f64::NAN);
        }
    }
}
