//! The folder of a run: its run file, what it is made from, who works on it, and whether it may go on.

mod same_run;
mod session;
mod status;

use std::fs;
use std::path::{Path, PathBuf};

use toml::Table;

pub use same_run::check_config;
pub use session::{Outcome, Session, SessionRecord};
pub use status::{Activity, RunStatus};

use crate::base::error::{Error, Result};
use crate::base::input;
use crate::base::lock::FolderLock;
use crate::base::output::{sweep_own, write_whole};
use crate::files::inputs::Inputs;
use crate::training::config::{StageConfig, schedule_in, to_toml};
use crate::training::train::{CheckpointStore, checkpoints_of};

/// Name of the exported model in a run folder.
pub const MODEL_FILE: &str = "model.safetensors";
/// Name of the resolved run file in a run folder.
const CONFIG_FILE: &str = "config.toml";
/// Name of the record of what a run is made from, in a run folder.
const INPUTS_FILE: &str = "inputs.json";

/// A run folder that this process, and no other, writes.
#[derive(Debug)]
pub struct RunFolder {
    folder: PathBuf,
    /// None where another rank of the run has it.
    _lock: Option<FolderLock>,
}

impl RunFolder {
    /// Makes the run folder and writes the resolved run file and what the run is made from; with `resume` checks that it
    /// is the same run on the same files.
    ///
    /// # Errors
    ///
    /// [`Error::input`] when the folder holds a run and `resume` is not given, when there is nothing to resume, when
    /// another process works on it, or when the configuration or the files would make it another run.
    pub fn begin<C: StageConfig>(
        folder: &Path,
        config: &C,
        inputs: &Inputs,
        resume: bool,
    ) -> Result<Self> {
        let path = folder.join(CONFIG_FILE);
        let text = to_toml(config);
        if resume && !path.exists() {
            return Err(
                Error::input("holds no run to resume; leave --resume out to start one")
                    .in_file(folder),
            );
        }
        fs::create_dir_all(folder).map_err(|source| Error::writing(folder, source))?;
        let lock = FolderLock::take(folder)?;
        sweep_own(folder);
        match (path.exists(), resume) {
            (true, false) => {
                return Err(Error::input(
                    "holds a run already; go on with it by --resume, \
                     or choose another folder with --out",
                )
                .in_file(folder));
            }
            (true, true) => {
                check_config(&path, &text)?;
                same_run::check_inputs(C::STAGE, folder, inputs)?;
            }
            (false, _) => {}
        }
        let record = serde_json::to_string_pretty(inputs).expect("records are plain JSON");
        write_whole(&folder.join(INPUTS_FILE), record.as_bytes())?;
        write_whole(&path, text.as_bytes())?;
        Ok(Self {
            folder: folder.to_owned(),
            _lock: Some(lock),
        })
    }

    /// The folder of a run that the first of its ranks has begun, for another one, which only reads it.
    pub fn of_another_rank(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            _lock: None,
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.folder
    }
}

/// What the run in a folder was started with; none where its folder does not say.
///
/// # Errors
///
/// [`Error::input`] where the record is damaged.
pub fn read_inputs(folder: &Path) -> Result<Option<Inputs>> {
    let path = folder.join(INPUTS_FILE);
    if !path.exists() {
        return Ok(None);
    }
    let record = serde_json::from_slice(&input::bytes(&path)?);
    record.map(Some).map_err(|source| {
        Error::input(format!(
            "is damaged ({source}); remove it, \
             and name the files of the run on the command line"
        ))
        .caused_by(source)
        .in_file(&path)
    })
}

/// Whether the run in a folder has a checkpoint to go on from.
///
/// # Errors
///
/// [`Error::input`] where the folder cannot be listed.
pub fn has_checkpoint(folder: &Path) -> Result<bool> {
    let checkpoints = CheckpointStore::new(checkpoints_of(folder), 1).list()?;
    Ok(!checkpoints.is_empty())
}

/// The stage of the run in a folder; none where it holds no run.
pub fn stage_of(folder: &Path) -> Option<String> {
    config_table(folder)?
        .get("stage")?
        .as_str()
        .map(str::to_owned)
}

/// Steps over which the schedules of the run in a folder go; none where it holds no run, or one without steps.
pub fn schedule_of(folder: &Path) -> Option<u64> {
    schedule_in(&config_table(folder)?)
}

/// The resolved run file of the run in a folder.
pub fn config_file(folder: &Path) -> PathBuf {
    folder.join(CONFIG_FILE)
}

fn config_table(folder: &Path) -> Option<Table> {
    input::text(&config_file(folder)).ok()?.parse().ok()
}
