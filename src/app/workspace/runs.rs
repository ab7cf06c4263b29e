//! Run folders: what they were started with, and which are not finished.

use std::fs;
use std::path::{Path, PathBuf};

use super::data::{read_as_recorded, unchanged};
use super::{Candidate, Taken, in_folder, listed, newest, the_newest};
use crate::base::error::{Error, Result};
use crate::files::catalog::LabelOptions;
use crate::files::data::SurveyFiles;
use crate::files::inputs::{InputFiles, Inputs};
use crate::training::run_folder::{self, MODEL_FILE};

/// The folder in which runs lie where nobody says otherwise.
pub const RUNS: &str = "runs";

/// What a run was started with, as its folder says; none where it does not.
///
/// # Errors
/// Where the record is damaged.
pub(super) fn recorded_inputs(run: &Path) -> Result<Option<Inputs>> {
    run_folder::read_inputs(run)
}

/// What a run began with, as its folder says.
#[derive(Debug, Clone)]
pub struct RunRecord {
    run: PathBuf,
    inputs: Inputs,
}

impl RunRecord {
    /// The record of the run in a folder; none where its folder does not say.
    ///
    /// # Errors
    /// Where the record is damaged.
    pub fn of(run: &Path) -> Result<Option<Self>> {
        let inputs = recorded_inputs(run)?;
        Ok(inputs.map(|inputs| Self {
            run: run.to_owned(),
            inputs,
        }))
    }

    /// Its survey files, where they are now.
    ///
    /// # Errors
    /// Where one is gone or has changed since.
    pub fn data(&self) -> Result<SurveyFiles> {
        Ok(SurveyFiles {
            paths: self.places(&self.inputs.data, "--data")?,
            read: read_as_recorded(&self.inputs, &self.run, &self.remedy("--data and --pairs"))?,
        })
    }

    /// Its tables of labels, where they are now.
    ///
    /// # Errors
    /// Where one is gone or has changed since.
    pub fn labels(&self) -> Result<Vec<PathBuf>> {
        self.places(&self.inputs.labels, "--labels")
    }

    /// What was said about the columns of its labels.
    pub fn label_options(&self) -> &LabelOptions {
        &self.inputs.label_options
    }

    /// The model that it began with, the `index`th of them, where it is now; `flag` names another.
    ///
    /// # Errors
    /// Where it is gone or has changed since.
    pub fn model(&self, index: usize, flag: &str) -> Result<Option<PathBuf>> {
        let recorded = self.inputs.models.get(index).cloned();
        let recorded: Vec<InputFiles> = recorded.into_iter().collect();
        Ok(self.places(&recorded, flag)?.pop())
    }

    /// Whether it goes on from a checkpoint, and needs no weights to begin with.
    ///
    /// # Errors
    ///
    /// Where its folder cannot be listed.
    pub fn has_checkpoint(&self) -> Result<bool> {
        run_folder::has_checkpoint(&self.run)
    }

    fn places(&self, recorded: &[InputFiles], flag: &str) -> Result<Vec<PathBuf>> {
        unchanged(recorded, &self.run, &self.remedy(flag))
    }

    fn remedy(&self, flag: &str) -> String {
        format!(
            "the run in {} began with it: bring it back; --resume also takes {flag} for where it is now",
            self.run.display()
        )
    }
}

/// The newest run of a stage in a folder that has not been finished.
///
/// # Errors
/// Where there is none, or two are of the same age.
pub fn unfinished_run(runs: &Path, stage: &str) -> Result<Taken> {
    let (mut finished, mut unfinished) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(runs).into_iter().flatten().flatten() {
        let run = entry.path();
        if run_folder::stage_of(&run).as_deref() != Some(stage) {
            continue;
        }
        match run.join(MODEL_FILE).exists() {
            true => finished.push(run),
            false => unfinished.extend(last_written(&run)),
        }
    }
    let flag = format!("astroclip {stage} --resume --out RUN");
    let what = format!("unfinished {stage}");
    match newest(unfinished, &what, &flag)? {
        Some((run, count)) => Ok(Taken {
            what: "run",
            paths: vec![run],
            why: format!("{} that is unfinished", the_newest(count, &in_folder(runs))),
        }),
        None => {
            finished.sort();
            let done = match finished.is_empty() {
                true => String::new(),
                false => format!(" (finished: {})", listed(&finished)),
            };
            Err(Error::input(format!(
                "no run of {stage} there is unfinished{done}; leave --resume out to start one, \
                 or name its folder with --out RUN"
            ))
            .in_file(runs))
        }
    }
}

/// A run with the time at which it last wrote something.
fn last_written(run: &Path) -> Option<Candidate> {
    let entries = fs::read_dir(run).ok()?;
    let times = entries.filter_map(|entry| entry.ok()?.metadata().ok()?.modified().ok());
    Some(Candidate {
        path: PathBuf::from(run),
        modified: times.max()?,
    })
}
