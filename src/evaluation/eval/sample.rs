//! The galaxies of all models, each once, with what files and labels say of them.

use std::collections::{HashMap, HashSet};

use ndarray::{Array2, ArrayView1, Axis, CowArray, Ix1, concatenate};

use super::{
    labels::LabelRow,
    left_out::Reason,
    predictions::{PredictedFeatures, PredictionTable},
    source::{Condition, Source},
    task::{Subject, Task},
};
use crate::base::error::{Error, Result};
use crate::files::embeddings::EmbeddingFile;
use crate::survey::{Labels, Modality, ObjectId, Role, Split, Target};

/// What the magnitudes are called where a model has a name.
pub(in crate::evaluation) const MAGNITUDES_MODEL: &str = "magnitudes";

/// Embeddings of one model, to be evaluated.
#[derive(Debug, Clone, Copy)]
pub struct Model<'a> {
    /// What to call it.
    pub name: &'a str,
    /// Embeddings; k-NN and MLP are fitted to the train split, and tested on the test split.
    pub embeddings: &'a EmbeddingFile,
    /// Embeddings of a test set. All of `embeddings` then trains, but for galaxies that are in both.
    pub test: Option<&'a EmbeddingFile>,
}

/// What is evaluated.
#[derive(Debug, Clone)]
pub struct EvalInputs<'a> {
    /// Embeddings of one or more models.
    pub models: Vec<Model<'a>>,
    /// Predictions of networks trained end to end.
    pub predictions: &'a [PredictionTable],
    /// Properties, magnitudes, votes, and redshifts, which count before those of the embedding files.
    pub labels: Option<&'a Labels>,
}

/// What numbers are predicted from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::evaluation) enum Features {
    /// Embeddings of a model, by its index in [`Sample::models`].
    Embeddings(usize, Modality),
    /// Image and spectrum embeddings of a model, one behind the other.
    Both(usize),
    /// Magnitudes.
    Photometry,
    /// Predictions of a network, by its index among those added.
    Predictions(usize),
}

impl From<Features> for Condition {
    fn from(features: Features) -> Self {
        match features {
            Features::Embeddings(..) | Features::Both(_) => Self::Embeddings,
            Features::Photometry => Self::Magnitudes,
            Features::Predictions(_) => Self::Predictions,
        }
    }
}

/// Where a galaxy stands in a model's files.
#[derive(Debug, Clone, Copy)]
struct FileRow {
    in_test_file: bool,
    row: usize,
}

/// The galaxies of all models, each once, with what files and labels say of them.
pub(in crate::evaluation) struct Sample<'a> {
    pub(in crate::evaluation) models: Vec<Model<'a>>,
    pub(in crate::evaluation) object_id: Vec<ObjectId>,
    pub(in crate::evaluation) split: Vec<Split>,
    /// Redshift from the labels, else from the first file that knows it; NaN where unknown.
    pub(in crate::evaluation) redshift: Vec<f64>,
    /// How many of these are from files although there are labels.
    own_redshifts: usize,
    /// Where each galaxy stands in the label table.
    pub(in crate::evaluation) label_row: Vec<Option<LabelRow>>,
    /// Per model: where each galaxy stands.
    file_rows: Vec<Vec<Option<FileRow>>>,
    /// Magnitudes g, r, z (galaxies, 3), NaN where unknown.
    pub(in crate::evaluation) photometry: Option<Array2<f32>>,
    predictions: Vec<PredictedFeatures<'a>>,
}

impl<'a> Sample<'a> {
    /// Joins the models' files and the labels by identifier. `notes` gets what the reader must know.
    pub(in crate::evaluation) fn new(
        inputs: &EvalInputs<'a>,
        notes: &mut Vec<String>,
    ) -> Result<Self> {
        let models = &inputs.models;
        if models.is_empty() {
            return Err(Error::input("no embeddings to evaluate"));
        }
        let mut sample = Self {
            models: models.clone(),
            object_id: Vec::new(),
            split: Vec::new(),
            redshift: Vec::new(),
            own_redshifts: 0,
            label_row: Vec::new(),
            file_rows: Vec::new(),
            photometry: None,
            predictions: Vec::new(),
        };
        let mut galaxy_of = HashMap::new();
        for model in models {
            sample.add(model, &mut galaxy_of, notes);
        }
        for file_rows in &mut sample.file_rows {
            file_rows.resize(sample.object_id.len(), None);
        }
        sample.join(inputs.labels, notes);
        Ok(sample)
    }

