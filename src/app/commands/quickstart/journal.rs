//! What a quickstart has done so far, so that the same command goes on where an earlier one was broken off.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::base::error::{Error, Kind, Result};
use crate::base::interrupt;
use crate::base::lock::FolderLock;
use crate::base::output::write_whole;
use crate::training::config::{QuickstartRun, to_toml};
use crate::training::run_folder::check_config;

/// Name of the resolved settings in a quickstart's folder.
const PLAN_FILE: &str = "quickstart.toml";
/// Name of the record of the seconds that each stage has taken.
const TIMES_FILE: &str = "times.json";

/// The folder of a quickstart, which this process alone works on.
pub(super) struct Journal {
    folder: PathBuf,
    seconds: BTreeMap<String, f64>,
    _lock: FolderLock,
}

impl Journal {
    /// Begins in a folder, or goes on with what lies there.
    ///
    /// # Errors
    /// Where another process works there, and where the folder holds a quickstart of other settings.
    pub fn open(folder: &Path, plan: &QuickstartRun) -> Result<Self> {
        fs::create_dir_all(folder).map_err(|source| Error::writing(folder, source))?;
        let lock = FolderLock::take(folder)?;
        let path = folder.join(PLAN_FILE);
        let text = to_toml(plan);
        let is_begun = path.exists();
        match is_begun {
            true => check_config(&path, &text)?,
            false => write_whole(&path, text.as_bytes())?,
        }
        if is_begun {
            tracing::info!(
                "{} holds an earlier quickstart that was broken off: going on with it",
                folder.display()
            );
        }
        let times = fs::read_to_string(folder.join(TIMES_FILE)).ok();
        let seconds = times.and_then(|text| serde_json::from_str(&text).ok());
        Ok(Self {
            folder: folder.to_owned(),
            seconds: seconds.unwrap_or_default(),
            _lock: lock,
        })
    }

    /// Does a part of the work and notes the time that it takes, on top of what it has taken before.
    ///
    /// # Errors
    /// Those of the work; a signal that asked for an end before.
    pub fn timed<T>(&mut self, stage: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        if let Some(signal) = interrupt::requested() {
            return Err(Error::interrupted(format!(
                "{signal}: stopped before {stage}; the same command goes on"
            )));
        }
        let started = Instant::now();
        let value = work();
        *self.seconds.entry(stage.to_owned()).or_default() += started.elapsed().as_secs_f64();
        let text = serde_json::to_string_pretty(&self.seconds).expect("numbers are plain JSON");
        let written = write_whole(&self.folder.join(TIMES_FILE), text.as_bytes());
        let value = value.map_err(|error| match error.kind() {
            Kind::Interrupted => Error::interrupted(format!(
                "stopped in {stage}, with all that was done; the same command goes on"
            )),
            _ => error,
        })?;
        written.map(|()| value)
    }

    /// Seconds that a part of the work has taken.
    pub fn seconds(&self, stage: &str) -> f64 {
        self.seconds.get(stage).copied().unwrap_or(0.0)
    }
}
