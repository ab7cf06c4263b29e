//! Galaxy morphology (paper section 6.5, Fig. 5, Table E1): what volunteers answered to the questions of Galaxy
//! Zoo DECaLS, predicted from embeddings.

mod votes;

use ndarray::{Array2, parallel::prelude::*};
use serde::{Deserialize, Serialize};

use super::{
    bootstrap::{BootstrapConfig, Figures, Uncertainty, mean, over_seeds},
    classification::{ClassMetrics, class_metrics, largest},
    fits::Fits,
    labels::Labels,
    mlp::{Mlp, MlpConfig},
    results::Source,
    sample::{Features, Known, Model, Sample},
};
use crate::{
    error::{Error, Result},
    survey::{ObjectId, QUESTIONS, Split},
};
use votes::{Answers, answers};

/// Settings of [`morphology`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MorphologyOptions {
    /// The classifier.
    pub mlp: MlpConfig,
    /// Classifiers fitted, each with a seed one above the last.
    pub seeds: usize,
    /// Volunteers who must have seen a galaxy that is trained on (paper section 4.2.3).
    pub train_votes: f64,
    /// Volunteers who must have seen a galaxy that is tested on.
    pub test_votes: f64,
    /// Share of the volunteers who must have been asked the question.
    pub asked_share: f64,
    /// Resampling of the test galaxies.
    pub bootstrap: BootstrapConfig,
}

impl Default for MorphologyOptions {
    /// As in the paper: four layers, the hidden ones 128 wide; dropout of the released code.
    fn default() -> Self {
        Self {
            mlp: MlpConfig {
                hidden: vec![128; 3],
                dropout: 0.2,
                weight_decay: vec![0.01, 1.0],
                batch_size: 64,
                ..MlpConfig::default()
            },
            seeds: 1,
            train_votes: 3.0,
            test_votes: 34.0,
            asked_share: 0.5,
            bootstrap: BootstrapConfig::default(),
        }
    }
}

/// How well one question is answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MorphologyResult {
    /// Name of the question in the GZD-5 catalogue.
    pub question: String,
    /// Name of the model; `magnitudes` for photometry.
    pub model: String,
    /// What the answer is predicted from.
    pub source: Source,
    /// Predicted against commonest answer of the test galaxies; the mean over seeds.
    #[serde(flatten)]
    pub metrics: ClassMetrics,
    /// Standard deviation over seeds, where there are several.
    pub over_seeds: Option<ClassMetrics>,
    /// Bootstrap over the test galaxies, of the mean over seeds.
    pub uncertainty: Option<Uncertainty<ClassMetrics>>,
    /// What always saying the commonest answer of the training galaxies gives.
    pub majority: ClassMetrics,
    /// Galaxies fitted to.
    pub n_train: usize,
    /// Galaxies tested on.
    pub n_test: usize,
    /// Test galaxies of each answer, in the order of the question's answers.
    pub support: Vec<usize>,
}

/// Answers for the test galaxies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MorphologyPredictions {
    /// Name of the question.
    pub question: String,
    /// Name of the model.
    pub model: String,
    /// What the answer is predicted from.
    pub source: Source,
    /// Galaxies.
    pub object_id: Vec<ObjectId>,
    /// The commonest answer of the volunteers, by its place among the question's answers.
    pub truth: Vec<usize>,
    /// The answer predicted, one list per seed.
    pub predicted: Vec<Vec<usize>>,
}

/// Galaxies that a question left out, by the first reason that holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MorphologyDropped {
    /// Name of the question.
    pub question: String,
    /// Name of the model.
    pub model: String,
    /// What the answer is predicted from.
    pub source: Source,
    /// Train or test galaxies.
    pub split: Split,
    /// Their identifier is not in the label table, or without votes there.
    pub without_votes: usize,
    /// Too few volunteers saw them.
    pub too_few_votes: usize,
    /// Too small a share of the volunteers was asked the question.
    pub rarely_asked: usize,
    /// Another model has them, but not this one.
    pub not_in_file: usize,
    /// The embedding or a magnitude is not finite.
    pub without_features: usize,
}

/// All results for morphology.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MorphologyReport {
    /// The settings used.
    pub options: MorphologyOptions,
    /// One per question and model, in the order of the questions.
    pub results: Vec<MorphologyResult>,
    /// Questions that left out galaxies.
    pub dropped: Vec<MorphologyDropped>,
    /// What else the reader of the results must know.
    pub notes: Vec<String>,
    /// The answers behind `results`, in the same order; not part of the JSON.
    #[serde(skip)]
    pub predictions: Vec<MorphologyPredictions>,
}

