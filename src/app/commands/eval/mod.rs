//! `astroclip eval`, and what all that reads embeddings and labels shares.

mod all;
mod catalogue;
mod page;
mod per_galaxy;

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::output::{Originals, Output};
use super::training::WithTakings;
use super::{embeddings, label_table, print, print_json};
use crate::app::cli::{
    BootstrapArg, EmbeddingsArg, EvalAll, EvalArg, EvalCatalogue, EvalMorphology, EvalRetrieval,
    FitTo, LabelsArg, MlpArg, NamedFile, PredictionsArg, PredictionsFile, SplitChoice,
};
use crate::app::workspace::{self, Takings};
use crate::base::error::{Error, Result};
use crate::evaluation::eval::{
    self, BootstrapConfig, EvalInputs, MlpConfig, Model, MorphologyOptions, PredictionTable,
    RegressionOptions, RetrievalOptions, RetrievalResult, SplitRule, Target,
    render_morphology_table, render_regression_table, render_retrieval_table,
};
use crate::files::catalog::{LabelOptions, read_ids};
use crate::files::data::{ReadOptions, expand, read_labels};
use crate::files::embeddings::{EmbeddingFile, EmbeddingSet, Keys, ModelEmbeddings, features_in};
use crate::files::inputs::Inputs;
use crate::survey::{Labels, Modality, Split};

pub(super) fn redshift(args: &EvalArg) -> Result<()> {
    regression(args, &[Target::Redshift])
}

pub(super) fn properties(args: &EvalArg) -> Result<()> {
    regression(args, &Target::PROPERTIES)
}

fn regression(args: &EvalArg, targets: &[Target]) -> Result<()> {
    check_table(args.out.as_deref())?;
    let predictions = Some(&args.predictions);
    let opened = Opened::open(&args.embeddings, &args.labels, predictions, targets)?;
    opened.outlast(args.out.as_deref())?;
    let report = eval::regression(&opened.inputs(), &regression_options(args, targets))?;
    if let Some(out) = &args.out {
        per_galaxy::write_predictions(&report.predictions, out)?;
    }
    opened.report(args.json, &report, || render_regression_table(&report))
}

pub(super) fn all(args: &EvalAll) -> Result<()> {
    all::run(args)
}

pub(super) fn catalogue(args: &EvalCatalogue) -> Result<()> {
    catalogue::run(args)
}

/// Finds out whether a table galaxy by galaxy can be written, where one is asked for.
fn check_table(out: Option<&Path>) -> Result<()> {
    out.map_or(Ok(()), |out| Output::Table.check(out))
}

/// What the arguments ask for.
fn regression_options(args: &EvalArg, targets: &[Target]) -> RegressionOptions {
    RegressionOptions {
        targets: targets.to_vec(),
        k: args.k as usize,
        weights: args.weights,
        mlp: mlp(&args.mlp, MlpConfig::default()),
        seeds: args.mlp.seeds as usize,
        bootstrap: bootstrap(&args.bootstrap),
        bins: args.bins as usize,
    }
}

pub(super) fn morphology(args: &EvalMorphology) -> Result<()> {
    check_table(args.out.as_deref())?;
    let opened = Opened::open(&args.embeddings, &args.labels, None, &[])?;
    opened.outlast(args.out.as_deref())?;
    let options = MorphologyOptions {
        test_votes: f64::from(args.min_votes),
        ..morphology_options(&args.mlp, &args.bootstrap)
    };
    let report = eval::morphology(&opened.inputs(), &options)?;
    if let Some(out) = &args.out {
        per_galaxy::write_answers(&report, out)?;
    }
    opened.report(args.json, &report, || render_morphology_table(&report))
}

