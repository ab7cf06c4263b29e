//! The steps of the method as functions: from a run file and survey files to a run folder, from a model
//! to embeddings. Commands and the quickstart call the same ones.

mod align;
mod baseline;
mod embed;
mod pretrain_image;
mod pretrain_spectrum;
mod run_folder;

use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;

pub use align::{EncoderPaths, align};
pub use baseline::{
    BaselineOutcome, BaselineResult, BaselineSummary, ImageBaselineArchitecture, PREDICTIONS_FILE,
    PhotometryOptions, PhotometrySummary, SpectrumBaselineArchitecture, baseline_image,
    baseline_photometry, baseline_spectrum,
};
pub use embed::{EmbedOptions, EmbedSummary, embed};
pub use pretrain_image::pretrain_image;
pub use pretrain_spectrum::pretrain_spectrum;
pub use run_folder::{MODEL_FILE, find_newest_model};

use crate::data::{self, Dataset};
use crate::error::{Error, Result};
use crate::survey::Split;
use crate::train::TrainOutcome;

/// Where a run reads and writes, and how far it goes.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// Survey files.
    pub data: Vec<PathBuf>,
    /// Run folder.
    pub out: PathBuf,
    /// Go on with the run in `out`.
    pub resume: bool,
    /// Stop after so many steps of the run.
    pub stop_after: Option<u64>,
}

/// What a training stage leaves behind.
#[derive(Debug, Clone, Serialize)]
pub struct StageSummary {
    /// Run folder.
    pub run: PathBuf,
    /// The exported model; none while the run is not finished.
    pub model: Option<PathBuf>,
    /// Steps done.
    pub step: u64,
    /// Steps of the whole run.
    pub steps: u64,
    /// Trained parameters.
    pub parameters: usize,
    /// Galaxies trained on.
    pub galaxies: usize,
    /// Duration of this call, seconds.
    pub seconds: f64,
}

/// The files' galaxies and the rows that train.
struct TrainingData {
    dataset: Arc<dyn Dataset>,
    rows: Vec<usize>,
}

impl TrainingData {
    fn open(paths: &[PathBuf]) -> Result<Self> {
        let dataset: Arc<dyn Dataset> = data::open(paths)?.into();
        let rows: Vec<usize> = dataset
            .splits()
            .iter()
            .enumerate()
            .filter(|(_, split)| **split == Split::Train)
            .map(|(row, _)| row)
            .collect();
        tracing::info!(
            "data: {} galaxies, {} of them for training",
            dataset.len(),
            rows.len()
        );
        Ok(Self { dataset, rows })
    }

    /// # Errors
    ///
    /// Says what the files lack.
    fn require(&self, has: bool, what: &str) -> Result<()> {
        require(&*self.dataset, has, what)
    }
}

/// # Errors
///
/// Says what the files of a data set lack.
fn require(dataset: &dyn Dataset, has: bool, what: &str) -> Result<()> {
    if has {
        return Ok(());
    }
    let files: Vec<String> = dataset
        .describe()
        .files
        .iter()
        .map(|file| file.path.display().to_string())
        .collect();
    Err(Error::input(format!(
        "{}: no {what}; pass --data with files that hold {what}, \
         or make some with `astroclip simulate --out survey.h5`",
        files.join(", ")
    )))
}

fn step_of(outcome: TrainOutcome, steps: u64) -> u64 {
    match outcome {
        TrainOutcome::Finished => steps,
        TrainOutcome::Stopped { step } => step,
    }
}

/// Threads that prepare batches while the model trains: half of the processor, at most eight.
fn loader_threads() -> usize {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    (threads / 2).clamp(1, 8)
}

/// Batches that are kept ready.
const PREFETCH: usize = 4;
