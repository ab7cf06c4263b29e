//! What every training stage does around its objective: a run folder, the loop, the model that is left.

use std::path::{Path, PathBuf};
use std::time::Instant;

use burn::tensor::Device;
use serde_json::Value;

use super::{RunOptions, StageSummary, precision_on, shares};
use crate::base::device::label;
use crate::base::error::{Error, Result};
use crate::base::ranks::Ranks;
use crate::base::shell::resuming;
use crate::files::data::loader::Prefetcher;
use crate::files::data::{BatchReader, Galaxies, SurveyFiles, TrainingData};
use crate::files::inputs::Inputs;
use crate::survey::Modality;
use crate::training::config::StageConfig;
use crate::training::objective::Compute;
use crate::training::run_folder::{self, MODEL_FILE, Outcome, RunFolder, SessionRecord};
use crate::training::train::{
    BatchGalaxy, Objective, Phase, Place, RunConfig, TrainOutcome, Watch, check_steps, train,
};

/// Where, how and with whom a run computes.
pub(super) fn compute(train: &RunConfig, device: &Device, ranks: &Ranks) -> Compute {
    Compute::of(train, device)
        .in_precision(precision_on(device, train.precision))
        .among(ranks.clone())
}

/// A run whose folder is ready.
pub(super) struct StageRun<'a, C> {
    config: &'a C,
    train: &'a RunConfig,
    options: &'a RunOptions,
    folder: RunFolder,
    device: String,
    started: Instant,
}

impl<'a, C: StageConfig> StageRun<'a, C> {
    /// Makes the folder, or checks that it is that of the same run. `models` are those that the run begins with; none where
    /// it goes on and needs them no more.
    ///
    /// # Errors
    ///
    /// As [`RunFolder::begin`], and where the run has done more steps than it shall have.
    pub(super) fn begin(
        config: &'a C,
        train: &'a RunConfig,
        options: &'a RunOptions,
        models: &[PathBuf],
        device: &Device,
        started: Instant,
    ) -> Result<Self> {
        let SurveyFiles { paths, read } = &options.data;
        let mut inputs = Inputs::record(&options.out, paths, read, &options.labels, models)?;
        inputs.label_options = options.label_options.clone();
        if options.resume && models.is_empty() {
            let then = run_folder::read_inputs(&options.out)?;
            inputs.models = then.map_or_else(Vec::new, |then| then.models);
        }
        let ranks = &options.ranks;
        shares::check(train, ranks)?;
        shares::agree(config, &inputs, ranks)?;
        if options.resume {
            check_steps(&options.out, train)?;
        }
        let folder = match ranks.is_first() {
            true => RunFolder::begin(&options.out, config, &inputs, options.resume)?,
            false => RunFolder::of_another_rank(&options.out),
        };
        // Its checkpoints are looked for once it is known to be the run's.
        ranks.wait();
        Ok(Self {
            config,
            train,
            options,
            folder,
            device: label(device),
            started,
        })
    }

