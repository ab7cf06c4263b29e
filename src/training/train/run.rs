//! The training loop.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::nonfinite::Recorder;
use super::ranks::is_default;
use super::stepper::{Stepper, follow};
use super::{
    BatchGalaxy, Checkpoint, CheckpointStore, EventFile, FoundCheckpoint, MetricsFile, Objective,
    OnNonfinite, Phase, RanksConfig, Watch, checkpoints_of,
};
use crate::base::error::{Check, Error, Kind, Result};
use crate::base::interrupt;
use crate::base::progress::Progress;
use crate::base::ranks::Ranks;
use crate::network::nn::Precision;
use crate::network::weights::{TensorMap, bytes_of};

/// Length and bookkeeping of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    /// Optimiser steps of the whole run, 1 to 2^32.
    pub steps: u64,
    /// Steps over which learning rate, weight decay and teacher follow their schedules, 1 to 2^32; steps beyond have the
    /// last values. `steps` where it is not given: a run that is resumed with other `steps` keeps what it began with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule_steps: Option<u64>,
    /// Galaxies per step, 1 to 2^24.
    pub batch_size: usize,
    /// Galaxies that go through the model at once, a divisor of `batch_size`: with less memory the same
    /// step. All of them where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub micro_batch_size: Option<usize>,
    /// In what numbers the transformers compute; weights, norms, softmax and losses are `f32` throughout.
    #[serde(default)]
    pub precision: Precision,
    /// Seed of weights, data order and augmentations.
    #[serde(default)]
    pub seed: u64,
    /// Steps between two lines of `metrics.jsonl`, 1 or more.
    #[serde(default = "default_log_every")]
    pub log_every: u64,
    /// Steps between two checkpoints, 1 or more; one is always written at the end.
    #[serde(default = "default_checkpoint_every")]
    pub checkpoint_every: u64,
    /// Minutes between two checkpoints where steps are slow, 0 or more; 0 for none by the clock.
    #[serde(default = "default_checkpoint_minutes")]
    pub checkpoint_minutes: f64,
    /// Minutes without a step after which the log says where the time goes, 0 or more; 0 for never.
    #[serde(default = "default_stall_minutes")]
    pub stall_minutes: f64,
    /// Whether the metrics are also written as event files for TensorBoard, in `tensorboard/`.
    #[serde(default)]
    pub tensorboard: bool,
    /// Number of checkpoints that are kept, 1 or more.
    #[serde(default = "default_keep_checkpoints")]
    pub keep_checkpoints: usize,
    /// What is done where a loss term or a gradient norm of a step is not finite: `stop` or `skip` its update.
    #[serde(default)]
    pub on_nonfinite: OnNonfinite,
    /// Steps of the whole run whose update may be skipped; the next one stops it.
    #[serde(default = "default_max_skips")]
    pub max_skips: u64,
    /// How several ranks train together.
    #[serde(default, skip_serializing_if = "is_default")]
    pub ranks: RanksConfig,
}

/// Time between two looks for a batch, once a signal has asked for an end.
const WAIT: Duration = Duration::from_millis(20);
/// Steps times galaxies must count in 64 bits.
const MOST_STEPS: u64 = 1 << 32;
/// A year.
const MOST_MINUTES: f64 = 366.0 * 24.0 * 60.0;
/// The largest batch, galaxies.
const MOST_GALAXIES: usize = 1 << 24;

impl RunConfig {
    /// Steps over which schedules go.
    pub fn schedule(&self) -> u64 {
        self.schedule_steps.unwrap_or(self.steps)
    }

    /// Time without a step after which that is said; none for never.
    pub fn patience(&self) -> Option<Duration> {
        minutes(self.stall_minutes)
    }

    /// Checks all values; `path` stands in front of the fields' names.
    ///
    /// # Errors
    ///
    /// Names the first field that is out of range.
    pub fn check(&self, path: &str) -> Result<()> {
        let check = Check::at(path);
        check.count("steps", self.steps, 1..=MOST_STEPS)?;
        check.count("schedule_steps", self.schedule(), 1..=MOST_STEPS)?;
        check.count("batch_size", self.batch_size, 1..=MOST_GALAXIES)?;
        check.count("log_every", self.log_every, 1..)?;
        check.count("checkpoint_every", self.checkpoint_every, 1..)?;
        check.number(
            "checkpoint_minutes",
            self.checkpoint_minutes,
            0.0..=MOST_MINUTES,
        )?;
        check.number("stall_minutes", self.stall_minutes, 0.0..=MOST_MINUTES)?;
        check.count("keep_checkpoints", self.keep_checkpoints, 1..)?;
        let batch = self.batch_size;
        let micro = self.micro_batch_size.unwrap_or(batch);
        check.require(
            micro > 0 && batch.is_multiple_of(micro),
            "micro_batch_size",
            micro,
            format!(
                "a divisor of {path}.batch_size = {batch}: change one of the two, or leave it out where memory \
                 holds the whole batch"
            ),
        )
    }
}

