use ndarray::{Array2, parallel::prelude::*, s};

use super::{
    fit_progress::FitProgress,
    labels::Labels,
    mlp::{Mlp, MlpConfig},
    predictions::PredictionTable,
    results::{
        BinnedBy, Dropped, EvalOptions, EvalReport, Method, Predictions, TaskResult, in_words,
    },
    sample::{Features, Model, Sample},
    scores::{Binning, gain_over_photometry},
    target::Target,
    tasks::Tasks,
};
use crate::{
    error::{Error, Result},
    knn,
    survey::Split,
};

/// The place of r in g, r, z.
const R_BAND: usize = 1;

/// What to evaluate.
#[derive(Debug, Clone)]
pub struct Evaluation<'a> {
    /// Embeddings of one or more models.
    pub models: Vec<Model<'a>>,
    /// Predictions of networks trained end to end.
    pub predictions: &'a [PredictionTable],
    /// Properties, magnitudes, and redshifts where the embedding files have none.
    pub labels: Option<&'a Labels>,
    /// Settings.
    pub options: EvalOptions,
}

impl Evaluation<'_> {
    /// Redshift from every source (paper section 6.2). The embedding files' redshifts count; those they do
    /// not know are taken from the label table.
    ///
    /// # Errors
    /// [`Error::Input`] where no galaxies with redshift are left to fit or to test, or k is too large.
    pub fn redshift(&self) -> Result<EvalReport> {
        self.run(&[Target::Redshift])
    }

    /// Stellar mass, metallicity, age and specific star-formation rate (paper section 6.3).
    ///
    /// # Errors
    /// As [`redshift`](Self::redshift), and without a label table.
    pub fn properties(&self) -> Result<EvalReport> {
        if self.labels.is_none() {
            return Err(Error::Input(
                "galaxy properties need a label table; pass --labels FILE with columns LOG_MSTAR, \
                 Z_MW, TAGE_MW, AVG_SFR (a file of `astroclip simulate` has them)"
                    .to_owned(),
            ));
        }
        self.run(&Target::PROPERTIES)
    }

    fn run(&self, targets: &[Target]) -> Result<EvalReport> {
        if self.options.seeds == 0 {
            return Err(Error::Input("seeds = 0; expected at least 1".to_owned()));
        }
        let mut notes = Vec::new();
        let sample = Sample::new(&self.models, self.labels, &mut notes)?;
        let tasks = Tasks::new(&sample, self.labels, targets, &mut notes);
        let mut dropped = Vec::new();
        let mut jobs = Vec::new();
        for features in sample.sources(&mut notes) {
            for &target in tasks.values.keys() {
                let before = dropped.len();
                let train = tasks.usable(features, target, Split::Train, &mut dropped);
                let test = tasks.usable(features, target, Split::Test, &mut dropped);
                let (n_train, n_test) = (train.len(), test.len());
                if n_train < 4 || n_test < 2 {
                    let (model, source) = sample.describe(features);
                    let lost: Vec<String> = dropped[before..]
                        .iter()
                        .map(|lost: &Dropped| in_words(&lost.reasons()))
                        .collect();
                    notes.push(format!(
                        "{target} from {source} ({model}): left out, {n_train} train and {n_test} test galaxies \
                         remain (train: {}; test: {})",
                        lost[0], lost[1]
                    ));
                    continue;
                }
                jobs.push(Job {
                    features,
                    target,
                    train,
                    test,
                });
            }
        }
        let progress = FitProgress::new("few-shot", jobs.len() * self.options.seeds);
        let groups: Vec<&[Job]> = jobs.chunk_by(Job::has_same_rows).collect();
        let predicted: Vec<Vec<(usize, Predictions)>> = groups
            .into_par_iter()
            .map(|jobs| self.predict(jobs, &tasks, &progress))
            .collect::<Result<_>>()?;
        progress.finish();
        let mut predicted: Vec<(usize, Predictions)> = predicted.into_iter().flatten().collect();
        for table in self.predictions {
            predicted.extend(tasks.read(table, &mut dropped, &mut notes));
        }
        dropped.retain(|dropped| dropped.total() > 0);
        if predicted.is_empty() {
            let path = self.models[0].embeddings.path.display();
            return Err(Error::Input(format!(
                "{path}: nothing to evaluate; {}",
                notes.join("; ")
            )));
        }
        // Stable: models of one source stay in the order in which they were given.
        predicted.sort_by_key(|(_, p)| (p.target, p.source));
        let binnings = self.binnings(&sample);
        let (n_train, predictions): (Vec<usize>, Vec<Predictions>) = predicted.into_iter().unzip();
        let results: Vec<TaskResult> = predictions
            .par_iter()
            .zip(&n_train)
            .map(|(one, &n_train)| TaskResult {
                over_photometry: gain_over_photometry(one, &predictions, &self.options),
                ..one.score(n_train, &self.options, &binnings)
            })
            .collect();
        Ok(EvalReport {
            options: self.options.clone(),
            results,
            dropped,
            notes,
            predictions,
        })
    }

    /// Zero- and few-shot predictions of targets that are known for the same galaxies, with the number of
    /// galaxies fitted to.
    fn predict(
        &self,
        jobs: &[Job],
        tasks: &Tasks<'_>,
        progress: &FitProgress,
    ) -> Result<Vec<(usize, Predictions)>> {
        let Job {
            features,
            train,
            test,
            ..
        } = &jobs[0];
        let sample = tasks.sample;
        let x_train = sample.features(*features, train);
        let x_test = sample.features(*features, test);
        let y_train = Array2::from_shape_fn((train.len(), jobs.len()), |(row, job)| {
            tasks.values[&jobs[job].target][train[row]]
        });
        let neighbours = knn::euclidean(x_train.view(), x_test.view(), self.options.k)?;
        let zero_shot = knn::regress(&neighbours, y_train.view(), self.options.weights);
        let fits: Vec<(usize, u64)> = (0..jobs.len())
            .flat_map(|job| (0..self.options.seeds as u64).map(move |seed| (job, seed)))
            .collect();
        let few_shot: Vec<Vec<f64>> = fits
            .into_par_iter()
            .map(|(job, seed)| {
                let config = MlpConfig {
                    seed: self.options.mlp.seed + seed,
                    ..self.options.mlp.clone()
                };
                let y_train = y_train.slice(s![.., job..=job]);
                let mlp = Mlp::fit(x_train.view(), y_train, &config)?;
                progress.one_more();
                Ok(mlp.predict(x_test.view()).into_raw_vec_and_offset().0)
            })
            .collect::<Result<_>>()?;
        let mut few_shot = few_shot.into_iter();
        let (model, source) = sample.describe(*features);
        let mut made = Vec::new();
        for (column, job) in jobs.iter().enumerate() {
            let mut add = |method, mut seeds: Vec<Vec<f64>>| {
                let further_seeds = seeds.split_off(1);
                made.push((
                    train.len(),
                    Predictions {
                        model: model.to_owned(),
                        source,
                        method,
                        target: job.target,
                        object_id: test.iter().map(|&row| sample.object_id[row]).collect(),
                        truth: tasks.truth(job.target, test),
                        predicted: seeds.remove(0),
                        further_seeds,
                    },
                ));
            };
            add(Method::ZeroShot, vec![zero_shot.column(column).to_vec()]);
            add(
                Method::FewShot,
                few_shot.by_ref().take(self.options.seeds).collect(),
            );
        }
        Ok(made)
    }

    /// Bins of the test galaxies.
    fn binnings(&self, sample: &Sample<'_>) -> Vec<Binning> {
        if self.options.bins == 0 {
            return Vec::new();
        }
        let test = || (0..sample.object_id.len()).filter(|&g| sample.split[g] == Split::Test);
        let bins = self.options.bins;
        let redshift = test().map(|g| (sample.object_id[g], sample.redshift[g]));
        let magnitude = sample.photometry.as_ref().and_then(|magnitudes| {
            let of = |g: usize| (sample.object_id[g], f64::from(magnitudes[[g, R_BAND]]));
            Binning::new(BinnedBy::MagnitudeR, bins, test().map(of))
        });
        Binning::new(BinnedBy::Redshift, bins, redshift)
            .into_iter()
            .chain(magnitude)
            .collect()
    }
}

struct Job {
    features: Features,
    target: Target,
    train: Vec<usize>,
    test: Vec<usize>,
}

impl Job {
    fn has_same_rows(&self, other: &Self) -> bool {
        (self.features, &self.train, &self.test) == (other.features, &other.train, &other.test)
    }
}
