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

/// Fewest training galaxies of which a target must be known.
const FEWEST: usize = 4;

/// The files' galaxies with what is to be predicted of them.
pub(super) struct SupervisedData {
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
    /// Opens files that must hold `modalities`.
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
        let values = galaxies.targets(targets, labels)?;
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
                return Err(Error::input(format!(
                    "{target} is known of {train} training and {test} test galaxies ({tables}); expected at least \
                     {FEWEST} and 1: pass --labels with the survey's own identifiers, or leave `{}` out of --targets",
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
    /// Where fewer than 4 are usable.
    pub fn set_aside(
        &self,
        validation_fraction: f64,
        seed: u64,
        usable: impl Fn(usize) -> bool,
    ) -> Result<(Vec<usize>, Vec<usize>)> {
        let mut fitted = self.train.clone();
        fitted.shuffle(&mut generator(seed, Purpose::Validation, 0));
        fitted.retain(|&row| usable(row));
        if fitted.len() < FEWEST {
            return Err(Error::input(format!(
                "{} training galaxies with known target and input; expected at least {FEWEST}, better some hundred",
                fitted.len()
            )));
        }
        let share = (fitted.len() as f64 * validation_fraction).round() as usize;
        let mut validation = fitted.split_off(fitted.len() - share.clamp(1, fitted.len() - 2));
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
