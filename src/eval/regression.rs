use std::{
    collections::{BTreeMap, HashSet},
    fmt,
};

use ndarray::{Array2, ArrayView2, Axis, parallel::prelude::*};
use serde::{Deserialize, Serialize};

use super::{
    labels::{Labels, MAGNITUDES},
    metrics::{Metrics, accuracy_of_properties, accuracy_of_redshifts},
    mlp::{Mlp, MlpConfig},
    target::Target,
};
use crate::{
    embeddings::EmbeddingFile,
    error::{Error, Result},
    knn::{self, Weights},
    survey::{Modality, ObjectId, Split},
};

/// What a prediction is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// Image embeddings.
    Image,
    /// Spectrum embeddings.
    Spectrum,
    /// The g, r and z magnitudes: the baseline that embeddings have to beat.
    Photometry,
}

impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Image => "image",
            Self::Spectrum => "spectrum",
            Self::Photometry => "photometry",
        })
    }
}

/// How a prediction is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// k-nearest-neighbour regression: nothing is trained.
    ZeroShot,
    /// A small MLP.
    FewShot,
}

impl fmt::Display for Method {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::ZeroShot => "zero-shot",
            Self::FewShot => "few-shot",
        })
    }
}

/// Settings of the evaluation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EvalOptions {
    /// Neighbours of the k-NN.
    pub k: usize,
    /// How the neighbours are weighted.
    pub weights: Weights,
    /// The few-shot MLP.
    pub mlp: MlpConfig,
}

impl Default for EvalOptions {
    fn default() -> Self {
        Self {
            k: 16,
            weights: Weights::default(),
            mlp: MlpConfig::default(),
        }
    }
}

/// What to evaluate.
#[derive(Debug, Clone)]
pub struct Evaluation<'a> {
    /// Embeddings; k-NN and MLP are fitted to its train split, and tested on its test split.
    pub embeddings: &'a EmbeddingFile,
    /// Embeddings of a test set. All of `embeddings` then trains, but for galaxies that are in both.
    pub test: Option<&'a EmbeddingFile>,
    /// Properties, magnitudes, and redshifts where the embedding file has none.
    pub labels: Option<&'a Labels>,
    /// Settings.
    pub options: EvalOptions,
}

/// One line of the results.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskResult {
    /// What the prediction is made from.
    pub source: Source,
    /// How it is made.
    pub method: Method,
    /// What is predicted.
    pub target: Target,
    /// How good it is, on the test galaxies.
    #[serde(flatten)]
    pub metrics: Metrics,
    /// Galaxies fitted to.
    pub n_train: usize,
    /// Galaxies tested on.
    pub n_test: usize,
}

/// Predictions for the test galaxies, for plots.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Predictions {
    /// What they are made from.
    pub source: Source,
    /// How they are made.
    pub method: Method,
    /// What is predicted.
    pub target: Target,
    /// Galaxy of each prediction.
    pub object_id: Vec<ObjectId>,
    /// True values.
    pub truth: Vec<f64>,
    /// Predicted values.
    pub predicted: Vec<f64>,
}

/// Galaxies that a task left out, by the first reason that holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    /// What the prediction is made from.
    pub source: Source,
    /// What is predicted.
    pub target: Target,
    /// Train or test galaxies.
    pub split: Split,
    /// Their identifier is not in the label table.
    pub not_in_labels: usize,
    /// They fail the catalogue's cuts (stellar mass and magnitudes above 0).
    pub cut: usize,
    /// The target is unknown or not finite.
    pub without_target: usize,
    /// The embedding or a magnitude is not finite.
    pub without_features: usize,
}

impl Dropped {
    /// The number of galaxies left out.
    pub fn total(&self) -> usize {
        self.not_in_labels + self.cut + self.without_target + self.without_features
    }
}

/// All results of an evaluation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvalReport {
    /// The settings used.
    pub options: EvalOptions,
    /// One per target, source and method, in this order.
    pub results: Vec<TaskResult>,
    /// Tasks that left out galaxies.
    pub dropped: Vec<Dropped>,
    /// What else the reader of the results must know.
    pub notes: Vec<String>,
    /// The predictions behind `results`, in the same order; not part of the JSON.
    #[serde(skip)]
    pub predictions: Vec<Predictions>,
}

