use ndarray::Array2;

use super::{
    labels::{Labels, MAGNITUDES},
    target::Target,
};
use crate::error::{Error, Result};
use crate::survey::ObjectId;

/// SurveyGalaxies of a survey, with the redshifts that it knows itself.
#[derive(Debug, Clone, Copy)]
pub struct SurveyGalaxies<'a> {
    /// Identifiers.
    pub object_id: &'a [ObjectId],
    /// Redshifts, NaN where unknown.
    pub redshift: &'a [f32],
}

impl SurveyGalaxies<'_> {
    /// Values `(galaxies, targets)`, NaN where unknown. The survey's own redshifts count before those of the
    /// label table; properties of galaxies that fail the catalogue's cuts are unknown.
    ///
    /// # Errors
    /// [`Error::input`] where a target has no column, and for properties without a label table.
    pub fn targets(&self, targets: &[Target], labels: Option<&Labels>) -> Result<Array2<f64>> {
        let mut values = Array2::from_elem((self.object_id.len(), targets.len()), f64::NAN);
        let rows = self.rows(labels);
        for (mut column, &target) in values.columns_mut().into_iter().zip(targets) {
            let known = labels.and_then(|labels| target.values(labels));
            match (&known, labels) {
                (None, Some(labels)) if target != Target::Redshift => {
                    return Err(labels.lack(target.symbol(), target.columns()));
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
                let own = f64::from(self.redshift[row]);
                let label = match (rows[row], &known) {
                    (Some((row, _)), Some(known)) if target == Target::Redshift => known[row],
                    (Some((row, true)), Some(known)) => known[row],
                    _ => f64::NAN,
                };
                let best = match target {
                    Target::Redshift if own.is_finite() => own,
                    _ => label,
                };
                *value = if best.is_finite() { best } else { f64::NAN };
            }
        }
        Ok(values)
    }

    /// Magnitudes g, r, z `(galaxies, 3)`, NaN where unknown or cut.
    ///
    /// # Errors
    /// [`Error::input`] where the label table lacks a magnitude.
    pub fn magnitudes(&self, labels: &Labels) -> Result<Array2<f32>> {
        let columns: Option<Vec<&[f64]>> = MAGNITUDES
            .iter()
            .map(|names| labels.column(names))
            .collect();
        let columns = columns.ok_or_else(|| labels.lack("photometry", &MAGNITUDES))?;
        let rows = self.rows(Some(labels));
        let shape = (self.object_id.len(), columns.len());
        Ok(Array2::from_shape_fn(shape, |(row, band)| {
            match rows[row] {
                Some((row, true)) => columns[band][row] as f32,
                _ => f32::NAN,
            }
        }))
    }

    /// The row of each galaxy in the label table, and whether it passes the cuts.
    fn rows(&self, labels: Option<&Labels>) -> Vec<Option<(usize, bool)>> {
        let Some(labels) = labels else {
            return vec![None; self.object_id.len()];
        };
        let ((rows, _), passes) = (labels.rows(), labels.passes_cuts());
        let ids = self.object_id.iter();
        ids.map(|id| rows.get(id).map(|&row| (row, passes[row])))
            .collect()
    }
}

impl Labels {
    fn lack(&self, what: &str, columns: &[&[&str]]) -> Error {
        let columns: Vec<&str> = columns.iter().map(|names| names[0]).collect();
        Error::input(format!(
            "{what} needs the columns {}; there are {}",
            columns.join(", "),
            self.column_names()
        ))
        .in_file(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn values_are_joined_by_identifier_and_cut() {
        let column = |name: &str, values: [f64; 3]| (name.to_owned(), values.to_vec());
        let labels = Labels {
            name: "labels".into(),
            object_id: vec![30, 10, 20],
            columns: BTreeMap::from([
                column("LOG_MSTAR", [10.0, 11.0, -99.0]),
                column("AVG_SFR", [0.0, 10.0, 10.0]),
                column("Z_HP", [0.3, 0.1, 0.2]),
            ]),
        };
        let galaxies = SurveyGalaxies {
            object_id: &[10, 20, 30, 40],
            redshift: &[0.5, f32::NAN, f32::NAN, f32::NAN],
        };
        let targets = [
            Target::Redshift,
            Target::StellarMass,
            Target::SpecificStarFormationRate,
        ];
        let values = galaxies.targets(&targets, Some(&labels)).unwrap();
        let known = |target: usize| {
            values
                .column(target)
                .mapv(|v| if v.is_nan() { -1.0 } else { v })
        };
        assert_eq!(
            known(0).to_vec(),
            [0.5, 0.2, 0.3, -1.0],
            "the survey's own first"
        );
        assert_eq!(
            known(1).to_vec(),
            [11.0, -1.0, 10.0, -1.0],
            "the second is cut"
        );
        assert_eq!(
            known(2).to_vec(),
            [-10.0, -1.0, -1.0, -1.0],
            "no star formation, no logarithm"
        );

        let message = |error: Error| error.to_string();
        let age = galaxies.targets(&[Target::Age], Some(&labels)).unwrap_err();
        assert!(message(age).contains("TAGE_MW"));
        let mass = galaxies.targets(&[Target::StellarMass], None).unwrap_err();
        assert!(message(mass).contains("--labels"));
        assert!(message(galaxies.magnitudes(&labels).unwrap_err()).contains("MAG_G, MAG_R, MAG_Z"));
    }
}
