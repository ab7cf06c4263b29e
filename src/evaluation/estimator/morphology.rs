//! Fractions of volunteers who would give an answer, with intervals.

use ndarray::{Array2, Array3, ArrayView2, s};

use super::fit::{FEWEST, Fitting};
use super::interval::LEVELS;
use super::perceptrons::{Perceptrons, Recipe, of_fractions};
use crate::base::error::Result;
use crate::evaluation::eval::fit_progress::FitProgress;
use crate::evaluation::eval::morphology::{question::QuestionTask, votes::answers};
use crate::evaluation::eval::sample::Features;
use crate::evaluation::eval::{Mlp, MorphologyOptions, Source};
use crate::survey::Labels;

/// Perceptrons of an ensemble.
const MEMBERS: usize = 3;

/// What estimates the answers to one question of the volunteers (paper section 6.5).
#[derive(Debug, Clone)]
pub(super) struct QuestionPart {
    /// From what.
    pub source: Source,
    /// Name of the question.
    pub question: String,
    /// Its answers.
    pub answers: Vec<String>,
    /// Galaxies fitted to.
    pub n_train: usize,
    /// How.
    pub perceptrons: Perceptrons,
}

/// What a part says of Q galaxies.
#[derive(Debug)]
pub(super) struct QuestionSaid {
    /// Fractions (Q, answers), which sum to 1.
    pub fractions: Array2<f64>,
    /// Points of the distribution of the volunteers' fractions (Q, answers, 5), from 0 to 1.
    pub levels: Array3<f64>,
}

impl QuestionPart {
    /// Fractions for galaxies with these features (Q, D).
    pub fn estimate(&self, features: ArrayView2<'_, f32>) -> QuestionSaid {
        let rough = self.perceptrons.estimate(features, of_fractions);
        let (rows, answers) = rough.point.dim();
        let mut levels = Array3::zeros((rows, answers, LEVELS.len()));
        for ((row, answer), fraction) in rough.point.indexed_iter() {
            let variance = rough.variance[[row, answer]];
            let of_one = self.perceptrons.calibrations[answer].levels(*fraction, variance);
            let of_one = of_one.map(|level| level.clamp(0.0, 1.0));
            levels
                .slice_mut(s![row, answer, ..])
                .assign(&ndarray::aview1(&of_one));
        }
        QuestionSaid {
            fractions: rough.point,
            levels,
        }
    }
}

impl Fitting<'_> {
    /// Morphology is in pictures: it is told from images where there are any.
    pub(super) fn morphology(
        &mut self,
        labels: &Labels,
        options: &MorphologyOptions,
        sources: &[Features],
    ) -> Result<()> {
        let Some((questions, volunteers)) = answers(labels, &mut self.notes) else {
            return Ok(());
        };
        let is_image = |features: &&Features| self.sample.describe(**features).1 == Source::Image;
        let Some(&features) = sources.iter().find(is_image).or(sources.first()) else {
            return Ok(());
        };
        let sample = self.sample;
        let mut chosen = Vec::new();
        for answers in &questions {
            let mut lost = Vec::new();
            let task =
                QuestionTask::choose((sample, answers, features), &volunteers, options, &mut lost);
            if task.train.len() < FEWEST {
                self.notes.push(format!(
                    "{}: left out, {} training galaxies",
                    answers.question.name,
                    task.train.len()
                ));
            } else {
                chosen.push(task);
            }
            lost.into_iter().for_each(|lost| self.note(lost));
        }
        let recipe = Recipe {
            config: &options.mlp,
            members: MEMBERS,
            calibrating: 1,
            fit: Mlp::fit_fractions,
            doubt: of_fractions,
        };
        let fits = chosen.iter().map(|task| recipe.fits(task.train.len()));
        let progress = FitProgress::new("morphology", fits.sum());
        for task in chosen {
            let x = sample.features(features, &task.train);
            let answers = task.answers.question.answers;
            let mut fractions = Array2::zeros((task.train.len(), answers.len()));
            for (mut row, &galaxy) in fractions.rows_mut().into_iter().zip(&task.train) {
                row.assign(&task.fractions(galaxy).expect("galaxies with votes"));
            }
            self.remember(&task.train);
            self.questions.push(QuestionPart {
                source: sample.describe(features).1,
                question: task.answers.question.name.to_owned(),
                answers: answers.iter().map(|&answer| answer.to_owned()).collect(),
                n_train: task.train.len(),
                perceptrons: Perceptrons::fit(x.view(), fractions.view(), recipe, &|| {
                    progress.one_more()
                })?,
            });
        }
        progress.finish();
        Ok(())
    }
}
