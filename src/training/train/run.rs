//! The training loop.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::nonfinite::{Recorder, checkpoints_of};
use super::watch::Watch;
use super::{BatchGalaxy, CheckpointStore, Fault, MetricsFile, Numbers, Objective, OnNonfinite};
use crate::base::error::{Check, Error, Result};
use crate::base::progress::Progress;
use crate::network::nn::Precision;

/// Length and bookkeeping of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    /// Optimiser steps of the whole run, 1 to 2^32.
    pub steps: u64,
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
    /// Number of checkpoints that are kept, 1 or more.
    #[serde(default = "default_keep_checkpoints")]
    pub keep_checkpoints: usize,
    /// What is done where a loss term or a gradient norm of a step is not finite: `stop` or `skip` its update.
    #[serde(default)]
    pub on_nonfinite: OnNonfinite,
    /// Steps of the whole run whose update may be skipped; the next one stops it.
    #[serde(default = "default_max_skips")]
    pub max_skips: u64,
}

/// Steps times galaxies must count in 64 bits.
const MOST_STEPS: u64 = 1 << 32;
/// The largest batch, galaxies.
const MOST_GALAXIES: usize = 1 << 24;

impl RunConfig {
    /// Checks all values; `path` stands in front of the fields' names.
    ///
    /// # Errors
    ///
    /// Names the first field that is out of range.
    pub fn check(&self, path: &str) -> Result<()> {
        let check = Check::at(path);
        check.count("steps", self.steps, 1..=MOST_STEPS)?;
        check.count("batch_size", self.batch_size, 1..=MOST_GALAXIES)?;
        check.count("log_every", self.log_every, 1..)?;
        check.count("checkpoint_every", self.checkpoint_every, 1..)?;
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

fn default_keep_checkpoints() -> usize {
    2
}

fn default_max_skips() -> u64 {
    16
}

/// How a call of [`train`] ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrainOutcome {
    /// All steps of the run are done.
    Finished,
    /// Stopped where it was told to, to be resumed.
    Stopped {
        /// Steps done.
        step: u64,
    },
}

/// Trains from the newest checkpoint in `folder` (or from the start) to the end of the run, or until
/// `stop_after` steps of the run are done.
///
/// `batches(step)` yields the batches from `step` on, so that a resumed run sees what an unbroken one
/// would have seen; `galaxies(step)` names those of one batch.
///
/// # Errors
///
/// [`Error::run`] when a number turns non-finite or the disk is full; whatever the loader reports.
pub fn train<O, I>(
    stage: &str,
    objective: &mut O,
    config: &RunConfig,
    folder: &Path,
    stop_after: Option<u64>,
    batches: impl FnOnce(u64) -> Result<I>,
    galaxies: &dyn Fn(u64) -> Result<Vec<BatchGalaxy>>,
) -> Result<TrainOutcome>
where
    O: Objective,
    I: Iterator<Item = Result<O::Batch>>,
{
    let store = CheckpointStore::new(checkpoints_of(folder), config.keep_checkpoints);
    let start = match store.latest()? {
        Some(checkpoint) => {
            let step = checkpoint.step;
            objective.restore(checkpoint)?;
            tracing::info!("resuming after step {step}");
            step
        }
        None => 0,
    };
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
    let metrics = MetricsFile::open(&metrics_path(folder), start)?;
    let mut watch = Watch::new(config, metrics, recorder);
    let mut loss = String::new();
    for step in start..end {
        let batch = batches
            .next()
            .ok_or_else(|| Error::run(format!("the data ended at step {step}")))??;
        let done = step + 1;
        // A stop leaves no trace: the end of this call is none of the run.
        let to_log = done.is_multiple_of(config.log_every) || done == config.steps;
        let to_save = done.is_multiple_of(config.checkpoint_every) || done == end;
        if let Some(report) = watch.step(objective, step, batch, (to_log, to_save))? {
            loss = format!("loss {:.4}", report.loss());
        }
        progress.set(done, &loss);
        if to_save {
            let checkpoint = objective.checkpoint(done);
            if let Some(fault) = Fault::in_checkpoint(&checkpoint) {
                return Err(watch.stop_at_state(done, fault, Numbers::default()));
            }
            watch.sync()?;
            store.save(&checkpoint)?;
        }
    }
    progress.finish("");
    match end {
        _ if end == config.steps => Ok(TrainOutcome::Finished),
        step => Ok(TrainOutcome::Stopped { step }),
    }
}

/// Where a run in `folder` keeps its metrics.
pub fn metrics_path(folder: &Path) -> PathBuf {
    folder.join("metrics.jsonl")
}
