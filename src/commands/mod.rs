//! One file per subcommand: the only place that wires the layers together.

mod align;
mod bench;
mod check;
mod config;
mod embed;
mod eval;
mod export;
mod import;
mod inspect;
mod matching;
mod plot;
mod posterior;
mod pretrain_image;
mod pretrain_spectrum;
mod quickstart;
mod search;
mod simulate;

use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::cli::{Cli, Command, DataArg, EvalTask, ReadArg, RunArg, SurveyArg};
use crate::config::load_survey;
use crate::data::{Keys, ReadOptions};
use crate::error::{Error, Result};
use crate::stages::{RunOptions, StageSummary, SurveyFiles};
use crate::survey::Survey;

/// Runs the command.
///
/// # Errors
///
/// What the command reports; its exit code is [`Error::exit_code`].
pub fn run(cli: Cli) -> Result<()> {
    match cli.command {
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
            EvalTask::Posterior(args) => posterior::run(&args),
        },
        Command::Import(args) => import::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Search(args) => search::run(&args),
        Command::Match(args) => matching::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Plot(task) => plot::run(&task),
        Command::Bench(task) => bench::run(&task),
        Command::Config(args) => config::run(&args),
    }
}

/// Prints to standard output; a reader that went away is [`Error::ClosedPipe`].
fn print(text: &str) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()?;
    Ok(())
}

/// Prints a result for programs.
fn print_json(value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value).expect("results are plain JSON");
    print(&format!("{text}\n"))
}

/// Options of a training run; the run folder defaults to `runs/` and the name of the configuration.
fn run_options(
    args: &RunArg,
    config: Option<&str>,
    preset: &str,
    needs: &str,
) -> Result<RunOptions> {
    if args.data.data.is_empty() {
        return Err(Error::input(format!(
            "no data; pass --data FILE with {needs}, \
             or make some: astroclip simulate --galaxies 2000 --out survey.h5"
        )));
    }
    let name = config.unwrap_or(preset);
    let stem = Path::new(name).file_stem().unwrap_or(name.as_ref());
    Ok(RunOptions {
        data: survey_files(&args.data),
        out: args
            .out
            .clone()
            .unwrap_or_else(|| Path::new("runs").join(stem)),
        resume: args.resume,
        stop_after: args.stop_after,
    })
}

/// The survey files of a command.
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
        keys: Keys {
            image: args.image_key.clone(),
            spectrum: args.spectrum_key.clone(),
            wavelength: args.wavelength_key.clone(),
            id: args.id_key.clone(),
            redshift: args.redshift_key.clone(),
        },
        skip_bad: false,
    }
}

/// What the galaxies of a command's files are like.
fn survey(args: &SurveyArg) -> Result<Survey> {
    load_survey(args.config.as_deref(), &args.set)
}

/// Says where the run is and what to do next.
fn report_stage(
    summary: &StageSummary,
    json: bool,
    next: impl FnOnce(&Path) -> String,
    command: &str,
) -> Result<()> {
    if json {
        return print_json(summary);
    }
    let StageSummary {
        run,
        model,
        step,
        steps,
        ..
    } = summary;
    match model {
        Some(model) => print(&format!("{}\n\nnext: {}\n", model.display(), next(model))),
        None => print(&format!(
            "{}: stopped after step {step} of {steps}\n\nnext: astroclip {command} --resume --out {} and the same --config, --set and --data\n",
            run.display(),
            run.display()
        )),
    }
}

/// File names as they are typed on a command line.
fn shown(paths: &[PathBuf]) -> String {
    let names: Vec<String> = paths
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    names.join(" ")
}