fn default_log_every() -> u64 {
    10
}

fn default_checkpoint_every() -> u64 {
    1000
}

fn default_checkpoint_minutes() -> f64 {
    30.0
}

fn default_stall_minutes() -> f64 {
    10.0
}

/// A time as settings have it; none for 0.
fn minutes(minutes: f64) -> Option<Duration> {
    (minutes > 0.0).then(|| Duration::from_secs_f64(60.0 * minutes))
}

fn default_keep_checkpoints() -> usize {
    2
}

fn default_max_skips() -> u64 {
    16
}

/// How a call of [`train`] ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrainOutcome {
    /// All steps of the run are done, or as many as its objective wanted.
    Finished {
        /// Steps done.
        step: u64,
    },
    /// Stopped where it was told to, to be resumed.
    Stopped {
        /// Steps done.
        step: u64,
    },
    /// Stopped because a signal asked for it, with a checkpoint, to be resumed.
    Interrupted {
        /// Steps done.
        step: u64,
        /// The signal.
        by: interrupt::Request,
    },
}

/// Trains from the newest checkpoint of the run (or from the start) to its end, or until
/// `stop_after` steps of the run are done, or until a signal asks for an end.
///
/// `batches(step)` yields the batches from `step` on, so that a resumed run sees what an unbroken one
/// would have seen; `galaxies(step)` names those of one batch.
///
/// The ranks of the watch take their steps together. The first of them looks at the numbers, writes, and tells of it.
///
/// # Errors
///
/// [`Error::run`] when a number turns non-finite or the disk is full; whatever the loader reports;
/// [`Error::input`] where the ranks begin with different weights.
pub fn train<O, I>(
    stage: &str,
    objective: &mut O,
    config: &RunConfig,
    watch: &Watch,
    stop_after: Option<u64>,
    batches: impl FnOnce(u64) -> Result<I>,
    galaxies: &dyn Fn(u64) -> Result<Vec<BatchGalaxy>>,
) -> Result<TrainOutcome>
where
    O: Objective,
    I: Iterator<Item = Result<O::Batch>>,
{
    let (folder, ranks) = (watch.folder(), watch.ranks());
    let store = CheckpointStore::new(checkpoints_of(folder), config.keep_checkpoints);
    let start = begin(objective, &store, folder, ranks)?;
    let end = stop_after.map_or(config.steps, |stop| stop.min(config.steps));
    let mut progress = Progress::new(stage, "steps", start, config.steps);
    let mut batches = batches(start)?;
    let recorder = Recorder {
        stage,
        run: folder,
        store: &store,
        keep: config.keep_checkpoints,
        galaxies,
    };
    let mut stepper = match ranks.is_first() {
        true => {
            let metrics = MetricsFile::open(&metrics_path(folder), start)?;
            let events = match config.tensorboard {
                true => Some(EventFile::create(folder, start)?),
                false => None,
            };
            Some(Stepper::new(config, metrics, events, recorder))
        }
        false => None,
    };
    let save = |stepper: &mut Option<Stepper<'_>>, objective: &O, done| match stepper {
        Some(stepper) => stepper.save(objective, done),
        None => {
            objective.lend();
            Ok(())
        }
    };
    let _listening = interrupt::listen();
    watch.begin(start);
    let mut loss = String::new();
    let (mut last_saved, save_interval) = (Instant::now(), minutes(config.checkpoint_minutes));
    let (mut done, mut saved) = (start, start);
    let (mut asked_to_stop, _) = ranks.agree_on_next(false);
    while done < end && asked_to_stop.is_none() && !objective.is_complete(done) {
        watch.enter(Phase::Data);
        let batch = match next_batch(&mut batches, ranks) {
            Some(Ok(batch)) => batch,
            Some(Err(error)) if error.kind() == Kind::Interrupted => {
                asked_to_stop = interrupt::requested();
                break;
            }
            Some(Err(error)) => return Err(error),
            None => return Err(Error::run(format!("the data ended at step {done}"))),
        };
        watch.enter(Phase::Device);
        let next = done + 1;
        // A stop leaves no trace: the end of this call is none of the run.
        let to_log = next.is_multiple_of(config.log_every) || next == config.steps;
        let is_due = next.is_multiple_of(config.checkpoint_every)
            || next == end
            || save_interval.is_some_and(|interval| last_saved.elapsed() >= interval);
        match &mut stepper {
            Some(stepper) => {
                if let Some(report) = stepper.step(objective, done, batch, (to_log, is_due))? {
                    loss = format!("loss {:.4}", report.loss());
                }
            }
            None => follow(objective, config, done, batch)?,
        }
        done = next;
        progress.set(done, &loss);
        // By the clock of the first.
        let to_save;
        (asked_to_stop, to_save) = ranks.agree_on_next(is_due);
        if to_save || asked_to_stop.is_some() || objective.is_complete(done) {
            watch.enter(Phase::Writing);
            save(&mut stepper, objective, done)?;
            (saved, last_saved) = (done, Instant::now());
        }
        watch.done(done);
    }
    watch.enter(Phase::Writing);
    match asked_to_stop {
        Some(by) if done < end && !objective.is_complete(done) => {
            // A wait for data was broken off.
            if saved < done {
                save(&mut stepper, objective, done)?;
            }
            Ok(TrainOutcome::Interrupted { step: done, by })
        }
        _ if done == config.steps || objective.is_complete(done) => {
            progress.finish("");
            Ok(TrainOutcome::Finished { step: done })
        }
        _ => {
            progress.finish("");
            Ok(TrainOutcome::Stopped { step: done })
        }
    }
}

