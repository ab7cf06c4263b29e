use std::collections::{HashMap, HashSet};

use ndarray::{Array2, ArrayView2, Axis};
use serde::{Deserialize, Serialize};

use crate::{
    embeddings::EmbeddingFile,
    eval::{
        labels::{Labels, MAGNITUDES},
        results::Source,
        target::Target,
    },
    survey::{ObjectId, Split},
};

/// Galaxies that a source left out, by the first reason that holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// What posteriors are conditioned on.
    pub source: Source,
    /// Train galaxies were not fitted to; test galaxies were not scored, but have a posterior if their
    /// features are known.
    pub split: Split,
    /// The embedding or a magnitude is unknown or not finite.
    pub without_features: usize,
    /// Their identifier is not in the label table.
    pub not_in_labels: usize,
    /// They fail the catalogue's cuts (stellar mass and magnitudes above 0).
    pub cut: usize,
    /// A target is unknown or not finite.
    pub without_target: usize,
}

impl LeftOut {
    /// The number of galaxies left out.
    pub fn total(&self) -> usize {
        self.without_features + self.not_in_labels + self.cut + self.without_target
    }
}

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

/// A label table, ready to be looked up by identifier.
pub(super) struct Lookup {
    rows: HashMap<ObjectId, usize>,
    passes: Vec<bool>,
    magnitudes: Option<Array2<f32>>,
    /// By target; `None` where a column is missing.
    pub values: Vec<Option<Vec<f64>>>,
    /// Rows that repeat an identifier.
    pub repeated: usize,
}

impl Lookup {
    pub fn new(labels: &Labels, targets: &[Target]) -> Self {
        let (rows, repeated) = labels.rows();
        let magnitudes: Option<Vec<&[f64]>> = MAGNITUDES
            .iter()
            .map(|names| labels.column(names))
            .collect();
        Self {
            rows,
            repeated,
            passes: labels.passes_cuts(),
            magnitudes: magnitudes.map(|columns| {
                Array2::from_shape_fn((labels.object_id.len(), columns.len()), |(row, band)| {
                    columns[band][row] as f32
                })
            }),
            values: targets.iter().map(|target| target.values(labels)).collect(),
        }
    }

    pub fn has_photometry(&self) -> bool {
        self.magnitudes.is_some()
    }

    fn magnitudes_of(&self, file: &EmbeddingFile) -> Array2<f32> {
        let known = self
            .magnitudes
            .as_ref()
            .expect("photometry is a source only where there is some");
        let mut magnitudes = Array2::from_elem((file.len(), known.ncols()), f32::NAN);
        for (mut row, id) in magnitudes.rows_mut().into_iter().zip(&file.object_id) {
            if let Some(&label_row) = self.rows.get(id) {
                row.assign(&known.row(label_row));
            }
        }
        magnitudes
    }
}

/// The rows that train and those that test: the file's splits, or all of `file` but those in `test`, and
/// all of `test`. Third: how many are in both.
pub(super) fn rows(
    file: &EmbeddingFile,
    test: Option<&EmbeddingFile>,
) -> (Vec<usize>, Vec<usize>, usize) {
    match test {
        None => (file.rows_of(Split::Train), file.rows_of(Split::Test), 0),
        Some(test) => {
            let held_out: HashSet<ObjectId> = test.object_id.iter().copied().collect();
            let train: Vec<usize> = (0..file.len())
                .filter(|&row| !held_out.contains(&file.object_id[row]))
                .collect();
            let shared = file.len() - train.len();
            (train, (0..test.len()).collect(), shared)
        }
    }
}

/// The galaxies in `rows` of `file` as `source` sees them, and which of them are not to be fitted to or
/// scored.
pub(super) fn gather(
    file: &EmbeddingFile,
    rows: &[usize],
    split: Split,
    source: Source,
    targets: &[Target],
    lookup: Option<&Lookup>,
) -> (Galaxies, LeftOut) {
    let photometry = match (source, lookup) {
        (Source::Photometry, Some(lookup)) => Some(lookup.magnitudes_of(file)),
        _ => None,
    };
    let embeddings = match source {
        Source::Image => file.image.as_ref(),
        Source::Spectrum => file.spectrum.as_ref(),
        Source::Photometry => photometry.as_ref(),
    };
    let features: ArrayView2<'_, f32> =
        embeddings.expect("sources are those that there are").view();
    let mut left_out = LeftOut {
        source,
        split,
        without_features: 0,
        not_in_labels: 0,
        cut: 0,
        without_target: 0,
    };
    // Redshift from embeddings needs no label table, nor its cuts.
    let needs_labels = source == Source::Photometry || targets != [Target::Redshift];
    let mut known = Vec::with_capacity(rows.len());
    let mut truth = Vec::with_capacity(rows.len() * targets.len());
    for &row in rows {
        if !features.row(row).iter().all(|value| value.is_finite()) {
            left_out.without_features += 1;
            continue;
        }
        known.push(row);
        let label_row = lookup.and_then(|lookup| lookup.rows.get(&file.object_id[row]).copied());
        let own_redshift = f64::from(file.redshift[row]);
        let values = targets.iter().enumerate().map(|(index, target)| {
            if *target == Target::Redshift && own_redshift.is_finite() {
                return own_redshift;
            }
            let column = lookup.and_then(|lookup| lookup.values[index].as_ref());
            column
                .zip(label_row)
                .map_or(f64::NAN, |(column, label_row)| column[label_row])
        });
        let start = truth.len();
        truth.extend(values);
        let reason = match label_row {
            None if needs_labels => &mut left_out.not_in_labels,
            Some(label_row) if needs_labels && !lookup.is_some_and(|l| l.passes[label_row]) => {
                &mut left_out.cut
            }
            _ if !truth[start..].iter().all(|value| value.is_finite()) => {
                &mut left_out.without_target
            }
            _ => continue,
        };
        *reason += 1;
        truth[start..].fill(f64::NAN);
    }
    let truth = Array2::from_shape_vec((known.len(), targets.len()), truth);
    let galaxies = Galaxies {
        object_id: known.iter().map(|&row| file.object_id[row]).collect(),
        features: features.select(Axis(0), &known),
        truth: truth.expect("a value per galaxy and target"),
    };
    (galaxies, left_out)
}
