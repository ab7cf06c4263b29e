//! All that a run needs to go on, in and out of files.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::base::error::{Error, Result};
use crate::base::output::{check_room, remove_leftovers};
use crate::network::weights::{TensorMap, read_tensors, write_tensors};

/// All that a stage needs to go on as if nothing had happened. Random numbers and the order of the
/// data follow from the seed and the step, so they need no state.
#[derive(Debug, Default)]
pub struct Checkpoint {
    /// Steps done.
    pub step: u64,
    /// Steps that the optimiser has counted.
    pub optimizer_steps: u64,
    /// Weights, moments, centres, named `section/parameter`.
    pub tensors: TensorMap,
}

/// What a checkpoint file says of itself.
#[derive(Debug, Serialize, Deserialize)]
pub struct CheckpointHeader {
    /// Version of the program that wrote it.
    pub version: String,
    /// Steps done.
    pub step: u64,
    /// Steps that the optimiser has counted.
    pub optimizer_steps: u64,
}

impl Checkpoint {
    /// Adds `tensors` under `section`.
    pub fn insert(&mut self, section: &str, tensors: TensorMap) {
        self.tensors.extend(
            tensors
                .into_iter()
                .map(|(name, tensor)| (format!("{section}/{name}"), tensor)),
        );
    }

    /// Takes the tensors of `section` out.
    pub fn take(&mut self, section: &str) -> TensorMap {
        let prefix = format!("{section}/");
        let names: Vec<String> = self
            .tensors
            .keys()
            .filter(|name| name.starts_with(&prefix))
            .cloned()
            .collect();
        names
            .into_iter()
            .filter_map(|name| {
                let tensor = self.tensors.remove(&name)?;
                Some((name[prefix.len()..].to_owned(), tensor))
            })
            .collect()
    }
}

/// A checkpoint in its folder.
#[derive(Debug, Clone)]
pub struct FoundCheckpoint {
    /// Where.
    pub path: PathBuf,
    /// Steps done, as its name says.
    pub step: u64,
    /// When it was written.
    pub written: Option<SystemTime>,
    /// Its size, bytes.
    pub bytes: u64,
}

/// The folder of a run's checkpoints, `step-00001000.safetensors` and so on.
#[derive(Debug)]
pub struct CheckpointStore {
    folder: PathBuf,
    keep: usize,
}

impl CheckpointStore {
    /// Checkpoints in a folder, of which the last `keep` are kept.
    pub fn new(folder: PathBuf, keep: usize) -> Self {
        Self {
            folder,
            keep: keep.max(1),
        }
    }

    /// All checkpoints, the oldest first.
    ///
    /// # Errors
    ///
    /// When the folder cannot be listed.
    pub fn list(&self) -> Result<Vec<FoundCheckpoint>> {
        if !self.folder.exists() {
            return Ok(Vec::new());
        }
        let mut found: Vec<FoundCheckpoint> = fs::read_dir(&self.folder)
            .map_err(|source| Error::reading(&self.folder, source))?
            .filter_map(|entry| {
                let path = entry.ok()?.path();
                let step = step_of(&path)?;
                let metadata = path.metadata().ok()?;
                Some(FoundCheckpoint {
                    step,
                    written: metadata.modified().ok(),
                    bytes: metadata.len(),
                    path,
                })
            })
            .collect();
        found.sort_unstable_by_key(|checkpoint| checkpoint.step);
        Ok(found)
    }

    /// Finds out before the first step whether a checkpoint of so many bytes can be written, and says where there is no
    /// room for as many as are kept.
    ///
    /// # Errors
    ///
    /// When the folder cannot be written, or has less room.
    pub fn check_room(&self, bytes: u64) -> Result<()> {
        fs::create_dir_all(&self.folder).map_err(|source| Error::writing(&self.folder, source))?;
        let kept = self.list()?.len().min(self.keep);
        check_room(&self.folder.join("next"), bytes)?;
        // While one is written, all that are kept are still there.
        let more = (self.keep - kept).saturating_add(1);
        let all = bytes.saturating_mul(more as u64);
        if let Err(error) = check_room(&self.folder.join("next"), all) {
            tracing::warn!(
                "train.keep_checkpoints is {}, and while another is written they all take room: {error}",
                self.keep
            );
        }
        Ok(())
    }

