//! What the loop does with the numbers of its steps.

use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use super::nonfinite::{Incident, Recorder};
use super::{
    EventFile, Fault, MetricsFile, MetricsRecord, Numbers, Objective, OnNonfinite, RunConfig,
    SkippedStep, StepGradients, StepNumbers, StepReport, StepUpdate,
};
use crate::base::error::{Error, Result};
use crate::base::shell::{quoted, resuming};

/// Time between two looks at the numbers of a step. Each look waits for the device, which then idles until it gets its
/// next work; without any, the host would run ahead of it and fill its memory with batches.
const READ_INTERVAL: Duration = Duration::from_secs(1);
/// Most steps between two looks.
const MOST_UNREAD: usize = 64;

/// Takes steps, looks at their numbers, and writes them down.
pub(super) struct Stepper<'a> {
    config: &'a RunConfig,
    metrics: MetricsFile,
    /// The same for TensorBoard.
    events: Option<EventFile>,
    recorder: Recorder<'a>,
    /// Steps, counted from 1, whose numbers nobody has looked at.
    unread: Vec<(u64, StepNumbers)>,
    last_read: Option<Instant>,
    /// Since the last line of the metrics.
    clock: Instant,
    samples: usize,
}

impl<'a> Stepper<'a> {
    pub(super) fn new(
        config: &'a RunConfig,
        metrics: MetricsFile,
        events: Option<EventFile>,
        recorder: Recorder<'a>,
    ) -> Self {
        Self {
            config,
            metrics,
            events,
            recorder,
            unread: Vec::new(),
            last_read: None,
            clock: Instant::now(),
            samples: 0,
        }
    }

    /// Writes a checkpoint of the steps `done`; all numbers of them are looked at before.
    pub(super) fn save<O: Objective>(&mut self, objective: &O, done: u64) -> Result<()> {
        if !self.unread.is_empty() {
            self.read(done)?;
        }
        let checkpoint = objective.checkpoint(done);
        if let Some(fault) = Fault::in_checkpoint(&checkpoint) {
            return Err(self.stop_at_state(done, fault, Numbers::default()));
        }
        self.metrics.sync()?;
        self.recorder.store.save(&checkpoint)
    }

    /// Takes a step; returns its numbers where they were looked at and are finite.
    ///
    /// Where the run stops at a non-finite number, steps are looked at before they are logged or saved, and else once in
    /// a while, all of them: what is not finite stays so, in the weights, and no checkpoint is written of it. Where the
    /// update is skipped, every step is looked at before its update.
    pub(super) fn step<O: Objective>(
        &mut self,
        objective: &mut O,
        step: u64,
        batch: O::Batch,
        (to_log, to_save): (bool, bool),
    ) -> Result<Option<StepReport>> {
        let done = step + 1;
        let StepGradients {
            numbers,
            gradients,
            samples,
        } = objective.gradients(step, batch)?;
        self.samples += samples;
        let known = match self.config.on_nonfinite {
            OnNonfinite::Stop => {
                self.unread.push((done, numbers));
                None
            }
            OnNonfinite::Skip => {
                let numbers = numbers.read();
                if let Some(fault) = numbers.fault() {
                    drop(gradients);
                    self.skip(objective, step, fault, numbers)?;
                    return Ok(None);
                }
                Some(numbers)
            }
        };
        let update = objective.update(step, gradients)?;
        let measured = update.measured.iter();
        let measured = Fault::first_of(measured.map(|&(name, value)| (name.to_owned(), value)));
        let to_log = to_log || !update.measured.is_empty();
        let is_old = self
            .last_read
            .is_none_or(|read| read.elapsed() >= READ_INTERVAL);
        let numbers = match known {
            Some(numbers) => numbers,
            None if to_log || to_save || is_old || self.unread.len() >= MOST_UNREAD => {
                self.read(done)?
            }
            None => return Ok(None),
        };
        if let Some(fault) = measured {
            return Err(self.stop_at_state(done, fault, numbers));
        }
        let report = StepReport::new(numbers, update);
        if to_log {
            let rate = self.samples as f64 / self.clock.elapsed().as_secs_f64();
            let record = record(done, &report, rate);
            self.metrics.append(&record)?;
            if let Some(events) = &mut self.events {
                events.append_record(&record)?;
            }
            (self.clock, self.samples) = (Instant::now(), 0);
        }
        Ok(Some(report))
    }

    /// Looks at all steps that nobody has looked at, and returns the numbers of the last, `done`.
    fn read(&mut self, done: u64) -> Result<Numbers> {
        let (steps, numbers): (Vec<u64>, Vec<StepNumbers>) = self.unread.drain(..).unzip();
        let mut numbers = StepNumbers::read_all(numbers);
        self.last_read = Some(Instant::now());
        for (index, step) in steps.into_iter().enumerate() {
            if let Some(fault) = numbers[index].fault() {
                let (numbers, seen) = (numbers.swap_remove(index), (step, done));
                return Err(self.stop(seen, fault, numbers, "on_nonfinite=skip"));
            }
        }
        Ok(numbers.pop().expect("this step is among them"))
    }