    fn add(
        &mut self,
        model: &Model<'a>,
        galaxy_of: &mut HashMap<ObjectId, usize>,
        notes: &mut Vec<String>,
    ) {
        let mut file_rows = vec![None; self.object_id.len()];
        let mut other_split = 0;
        // The test file first: its galaxies are never trained on.
        let files = model.test.into_iter().map(|test| (test, true));
        for (file, in_test_file) in files.chain([(model.embeddings, false)]) {
            let mut repeated = 0;
            let mut shared = 0;
            for row in 0..file.len() {
                let split = match (in_test_file, model.test) {
                    (true, _) => Split::Test,
                    (false, Some(_)) => Split::Train,
                    (false, None) => file.split[row],
                };
                let galaxy = *galaxy_of.entry(file.object_id[row]).or_insert_with(|| {
                    self.object_id.push(file.object_id[row]);
                    self.split.push(split);
                    self.redshift.push(f64::NAN);
                    file_rows.push(None);
                    self.object_id.len() - 1
                });
                match file_rows[galaxy] {
                    Some(FileRow {
                        in_test_file: known,
                        ..
                    }) if known == in_test_file => repeated += 1,
                    Some(_) => shared += 1,
                    None => {
                        file_rows[galaxy] = Some(FileRow { in_test_file, row });
                        let redshift = f64::from(file.redshift[row]);
                        if self.redshift[galaxy].is_nan() && Target::Redshift.is_possible(redshift)
                        {
                            self.redshift[galaxy] = redshift;
                        }
                        other_split += usize::from(self.split[galaxy] != split);
                    }
                }
            }
            if repeated > 0 {
                notes.push(format!(
                    "{}: {repeated} rows repeat an identifier; the first row of each counts",
                    file.path.display()
                ));
            }
            if let Some(test) = model.test
                && shared > 0
            {
                notes.push(format!(
                    "{shared} galaxies of {} are in the test file {} too and were not trained on",
                    file.path.display(),
                    test.path.display()
                ));
            }
        }
        if let Some(test) = model.test {
            let tested: HashSet<ObjectId> = test.object_id.iter().copied().collect();
            let fitted = |row: &usize| !tested.contains(&model.embeddings.object_id[*row]);
            let held_out = model.embeddings.rows_of(Split::Test);
            let own_test = match held_out.into_iter().filter(fitted).count() {
                0 => String::new(),
                count => format!(
                    ", {count} of its own test split among them (--fit train leaves them out)"
                ),
            };
            notes.push(format!(
                "{}: fitted to {} galaxies of {}{own_test}; tested on {}",
                model.name,
                (0..model.embeddings.len()).filter(fitted).count(),
                model.embeddings.path.display(),
                test.path.display()
            ));
        }
        if other_split > 0 {
            notes.push(format!(
                "{other_split} galaxies of {} train there and test elsewhere, or the reverse; the split of the \
                 first file counts: was `{}` trained on galaxies that test here?",
                model.embeddings.path.display(),
                model.name
            ));
        }
        self.file_rows.push(file_rows);
    }

