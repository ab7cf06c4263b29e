//! A training run as the command line asks for it: new, or going on.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use super::output::Originals;
use super::{print, print_json, shown, survey_files};
use crate::app::cli::RunArg;
use crate::app::workspace::{
    RUNS, RunRecord, Sources, Taken, Takings, Wanted, find_data, unfinished_run,
};
use crate::base::error::{Error, Kind, Result};
use crate::base::output::check_folder;
use crate::base::ranks::{Launched, Ranks};
use crate::base::shell::resuming;
use crate::base::terminal::printable;
use crate::files::catalog::LabelOptions;
use crate::files::data::SurveyFiles;
use crate::training::config::{self, RunFile, StageConfig};
use crate::training::run_folder;
use crate::training::stages::{RunOptions, StageSummary};

/// Time that the first rank has to tell why all end before another one ends.
const FIRST_SPEAKS: Duration = Duration::from_secs(2);

/// What the command line says about a run.
pub(super) struct Asked<'a> {
    /// Run file, or the name of a preset.
    pub config: Option<&'a str>,
    /// Settings that are changed.
    pub set: &'a [String],
    /// Files and folders.
    pub run: &'a RunArg,
    /// Tables of labels.
    pub labels: &'a [PathBuf],
    /// What is said about their columns.
    pub label_options: LabelOptions,
    /// What the survey files must hold, for messages.
    pub needs: &'a str,
    /// The processes that train together.
    pub ranks: Ranks,
}

/// A run that can start or go on.
pub(super) struct Training<C> {
    pub config: C,
    pub options: RunOptions,
    /// Models that it begins with.
    pub models: Vec<PathBuf>,
    pub taken: Takings,
}

/// A summary for programs, with what was taken although nobody named it.
#[derive(Serialize)]
pub(super) struct WithTakings<'a, T> {
    #[serde(flatten)]
    pub summary: &'a T,
    #[serde(flatten)]
    pub taken: &'a Takings,
}

impl Asked<'_> {
    /// The run, with all that the command line leaves open taken from where it lies.
    ///
    /// `models` chooses the models that a run begins with, from what an interrupted run began with or else from the
    /// folder of the runs.
    ///
    /// # Errors
    /// Where something is missing or could be the wrong one.
    pub fn resolve<C: StageConfig>(
        &self,
        models: impl FnOnce(Option<&RunRecord>, &Path, &mut Takings) -> Result<Vec<PathBuf>>,
    ) -> Result<Training<C>> {
        let mut taken = Takings::default();
        let name = self.config.unwrap_or(C::DEFAULT);
        let out = match (&self.run.out, self.run.resume, self.config) {
            (Some(out), _, _) => out.clone(),
            (None, true, None) => {
                let run = unfinished_run(Path::new(RUNS), C::STAGE)?;
                taken.note(run).swap_remove(0)
            }
            (None, _, _) => folder_of_run(None, name),
        };
        check_folder(&out)?;
        let file: RunFile<C> = match (self.run.resume, self.config) {
            (true, None) => of_run(&out, self.set)?,
            _ => config::load_run(self.config, self.set)?,
        };
        let begun = match self.run.resume {
            true => RunRecord::of(&out)?,
            false => None,
        };
        let runs = out.parent().unwrap_or(Path::new("."));
        let models = models(begun.as_ref(), runs, &mut taken)?;
        let (data, mut labels) = match &begun {
            Some(begun) if self.run.data.data.is_empty() => self.as_begun(begun, &mut taken)?,
            _ => self.sources(&file, &models, &mut taken)?,
        };
        if !self.labels.is_empty() {
            labels = self.labels.to_vec();
        }
        let inputs = Originals::of(&data).and(&labels).and(&models);
        inputs.outlast_run(&out)?;
        let label_options = match &begun {
            Some(begun) if self.label_options == LabelOptions::default() => {
                begun.label_options().clone()
            }
            // What a run file says of its own tables does not hold of others.
            _ if self.labels.is_empty() => self.label_options.or(&file.data.label_options()),
            _ => self.label_options.clone(),
        };
        Ok(Training {
            config: file.config,
            options: RunOptions {
                data,
                labels,
                label_options,
                out,
                resume: self.run.resume,
                stop_after: self.run.stop_after,
                ranks: self.ranks.clone(),
            },
            models,
            taken,
        })
    }

    fn as_begun(
        &self,
        begun: &RunRecord,
        taken: &mut Takings,
    ) -> Result<(SurveyFiles, Vec<PathBuf>)> {
        let mut data = begun.data()?;
        data.read.skip_bad |= self.run.data.skip_bad;
        taken.note(Taken {
            what: "data",
            paths: data.paths.clone(),
            why: "what the run began with".to_owned(),
        });
        let labels = match self.labels.is_empty() {
            true => begun.labels()?,
            false => Vec::new(),
        };
        Ok((data, labels))
    }

    fn sources<C>(
        &self,
        file: &RunFile<C>,
        models: &[PathBuf],
        taken: &mut Takings,
    ) -> Result<(SurveyFiles, Vec<PathBuf>)> {
        let named = survey_files(&self.run.data);
        let Sources {
            data,
            labels,
            taken: found,
        } = find_data(&Wanted {
            named: &named.paths,
            read: named.read,
            run_file: Some((&file.origin, &file.data)),
            models,
            needs: self.needs,
        })?;
        if let Some(found) = found {
            taken.note(found);
        }
        Ok((data, labels))
    }
}

