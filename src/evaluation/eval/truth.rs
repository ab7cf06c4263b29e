//! True values of galaxies, and the one rule for which galaxies they may be used of.

use std::collections::BTreeMap;

use ndarray::Array2;

use super::{left_out::Reason, sample::Sample, source::Condition};
use crate::base::error::{Error, Result};
use crate::survey::{Labels, MAGNITUDES, ObjectId, Target};

/// Galaxies of a survey, with the redshifts that it knows itself.
#[derive(Debug, Clone, Copy)]
pub struct SurveyGalaxies<'a> {
    /// Identifiers.
    pub object_id: &'a [ObjectId],
    /// Redshifts, NaN where unknown.
    pub redshift: &'a [f32],
}

impl SurveyGalaxies<'_> {
    /// Values `(galaxies, targets)`, NaN where unknown. The label table's redshifts count before those that the survey
    /// has itself; properties of galaxies that fail the catalogue's cuts are unknown.
    ///
    /// # Errors
    /// Where a target has no column, and for properties without a label table.
    pub fn targets(&self, targets: &[Target], labels: Option<&Labels>) -> Result<Array2<f64>> {
        let mut values = Array2::from_elem((self.object_id.len(), targets.len()), f64::NAN);
        let rows = labels.map(|labels| labels.locate(self.object_id));
        for (mut column, &target) in values.columns_mut().into_iter().zip(targets) {
            let known = labels.and_then(|labels| labels.known(target));
            let owns = target == Target::Redshift && self.redshift.iter().any(|z| z.is_finite());
            match (&known, labels) {
                (None, Some(labels)) if !owns => return Err(labels.lack_target(target)),
                (None, Some(labels)) if let Some(why) = labels.refusal(target) => {
                    tracing::warn!("redshifts are those of the survey files: {why}");
                }
                (None, None) if target != Target::Redshift => {
                    return Err(Error::input(format!(
                        "{target} needs a label table; pass --labels FILE (a file of `astroclip simulate` \
                         has one)"
                    )));
                }
                _ => {}
            }
            for (row, value) in column.iter_mut().enumerate() {
                let at = rows.as_ref().and_then(|rows| rows[row]);
                let label = match (at, &known) {
                    (Some(at), Some(known)) if at.passes_cuts || !target.needs_cuts() => {
                        known[at.row]
                    }
                    _ => f64::NAN,
                };
                let own = f64::from(self.redshift[row]);
                *value = match target {
                    Target::Redshift if label.is_nan() && target.is_possible(own) => own,
                    _ => label,
                };
            }
        }
        Ok(values)
    }

    /// Magnitudes g, r, z `(galaxies, 3)`, NaN where unknown or cut.
    ///
    /// # Errors
    /// Where the label table lacks a magnitude.
    pub fn magnitudes(&self, labels: &Labels) -> Result<Array2<f32>> {
        let names = MAGNITUDES.map(|names| names[0]);
        let columns = labels.magnitudes();
        let columns = columns.ok_or_else(|| labels.lack("photometry", &names, ""))?;
        let rows = labels.locate(self.object_id);
        let shape = (self.object_id.len(), columns.len());
        Ok(Array2::from_shape_fn(shape, |(row, band)| {
            match rows[row] {
                Some(at) if at.passes_cuts => columns[band][at.row] as f32,
                _ => f32::NAN,
            }
        }))
    }
}

/// The true values of targets, and which galaxies they may be used of.
pub(in crate::evaluation) struct Truths<'a> {
    pub sample: &'a Sample<'a>,
    /// Values of all galaxies, not finite where unknown, of the targets that are known at all.
    pub values: BTreeMap<Target, Vec<f64>>,
}

impl<'a> Truths<'a> {
    pub fn new(sample: &'a Sample<'a>, labels: Option<&Labels>, targets: &[Target]) -> Self {
        let known = |&target: &Target| match target {
            Target::Redshift => Some((target, sample.redshift.clone())),
            _ => Some((target, sample.looked_up(&labels?.known(target)?))),
        };
        Self {
            sample,
            values: targets.iter().filter_map(known).collect(),
        }
    }

    /// True values of galaxies.
    pub fn of(&self, target: Target, galaxies: &[usize]) -> Vec<f64> {
        let values = &self.values[&target];
        galaxies.iter().map(|&galaxy| values[galaxy]).collect()
    }

    /// The value that all of these galaxies have, as far as rounding goes; `None` where they differ: of a constant
    /// there is nothing to predict.
    pub fn constant(&self, target: Target, galaxies: &[usize]) -> Option<f64> {
        constant(self.of(target, galaxies).into_iter())
    }

    /// Why a galaxy's targets may not be used, all together; `None` where they may. Magnitudes are in the label table,
    /// so that what is predicted from them is compared for galaxies that pass its cuts alone.
    pub fn lacks_targets(
        &self,
        from: Condition,
        targets: &[Target],
        galaxy: usize,
    ) -> Option<Reason> {
        let needs_cuts =
            from == Condition::Magnitudes || targets.iter().any(|target| target.needs_cuts());
        match self.sample.label_row[galaxy] {
            None if needs_cuts => return Some(Reason::NotInLabels),
            Some(at) if needs_cuts && !at.passes_cuts => return Some(Reason::Cut),
            _ => {}
        }
        let known = |target| self.values[target][galaxy].is_finite();
        (!targets.iter().all(known)).then_some(Reason::WithoutTarget)
    }
}

/// The value that all values are, as far as rounding goes; `None` where they differ, or there are none.
pub(crate) fn constant(mut values: impl Iterator<Item = f64>) -> Option<f64> {
    const ROUNDING: f64 = 1e-12;
    let first = values.next()?;
    let is_first = |value: f64| (value - first).abs() <= ROUNDING * first.abs();
    values.all(is_first).then_some(first)
}