impl Evaluation<'_> {
    /// Redshift from every source (paper section 6.2). The embedding file's redshifts count; those it
    /// does not know are taken from the label table.
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
        let mut notes = Vec::new();
        let (train, test) = self.parts(targets, &mut notes)?;
        let mut dropped = Vec::new();
        let mut jobs = Vec::new();
        for source in self.sources(&mut notes) {
            for &target in targets {
                if !train.targets.contains_key(&target) {
                    continue;
                }
                let (train_rows, lost) = train.usable(source, target);
                dropped.push(lost);
                let (test_rows, lost) = test.usable(source, target);
                dropped.push(lost);
                let (n_train, n_test) = (train_rows.len(), test_rows.len());
                if n_train < 4 || n_test < 2 {
                    notes.push(format!(
                        "{target} from {source}: left out, {n_train} train and {n_test} test \
                         galaxies remain"
                    ));
                    continue;
                }
                jobs.push(Job {
                    source,
                    target,
                    train_rows,
                    test_rows,
                });
            }
        }
        dropped.retain(|dropped| dropped.total() > 0);
        if jobs.is_empty() {
            return Err(Error::Input(format!(
                "{}: nothing to evaluate; {}",
                self.embeddings.path.display(),
                notes.join("; ")
            )));
        }
        let groups: Vec<&[Job]> = jobs.chunk_by(Job::has_same_rows).collect();
        let predictions: Vec<Vec<Predictions>> = groups
            .into_par_iter()
            .map(|jobs| self.predict(jobs, &train, &test))
            .collect::<Result<_>>()?;
        let mut predictions: Vec<Predictions> = predictions.into_iter().flatten().collect();
        predictions.sort_by_key(|p| (p.target, p.source, p.method));
        let results = predictions.iter().map(|prediction| {
            let job = jobs
                .iter()
                .find(|job| (job.source, job.target) == (prediction.source, prediction.target))
                .expect("every prediction has its job");
            prediction.result(job.train_rows.len())
        });
        Ok(EvalReport {
            options: self.options.clone(),
            results: results.collect(),
            dropped,
            notes,
            predictions,
        })
    }

    /// Zero- and few-shot predictions of targets that are known for the same galaxies.
    fn predict(&self, jobs: &[Job], train: &Part<'_>, test: &Part<'_>) -> Result<Vec<Predictions>> {
        let Job {
            source,
            train_rows,
            test_rows,
            ..
        } = &jobs[0];
        let x_train = train.features(*source).select(Axis(0), train_rows);
        let x_test = test.features(*source).select(Axis(0), test_rows);
        let y_train = Array2::from_shape_fn((train_rows.len(), jobs.len()), |(row, job)| {
            train.targets[&jobs[job].target][train_rows[row]]
        });
        let neighbours = knn::euclidean(x_train.view(), x_test.view(), self.options.k)?;
        let zero_shot = knn::regress(&neighbours, y_train.view(), self.options.weights);
        let predictions = |job: &Job, method, predicted| Predictions {
            source: *source,
            method,
            target: job.target,
            object_id: test_rows
                .iter()
                .map(|&row| test.file.object_id[row])
                .collect(),
            truth: test_rows
                .iter()
                .map(|&row| test.targets[&job.target][row])
                .collect(),
            predicted,
        };
        let made: Result<Vec<[Predictions; 2]>> = jobs
            .par_iter()
            .enumerate()
            .map(|(column, job)| {
                let y_train = y_train.slice(ndarray::s![.., column..=column]);
                let mlp = Mlp::fit(x_train.view(), y_train, &self.options.mlp)?;
                let few_shot = mlp.predict(x_test.view()).into_raw_vec_and_offset().0;
                Ok([
                    predictions(job, Method::ZeroShot, zero_shot.column(column).to_vec()),
                    predictions(job, Method::FewShot, few_shot),
                ])
            })
            .collect();
        Ok(made?.into_iter().flatten().collect())
    }

    fn sources(&self, notes: &mut Vec<String>) -> Vec<Source> {
        let mut sources = Vec::new();
        for modality in self.embeddings.modalities() {
            if let Some(test) = self.test
                && test.embeddings(modality).is_err()
            {
                notes.push(format!(
                    "{modality} embeddings left out: {} has none",
                    test.path.display()
                ));
                continue;
            }
            sources.push(match modality {
                Modality::Image => Source::Image,
                Modality::Spectrum => Source::Spectrum,
            });
        }
        if self.labels.and_then(magnitudes).is_some() {
            sources.push(Source::Photometry);
        } else {
            notes.push(
                "no photometry baseline: it needs a label table with MAG_G, MAG_R and MAG_Z".into(),
            );
        }
        sources
    }

    fn parts(&self, targets: &[Target], notes: &mut Vec<String>) -> Result<(Part<'_>, Part<'_>)> {
        let join = self.labels.map(|labels| {
            let (rows, repeated) = labels.rows();
            if repeated > 0 {
                notes.push(format!(
                    "{}: {repeated} rows repeat an identifier; the first row of each counts",
                    labels.name
                ));
            }
            let mut values = BTreeMap::new();
            for &target in targets {
                match target.values(labels) {
                    Some(column) => {
                        values.insert(target, column);
                    }
                    None if target == Target::Redshift => {}
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
            Join {
                rows,
                passes: labels.passes_cuts(),
                magnitudes: magnitudes(labels),
                values,
            }
        });
        let (train_rows, test_rows) = match self.test {
            None => (
                self.embeddings.rows_of(Split::Train),
                self.embeddings.rows_of(Split::Test),
            ),
            Some(test) => {
                let held_out: HashSet<ObjectId> = test.object_id.iter().copied().collect();
                let rows: Vec<usize> = (0..self.embeddings.len())
                    .filter(|&row| !held_out.contains(&self.embeddings.object_id[row]))
                    .collect();
                let shared = self.embeddings.len() - rows.len();
                if shared > 0 {
                    notes.push(format!(
                        "{shared} galaxies of {} are in the test file {} too and were not trained on",
                        self.embeddings.path.display(),
                        test.path.display()
                    ));
                }
                (rows, (0..test.len()).collect())
            }
        };
        let test = self.test.unwrap_or(self.embeddings);
        Ok((
            Part::new(
                self.embeddings,
                Split::Train,
                train_rows,
                targets,
                join.as_ref(),
            ),
            Part::new(test, Split::Test, test_rows, targets, join.as_ref()),
        ))
    }
}

impl Predictions {
    fn result(&self, n_train: usize) -> TaskResult {
        let accuracy = match self.target {
            Target::Redshift => accuracy_of_redshifts,
            _ => accuracy_of_properties,
        };
        TaskResult {
            source: self.source,
            method: self.method,
            target: self.target,
            metrics: accuracy(&self.truth, &self.predicted),
            n_train,
            n_test: self.truth.len(),
        }
    }
}

struct Job {
    source: Source,
    target: Target,
    train_rows: Vec<usize>,
    test_rows: Vec<usize>,
}

impl Job {
    fn has_same_rows(&self, other: &Self) -> bool {
        self.source == other.source
            && self.train_rows == other.train_rows
            && self.test_rows == other.test_rows
    }
}

/// A label table, ready to be looked up by identifier.
struct Join {
    rows: std::collections::HashMap<ObjectId, usize>,
    passes: Vec<bool>,
    magnitudes: Option<Array2<f32>>,
    values: BTreeMap<Target, Vec<f64>>,
}

/// The train or the test galaxies: some rows of an embedding file with what the labels say of them.
struct Part<'a> {
    file: &'a EmbeddingFile,
    split: Split,
    rows: Vec<usize>,
    /// Per row of the file, where there is a label table: what the table says of it.
    labelled: Option<Vec<Labelled>>,
    /// Magnitudes g, r, z of all rows of the file.
    photometry: Array2<f32>,
    /// Values of all rows of the file, not finite where unknown.
    targets: BTreeMap<Target, Vec<f64>>,
}