pub(super) fn retrieval(args: &EvalRetrieval) -> Result<()> {
    check_table(args.out.as_deref())?;
    let models = Models::open(&args.embeddings, &mut Takings::default())?;
    if let Some(out) = &args.out {
        models.inputs.outlast(out)?;
    }
    let options = RetrievalOptions {
        at: args.at.iter().map(|&k| k as usize).collect(),
        split: (!args.all).then_some(Split::Test),
        bootstrap: bootstrap(&args.bootstrap),
    };
    let inputs = EvalInputs {
        models: models.all(),
        predictions: &[],
        labels: None,
    };
    let report = eval::retrieval(&inputs, &options)?;
    if let Some(out) = &args.out {
        per_galaxy::write_ranks(&report, out)?;
    }
    match args.json {
        true => print_json(&models.with_files(&report.results)),
        false => print(&render_retrieval_table(&report)),
    }
}

/// The classifier of the paper, as the arguments change it.
fn morphology_options(args: &MlpArg, resampling: &BootstrapArg) -> MorphologyOptions {
    let defaults = MorphologyOptions::default();
    MorphologyOptions {
        mlp: mlp(args, defaults.mlp.clone()),
        seeds: args.seeds as usize,
        bootstrap: bootstrap(resampling),
        ..defaults
    }
}

/// What is evaluated.
pub(super) struct Opened {
    pub models: Models,
    pub predictions: Vec<PredictionTable>,
    pub labels: Option<Labels>,
    pub taken: Takings,
    /// Label tables that were named or taken.
    tables: Vec<PathBuf>,
    /// All files that were named or taken.
    inputs: Originals,
}

impl Opened {
    /// Opens what the command line names; else the newest embedding file, and the labels of what was embedded in it.
    /// Says which columns tell `targets`.
    pub(super) fn open(
        embeddings: &EmbeddingsArg,
        labels: &LabelsArg,
        predictions: Option<&PredictionsArg>,
        targets: &[Target],
    ) -> Result<Self> {
        let mut taken = Takings::default();
        let models = Models::open(embeddings, &mut taken)?;
        let tables = match labels.labels.is_empty() {
            true => workspace::labels_of(&models.files())?
                .map_or_else(Vec::new, |found| taken.note(found)),
            false => labels.labels.clone(),
        };
        let labels = label_table(&tables, &labels.options(), targets, &mut taken)?;
        let predictions = predictions.map_or(&[][..], |args| &args.predictions);
        let inputs = (models.inputs.clone()).and(&tables);
        let inputs = inputs.and(predictions.iter().map(|file| &file.path));
        let read = |file: &PredictionsFile| {
            Ok(PredictionTable {
                model: file.name.clone(),
                source: file.source,
                table: read_labels(std::slice::from_ref(&file.path), &LabelOptions::default())?,
            })
        };
        Ok(Self {
            models,
            predictions: predictions.iter().map(read).collect::<Result<_>>()?,
            labels,
            taken,
            tables,
            inputs,
        })
    }

    /// The same with other vectors of the same files.
    pub(super) fn with_keys(self, embeddings: &EmbeddingsArg, keys: Keys) -> Result<Self> {
        // What is taken has been said.
        let models = Models::open_keys(embeddings, &keys, &mut Takings::default())?;
        Ok(Self { models, ..self })
    }

    /// Of which kinds of embeddings all files hold vectors from before the heads as well.
    pub(super) fn kept_features(&self) -> Vec<Modality> {
        let files = self.models.files().into_iter();
        let paths: Vec<&PathBuf> = files.flat_map(|file| &file.files).collect();
        let has = |path: &PathBuf, kind| features_in(path).iter().any(|(kept, _)| *kept == kind);
        let mut kinds = self.kinds();
        kinds.retain(|&kind| paths.iter().all(|path| has(path, kind)));
        kinds
    }

    /// Whether there are embeddings of one model alone.
    pub(super) fn is_of_one_model(&self) -> bool {
        self.models.models.len() == 1
    }

    /// The kinds of embeddings of the first file.
    pub(super) fn kinds(&self) -> Vec<Modality> {
        self.models.files()[0].modalities()
    }

