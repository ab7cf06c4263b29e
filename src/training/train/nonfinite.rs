//! Steps whose numbers are not finite: what is done about them, and what is kept of them in the run folder.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Checkpoint, CheckpointStore, Numbers, checkpoints_of};
use crate::base::error::{Error, Result};
use crate::base::output::write_whole;

/// Folder of the records in a run folder.
const FOLDER: &str = "nonfinite";
/// Name of a record in its folder.
const RECORD_FILE: &str = "record.json";
/// Galaxies that a message names.
const NAMED: usize = 8;
/// Galaxies that a record names.
const RECORDED: usize = 4096;

/// What is done where a loss term or a gradient norm of a step is not finite.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnNonfinite {
    /// The run stops, and its last checkpoint stays good.
    #[default]
    Stop,
    /// The update of the step is left out, and the run goes on as if the step had not been.
    Skip,
}

/// A number that is not finite.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// A loss term, a gradient norm, a measured number or a tensor.
    pub term: String,
    /// NaN or an infinity.
    pub value: f64,
}

impl Fault {
    /// The first of some numbers that is not finite.
    pub fn first_of(numbers: impl IntoIterator<Item = (String, f64)>) -> Option<Self> {
        let mut numbers = numbers.into_iter();
        let (term, value) = numbers.find(|(_, value)| !value.is_finite())?;
        Some(Self { term, value })
    }

    /// The first tensor of a checkpoint that is not finite throughout.
    pub fn in_checkpoint(checkpoint: &Checkpoint) -> Option<Self> {
        let mut tensors = checkpoint.tensors.iter();
        let found = tensors.find_map(|(name, tensor)| tensor.not_finite(name))?;
        Some(Self {
            term: found.tensor,
            value: f64::from(found.first),
        })
    }
}

/// A galaxy of a batch, as the files know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchGalaxy {
    /// Its identifier.
    pub object_id: String,
    /// Where its data are: an image, a spectrum, or both.
    pub places: Vec<Place>,
}

/// Where an image or a spectrum is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// `image` or `spectrum`.
    pub kind: String,
    /// The file.
    pub file: PathBuf,
    /// Its row there, from 0.
    pub row: usize,
}

/// A number with its name; as text, since JSON has no NaN.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedNumber {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// What is known of a step whose numbers are not finite.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NonfiniteRecord {
    /// Version of the program.
    pub version: String,
    /// The command that trained.
    pub stage: String,
    /// The step, counted from 1 as in `metrics.jsonl`.
    pub step: u64,
    /// The step after which this was seen: the numbers of steps are read now and then.
    pub seen_after: u64,
    /// What was done.
    pub action: OnNonfinite,
    /// The number that is not finite.
    pub term: String,
    /// Its value.
    pub value: String,
    /// Steps done in the checkpoint that was put beside this record; none where the run had no checkpoint yet.
    pub state: Option<u64>,
    /// Loss terms.
    pub terms: Vec<NamedNumber>,
    /// Gradient norms.
    pub grad_norms: Vec<NamedNumber>,
    /// The galaxies of the batch, in its order; the first of them where there are very many.
    pub galaxies: Vec<BatchGalaxy>,
}

impl NonfiniteRecord {
    /// Reads the record in its folder, or the newest of a run folder; returns the record's folder too.
    ///
    /// # Errors
    ///
    /// Where there is none, or it is damaged.
    pub fn read(folder: &Path) -> Result<(PathBuf, Self)> {
        fs::metadata(folder).map_err(|source| Error::reading(folder, source))?;
        let found = match folder.join(RECORD_FILE).is_file() {
            true => folder.to_owned(),
            false => folders(folder)?.pop().ok_or_else(|| {
                Error::input(format!(
                    "holds no record of a step that is not finite ({FOLDER}/step-…/{RECORD_FILE}); name the folder \
                     of a run that stopped at one or skipped one"
                ))
                .in_file(folder)
            })?,
        };
        let path = found.join(RECORD_FILE);
        let text = fs::read_to_string(&path).map_err(|source| Error::reading(&path, source))?;
        let record = serde_json::from_str(&text).map_err(|source| {
            Error::input(format!("is damaged ({source}); replay another step"))
                .caused_by(source)
                .in_file(&path)
        })?;
        Ok((found, record))
    }

