//! The galaxies that flows are fitted to and scored on.

use ndarray::{Array2, Axis};

use crate::{
    eval::{
        labels::Labels,
        posterior::results::LeftOut,
        sample::{Features, Known, Sample},
        target::Target,
    },
    survey::{ObjectId, Role, Split},
};

/// Galaxies whose features are known.
pub(super) struct Galaxies {
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

/// The galaxies of all models, with their true values.
pub(super) struct Truths<'a> {
    pub sample: &'a Sample<'a>,
    targets: &'a [Target],
    /// By target, for every galaxy; not finite where unknown.
    values: Vec<Vec<f64>>,
    /// For every galaxy in the label table, whether it passes the cuts.
    passes: Vec<Option<bool>>,
}

impl<'a> Truths<'a> {
    pub fn new(sample: &'a Sample<'a>, labels: Option<&Labels>, targets: &'a [Target]) -> Self {
        let value = |target: &Target| match target {
            Target::Redshift => sample.redshift.clone(),
            _ => {
                let column = labels.and_then(|labels| target.values(labels));
                sample.looked_up(&column.expect("targets are those that there are"))
            }
        };
        let passes = labels.map_or_else(Vec::new, Labels::passes_cuts);
        Self {
            sample,
            targets,
            values: targets.iter().map(value).collect(),
            passes: (sample.label_row.iter())
                .map(|row| row.map(|row| passes[row]))
                .collect(),
        }
    }

    /// The galaxies of a split with their features, and which of them are not to be fitted to or scored. `wanted`
    /// says whether those are wanted that had this role for the network behind the features.
    pub fn gather(
        &self,
        features: Features,
        split: Split,
        wanted: impl Fn(Role) -> bool,
    ) -> (Galaxies, LeftOut) {
        let (model, source) = self.sample.describe(features);
        let mut left_out = LeftOut {
            model: model.to_owned(),
            source,
            condition: features.into(),
            split,
            not_in_file: 0,
            without_features: 0,
            trained_on: 0,
            not_in_labels: 0,
            cut: 0,
            without_target: 0,
        };
        // Redshift from embeddings and predictions needs no label table, nor its cuts.
        let needs_labels = features == Features::Photometry || self.targets != [Target::Redshift];
        let mut known = Vec::new();
        let mut truth = Vec::new();
        for galaxy in 0..self.sample.object_id.len() {
            if self.sample.split[galaxy] != split {
                continue;
            }
            match self.sample.known(features, galaxy) {
                Known::Yes => {}
                Known::NotInFile => {
                    left_out.not_in_file += 1;
                    continue;
                }
                Known::NotFinite => {
                    left_out.without_features += 1;
                    continue;
                }
            }
            if !wanted(self.sample.role(features, galaxy)) {
                left_out.trained_on += 1;
                continue;
            }
            known.push(galaxy);
            let start = truth.len();
            truth.extend(self.values.iter().map(|values| values[galaxy]));
            let reason = match self.passes[galaxy] {
                None if needs_labels => &mut left_out.not_in_labels,
                Some(false) if needs_labels => &mut left_out.cut,
                _ if !truth[start..].iter().all(|value| value.is_finite()) => {
                    &mut left_out.without_target
                }
                _ => continue,
            };
            *reason += 1;
            truth[start..].fill(f64::NAN);
        }
        let truth = Array2::from_shape_vec((known.len(), self.targets.len()), truth);
        let galaxies = Galaxies {
            object_id: known
                .iter()
                .map(|&galaxy| self.sample.object_id[galaxy])
                .collect(),
            features: self.sample.features(features, &known),
            truth: truth.expect("a value per galaxy and target"),
        };
        (galaxies, left_out)
    }
}