#[derive(Clone, Copy, PartialEq)]
enum Labelled {
    Yes,
    Missing,
    Cut,
}

impl<'a> Part<'a> {
    fn new(
        file: &'a EmbeddingFile,
        split: Split,
        rows: Vec<usize>,
        targets: &[Target],
        join: Option<&Join>,
    ) -> Self {
        let label_row: Vec<Option<usize>> = file
            .object_id
            .iter()
            .map(|object_id| join.and_then(|join| join.rows.get(object_id).copied()))
            .collect();
        let mut photometry = Array2::from_elem((file.len(), 3), f32::NAN);
        let mut values = BTreeMap::new();
        if let Some(join) = join {
            if let Some(magnitudes) = &join.magnitudes {
                for (mut row, label_row) in photometry.rows_mut().into_iter().zip(&label_row) {
                    if let Some(label_row) = *label_row {
                        row.assign(&magnitudes.row(label_row));
                    }
                }
            }
            for (&target, column) in &join.values {
                let looked_up = label_row
                    .iter()
                    .map(|row| row.map_or(f64::NAN, |row| column[row]));
                values.insert(target, looked_up.collect::<Vec<f64>>());
            }
        }
        if targets.contains(&Target::Redshift) {
            let known = values
                .entry(Target::Redshift)
                .or_insert_with(|| vec![f64::NAN; file.len()]);
            for (value, &own) in known.iter_mut().zip(&file.redshift) {
                if own.is_finite() {
                    *value = f64::from(own);
                }
            }
        }
        let labelled = join.map(|join| {
            let status = |row: &Option<usize>| match *row {
                None => Labelled::Missing,
                Some(row) if !join.passes[row] => Labelled::Cut,
                Some(_) => Labelled::Yes,
            };
            label_row.iter().map(status).collect()
        });
        Self {
            file,
            split,
            rows,
            labelled,
            photometry,
            targets: values,
        }
    }