    /// Leaves out the update of a step, and says so; stops the run where that has been done too often.
    fn skip<O: Objective>(
        &mut self,
        objective: &mut O,
        step: u64,
        fault: Fault,
        numbers: Numbers,
    ) -> Result<()> {
        let (done, most) = (step + 1, self.config.max_skips);
        let StepUpdate { measured, .. } = objective.skip(step)?;
        let before = objective.checkpoint(step);
        if let Some(fault) = Fault::in_checkpoint(&before) {
            return Err(self.stop_at_state(step, fault, numbers));
        }
        if self.metrics.skipped() >= most {
            let more = format!("max_skips={}", most.saturating_mul(2).max(1));
            return Err(self.stop((done, done), fault, numbers, &more));
        }
        self.metrics.append_skipped(&SkippedStep {
            step: done,
            skipped: fault.term.clone(),
            value: fault.value.to_string(),
            measured: numbers_by_name(&measured),
        })?;
        let incident = Incident {
            step: done,
            seen_after: done,
            action: OnNonfinite::Skip,
            fault,
            numbers,
        };
        let kept = self.recorder.keep(&incident, Some(&before))?;
        tracing::warn!(
            "step {done}: {} is {}: its update is skipped ({} of at most {most} in this run); galaxies: {}; \
             `astroclip replay {}` says where it comes from",
            incident.fault.term,
            incident.fault.value,
            self.metrics.skipped(),
            kept.galaxies,
            quoted(&kept.folder.display().to_string())
        );
        Ok(())
    }

    /// The error that ends a run at a step of which the numbers are not finite; with the `setting` it can go on.
    fn stop(
        &self,
        (step, seen_after): (u64, u64),
        fault: Fault,
        numbers: Numbers,
        setting: &str,
    ) -> Error {
        let skipped = match self.metrics.skipped() {
            0 => String::new(),
            count => format!("; {count} steps were skipped before, at most train.max_skips may be"),
        };
        let remedy = format!(
            "Go on without the updates of such steps{skipped}: `{} --set train.{setting}`; or",
            resuming(self.recorder.stage, self.recorder.run)
        );
        self.stopped((step, seen_after), fault, numbers, &remedy)
    }

    /// The error that ends a run after a step of which the numbers are finite, but not what it led to.
    fn stop_at_state(&self, step: u64, fault: Fault, numbers: Numbers) -> Error {
        let remedy = "Its losses and gradients are finite, so that skipping steps does not help:";
        self.stopped((step, step), fault, numbers, remedy)
    }

    /// Keeps a record of the step in the run folder.
    fn stopped(
        &self,
        (step, seen_after): (u64, u64),
        fault: Fault,
        numbers: Numbers,
        remedy: &str,
    ) -> Error {
        let Fault { term, value } = fault.clone();
        let seen = match seen_after == step {
            true => String::new(),
            false => format!(" (seen after step {seen_after})"),
        };
        let incident = Incident {
            step,
            seen_after,
            action: OnNonfinite::Stop,
            fault,
            numbers,
        };
        let what = format!("step {step}: {term} is {value}{seen}");
        let kept = match self.recorder.keep(&incident, None) {
            Ok(kept) => kept,
            Err(error) => return error.about(what),
        };
        Error::run(format!(
            "{what}; the run stops before it spoils a checkpoint. Galaxies of the step: {}. `astroclip replay {}` says \
             where it comes from. {remedy} start a run in another folder, with a lower optimizer.lr or without the galaxy \
             that `replay` names",
            kept.galaxies,
            quoted(&kept.folder.display().to_string()),
        ))
    }
}

/// Takes a step together with the first rank, which looks at its numbers. They are the same on all ranks, and so is what
/// becomes of a step whose numbers are not finite.
pub(super) fn follow<O: Objective>(
    objective: &mut O,
    config: &RunConfig,
    step: u64,
    batch: O::Batch,
) -> Result<()> {
    let StepGradients {
        numbers, gradients, ..
    } = objective.gradients(step, batch)?;
    let is_skipped = config.on_nonfinite == OnNonfinite::Skip && numbers.read().fault().is_some();
    match is_skipped {
        true => {
            objective.skip(step)?;
            objective.lend();
        }
        false => {
            objective.update(step, gradients)?;
        }
    }
    Ok(())
}

fn numbers_by_name(pairs: &[(&str, f64)]) -> Map<String, Value> {
    let pairs = pairs.iter();
    pairs
        .map(|&(name, value)| (name.to_owned(), Value::from(value)))
        .collect()
}

fn record(step: u64, report: &StepReport, rate: f64) -> MetricsRecord {
    MetricsRecord {
        step,
        loss: report.loss(),
        learning_rate: report.learning_rate,
        grad_norm: report.grad_norm,
        grad_norms: numbers_by_name(&report.part_norms),
        samples_per_second: rate,
        terms: numbers_by_name(&[&report.terms[..], &report.measured].concat()),
    }
}