    /// The checkpoint from which its step is reached: the one beside the record in `folder`, or where that was removed
    /// the last of the `run` before it; none for the start of the run.
    ///
    /// # Errors
    ///
    /// Where a folder cannot be listed.
    pub fn checkpoint(&self, folder: &Path, run: &Path) -> Result<Option<Checkpoint>> {
        let before = self.step.saturating_sub(1);
        for folder in [folder.to_owned(), checkpoints_of(run)] {
            let found = CheckpointStore::new(folder, 1).latest_of(before)?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// Whether [`checkpoint`](Self::checkpoint) finds one.
    ///
    /// # Errors
    ///
    /// Where a folder cannot be listed.
    pub fn has_checkpoint(&self, folder: &Path, run: &Path) -> Result<bool> {
        for folder in [folder.to_owned(), checkpoints_of(run)] {
            let found = CheckpointStore::new(folder, 1).list()?;
            if found.iter().any(|found| found.step < self.step) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// The folders of the records of a run, the oldest step first.
fn folders(run: &Path) -> Result<Vec<PathBuf>> {
    let all = run.join(FOLDER);
    if !all.is_dir() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(&all).map_err(|source| Error::reading(&all, source))?;
    let mut found: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.join(RECORD_FILE).is_file())
        .collect();
    found.sort();
    Ok(found)
}

/// Keeps the records of a run.
pub(super) struct Recorder<'a> {
    pub stage: &'a str,
    pub run: &'a Path,
    pub store: &'a CheckpointStore,
    /// Records of which a checkpoint is kept.
    pub keep: usize,
    pub galaxies: &'a dyn Fn(u64) -> Result<Vec<BatchGalaxy>>,
}

/// A step that is not finite.
pub(super) struct Incident {
    /// Counted from 1.
    pub step: u64,
    pub seen_after: u64,
    pub action: OnNonfinite,
    pub fault: Fault,
    pub numbers: Numbers,
}

/// What was kept of an incident.
pub(super) struct Kept {
    /// The record's folder.
    pub folder: PathBuf,
    /// The galaxies of the batch, for people.
    pub galaxies: String,
}

impl Recorder<'_> {
    /// Writes a record with the state before the step, or with the last checkpoint before it where that state is gone.
    ///
    /// # Errors
    ///
    /// When the disk is full.
    pub fn keep(&self, incident: &Incident, before: Option<&Checkpoint>) -> Result<Kept> {
        let Incident {
            step,
            seen_after,
            action,
            fault,
            numbers,
        } = incident;
        let folder = self.run.join(FOLDER).join(format!("step-{step:08}"));
        fs::create_dir_all(&folder).map_err(|source| Error::writing(&folder, source))?;
        let state = match before {
            Some(checkpoint) => {
                CheckpointStore::new(folder.clone(), 1).save(checkpoint)?;
                Some(checkpoint.step)
            }
            None => self.store.link_newest(*step - 1, &folder)?,
        };
        let mut galaxies = (self.galaxies)(step - 1).unwrap_or_else(|error| {
            tracing::warn!("the galaxies of step {step} cannot be read again: {error}");
            Vec::new()
        });
        let shown = named(&galaxies);
        galaxies.truncate(RECORDED);
        let texts = |numbers: &[(&'static str, f64)]| {
            let numbers = numbers.iter();
            numbers
                .map(|(name, value)| NamedNumber {
                    name: (*name).to_owned(),
                    value: value.to_string(),
                })
                .collect()
        };
        let record = NonfiniteRecord {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            stage: self.stage.to_owned(),
            step: *step,
            seen_after: *seen_after,
            action: *action,
            term: fault.term.clone(),
            value: fault.value.to_string(),
            state,
            terms: texts(&numbers.terms),
            grad_norms: texts(&numbers.norms),
            galaxies,
        };
        let text = serde_json::to_string_pretty(&record).expect("records are plain JSON");
        write_whole(&folder.join(RECORD_FILE), text.as_bytes())?;
        self.forget_old_states()?;
        Ok(Kept {
            folder,
            galaxies: shown,
        })
    }

    /// Removes the checkpoints of all but the last records: those of a large model would fill the disk.
    fn forget_old_states(&self) -> Result<()> {
        let folders = folders(self.run)?;
        let old = folders.len().saturating_sub(self.keep);
        for folder in &folders[..old] {
            CheckpointStore::new(folder.clone(), 1).clear()?;
        }
        Ok(())
    }
}

/// Some galaxies by their identifiers, for people.
fn named(galaxies: &[BatchGalaxy]) -> String {
    let ids: Vec<&str> = galaxies
        .iter()
        .take(NAMED)
        .map(|galaxy| galaxy.object_id.as_str())
        .collect();
    match galaxies.len() {
        0 => "unknown".to_owned(),
        count if count > NAMED => format!("{}, … ({count} in all)", ids.join(", ")),
        _ => ids.join(", "),
    }
}