/// Fits a classifier per question and source to vote fractions, and compares its answers for the test galaxies
/// with the volunteers'.
///
/// # Errors
/// [`Error::Input`] where the labels hold no votes, or no galaxies are left to fit or to test.
pub fn morphology(
    models: &[Model<'_>],
    labels: &Labels,
    options: &MorphologyOptions,
) -> Result<MorphologyReport> {
    if options.seeds == 0 {
        return Err(Error::Input("seeds = 0; expected at least 1".to_owned()));
    }
    let mut notes = Vec::new();
    let sample = Sample::new(models, Some(labels), &mut notes)?;
    let Some((questions, volunteers)) = answers(labels, &mut notes) else {
        return Err(Error::Input(format!(
            "{}: no votes: expected columns {}_total-votes, {}_{}_fraction, … as in the GZD-5 catalogue \
             (a file of `astroclip simulate` has them); there are {}",
            labels.name,
            QUESTIONS[0].name,
            QUESTIONS[0].name,
            QUESTIONS[0].answers[0],
            labels.column_names()
        )));
    };
    let sources = sample.sources(&mut notes);
    let mut tasks = Vec::new();
    let mut dropped = Vec::new();
    for answers in &questions {
        for &features in &sources {
            let task = Task {
                sample: &sample,
                answers,
                features,
                train: Vec::new(),
                test: Vec::new(),
            };
            let task = task.choose(&volunteers, options, &mut dropped);
            let (n_train, n_test) = (task.train.len(), task.test.len());
            if n_train < 4 || n_test < 2 {
                let (model, source) = sample.describe(features);
                notes.push(format!(
                    "{} from {source} ({model}): left out, {n_train} train and {n_test} test galaxies remain",
                    answers.question.name
                ));
            } else {
                tasks.push(task);
            }
        }
    }
    dropped.retain(|lost: &MorphologyDropped| lost.total() > 0);
    if tasks.is_empty() {
        return Err(Error::Input(format!(
            "{}: nothing to evaluate; {}",
            labels.name,
            notes.join("; ")
        )));
    }
    let progress = Fits::new("morphology", tasks.len() * options.seeds);
    let made: Vec<(MorphologyResult, MorphologyPredictions)> = tasks
        .into_par_iter()
        .map(|task| task.run(options, &progress))
        .collect::<Result<_>>()?;
    progress.finish();
    let (results, predictions) = made.into_iter().unzip();
    Ok(MorphologyReport {
        options: options.clone(),
        results,
        dropped,
        notes,
        predictions,
    })
}

impl MorphologyDropped {
    /// The number of galaxies left out.
    pub fn total(&self) -> usize {
        self.without_votes
            + self.too_few_votes
            + self.rarely_asked
            + self.not_in_file
            + self.without_features
    }
}

/// One question from one source.
struct Task<'a> {
    sample: &'a Sample<'a>,
    answers: &'a Answers,
    features: Features,
    train: Vec<usize>,
    test: Vec<usize>,
}

impl Task<'_> {
    /// Chooses the galaxies to fit to and to test on.
    fn choose(
        mut self,
        volunteers: &[f64],
        options: &MorphologyOptions,
        dropped: &mut Vec<MorphologyDropped>,
    ) -> Self {
        for (split, votes) in [
            (Split::Train, options.train_votes),
            (Split::Test, options.test_votes),
        ] {
            let (model, source) = self.sample.describe(self.features);
            let mut lost = MorphologyDropped {
                question: self.answers.question.name.to_owned(),
                model: model.to_owned(),
                source,
                split,
                without_votes: 0,
                too_few_votes: 0,
                rarely_asked: 0,
                not_in_file: 0,
                without_features: 0,
            };
            let mut chosen = Vec::new();
            for galaxy in 0..self.sample.object_id.len() {
                if self.sample.split[galaxy] != split {
                    continue;
                }
                let row = self.sample.label_row[galaxy];
                let seen = row.map_or(f64::NAN, |row| volunteers[row]);
                let share = row.map_or(f64::NAN, |row| self.answers.asked[row]) / seen;
                let reason = if seen.is_nan() || seen <= 0.0 {
                    &mut lost.without_votes
                } else if seen < votes {
                    &mut lost.too_few_votes
                } else if share.is_nan() || share < options.asked_share {
                    &mut lost.rarely_asked
                } else if self.fractions(galaxy).is_none() {
                    &mut lost.without_votes
                } else {
                    match self.sample.known(self.features, galaxy) {
                        Known::NotInFile => &mut lost.not_in_file,
                        Known::NotFinite => &mut lost.without_features,
                        Known::Yes => {
                            chosen.push(galaxy);
                            continue;
                        }
                    }
                };
                *reason += 1;
            }
            dropped.push(lost);
            match split {
                Split::Train => self.train = chosen,
                Split::Test => self.test = chosen,
            }
        }
        self
    }

    /// Vote fractions of a galaxy.
    fn fractions(&self, galaxy: usize) -> Option<ndarray::ArrayView1<'_, f64>> {
        let fractions = self.answers.fractions.row(self.sample.label_row[galaxy]?);
        fractions.iter().all(|f| f.is_finite()).then_some(fractions)
    }

    /// The commonest answer of each galaxy.
    fn truth(&self, galaxies: &[usize]) -> Vec<usize> {
        let fractions = galaxies.iter().map(|&galaxy| self.fractions(galaxy));
        fractions
            .map(|fractions| largest(fractions.expect("galaxies with votes").iter()))
            .collect()
    }

    fn run(
        &self,
        options: &MorphologyOptions,
        progress: &Fits,
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
        let ids = self
            .test
            .iter()
            .map(|&galaxy| self.sample.object_id[galaxy]);
        let predictions = MorphologyPredictions {
            question,
            model: model.to_owned(),
            source,
            object_id: ids.collect(),
            truth,
            predicted,
        };
        Ok((result, predictions))
    }
}
