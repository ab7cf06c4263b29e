//! How far a run is, and whether anyone works on it.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{MODEL_FILE, Outcome, Session, config_table, stage_of};
use crate::base::clock::since_1970;
use crate::base::error::{Error, Result};
use crate::base::lock::holder;
use crate::training::train::{
    CheckpointStore, Heartbeat, MetricsFile, Phase, checkpoints_of, metrics_path,
};

/// Whether anyone works on a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum Activity {
    /// A process does.
    Running {
        /// Which one.
        by: String,
        /// What it is doing, as it said last.
        phase: Option<Phase>,
        /// Seconds since then.
        silent_seconds: Option<u64>,
    },
    /// All steps are done, and the model is written.
    Finished,
    /// Its process has ended as it should, to be resumed.
    Stopped {
        /// The signal that asked for it; none where it went as far as it was told to.
        by: Option<String>,
    },
    /// Its process gave up.
    Failed {
        /// What failed.
        because: String,
    },
    /// Its process was killed, or its machine has gone.
    Killed,
}

/// How far a run is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunStatus {
    /// Run folder.
    pub run: PathBuf,
    /// Stage.
    pub stage: String,
    /// Whether anyone works on it.
    #[serde(flatten)]
    pub activity: Activity,
    /// Steps done, as far as is known.
    pub step: u64,
    /// Steps of the whole run.
    pub steps: u64,
    /// The last loss that was noted, and after which step.
    pub loss: Option<f64>,
    /// The step after which that loss was noted.
    pub loss_step: Option<u64>,
    /// Learning rate of that step.
    pub learning_rate: Option<f64>,
    /// Galaxies per second then.
    pub samples_per_second: Option<f64>,
    /// Seconds to the last step, at the rate of the process that runs; none while none does.
    pub seconds_left: Option<f64>,
    /// Steps of the last checkpoint.
    pub checkpoint_step: Option<u64>,
    /// Seconds since it was written.
    pub checkpoint_age_seconds: Option<u64>,
    /// Checkpoints that are kept.
    pub checkpoints: usize,
    /// Processes that have worked on it.
    pub sessions: Vec<Session>,
}

impl RunStatus {
    /// The status of the run in a folder.
    ///
    /// # Errors
    ///
    /// [`Error::input`] where it holds no run.
    pub fn of(folder: &Path) -> Result<Self> {
        let none = || {
            Error::input("holds no run; name a run folder, or a folder of run folders")
                .in_file(folder)
        };
        let stage = stage_of(folder).ok_or_else(none)?;
        let steps = config_table(folder)
            .and_then(|table| table.get("train")?.get("steps")?.as_integer())
            .and_then(|steps| u64::try_from(steps).ok())
            .unwrap_or(0);
        let sessions = Session::read_all(folder);
        let metrics = metrics_path(folder);
        let last = match metrics.exists() {
            true => MetricsFile::read(&metrics)?.pop(),
            false => None,
        };
        let checkpoints = CheckpointStore::new(checkpoints_of(folder), 1).list()?;
        let checkpoint = checkpoints.last();
        let heartbeat = Heartbeat::read(folder);
        let holder = holder(folder);
        let ended = sessions.last().and_then(|session| session.end.as_ref());
        let step = [
            last.as_ref().map(|record| record.step),
            checkpoint.map(|found| found.step),
            ended.map(|end| end.step),
            // What a dead process had done since its last checkpoint is lost.
            holder
                .as_ref()
                .and(heartbeat.as_ref())
                .map(|beat| beat.step),
        ];
        let step = match &holder {
            Some(_) => step.into_iter().flatten().max(),
            None => step[1..3].iter().flatten().max().copied(),
        };
        let step = step.unwrap_or(0);
        // A session may have ended without a word of it, where the disk was full; runs of before there was a record have
        // none.
        let is_done = folder.join(MODEL_FILE).exists() && (step >= steps || sessions.is_empty());
        let rate = heartbeat.as_ref().and_then(|beat| beat.steps_per_second);
        let seconds_left = rate.map(|rate| steps.saturating_sub(step) as f64 / rate);
        Ok(Self {
            run: folder.to_owned(),
            stage,
            step,
            steps,
            seconds_left: holder.as_ref().and(seconds_left),
            loss: last.as_ref().map(|record| record.loss),
            loss_step: last.as_ref().map(|record| record.step),
            learning_rate: last.as_ref().map(|record| record.learning_rate),
            samples_per_second: last.as_ref().map(|record| record.samples_per_second),
            checkpoint_step: checkpoint.map(|found| found.step),
            checkpoint_age_seconds: checkpoint
                .and_then(|found| Some(found.written?.elapsed().ok()?.as_secs())),
            checkpoints: checkpoints.len(),
            activity: activity(holder, heartbeat.as_ref(), sessions.last(), is_done),
            sessions,
        })
    }
}

fn activity(
    holder: Option<String>,
    heartbeat: Option<&Heartbeat>,
    session: Option<&Session>,
    is_done: bool,
) -> Activity {
    if let Some(by) = holder {
        let now = since_1970().as_secs();
        return Activity::Running {
            by,
            phase: heartbeat.map(|beat| beat.phase),
            silent_seconds: heartbeat.map(|beat| now.saturating_sub(beat.unix_time)),
        };
    }
    match session.map(|session| session.end.as_ref()) {
        Some(Some(end)) => match end.outcome.clone() {
            Outcome::Finished => Activity::Finished,
            Outcome::Stopped => Activity::Stopped { by: None },
            Outcome::Interrupted(signal) => Activity::Stopped { by: Some(signal) },
            Outcome::Failed(because) => Activity::Failed { because },
        },
        _ if is_done => Activity::Finished,
        _ => Activity::Killed,
    }
}
