//! The training loop.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Checkpoint, CheckpointStore, MetricsFile, MetricsRecord, Phase, Watch};
use crate::base::error::{Check, Error, Kind, Result};
use crate::base::interrupt;
use crate::base::progress::Progress;
use crate::network::nn::Precision;
use crate::network::weights::host_values;

/// Time between two looks at the numbers of a step. Each look waits for the device, which then idles until it gets its
/// next work; without any, the host would run ahead of it and fill its memory with batches.
const READ_INTERVAL: Duration = Duration::from_secs(1);

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
    /// Number of checkpoints that are kept, 1 or more.
    #[serde(default = "default_keep_checkpoints")]
    pub keep_checkpoints: usize,
}

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

/// What one step did, as far as it is known without waiting for the device.
#[derive(Debug, Clone)]
pub struct StepOutcome {
    /// Loss terms as they enter the total, `(1,)` each, by name; there is at least one.
    pub terms: Vec<(&'static str, Tensor<1>)>,
    /// Gradient norms before clipping, `(1,)` each, of all parts that are clipped apart, by name; one where all is
    /// clipped together.
    pub norms: Vec<(&'static str, Tensor<1>)>,
    /// Base learning rate.
    pub learning_rate: f64,
    /// What else was measured after this step, by name, such as the loss of validation galaxies; a step that
    /// measures something always gets a line of `metrics.jsonl`.
    pub measured: Vec<(&'static str, f64)>,
    /// Galaxies in the batch.
    pub samples: usize,
}

impl StepOutcome {
    /// Waits until the step is done and reads its numbers, all at once.
    pub fn read(self) -> StepReport {
        let names = |numbers: &[(&'static str, Tensor<1>)]| -> Vec<&'static str> {
            numbers.iter().map(|(name, _)| *name).collect()
        };
        let (terms, parts) = (names(&self.terms), names(&self.norms));
        let numbers = self.terms.into_iter().chain(self.norms);
        let numbers = numbers.map(|(_, number)| number.without_autodiff());
        let numbers = host_values(Tensor::cat(numbers.collect(), 0));
        let mut numbers = numbers.into_iter().map(f64::from);
        let terms = terms.into_iter().zip(numbers.by_ref()).collect();
        let norms: Vec<_> = parts.into_iter().zip(numbers).collect();
        StepReport {
            terms,
            learning_rate: self.learning_rate,
            grad_norm: norms.iter().map(|(_, norm)| *norm).fold(0.0, larger),
            part_norms: if norms.len() > 1 { norms } else { Vec::new() },
            measured: self.measured,
        }
    }
}

/// The larger of two numbers; NaN if one is.
fn larger(a: f64, b: f64) -> f64 {
    if a >= b || a.is_nan() { a } else { b }
}

/// What one step did.
#[derive(Debug, Clone)]
pub struct StepReport {
    /// Loss terms as they enter the total, by name.
    pub terms: Vec<(&'static str, f64)>,
    /// Base learning rate.
    pub learning_rate: f64,
    /// Gradient norm before clipping; the largest where parts are clipped apart.
    pub grad_norm: f64,
    /// Gradient norms of the parts that are clipped apart, by name; none where all is clipped together.
    pub part_norms: Vec<(&'static str, f64)>,
    /// What else was measured after this step, by name, such as the loss of validation galaxies; a step that
    /// measures something always gets a line of `metrics.jsonl`.
    pub measured: Vec<(&'static str, f64)>,
}

impl StepReport {
    fn loss(&self) -> f64 {
        self.terms.iter().map(|(_, value)| value).sum()
    }
}

/// One training stage: model, losses, optimiser and everything else that changes from step to step.
pub trait Objective {
    /// What the loader delivers for one step.
    type Batch;

    /// Forward, backward, update. `step` counts from 0. Nothing is read from the device, so that its next work is
    /// ready before it has done this.
    ///
    /// # Errors
    ///
    /// When the batch cannot be used.
    fn step(&mut self, step: u64, batch: Self::Batch) -> Result<StepOutcome>;

    /// Everything that changes, for a later [`Objective::restore`].
    fn checkpoint(&self, step: u64) -> Checkpoint;

    /// Takes up a checkpoint.
    ///
    /// # Errors
    ///
    /// When it is of another model.
    fn restore(&mut self, checkpoint: Checkpoint) -> Result<()>;
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
/// would have seen.
///
/// # Errors
///
/// [`Error::run`] when a loss turns non-finite or the disk is full; [`Error::input`] when the run has done more steps than
/// it shall have; whatever the loader reports.
pub fn train<O, I>(
    name: &str,
    objective: &mut O,
    config: &RunConfig,
    watch: &Watch,
    stop_after: Option<u64>,
    batches: impl FnOnce(u64) -> Result<I>,
) -> Result<TrainOutcome>
where
    O: Objective,
    I: Iterator<Item = Result<O::Batch>>,
{
    let folder = watch.folder();
    let store = CheckpointStore::in_run(folder, config.keep_checkpoints);
    let start = match store.latest()? {
        Some(checkpoint) => {
            let step = checkpoint.step;
            objective.restore(checkpoint)?;
            tracing::info!("resuming after step {step}");
            step
        }
        None => 0,
    };
    if start > config.steps {
        return Err(Error::input(format!(
            "`train.steps` is {}, but the run has done {start}; a run cannot be shortened below what it has done",
            config.steps
        ))
        .in_file(folder));
    }
    let end = stop_after.map_or(config.steps, |stop| stop.min(config.steps));
    let mut metrics = MetricsFile::open(&metrics_path(folder), start)?;
    let mut progress = Progress::new(name, "steps", start, config.steps);
    let mut batches = batches(start)?;
    let _listening = interrupt::listen();
    watch.begin(start);
    let (mut clock, mut samples) = (Instant::now(), 0);
    let (mut last_read, mut loss) = (None::<Instant>, String::new());
    let (mut last_saved, save_interval) = (Instant::now(), minutes(config.checkpoint_minutes));
    let (mut done, mut saved) = (start, start);
    let mut asked_to_stop = interrupt::requested();
    while done < end && asked_to_stop.is_none() {
        watch.enter(Phase::Data);
        let batch = match batches.next() {
            Some(Ok(batch)) => batch,
            Some(Err(error)) if error.kind() == Kind::Interrupted => break,
            Some(Err(error)) => return Err(error),
            None => return Err(Error::run(format!("the data ended at step {done}"))),
        };
        watch.enter(Phase::Device);
        let outcome = objective.step(done, batch)?;
        done += 1;
        samples += outcome.samples;
        asked_to_stop = interrupt::requested();
        // A stop leaves no trace: the end of this call is none of the run.
        let to_log = done.is_multiple_of(config.log_every)
            || !outcome.measured.is_empty()
            || done == config.steps;
        let to_save = done.is_multiple_of(config.checkpoint_every)
            || done == end
            || asked_to_stop.is_some()
            || save_interval.is_some_and(|interval| last_saved.elapsed() >= interval);
        // What is not finite stays so, in the weights: no checkpoint is written of it, however late it is seen.
        let is_old = last_read.is_none_or(|read| read.elapsed() >= READ_INTERVAL);
        if to_log || to_save || is_old {
            let report = outcome.read();
            last_read = Some(Instant::now());
            check_finite(&report, done, folder)?;
            loss = format!("loss {:.4}", report.loss());
            if to_log {
                let rate = samples as f64 / clock.elapsed().as_secs_f64();
                metrics.append(&record(done, &report, rate))?;
                (clock, samples) = (Instant::now(), 0);
            }
        }
        progress.set(done, &loss);
        if to_save {
            watch.enter(Phase::Writing);
            metrics.sync()?;
            store.save(&objective.checkpoint(done))?;
            (saved, last_saved) = (done, Instant::now());
        }
        watch.done(done);
    }
    watch.enter(Phase::Writing);
    match interrupt::requested() {
        Some(by) if done < end => {
            // A wait for data was broken off.
            if saved < done {
                metrics.sync()?;
                store.save(&objective.checkpoint(done))?;
            }
            Ok(TrainOutcome::Interrupted { step: done, by })
        }
        _ if done == config.steps => {
            progress.finish("");
            Ok(TrainOutcome::Finished)
        }
        _ => {
            progress.finish("");
            Ok(TrainOutcome::Stopped { step: done })
        }
    }
}

/// Where a run in `folder` keeps its metrics.
pub fn metrics_path(folder: &Path) -> PathBuf {
    folder.join("metrics.jsonl")
}

fn record(step: u64, report: &StepReport, rate: f64) -> MetricsRecord {
    let numbers = |pairs: &[(&str, f64)]| {
        let pairs = pairs.iter();
        pairs
            .map(|&(name, value)| (name.to_owned(), Value::from(value)))
            .collect::<Map<_, _>>()
    };
    MetricsRecord {
        step,
        loss: report.loss(),
        learning_rate: report.learning_rate,
        grad_norm: report.grad_norm,
        grad_norms: numbers(&report.part_norms),
        samples_per_second: rate,
        terms: numbers(&[&report.terms[..], &report.measured].concat()),
    }
}

fn check_finite(report: &StepReport, step: u64, folder: &Path) -> Result<()> {
    let mut numbers = report.terms.iter().chain(&report.measured);
    let faulty = numbers.find(|(_, value)| !value.is_finite());
    let (name, value) = match faulty {
        Some(&(name, value)) => (name, value),
        None if !report.grad_norm.is_finite() => ("grad_norm", report.grad_norm),
        None => return Ok(()),
    };
    Err(Error::run(format!(
        "step {step}: {name} is {value}, since this step or shortly before; the run stops so that its last checkpoint in {} stays good. \
         Lower optimizer.lr or lengthen the warm-up, then go on with --resume",
        folder.join("checkpoints").display()
    )))
}
