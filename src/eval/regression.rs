use std::collections::{BTreeMap, HashMap};

use ndarray::{Array2, parallel::prelude::*, s};

use super::{
    fits::Fits,
    labels::Labels,
    mlp::{Mlp, MlpConfig},
    results::{
        BinnedBy, Dropped, EvalOptions, EvalReport, Method, Predictions, Source, TaskResult,
    },
    sample::{Features, Known, Model, Sample},
    scores::{Binning, gain_over_photometry},
    target::Target,
};
use crate::{
    error::{Error, Result},
    knn,
    survey::{Modality, ObjectId, Split},
};

/// What the magnitudes are called where a model has a name.
pub(super) const MAGNITUDES_MODEL: &str = "magnitudes";
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

/// Predictions of a network that was trained end to end, such as those of `astroclip baseline`.
#[derive(Debug, Clone, PartialEq)]
pub struct PredictionTable {
    /// What to call the network.
    pub model: String,
    /// What it predicts from.
    pub source: Source,
    /// A column per target, named as [`Target::name`]; `split`, where it is known, is 0 for galaxies that it was
    /// trained on.
    pub table: Labels,
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
                let train = tasks.usable(features, target, Split::Train, &mut dropped);
                let test = tasks.usable(features, target, Split::Test, &mut dropped);
                let (n_train, n_test) = (train.len(), test.len());
                if n_train < 4 || n_test < 2 {
                    let (model, source) = sample.describe(features);
                    notes.push(format!(
                        "{target} from {source} ({model}): left out, {n_train} train and {n_test} test galaxies \
                         remain"
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
        let progress = Fits::new("few-shot", jobs.len() * self.options.seeds);
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
        progress: &Fits,
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

impl Sample<'_> {
    /// The model's name, and what the features are of.
    pub(super) fn describe(&self, features: Features) -> (&str, Source) {
        match features {
            Features::Photometry => (MAGNITUDES_MODEL, Source::Photometry),
            Features::Embeddings(model, Modality::Image) => {
                (self.models[model].name, Source::Image)
            }
            Features::Embeddings(model, Modality::Spectrum) => {
                (self.models[model].name, Source::Spectrum)
            }
        }
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

/// The galaxies, and the true values of the targets that are known at all.
struct Tasks<'a> {
    sample: &'a Sample<'a>,
    /// By galaxy, where there is a label table: whether it passes the cuts; `None` where it is not in the table.
    passes: Option<Vec<Option<bool>>>,
    /// Values of all galaxies, not finite where unknown.
    values: BTreeMap<Target, Vec<f64>>,
}

impl<'a> Tasks<'a> {
    fn new(
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

    fn truth(&self, target: Target, galaxies: &[usize]) -> Vec<f64> {
        let values = &self.values[&target];
        galaxies.iter().map(|&galaxy| values[galaxy]).collect()
    }

    /// Galaxies with finite features and target; what was left out why is added to `dropped`.
    fn usable(
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
    fn read(
        &self,
        from: &PredictionTable,
        dropped: &mut Vec<Dropped>,
        notes: &mut Vec<String>,
    ) -> Vec<(usize, Predictions)> {
        let mut made = Vec::new();
        let (rows, _) = from.table.rows();
        let split = from.table.column(&["split"]);
        let n_train = split.map_or(0, |split| split.iter().filter(|&&code| code == 0.0).count());
        let row_of: HashMap<ObjectId, usize> = rows;
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
                    Some(row) if split.is_some_and(|split| split[row] == 0.0) => {
                        &mut lost.trained_on
                    }
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
