use std::collections::BTreeMap;

use super::{
    labels::Labels,
    predictions::PredictionTable,
    results::{Dropped, Method, Predictions, Source},
    sample::{Features, Known, Sample},
    target::Target,
};
use crate::survey::{Role, Split};

/// The galaxies, and the true values of the targets that are known at all.
pub(super) struct Tasks<'a> {
    pub(super) sample: &'a Sample<'a>,
    /// By galaxy, where there is a label table: whether it passes the cuts; `None` where it is not in the table.
    passes: Option<Vec<Option<bool>>>,
    /// Values of all galaxies, not finite where unknown.
    pub(super) values: BTreeMap<Target, Vec<f64>>,
}

impl<'a> Tasks<'a> {
    /// Looks the targets up; `notes` gets those that the labels lack.
    pub(super) fn new(
        sample: &'a Sample<'a>,
        labels: Option<&Labels>,
        targets: &[Target],
        notes: &mut Vec<String>,
    ) -> Self {
        let mut values = BTreeMap::new();
        for &target in targets {
            if target == Target::Redshift {
                values.insert(target, sample.redshift.clone());
            } else if let Some(labels) = labels {
                match target.values(labels) {
                    Some(column) => {
                        values.insert(target, sample.looked_up(&column));
                    }
                    None => notes.push(format!(
                        "{target} left out: {} lacks one of the columns {}; it has {}",
                        labels.name,
                        target
                            .columns()
                            .iter()
                            .map(|names| names[0])
                            .collect::<Vec<_>>()
                            .join(", "),
                        labels.column_names()
                    )),
                }
            }
        }
        let passes = labels.map(|labels| {
            let passes = labels.passes_cuts();
            let rows = sample.label_row.iter();
            rows.map(|row| row.map(|row| passes[row])).collect()
        });
        Self {
            sample,
            passes,
            values,
        }
    }

    /// True values of galaxies.
    pub(super) fn truth(&self, target: Target, galaxies: &[usize]) -> Vec<f64> {
        let values = &self.values[&target];
        galaxies.iter().map(|&galaxy| values[galaxy]).collect()
    }

    /// Galaxies with finite features and target; what was left out why is added to `dropped`.
    pub(super) fn usable(
        &self,
        features: Features,
        target: Target,
        split: Split,
        dropped: &mut Vec<Dropped>,
    ) -> Vec<usize> {
        let (model, source) = self.sample.describe(features);
        let mut lost = Dropped::none(model, source, target, split);
        let usable = self.of_split(split).filter(|&galaxy| {
            let known = self.sample.known(features, galaxy);
            self.has_target(source, target, galaxy, &mut lost)
                && match known {
                    Known::Yes => true,
                    Known::NotInFile => {
                        lost.not_in_file += 1;
                        false
                    }
                    Known::NotFinite => {
                        lost.without_features += 1;
                        false
                    }
                }
        });
        let usable = usable.collect();
        dropped.push(lost);
        usable
    }

    fn of_split(&self, split: Split) -> impl Iterator<Item = usize> {
        (0..self.sample.object_id.len()).filter(move |&galaxy| self.sample.split[galaxy] == split)
    }

    /// Whether a galaxy's target may be used; counts why not.
    fn has_target(
        &self,
        source: Source,
        target: Target,
        galaxy: usize,
        lost: &mut Dropped,
    ) -> bool {
        // Redshift from embeddings needs no label table, nor its cuts.
        let needs_labels = target != Target::Redshift || source == Source::Photometry;
        let passes = match &self.passes {
            Some(passes) if needs_labels => passes[galaxy],
            _ => Some(true),
        };
        let reason = match passes {
            None => &mut lost.not_in_labels,
            Some(false) => &mut lost.cut,
            Some(true) if !self.values[&target][galaxy].is_finite() => &mut lost.without_target,
            Some(true) => return true,
        };
        *reason += 1;
        false
    }

    /// The predictions of a file for test galaxies.
    pub(super) fn read(
        &self,
        from: &PredictionTable,
        dropped: &mut Vec<Dropped>,
        notes: &mut Vec<String>,
    ) -> Vec<(usize, Predictions)> {
        let mut made = Vec::new();
        let (row_of, _) = from.table.rows();
        let roles = from.roles();
        let n_train = roles.iter().filter(|&&role| role == Role::Train).count();
        for &target in self.values.keys() {
            let Some(column) = from.table.column(&[target.name()]) else {
                notes.push(format!(
                    "{target} of `{}` left out: {} has no column {}; it has {}",
                    from.model,
                    from.table.name,
                    target.name(),
                    from.table.column_names()
                ));
                continue;
            };
            let mut lost = Dropped::none(&from.model, from.source, target, Split::Test);
            let mut galaxies = Vec::new();
            let mut predicted = Vec::new();
            for galaxy in self.of_split(Split::Test) {
                if !self.has_target(Source::Image, target, galaxy, &mut lost) {
                    continue;
                }
                let row = row_of.get(&self.sample.object_id[galaxy]).copied();
                let reason = match row {
                    None => &mut lost.not_in_file,
                    Some(row) if roles[row] != Role::Test => &mut lost.trained_on,
                    Some(row) if !column[row].is_finite() => &mut lost.without_features,
                    Some(row) => {
                        galaxies.push(galaxy);
                        predicted.push(column[row]);
                        continue;
                    }
                };
                *reason += 1;
            }
            dropped.push(lost);
            if galaxies.len() < 2 {
                notes.push(format!(
                    "{target} of `{}` left out: {} test galaxies remain",
                    from.model,
                    galaxies.len()
                ));
                continue;
            }
            let ids = galaxies.iter().map(|&galaxy| self.sample.object_id[galaxy]);
            made.push((
                n_train,
                Predictions {
                    model: from.model.clone(),
                    source: from.source,
                    method: Method::Supervised,
                    target,
                    object_id: ids.collect(),
                    truth: self.truth(target, &galaxies),
                    predicted,
                    further_seeds: Vec::new(),
                },
            ));
        }
        made
    }
}