    /// Writes a checkpoint whole or not at all, then removes those that are too old.
    ///
    /// # Errors
    ///
    /// When the folder cannot be written.
    pub fn save(&self, checkpoint: &Checkpoint) -> Result<()> {
        // Not what it lies in: a run folder that was removed or moved away is no place to go on in.
        if !self.folder.exists() {
            fs::create_dir(&self.folder).map_err(|source| Error::writing(&self.folder, source))?;
        }
        let header = CheckpointHeader {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            step: checkpoint.step,
            optimizer_steps: checkpoint.optimizer_steps,
        };
        write_tensors(&self.path(checkpoint.step), &checkpoint.tensors, &header)?;
        // A later one is damaged, or this run would have gone on from it: it does not count.
        let mut kept = self.list()?;
        kept.retain(|found| found.step <= checkpoint.step);
        for old in &kept[..kept.len().saturating_sub(self.keep)] {
            fs::remove_file(&old.path).map_err(|source| Error::writing(&old.path, source))?;
        }
        Ok(())
    }

    /// The newest checkpoint that can be read, none where none has been written; a damaged one is passed over with a
    /// warning, one that a killed run has not finished is removed.
    ///
    /// # Errors
    ///
    /// When the folder cannot be listed, and when there are checkpoints of which none can be read.
    pub fn latest(&self) -> Result<Option<Checkpoint>> {
        if self.folder.exists() {
            remove_leftovers(&self.folder)?;
        }
        self.latest_of(u64::MAX)
    }

    /// The newest checkpoint of at most `step` steps that can be read, none where there is none; a damaged one is passed
    /// over with a warning.
    ///
    /// # Errors
    ///
    /// When the folder cannot be listed, and when there are such checkpoints of which none can be read.
    pub fn latest_of(&self, step: u64) -> Result<Option<Checkpoint>> {
        let mut found = self.list()?;
        found.retain(|checkpoint| checkpoint.step <= step);
        for checkpoint in found.iter().rev() {
            match read_tensors::<CheckpointHeader>(&checkpoint.path) {
                Ok((tensors, header)) => {
                    return Ok(Some(Checkpoint {
                        step: header.step,
                        optimizer_steps: header.optimizer_steps,
                        tensors,
                    }));
                }
                Err(error) => tracing::warn!("passing over a damaged checkpoint: {error}"),
            }
        }
        match found.len() {
            0 => Ok(None),
            count => Err(Error::input(format!(
                "none of the {count} checkpoints can be read: the steps up to {} are lost. \
                 Bring a good one back, or remove this folder to begin the run anew",
                found[count - 1].step
            ))
            .in_file(&self.folder)),
        }
    }

    /// Puts the newest checkpoint of at most `step` steps into another folder too, and returns its steps; none where
    /// there is none. It takes no space while it is here as well.
    ///
    /// # Errors
    ///
    /// When a folder cannot be listed or written.
    pub fn link_newest(&self, step: u64, folder: &Path) -> Result<Option<u64>> {
        let Some(newest) = self.list()?.into_iter().rfind(|found| found.step <= step) else {
            return Ok(None);
        };
        let there = Self::new(folder.to_owned(), 1);
        there.clear()?;
        let to = there.path(newest.step);
        fs::hard_link(&newest.path, &to)
            .or_else(|_| fs::copy(&newest.path, &to).map(|_| ()))
            .map_err(|source| Error::writing(&to, source))?;
        Ok(Some(newest.step))
    }

    /// Removes all checkpoints.
    ///
    /// # Errors
    ///
    /// When the folder cannot be listed or written.
    pub fn clear(&self) -> Result<()> {
        for FoundCheckpoint { path, .. } in self.list()? {
            fs::remove_file(&path).map_err(|source| Error::writing(&path, source))?;
        }
        Ok(())
    }

    fn path(&self, step: u64) -> PathBuf {
        self.folder.join(format!("step-{step:08}.safetensors"))
    }
}

/// The folder of the checkpoints of a run.
pub fn checkpoints_of(run: &Path) -> PathBuf {
    run.join("checkpoints")
}

fn step_of(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    let digits = name.strip_prefix("step-")?.strip_suffix(".safetensors")?;
    digits.parse().ok()
}
