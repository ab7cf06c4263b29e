//! The galaxies that flows are fitted to and scored on.

use ndarray::{Array1, Array2, Axis};

use crate::evaluation::eval::{
    left_out::{LeftOut, Reason},
    sample::Features,
    source::Condition,
    task::Subject,
    truth::Truths,
};
use crate::survey::{ObjectId, Role, Split, Target};

/// Galaxies whose features are known.
pub(in crate::evaluation) struct Galaxies {
    pub object_id: Vec<ObjectId>,
    /// (N, C)
    pub features: Array2<f32>,
    /// (N, D), NaN in all of a row that is not to be fitted to or scored.
    pub truth: Array2<f64>,
}

impl Galaxies {
    /// Those with a truth.
    pub fn complete(&self) -> Vec<usize> {
        let rows = self.truth.rows().into_iter().enumerate();
        rows.filter(|(_, truth)| truth.iter().all(|value| value.is_finite()))
            .map(|(row, _)| row)
            .collect()
    }

    /// Those of `rows` alone.
    pub fn select(&self, rows: &[usize]) -> Self {
        Self {
            object_id: rows.iter().map(|&row| self.object_id[row]).collect(),
            features: self.features.select(Axis(0), rows),
            truth: self.truth.select(Axis(0), rows),
        }
    }
}

impl Truths<'_> {
    /// The galaxies of a split with their features, and which of them are not to be fitted to or scored. `wanted`
    /// says whether those are wanted that had this role for the network behind the features.
    pub(in crate::evaluation) fn gather(
        &self,
        features: Features,
        targets: &[Target],
        split: Split,
        wanted: impl Fn(Role) -> bool,
    ) -> (Galaxies, LeftOut) {
        let sample = self.sample;
        let condition = Condition::from(features);
        let subject = Subject::Condition(condition);
        let mut left_out = LeftOut::none(sample.task(features, subject, split));
        let known = left_out.select(sample.of_split(split), |galaxy| {
            let unwanted = || (!wanted(sample.role(features, galaxy))).then_some(Reason::TrainedOn);
            sample.lacks_features(features, galaxy).or_else(unwanted)
        });
        let complete = left_out.select(known.iter().copied(), |galaxy| {
            self.lacks_targets(condition, targets, galaxy)
        });
        let mut truth = Array2::from_elem((known.len(), targets.len()), f64::NAN);
        for (mut row, galaxy) in truth.rows_mut().into_iter().zip(&known) {
            if complete.binary_search(galaxy).is_ok() {
                let values = targets.iter().map(|target| self.values[target][*galaxy]);
                row.assign(&values.collect::<Array1<f64>>());
            }
        }
        let galaxies = Galaxies {
            object_id: sample.ids(&known),
            features: sample.features(features, &known),
            truth,
        };
        (galaxies, left_out)
    }
}
