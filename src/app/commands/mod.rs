//! One file per subcommand: the only place that wires the layers together.

mod align;
mod baseline;
mod bench;
mod check;
mod completions;
mod config;
mod contents;
mod embed;
mod eval;
mod export;
mod finetune;
mod fit;
mod import;
mod index;
mod inspect;
mod man;
mod matching;
mod memory;
mod missing_encoder;
mod output;
mod plot;
mod posterior;
mod predict;
mod pretrain_image;
mod pretrain_spectrum;
mod quickstart;
mod replay;
mod search;
mod search_examples;
mod serve;
mod simulate;
mod status;
mod supervised;
mod training;
mod version;
mod welcome;

pub use version::version;

use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::app::cli::{
    Cli, Command, DataArg, EvalTask, OneModelArg, ReadArg, ShardsArg, SurveyArg,
};
use crate::app::workspace::{
    Kinds, RUNS, Takings, Wanted, find_data, model_to_use, models_in, newest_embeddings,
};
use crate::base::error::{Error, Result};
use crate::base::interrupt;
use crate::base::memory::keep_freed;
use crate::base::ranks::Launched;
use crate::base::shard::Shard;
use crate::base::shell::quoted;
use crate::base::terminal::printable;
use crate::evaluation::engine::{Index, is_index};
use crate::files::catalog::LabelOptions;
use crate::files::container::hdf5_file;
use crate::files::data::{Keys as DataKeys, ReadOptions, SurveyFiles, expand, read_labels};
use crate::files::embeddings::{EmbeddingSet, Keys};
use crate::network::weights::ModelKind;
use crate::survey::{Labels, Survey, Target};
use crate::training::config::load_survey;

/// Prepares the process, before anything else is done: of the environment only what is ours counts, as many files may be
/// open as the system allows, and memory that is freed is kept for what is asked for next.
pub fn prepare() {
    hdf5_file::ignore_environment();
    // A survey may come in thousands of files; where the limit stays as it is, opening says so.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    keep_freed();
}

/// Runs the command.
///
/// # Errors
///
/// What the command reports; its exit code is [`Error::exit_code`].
pub fn run(cli: Cli) -> Result<()> {
    if cli.follow_links {
        hdf5_file::follow_links();
    }
    let Some(command) = cli.command else {
        return welcome::run();
    };
    if let Command::Quickstart(_)
    | Command::PretrainImage(_)
    | Command::PretrainSpectrum(_)
    | Command::Align(_)
    | Command::Baseline(_)
    | Command::Finetune(_)
    | Command::Embed(_)
    | Command::Predict(_) = &command
    {
        interrupt::restartable();
    }
    if let Command::Quickstart(_) | Command::Baseline(_) | Command::Finetune(_) = &command {
        alone()?;
    }
    match command {
        Command::Quickstart(args) => quickstart::run(&args),
        Command::Simulate(args) => simulate::run(&args),
        Command::PretrainImage(args) => pretrain_image::run(&args),
        Command::PretrainSpectrum(args) => pretrain_spectrum::run(&args),
        Command::Align(args) => align::run(&args),
        Command::Embed(args) => embed::run(&args),
        Command::Eval(args) => match args.task {
            EvalTask::Redshift(args) => eval::redshift(&args),
            EvalTask::Properties(args) => eval::properties(&args),
            EvalTask::Morphology(args) => eval::morphology(&args),
            EvalTask::Retrieval(args) => eval::retrieval(&args),
            EvalTask::All(args) => eval::all(&args),
            EvalTask::Posterior(args) => posterior::run(&args),
            EvalTask::Catalogue(args) => eval::catalogue(&args),
        },
        Command::Fit(args) => fit::run(&args),
        Command::Predict(args) => predict::run(&args),
        Command::Baseline(task) => baseline::run(&task),
        Command::Finetune(args) => finetune::run(&args),
        Command::Import(args) => import::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Index(args) => index::run(&args),
        Command::Search(args) => search::run(&args),
        Command::Serve(args) => serve::run(&args),
        Command::Match(args) => matching::run(&args),
        Command::Status(args) => status::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Replay(args) => replay::run(&args),
        Command::Plot(task) => plot::run(&task),
        Command::Bench(task) => bench::run(&task),
        Command::Config(args) => config::run(&args),
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => man::run(&args),
    }
}

/// Checks that no launcher has started several processes of a command that needs none but itself.
fn alone() -> Result<()> {
    match Launched::here() {
        Some(Launched { by, size, .. }) if size.is_some_and(|size| size > 1) => {
            Err(Error::input(format!(
                "{by} has started several processes, but this command is one process's work: several train together in \
                 pretrain-image, pretrain-spectrum and align; start one"
            )))
        }
        _ => Ok(()),
    }
}

/// Prints to standard output; a reader that went away is [`Kind::ClosedPipe`](crate::base::error::Kind::ClosedPipe).
fn print(text: &str) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(printable(text).as_bytes())?;
    stdout.flush()?;
    Ok(())
}

/// Prints a result for programs.
fn print_json(value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value).expect("results are plain JSON");
    print(&format!("{text}\n"))
}

/// How most commands are told a model.
const WEIGHTS: &str = "--weights MODEL";

/// Models that embed galaxies, the best first.
const EMBEDDING: [Kinds; 2] = [Kinds::ALIGNED, Kinds::ENCODER];

/// Survey files and label tables of a command.
struct Resolved {
    data: SurveyFiles,
    labels: Vec<PathBuf>,
}