/// Takes up the newest checkpoint, and makes sure that there is room for the next; returns the steps that are done.
fn begin<O: Objective>(
    objective: &mut O,
    store: &CheckpointStore,
    folder: &Path,
    ranks: &Ranks,
) -> Result<u64> {
    let found = match ranks.is_first() {
        true => store.latest()?,
        // What is left over is for the first to remove.
        false => store.latest_of(u64::MAX)?,
    };
    // The next checkpoint takes what the last one did; else all has to be copied to the host once, to be counted.
    let (start, bytes) = match found {
        Some(checkpoint) => {
            let (step, bytes) = (checkpoint.step, bytes_of(&checkpoint.tensors));
            agree_on_state(ranks, &checkpoint)?;
            objective.restore(checkpoint)?;
            tracing::info!("resuming after step {step}");
            (step, bytes)
        }
        None => {
            let metrics = metrics_path(folder);
            if metrics.metadata().is_ok_and(|found| found.len() > 0) {
                tracing::warn!(
                    "{}: holds no checkpoint; the steps that {} tells of are done again from the first",
                    folder.display(),
                    metrics.display()
                );
            }
            let checkpoint = objective.checkpoint(0);
            agree_on_state(ranks, &checkpoint)?;
            (0, bytes_of(&checkpoint.tensors))
        }
    };
    if ranks.is_first() {
        store.check_room(bytes)?;
    }
    Ok(start)
}

/// Checks that all ranks begin with the same weights after the same step.
fn agree_on_state(ranks: &Ranks, checkpoint: &Checkpoint) -> Result<()> {
    if ranks.is_alone() {
        return Ok(());
    }
    ranks.agree(&[
        ("first step", checkpoint.step.to_string()),
        ("set of weights", digest(&checkpoint.tensors)),
    ])
}

/// SHA-256 of names and values, hexadecimal.
fn digest(tensors: &TensorMap) -> String {
    let mut hasher = Sha256::new();
    for (name, tensor) in tensors {
        hasher.update(name);
        hasher.update(bytemuck::cast_slice(&tensor.values));
    }
    format!("{:x}", hasher.finalize())
}

/// The batch of the next step. A process that is alone leaves off waiting for it where a signal asks for that; one that
/// others wait for does not, until all have agreed on where to stop.
fn next_batch<T>(
    batches: &mut impl Iterator<Item = Result<T>>,
    ranks: &Ranks,
) -> Option<Result<T>> {
    loop {
        match batches.next() {
            Some(Err(error)) if error.kind() == Kind::Interrupted && !ranks.is_alone() => {
                std::thread::sleep(WAIT);
            }
            next => return next,
        }
    }
}

/// Refuses fewer steps than the run in `folder` has done, before anything of it is changed.
///
/// # Errors
///
/// [`Error::input`] with both numbers.
pub fn check_steps(folder: &Path, config: &RunConfig) -> Result<()> {
    let store = CheckpointStore::new(checkpoints_of(folder), config.keep_checkpoints);
    match store.list()?.last() {
        Some(FoundCheckpoint { step, .. }) if *step > config.steps => Err(Error::input(format!(
            "`train.steps` is {}, but the run has done {step}; a run cannot be shortened below what it has done",
            config.steps
        ))
        .in_file(folder)),
        _ => Ok(()),
    }
}

/// Where a run in `folder` keeps its metrics.
pub fn metrics_path(folder: &Path) -> PathBuf {
    folder.join("metrics.jsonl")
}
