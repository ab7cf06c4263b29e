//! How good an estimator is on galaxies that it was not fitted to.

use ndarray::Array2;
use serde::{Deserialize, Serialize};

use super::fit::{Fit, Fitting, rank};
use super::options::Regressor;
use super::part::{Part, Telling};
use super::{Estimator, Galaxies, Head};
use crate::base::error::Result;
use crate::evaluation::eval::sample::Features;
use crate::evaluation::eval::{Metrics, Source, accuracy_of_properties, accuracy_of_redshifts};
use crate::survey::{Modality, Split, Target};

/// How good the estimates of a quantity are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// The quantity.
    pub target: Target,
    /// From what it is estimated.
    pub source: Source,
    /// How.
    pub method: Regressor,
    /// Metrics of the estimates.
    #[serde(flatten)]
    pub metrics: Metrics,
    /// Share of the galaxies whose truth lies in the 68 % interval.
    pub coverage68: f64,
    /// The same of the 95 % interval.
    pub coverage95: f64,
    /// Mean of half the length of the 68 % interval.
    pub half_width68: f64,
    /// Galaxies fitted to.
    pub n_train: usize,
    /// Galaxies tested on.
    pub n_test: usize,
}

impl Score {
    /// Of estimates and points of their distributions at [`LEVELS`](super::LEVELS), beside the truth.
    pub(super) fn new(
        (target, source, method): (Target, Source, Regressor),
        truth: &[f64],
        estimates: &[f64],
        levels: &[[f64; 5]],
        n_train: usize,
    ) -> Self {
        let inside = |low: usize, high: usize| {
            let held = truth
                .iter()
                .zip(levels)
                .filter(|(truth, levels)| levels[low] <= **truth && **truth <= levels[high]);
            held.count() as f64 / truth.len() as f64
        };
        let widths = levels.iter().map(|levels| (levels[3] - levels[1]) / 2.0);
        Self {
            target,
            source,
            method,
            metrics: match target {
                Target::Redshift => accuracy_of_redshifts(truth, estimates),
                _ => accuracy_of_properties(truth, estimates),
            },
            coverage68: inside(1, 3),
            coverage95: inside(0, 4),
            half_width68: widths.sum::<f64>() / truth.len() as f64,
            n_train,
            n_test: truth.len(),
        }
    }
}

impl Fitting<'_> {
    /// Scores what was fitted, as it will be told of other galaxies.
    pub(super) fn finish(mut self, head: Head) -> Result<Fit> {
        // What a galaxy's estimates are taken from first: all that is known of it, by the method that tells most.
        let count = |part: &Part| (rank(part.source), std::cmp::Reverse(part.method()));
        self.parts.sort_by_key(count);
        let mut estimator = Estimator {
            head,
            parts: std::mem::take(&mut self.parts),
            questions: std::mem::take(&mut self.questions),
            spaces: std::mem::take(&mut self.spaces),
            continua: self.continua.take(),
            fitted_to: std::mem::take(&mut self.fitted_to),
        };
        let test: Vec<usize> = self.sample.of_split(Split::Test).collect();
        let galaxies = Galaxies {
            object_id: self.sample.ids(&test),
            image: self.vectors(&test, Source::Image, &estimator),
            spectrum: self.vectors(&test, Source::Spectrum, &estimator),
            magnitudes: self.vectors(&test, Source::Photometry, &estimator),
        };
        let telling = Telling {
            samples: self.options.samples,
            grid: None,
            each: true,
        };
        let mut scores = Vec::new();
        for (part, rows, said) in estimator.estimate(&galaxies, telling)?.parts {
            let condition = match part.source {
                Source::Photometry => Features::Photometry,
                _ => Features::Both(0),
            };
            for (index, &target) in part.targets.iter().enumerate() {
                let known = |&row: &usize| {
                    let lacks =
                        self.truths
                            .lacks_targets(condition.into(), &[target], test[rows[row]]);
                    lacks.is_none()
                };
                let known: Vec<usize> = (0..rows.len()).filter(known).collect();
                if known.len() < 2 {
                    continue;
                }
                let truth: Vec<usize> = known.iter().map(|&row| test[rows[row]]).collect();
                let levels = known
                    .iter()
                    .map(|&row| std::array::from_fn(|level| said.levels[[row, index, level]]));
                let point: Vec<f64> = known.iter().map(|&row| said.point[[row, index]]).collect();
                scores.push(Score::new(
                    (target, part.source, part.method()),
                    &self.truths.of(target, &truth),
                    &point,
                    &levels.collect::<Vec<[f64; 5]>>(),
                    part.n_train,
                ));
            }
        }
        scores.sort_by_key(|score| (score.target, rank(score.source), score.method));
        if scores.is_empty() {
            estimator.head.notes.push(
                "no test galaxy says how good it is: none of the test split has labels".to_owned(),
            );
        }
        estimator.head.scores = scores;
        Ok(Fit {
            estimator,
            left_out: self.left_out,
        })
    }

    /// What the estimator is shown of galaxies, NaN where there is nothing.
    fn vectors(
        &self,
        galaxies: &[usize],
        source: Source,
        estimator: &Estimator,
    ) -> Option<Array2<f32>> {
        let features = match source {
            Source::Image => Features::Embeddings(0, Modality::Image),
            Source::Spectrum => Features::Embeddings(0, Modality::Spectrum),
            _ => Features::Photometry,
        };
        let width = *estimator.head.widths.get(&source)?;
        let mut vectors = Array2::from_elem((galaxies.len(), width), f32::NAN);
        for (mut row, &galaxy) in vectors.rows_mut().into_iter().zip(galaxies) {
            if self.sample.lacks_features(features, galaxy).is_none() {
                row.assign(&self.sample.features(features, &[galaxy]).row(0));
            }
        }
        Some(vectors)
    }
}