/// The survey files of a command without a run file, from the models at hand if it names none.
fn sources(
    args: &DataArg,
    models: &[PathBuf],
    needs: &str,
    taken: &mut Takings,
) -> Result<Resolved> {
    let named = survey_files(args);
    let sources = find_data(&Wanted {
        named: &named.paths,
        read: named.read,
        run_file: None,
        models,
        needs,
    })?;
    if let Some(found) = sources.taken {
        taken.note(found);
    }
    Ok(Resolved {
        data: sources.data,
        labels: sources.labels,
    })
}

/// The model that a command names by `flag`, else the newest of the first of these kinds that there is.
fn model(
    named: Option<&Path>,
    flag: &str,
    kinds: &[Kinds],
    taken: &mut Takings,
) -> Result<PathBuf> {
    match named {
        Some(path) => Ok(path.to_owned()),
        None => Ok(taken.note(model_to_use(kinds, flag)?).swap_remove(0)),
    }
}

/// The part that is asked for, else that of the task of a job array.
///
/// # Errors
/// As [`Shard::of_array`].
fn shard(named: Option<Shard>) -> Result<Shard> {
    if let Some(shard) = named {
        return Ok(shard);
    }
    let of_array = Shard::of_array()?;
    if let Some(shard) = of_array {
        tracing::info!("shard: {shard}, as the job array says; --shard 1/1 is the whole");
    }
    Ok(of_array.unwrap_or(Shard::WHOLE))
}

/// The embedding files that a command names, files and patterns, to be read as one; else the newest in the current folder.
///
/// # Errors
/// Where a pattern matches nothing, and where shards are missing, there twice, or not of one embedding.
fn embeddings(
    named: &[PathBuf],
    shards: &ShardsArg,
    flag: &str,
    taken: &mut Takings,
) -> Result<EmbeddingSet> {
    let files = match named.is_empty() {
        true => taken.note(newest_embeddings(Path::new("."), flag)?),
        false => expand(named)?,
    };
    EmbeddingSet::one(files, shards.some_shards)
}

/// The index that a command names where it names one, open.
///
/// # Errors
/// Where it cannot be used, and where something else is asked for that goes with the other.
fn index_named(set: &EmbeddingSet, is_exact: bool, within: &OneModelArg) -> Result<Option<Index>> {
    let path = &set.path();
    if !is_index(path) {
        return match is_exact {
            true => Err(Error::input(format!(
                "--exact goes with an index; searches in {} look at all galaxies",
                path.display()
            ))),
            false => Ok(None),
        };
    }
    if within.model.is_some() || within.keys.keys() != Keys::default() {
        return Err(Error::input(
            "is an index, which is of one model and knows its datasets; --model and the names of datasets go with an \
             embedding file",
        )
        .in_file(path));
    }
    let index = Index::open(path, is_exact)?;
    if !is_exact {
        tracing::info!(
            "{}: answers are approximate; --exact looks at all galaxies",
            path.display()
        );
    }
    Ok(Some(index))
}

/// The label tables, none where there are no files. Says which of their columns tell `targets`.
///
/// # Errors
/// Where a table cannot be read, and where columns are named but no tables.
fn label_table(
    files: &[PathBuf],
    options: &LabelOptions,
    targets: &[Target],
    taken: &mut Takings,
) -> Result<Option<Labels>> {
    if files.is_empty() {
        let named = options.columns.iter().next();
        let option = named.map(|(target, name)| format!("{} {name}", target.column_option()));
        let table = options.table.as_ref().map(|name| format!("--table {name}"));
        return match option.or(table) {
            Some(option) => Err(Error::input(format!(
                "{option}: there is no label table; name one by --labels FILE"
            ))),
            None => Ok(None),
        };
    }
    let labels = read_labels(files, options)?;
    taken.note_columns(&labels, targets);
    Ok(Some(labels))
}

/// What follows the pretraining of one encoder in `runs`: the other one where there is none, else the alignment.
fn next_to_align(other: Kinds, command: &str) -> String {
    let is_other = |(_, kind): &(PathBuf, ModelKind)| other.kinds.contains(kind);
    match models_in(Path::new(RUNS)).iter().any(is_other) {
        true => "astroclip align".to_owned(),
        false => format!("astroclip {command}\n      astroclip align"),
    }
}

/// The survey files that a command names.
fn survey_files(args: &DataArg) -> SurveyFiles {
    let mut read = read_options(&args.read);
    read.skip_bad = args.skip_bad;
    SurveyFiles {
        paths: args.data.clone(),
        read,
    }
}

/// How survey files are read.
fn read_options(args: &ReadArg) -> ReadOptions {
    ReadOptions {
        format: args.format,
        keys: DataKeys {
            image: args.image_key.clone(),
            spectrum: args.spectrum_key.clone(),
            wavelength: args.wavelength_key.clone(),
            ivar: args.ivar_key.clone(),
            mask: args.mask_key.clone(),
            id: args.id_key.clone(),
            redshift: args.redshift_key.clone(),
        },
        skip_bad: false,
        missing_bands: false,
        pairs: args.pairs.clone(),
    }
}

/// What the galaxies of a command's files are like.
fn survey(args: &SurveyArg) -> Result<Survey> {
    load_survey(args.config.as_deref(), &args.set)
}

/// File names as they are typed on a command line.
fn shown(paths: &[PathBuf]) -> String {
    let names: Vec<String> = paths
        .iter()
        .map(|path| quoted(&path.display().to_string()))
        .collect();
    names.join(" ")
}