    fn features(&self, source: Source) -> ArrayView2<'_, f32> {
        let embeddings = match source {
            Source::Image => &self.file.image,
            Source::Spectrum => &self.file.spectrum,
            Source::Photometry => return self.photometry.view(),
        };
        embeddings
            .as_ref()
            .expect("sources are those that the file has")
            .view()
    }

    /// The rows with finite features and target, and how many were left out why.
    fn usable(&self, source: Source, target: Target) -> (Vec<usize>, Dropped) {
        let mut dropped = Dropped {
            source,
            target,
            split: self.split,
            not_in_labels: 0,
            cut: 0,
            without_target: 0,
            without_features: 0,
        };
        // Redshift from embeddings needs no label table, nor its cuts.
        let needs_labels = target != Target::Redshift || source == Source::Photometry;
        let (features, values) = (self.features(source), &self.targets[&target]);
        let mut usable = Vec::with_capacity(self.rows.len());
        for &row in &self.rows {
            let labelled = match &self.labelled {
                Some(labelled) if needs_labels => labelled[row],
                _ => Labelled::Yes,
            };
            let reason = if labelled == Labelled::Missing {
                &mut dropped.not_in_labels
            } else if labelled == Labelled::Cut {
                &mut dropped.cut
            } else if !values[row].is_finite() {
                &mut dropped.without_target
            } else if !features.row(row).iter().all(|value| value.is_finite()) {
                &mut dropped.without_features
            } else {
                usable.push(row);
                continue;
            };
            *reason += 1;
        }
        (usable, dropped)
    }
}

/// Magnitudes g, r, z (rows, 3) of a label table that has them all.
fn magnitudes(labels: &Labels) -> Option<Array2<f32>> {
    let columns: Option<Vec<&[f64]>> = MAGNITUDES
        .iter()
        .map(|names| labels.column(names))
        .collect();
    let columns = columns?;
    Some(Array2::from_shape_fn(
        (labels.object_id.len(), columns.len()),
        |(row, band)| columns[band][row] as f32,
    ))
}