    /// Finds out whether writing to `out` would replace what was opened.
    pub(super) fn outlast(&self, out: Option<&Path>) -> Result<()> {
        out.map_or(Ok(()), |out| self.inputs.outlast(out))
    }

    /// What was opened, for a record that will lie in the folder `home`.
    pub(super) fn record(&self, home: &Path, labels: &LabelsArg) -> Result<Inputs> {
        let files = self.models.files().into_iter();
        let embeddings: Vec<PathBuf> = files.flat_map(|file| file.files.clone()).collect();
        let inputs = Inputs::record(
            home,
            &embeddings,
            &ReadOptions::default(),
            &self.tables,
            &[],
        )?;
        Ok(Inputs {
            label_options: labels.options(),
            ..inputs
        })
    }

    pub(super) fn inputs(&self) -> EvalInputs<'_> {
        EvalInputs {
            models: self.models.all(),
            predictions: &self.predictions,
            labels: self.labels.as_ref(),
        }
    }

    /// Prints a report for programs, with what was taken, or for people.
    pub(super) fn report(
        &self,
        json: bool,
        report: &impl Serialize,
        text: impl FnOnce() -> String,
    ) -> Result<()> {
        match json {
            true => print_json(&WithTakings {
                summary: report,
                taken: &self.taken,
            }),
            false => print(&text()),
        }
    }
}

/// A result of one model, and the file of its embeddings.
#[derive(Serialize)]
struct OfFile<'a, T> {
    #[serde(flatten)]
    result: &'a T,
    embeddings: &'a Path,
}

/// Embeddings of all models that the command line names, split as it says.
pub(super) struct Models {
    models: Vec<(ModelEmbeddings, Option<EmbeddingFile>)>,
    inputs: Originals,
}

impl Models {
    /// Opens the embedding files that the command line names, else the newest in the current folder.
    pub(super) fn open(args: &EmbeddingsArg, taken: &mut Takings) -> Result<Self> {
        Self::open_keys(args, &args.keys.keys(), taken)
    }

    /// The same, with these names of their vectors.
    fn open_keys(args: &EmbeddingsArg, keys: &Keys, taken: &mut Takings) -> Result<Self> {
        let some = args.shards.some_shards;
        let named = match args.embeddings.is_empty() {
            true => {
                let set = embeddings(&[], &args.shards, "--embeddings FILE", taken)?;
                vec![(NamedFile::of(set.whole()).name, set)]
            }
            false => named_sets(&args.embeddings, some)?,
        };
        let tests = EmbeddingSet::grouped(expand(&args.test)?);
        let tests: Vec<EmbeddingSet> = (tests.into_iter())
            .map(|set| set.checked(some))
            .collect::<Result<_>>()?;
        let list = match &args.split {
            SplitChoice::List(path) => Some(path),
            SplitChoice::File | SplitChoice::Hash => None,
        };
        let inputs = Originals::default().and(named.iter().flat_map(|(_, set)| set.files()));
        let inputs = inputs.and(tests.iter().flat_map(|set| set.files()));
        let inputs = inputs.and(list);
        let rule = match &args.split {
            SplitChoice::File => SplitRule::AsInFile,
            SplitChoice::Hash => SplitRule::Hash {
                test_fraction: args.test_fraction,
                seed: args.split_seed,
            },
            SplitChoice::List(path) => {
                SplitRule::TestIds(read_ids(path, None)?.into_iter().collect())
            }
        };
        if !tests.is_empty() && tests.len() != named.len() {
            return Err(Error::input(format!(
                "--test has {} files and --embeddings {}; expected one test file for each, in the same order",
                tests.len(),
                named.len()
            )));
        }
        let mut models: Vec<(ModelEmbeddings, Option<EmbeddingFile>)> = Vec::new();
        for (index, (name, set)) in named.iter().enumerate() {
            let opened = ModelEmbeddings::open_set(set, name, keys)?;
            let test_set = tests.get(index);
            let mut tests = match test_set {
                Some(set) => ModelEmbeddings::open_set(set, name, keys)?,
                None => Vec::new(),
            };
            for mut model in opened {
                rule.apply(&mut model.file)?;
                if args.fit == FitTo::Train {
                    model.file = model.file.of_split(Split::Train);
                }
                let test = tests.iter().position(|test| test.name == model.name);
                let test = test.map(|test| tests.swap_remove(test).file);
                if let (Some(of_test), None) = (test_set, &test) {
                    return Err(Error::input(format!(
                        "no embeddings of the model `{}`, which {} has",
                        model.name,
                        set.path().display()
                    ))
                    .in_file(of_test.path()));
                }
                if models.iter().any(|(known, _)| known.name == model.name) {
                    return Err(Error::input(format!(
                        "a second model is called `{}`; give it another name: --embeddings NAME={}",
                        model.name,
                        set.path().display()
                    ))
                    .in_file(set.path()));
                }
                models.push((model, test));
            }
        }
        Ok(Self { models, inputs })
    }