    fn join(&mut self, labels: Option<&Labels>, notes: &mut Vec<String>) {
        let Some(labels) = labels else {
            self.label_row = vec![None; self.object_id.len()];
            return;
        };
        let (_, repeated) = labels.rows();
        if repeated > 0 {
            notes.push(format!(
                "{}: {repeated} rows repeat an identifier; the first row of each counts",
                labels.name
            ));
        }
        self.label_row = labels.locate(&self.object_id);
        let redshift = labels.known(Target::Redshift);
        for (own, at) in self.redshift.iter_mut().zip(&self.label_row) {
            match (&redshift, at) {
                (Some(redshift), Some(at)) if redshift[at.row].is_finite() => {
                    *own = redshift[at.row]
                }
                _ => self.own_redshifts += usize::from(own.is_finite()),
            }
        }
        self.photometry = labels.magnitudes().map(|columns| {
            let columns: Vec<Vec<f64>> = columns
                .iter()
                .map(|column| self.looked_up(column))
                .collect();
            let shape = (self.object_id.len(), columns.len());
            Array2::from_shape_fn(shape, |(galaxy, band)| columns[band][galaxy] as f32)
        });
    }

    /// Says which redshifts are not those of the labels.
    pub(in crate::evaluation) fn note_redshifts(
        &self,
        labels: Option<&Labels>,
        notes: &mut Vec<String>,
    ) {
        if let (Some(labels), 1..) = (labels, self.own_redshifts) {
            let quantity = labels.quantities.get(&Target::Redshift);
            let why = match quantity.map(|quantity| (&quantity.taken[..], &quantity.refused[..])) {
                Some(([], [why, ..])) => why.clone(),
                Some(([_, ..], _)) => format!("{} does not know them", labels.name),
                _ => format!("{} has no column of redshifts", labels.name),
            };
            notes.push(format!(
                "redshifts of {} galaxies are those of the embedding files: {why}",
                self.own_redshifts
            ));
        }
    }

    /// Adds what a network predicts to what predictions can be made from.
    pub(in crate::evaluation) fn add_predictions(&mut self, from: &'a PredictionTable) {
        let features = PredictedFeatures::of(from, &self.object_id);
        self.predictions.push(features);
    }

    /// A column of the label table, for every galaxy; NaN where it is not in the table.
    pub(in crate::evaluation) fn looked_up(&self, column: &[f64]) -> Vec<f64> {
        let rows = self.label_row.iter();
        rows.map(|at| at.map_or(f64::NAN, |at| column[at.row]))
            .collect()
    }

    /// All that predictions can be made from, with the model's name.
    pub(in crate::evaluation) fn sources(&self, notes: &mut Vec<String>) -> Vec<Features> {
        let mut sources = Vec::new();
        for (index, model) in self.models.iter().enumerate() {
            for modality in model.embeddings.modalities() {
                match model.test {
                    Some(test) if test.embeddings(modality).is_err() => notes.push(format!(
                        "{modality} embeddings left out: {} has none",
                        test.path.display()
                    )),
                    _ => sources.push(Features::Embeddings(index, modality)),
                }
            }
        }
        match self.photometry {
            Some(_) => sources.push(Features::Photometry),
            None => notes.push(
                "no photometry baseline: it needs a label table with MAG_G, MAG_R and MAG_Z".into(),
            ),
        }
        sources.extend((0..self.predictions.len()).map(Features::Predictions));
        sources
    }

    /// Image and spectrum embeddings together, of the models that have both.
    pub(in crate::evaluation) fn both(&self) -> impl Iterator<Item = Features> {
        let models = self.models.iter().enumerate();
        let both = models.filter(|(_, model)| {
            let mut files = std::iter::once(model.embeddings).chain(model.test);
            files.all(|file| file.modalities().len() == Modality::ALL.len())
        });
        both.map(|(model, _)| Features::Both(model))
    }

    /// The model's name, and what the features are of.
    pub(in crate::evaluation) fn describe(&self, features: Features) -> (&str, Source) {
        match features {
            Features::Photometry => (MAGNITUDES_MODEL, Source::Photometry),
            Features::Predictions(index) => {
                let from = self.predictions[index].from;
                (&from.model, from.source)
            }
            Features::Embeddings(model, Modality::Image) => {
                (self.models[model].name, Source::Image)
            }
            Features::Embeddings(model, Modality::Spectrum) => {
                (self.models[model].name, Source::Spectrum)
            }
            Features::Both(model) => (self.models[model].name, Source::Both),
        }
    }