/// The run file of the run in a folder.
fn of_run<C: StageConfig>(folder: &Path, set: &[String]) -> Result<RunFile<C>> {
    match run_folder::stage_of(folder) {
        // Its own error says what is wrong with it.
        None if run_folder::config_file(folder).exists() => {
            config::load_file(&run_folder::config_file(folder), set)
        }
        None => Err(
            Error::input("holds no run to resume; leave --resume out to start one").in_file(folder),
        ),
        Some(stage) if stage != C::STAGE => Err(Error::input(format!(
            "holds a run of {stage}; go on with it by `{}`",
            resuming(&stage, folder)
        ))
        .in_file(folder)),
        Some(_) => {
            let path = run_folder::config_file(folder);
            let file: RunFile<C> = config::load_file(&path, set)?;
            // Other steps of a run that has begun are steps of the schedules that it began with.
            let begun = run_folder::schedule_of(folder);
            let table = config::to_toml(&file.config).parse();
            let asked = table.ok().as_ref().and_then(config::schedule_in);
            let is_stated = set
                .iter()
                .any(|change| change.starts_with("train.schedule_steps"));
            match begun {
                Some(steps) if asked != begun && !is_stated => {
                    let set = [set, &[format!("train.schedule_steps={steps}")]].concat();
                    config::load_file(&path, &set)
                }
                _ => Ok(file),
            }
        }
    }
}

/// The run folder: `out`, or `runs/` and the name of the configuration.
pub(super) fn folder_of_run(out: Option<&Path>, config: &str) -> PathBuf {
    let stem = Path::new(config).file_stem().unwrap_or(config.as_ref());
    out.map_or_else(|| Path::new(RUNS).join(stem), Path::to_owned)
}

/// Trains among the ranks that a launcher has started, or alone. Where one of several fails, it says why and ends all:
/// they would wait for it.
pub(super) fn among_ranks(train: impl FnOnce(&Ranks) -> Result<()>) -> Result<()> {
    let ranks = Ranks::launched()?;
    let done = train(&ranks);
    if let (false, Err(error)) = (ranks.is_alone(), &done) {
        if !ranks.is_first() {
            // What all end for the first one says. A launcher ends the others as soon as one is gone.
            std::thread::sleep(FIRST_SPEAKS);
        }
        if error.kind() != Kind::Interrupted {
            say(&format!("error: rank {}: {error}", ranks.seat().rank));
            ranks.abort(error.exit_code());
        }
    }
    done
}

/// A line on standard error.
fn say(line: &str) {
    // Where nobody can read it, the exit code says the same.
    drop(writeln!(std::io::stderr(), "{}", printable(line)));
}

/// Says where the run is and what to do next.
pub(super) fn report_stage(
    summary: &StageSummary,
    taken: &Takings,
    json: bool,
    next: impl FnOnce(&Path) -> String,
    command: &str,
) -> Result<()> {
    if Launched::here().is_some_and(|launched| launched.is_follower()) {
        return Ok(());
    }
    if json {
        return print_json(&WithTakings { summary, taken });
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
            "{}: stopped after step {step} of {steps}\n\nnext: astroclip {command} --resume{}\n",
            run.display(),
            match in_runs(run) {
                true => String::new(),
                false => format!(" --out {}", shown(std::slice::from_ref(run))),
            }
        )),
    }
}

/// Whether a run lies where the next command looks for it.
pub(super) fn in_runs(run: &Path) -> bool {
    run.parent() == Some(Path::new(RUNS))
}