    /// All files that were opened, those that test as well.
    fn files(&self) -> Vec<&EmbeddingFile> {
        let models = self.models.iter();
        models
            .flat_map(|(model, test)| std::iter::once(&model.file).chain(test))
            .collect()
    }

    /// Results of the models with their files.
    fn with_files<'a>(
        &'a self,
        results: &'a [RetrievalResult],
    ) -> Vec<OfFile<'a, RetrievalResult>> {
        let file_of = |result: &RetrievalResult| {
            let mut models = self.models.iter();
            let of_result = models.find(|(model, _)| model.name == result.model);
            let (model, test) = of_result.expect("results are of these models");
            test.as_ref().unwrap_or(&model.file).path.as_path()
        };
        results
            .iter()
            .map(|result| OfFile {
                result,
                embeddings: file_of(result),
            })
            .collect()
    }

    pub(super) fn all(&self) -> Vec<Model<'_>> {
        let models = self.models.iter();
        models
            .map(|(model, test)| Model {
                name: &model.name,
                embeddings: &model.file,
                test: test.as_ref(),
            })
            .collect()
    }
}

/// The sets of files that are named, and what to call their models: shards as the whole would be called.
fn named_sets(named: &[NamedFile], some: bool) -> Result<Vec<(String, EmbeddingSet)>> {
    let mut files = Vec::new();
    for named in named {
        let own = NamedFile::of(named.path.clone()).name != named.name;
        for file in expand(std::slice::from_ref(&named.path))? {
            files.push((file, own.then(|| named.name.clone())));
        }
    }
    let sets = EmbeddingSet::grouped(files.iter().map(|(file, _)| file.clone()).collect());
    let named = sets.into_iter().map(|set| {
        let of_set = |(file, _): &&(PathBuf, _)| set.files().contains(file);
        let given = files
            .iter()
            .filter(of_set)
            .find_map(|(_, name)| name.clone());
        let name = given.unwrap_or_else(|| NamedFile::of(set.whole()).name);
        Ok((name, set.checked(some)?))
    });
    named.collect()
}

pub(super) fn mlp(args: &MlpArg, default: MlpConfig) -> MlpConfig {
    let width = args
        .mlp_width
        .map_or(default.hidden[0], |width| width as usize);
    let depth = args
        .mlp_depth
        .map_or(default.hidden.len(), |depth| depth as usize);
    MlpConfig {
        hidden: vec![width; depth],
        dropout: args.mlp_dropout.unwrap_or(default.dropout),
        seed: args.seed,
        ..default
    }
}

fn bootstrap(args: &BootstrapArg) -> BootstrapConfig {
    BootstrapConfig {
        resamples: args.bootstrap as usize,
        ..BootstrapConfig::default()
    }
}