    /// Why a galaxy's features cannot be used; `None` where they can.
    pub(in crate::evaluation) fn lacks_features(
        &self,
        features: Features,
        galaxy: usize,
    ) -> Option<Reason> {
        match self.row(features, galaxy) {
            None => Some(Reason::NotInFile),
            Some(row) if row.iter().all(|value| value.is_finite()) => None,
            Some(_) => Some(Reason::WithoutFeatures),
        }
    }

    /// What is predicted from features, of a split's galaxies.
    pub(in crate::evaluation) fn task(
        &self,
        features: Features,
        subject: Subject,
        split: Split,
    ) -> Task {
        let (model, source) = self.describe(features);
        Task {
            model: model.to_owned(),
            source,
            subject,
            split,
        }
    }

    /// The galaxies of a split.
    pub(in crate::evaluation) fn of_split(&self, split: Split) -> impl Iterator<Item = usize> {
        (0..self.object_id.len()).filter(move |&galaxy| self.split[galaxy] == split)
    }

    /// The identifiers of galaxies.
    pub(in crate::evaluation) fn ids(&self, galaxies: &[usize]) -> Vec<ObjectId> {
        galaxies
            .iter()
            .map(|&galaxy| self.object_id[galaxy])
            .collect()
    }

    /// The network behind the features, where they are its predictions.
    pub(in crate::evaluation) fn network(&self, features: Features) -> Option<&'a PredictionTable> {
        match features {
            Features::Predictions(index) => Some(self.predictions[index].from),
            _ => None,
        }
    }

    /// What a galaxy was to the network behind the features: embeddings and magnitudes know no targets, so that for
    /// them it is always [`Role::Test`].
    pub(in crate::evaluation) fn role(&self, features: Features, galaxy: usize) -> Role {
        match features {
            Features::Predictions(index) => self.predictions[index].roles[galaxy],
            _ => None,
        }
        .unwrap_or(Role::Test)
    }

    /// The features (galaxies, D) of galaxies that have them.
    pub(in crate::evaluation) fn features(
        &self,
        features: Features,
        galaxies: &[usize],
    ) -> Array2<f32> {
        let row = |galaxy| self.row(features, galaxy).expect("a galaxy with features");
        let width = galaxies.first().map_or(0, |&galaxy| row(galaxy).len());
        let mut values = Array2::zeros((galaxies.len(), width));
        for (mut value, &galaxy) in values.rows_mut().into_iter().zip(galaxies) {
            value.assign(&row(galaxy));
        }
        values
    }

    /// Where galaxies stand in a model's file of embeddings; those of its test file stand nowhere.
    pub(in crate::evaluation) fn places(&self, model: usize, galaxies: &[usize]) -> Vec<usize> {
        let places = galaxies
            .iter()
            .filter_map(|&galaxy| self.file_rows[model][galaxy]);
        let own = places.filter(|at| !at.in_test_file);
        own.map(|at| at.row).collect()
    }

    fn row(&self, features: Features, galaxy: usize) -> Option<CowArray<'_, f32, Ix1>> {
        match features {
            Features::Photometry => Some(self.photometry.as_ref()?.row(galaxy).into()),
            Features::Predictions(index) => {
                let predictions = &self.predictions[index];
                predictions.roles[galaxy]?;
                Some(predictions.values.row(galaxy).into())
            }
            Features::Embeddings(model, modality) => {
                Some(self.embedding(model, modality, galaxy)?.into())
            }
            Features::Both(model) => {
                let [image, spectrum] =
                    Modality::ALL.map(|modality| self.embedding(model, modality, galaxy));
                Some(concatenate![Axis(0), image?, spectrum?].into())
            }
        }
    }

    fn embedding(
        &self,
        model: usize,
        modality: Modality,
        galaxy: usize,
    ) -> Option<ArrayView1<'_, f32>> {
        let at = self.file_rows[model][galaxy]?;
        let file = match (at.in_test_file, self.models[model].test) {
            (true, Some(test)) => test,
            _ => self.models[model].embeddings,
        };
        Some(file.embeddings(modality).ok()?.row(at.row))
    }
}