    /// Trains on the files' training galaxies, of which `prepare` makes the batch of a step, and lets `export` write
    /// the model once the run is finished.
    ///
    /// # Errors
    ///
    /// Galaxies that cannot be used, a loss that turns non-finite, a full disk.
    pub(super) fn train<O: Objective<Batch: Send + 'static>>(
        self,
        data: TrainingData,
        parameters: usize,
        objective: &mut O,
        prepare: impl Fn(u64, Galaxies) -> O::Batch + Send + Sync + 'static,
        export: impl FnOnce(&O, &Path, Value) -> Result<()>,
    ) -> Result<StageSummary> {
        let (seed, samples, steps) = (self.train.seed, self.train.batch_size, self.train.steps);
        let seat = self.options.ranks.seat();
        let galaxies = data.galaxies();
        let reader = data.clone().into_batches(seed, samples)?;
        let batches = Batches {
            from: |start| {
                let share = reader.clone().share_of(seat);
                Ok(share.prefetch(start..steps, prepare))
            },
            galaxies: &|step| batch_galaxies(&reader, step),
        };
        self.train_on(&data, galaxies, parameters, objective, batches, export)
    }

    /// As [`StageRun::train`], on other batches.
    pub(super) fn train_on<O: Objective>(
        self,
        data: &TrainingData,
        galaxies: usize,
        parameters: usize,
        objective: &mut O,
        batches: Batches<'_, impl FnOnce(u64) -> Result<Prefetcher<O::Batch>>>,
        export: impl FnOnce(&O, &Path, Value) -> Result<()>,
    ) -> Result<StageSummary>
    where
        O::Batch: Send + 'static,
    {
        tracing::info!("{} parameters", in_units(parameters));
        let ranks = &self.options.ranks;
        if !ranks.is_alone() {
            let (size, batch) = (ranks.size(), self.train.batch_size);
            tracing::info!(
                "{size} ranks, {} of the {batch} galaxies of a step on each",
                batch / size
            );
        }
        let mut session = SessionRecord::of(self.folder.path());
        let watch = Watch::start(self.folder.path(), self.train.patience(), ranks.clone());
        let result = self.work(&watch, objective, batches, export, &mut session);
        let outcome = match &result {
            Ok(TrainOutcome::Finished { .. }) => Outcome::Finished,
            Ok(TrainOutcome::Stopped { .. }) => Outcome::Stopped,
            Ok(TrainOutcome::Interrupted { by, .. }) => Outcome::Interrupted(by.to_string()),
            Err(error) => Outcome::Failed(error.to_string()),
        };
        session.end(outcome, &watch);
        let outcome = result?;
        // A launcher ends all ranks where one of them ends with another code than 0.
        self.options.ranks.wait();
        let Self {
            train: run,
            options,
            started,
            ..
        } = self;
        let (step, model) = match outcome {
            TrainOutcome::Finished { step } => (step, Some(options.out.join(MODEL_FILE))),
            TrainOutcome::Stopped { step } => (step, None),
            TrainOutcome::Interrupted { step, by } => {
                return Err(Error::interrupted(format!(
                    "{by}: stopped after step {step} of {}, with a checkpoint; go on by `{}`",
                    run.steps,
                    resuming(C::STAGE, &options.out)
                )));
            }
        };
        Ok(StageSummary {
            run: options.out.clone(),
            model,
            step,
            steps: run.steps,
            parameters,
            galaxies,
            skipped: data.report_skipped(),
            seconds: started.elapsed().as_secs_f64(),
        })
    }

    /// Trains, and exports the model of a run that is finished.
    fn work<O: Objective>(
        &self,
        watch: &Watch,
        objective: &mut O,
        batches: Batches<'_, impl FnOnce(u64) -> Result<Prefetcher<O::Batch>>>,
        export: impl FnOnce(&O, &Path, Value) -> Result<()>,
        session: &mut SessionRecord,
    ) -> Result<TrainOutcome>
    where
        O::Batch: Send + 'static,
    {
        let (run, folder) = (self.train, self.folder.path());
        let device = self.device.clone();
        let outcome = train(
            C::STAGE,
            objective,
            run,
            watch,
            self.options.stop_after,
            |start| {
                if watch.ranks().is_first() {
                    session.begin(start, device);
                }
                (batches.from)(start)
            },
            batches.galaxies,
        )?;
        let ranks = watch.ranks();
        if matches!(outcome, TrainOutcome::Finished { .. }) && ranks.is_first() {
            watch.enter(Phase::Writing);
            let resolved = serde_json::to_value(self.config).expect("run files are plain JSON");
            export(objective, &folder.join(MODEL_FILE), resolved)?;
        }
        Ok(outcome)
    }
}

/// The batches of a run.
pub(super) struct Batches<'a, F> {
    /// Those from a step on.
    pub from: F,
    /// The galaxies of one.
    pub galaxies: &'a dyn Fn(u64) -> Result<Vec<BatchGalaxy>>,
}

/// The galaxies of a step as the files know them.
///
/// # Errors
///
/// Where a file cannot be read.
pub(super) fn batch_galaxies(reader: &BatchReader, step: u64) -> Result<Vec<BatchGalaxy>> {
    let dataset = reader.dataset();
    let rows = reader.rows(step)?.into_iter();
    rows.map(|row| {
        let labels = dataset.labels(row..row + 1)?;
        let has = |modality: &&Modality| dataset.has(**modality);
        let places = Modality::ALL.iter().filter(has).map(|&modality| {
            let (file, row) = dataset.place(modality, row);
            Place {
                kind: modality.to_string(),
                file: file.to_owned(),
                row,
            }
        });
        Ok(BatchGalaxy {
            object_id: labels.object_id[0].to_string(),
            places: places.collect(),
        })
    })
    .collect()
}

/// A count for people.
fn in_units(count: usize) -> String {
    match count {
        0..10_000 => count.to_string(),
        10_000..1_000_000 => format!("{:.0} thousand", count as f64 / 1e3),
        _ => format!("{:.1} million", count as f64 / 1e6),
    }
}
