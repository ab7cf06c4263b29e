//! One question of the volunteers, answered from one source.

use ndarray::{Array2, ArrayView1, parallel::prelude::*};

use super::results::{MorphologyOptions, MorphologyPredictions, MorphologyResult};
use super::votes::Answers;
use crate::base::error::Result;
use crate::evaluation::eval::{
    bootstrap::{Figures, Uncertainty, mean, over_seeds},
    classification::{ClassMetrics, class_metrics, largest},
    fit_progress::FitProgress,
    left_out::{LeftOut, Reason},
    mlp::{Mlp, MlpConfig},
    sample::{Features, Sample},
    task::Subject,
};
use crate::survey::Split;

/// One question from one source.
pub(in crate::evaluation) struct QuestionTask<'a> {
    pub(in crate::evaluation) sample: &'a Sample<'a>,
    pub(in crate::evaluation) answers: &'a Answers,
    pub(in crate::evaluation) features: Features,
    /// Galaxies to fit to.
    pub(in crate::evaluation) train: Vec<usize>,
    /// Galaxies to test on.
    pub(in crate::evaluation) test: Vec<usize>,
}

impl<'a> QuestionTask<'a> {
    /// Chooses the galaxies to fit to and to test on.
    pub(in crate::evaluation) fn choose(
        (sample, answers, features): (&'a Sample<'a>, &'a Answers, Features),
        volunteers: &[f64],
        options: &MorphologyOptions,
        left_out: &mut Vec<LeftOut>,
    ) -> Self {
        let mut task = Self {
            sample,
            answers,
            features,
            train: Vec::new(),
            test: Vec::new(),
        };
        let subject = Subject::Question(answers.question.name.to_owned());
        let [train, test] = [
            (Split::Train, options.train_votes),
            (Split::Test, options.test_votes),
        ]
        .map(|(split, votes)| {
            let mut lost = LeftOut::none(sample.task(features, subject.clone(), split));
            let chosen = lost.select(sample.of_split(split), |galaxy| {
                let row = sample.label_row[galaxy].map(|at| at.row);
                let seen = row.map_or(f64::NAN, |row| volunteers[row]);
                let fraction = row.map_or(f64::NAN, |row| answers.asked[row]) / seen;
                if seen.is_nan() || seen <= 0.0 {
                    Some(Reason::WithoutVotes)
                } else if seen < votes {
                    Some(Reason::TooFewVotes)
                } else if fraction.is_nan() || fraction < options.asked_fraction {
                    Some(Reason::RarelyAsked)
                } else if task.fractions(galaxy).is_none() {
                    Some(Reason::WithoutVotes)
                } else {
                    sample.lacks_features(features, galaxy)
                }
            });
            left_out.push(lost);
            chosen
        });
        (task.train, task.test) = (train, test);
        task
    }

    /// Vote fractions of a galaxy.
    pub(in crate::evaluation) fn fractions(&self, galaxy: usize) -> Option<ArrayView1<'_, f64>> {
        let fractions = self
            .answers
            .fractions
            .row(self.sample.label_row[galaxy]?.row);
        fractions.iter().all(|f| f.is_finite()).then_some(fractions)
    }

    /// The commonest answer of each galaxy.
    fn truth(&self, galaxies: &[usize]) -> Vec<usize> {
        let fractions = galaxies.iter().map(|&galaxy| self.fractions(galaxy));
        fractions
            .map(|fractions| largest(fractions.expect("galaxies with votes").iter()))
            .collect()
    }

    /// FitProgress classifiers to the training galaxies, and scores their answers for the test galaxies.
    pub(in crate::evaluation) fn run(
        &self,
        options: &MorphologyOptions,
        progress: &FitProgress,
    ) -> Result<(MorphologyResult, MorphologyPredictions)> {
        let answers = self.answers.question.answers.len();
        let x_train = self.sample.features(self.features, &self.train);
        let x_test = self.sample.features(self.features, &self.test);
        let mut y_train = Array2::zeros((self.train.len(), answers));
        for (mut row, &galaxy) in y_train.rows_mut().into_iter().zip(&self.train) {
            row.assign(&self.fractions(galaxy).expect("galaxies with votes"));
        }
        let predicted: Vec<Vec<usize>> = (0..options.seeds as u64)
            .into_par_iter()
            .map(|seed| {
                let config = MlpConfig {
                    seed: options.mlp.seed + seed,
                    ..options.mlp.clone()
                };
                let mlp = Mlp::fit_fractions(x_train.view(), y_train.view(), &config)?;
                progress.one_more();
                let fractions = mlp.predict(x_test.view());
                Ok(fractions.rows().into_iter().map(largest).collect())
            })
            .collect::<Result<_>>()?;
        let truth = self.truth(&self.test);
        let once = vec![1; truth.len()];
        let scored = |counts: &[u32]| -> Vec<ClassMetrics> {
            let seeds = predicted.iter();
            seeds
                .map(|predicted| class_metrics(&truth, predicted, counts))
                .collect()
        };
        let (metrics, spread) = over_seeds(&scored(&once));
        let resamples = options.bootstrap.map(truth.len(), |counts| {
            ClassMetrics::summarise(&scored(counts), |values| mean(values))
        });
        let (model, source) = self.sample.describe(self.features);
        let question = self.answers.question.name.to_owned();
        let counted = |classes: &[usize]| {
            let mut support = vec![0; answers];
            classes.iter().for_each(|&class| support[class] += 1);
            support
        };
        let trained: Vec<f64> = counted(&self.truth(&self.train))
            .into_iter()
            .map(|count| count as f64)
            .collect();
        let commonest = vec![largest(&trained); truth.len()];
        let result = MorphologyResult {
            question: question.clone(),
            model: model.to_owned(),
            source,
            metrics,
            over_seeds: spread,
            uncertainty: Uncertainty::of(&resamples),
            majority: class_metrics(&truth, &commonest, &once),
            n_train: self.train.len(),
            n_test: self.test.len(),
            support: counted(&truth),
        };
        let predictions = MorphologyPredictions {
            question,
            model: model.to_owned(),
            source,
            object_id: self.sample.ids(&self.test),
            truth,
            predicted,
        };
        Ok((result, predictions))
    }
}
