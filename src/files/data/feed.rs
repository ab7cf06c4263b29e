//! The galaxies of every training step: which they are, and what is read of them.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use rand::RngExt;

use super::loader::Prefetcher;
use super::sampler::Sampler;
use super::{Dataset, Galaxies, ReadOptions, RowSet, Skipped, open};
use crate::base::error::{Error, Result};
use crate::base::random::{Purpose, generator};
use crate::base::ranks::Seat;
use crate::survey::{Modality, Survey};

/// Galaxies that may stand in for one that cannot be used, before the run gives up.
const MOST_REPLACEMENTS: usize = 1000;

/// Survey files, and how they are read.
#[derive(Debug, Clone, Default)]
pub struct SurveyFiles {
    /// Files, folders and patterns.
    pub paths: Vec<PathBuf>,
    /// How they are read.
    pub read: ReadOptions,
}

impl SurveyFiles {
    /// Files that are read as their content says.
    pub fn new(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        Self {
            paths: paths.into_iter().collect(),
            read: ReadOptions::default(),
        }
    }

    /// Opens the files as the survey says.
    ///
    /// # Errors
    ///
    /// As [`open`](super::open).
    pub fn open(&self, survey: &Survey) -> Result<Dataset> {
        open(&self.paths, survey, &self.read)
    }
}

/// The training galaxies of some files, and what training wants of them.
#[derive(Clone)]
pub struct TrainingData {
    /// All galaxies of the files.
    pub dataset: Arc<Dataset>,
    /// Of those that train.
    rows: RowSet,
    modalities: &'static [Modality],
    /// Notes galaxies that cannot be used; without it they stop the run.
    skipped: Option<Arc<Skipped>>,
}

impl TrainingData {
    /// Opens files that must hold `modalities`.
    ///
    /// # Errors
    ///
    /// As [`open`](super::open), and where the files lack something.
    pub fn open(
        files: &SurveyFiles,
        survey: &Survey,
        modalities: &'static [Modality],
    ) -> Result<Self> {
        let dataset = Arc::new(files.open(survey)?);
        tracing::info!(
            "{} galaxies, {} of them for training",
            dataset.len(),
            dataset.train_rows().len()
        );
        for &modality in modalities {
            require(&dataset, modality)?;
        }
        Ok(Self {
            rows: dataset.train_rows().clone(),
            dataset,
            modalities,
            skipped: files.read.skip_bad.then(Arc::default),
        })
    }

    /// Those of its training galaxies whose rows `keep` keeps.
    pub fn among(mut self, keep: impl Fn(usize) -> bool) -> Self {
        let kept = self.rows.iter().filter(|&row| keep(row));
        self.rows = RowSet::new(kept.map(|row| row..row + 1));
        self
    }

    /// Rows of the galaxies that train.
    pub fn rows(&self) -> &RowSet {
        &self.rows
    }

    /// Galaxies that train.
    pub fn galaxies(&self) -> usize {
        self.rows.len()
    }

    /// Says how many galaxies were left out so far, and returns their number.
    pub fn report_skipped(&self) -> usize {
        self.skipped.as_deref().map_or(0, |skipped| {
            skipped.report();
            skipped.len()
        })
    }

    /// Reads batches of `samples` galaxies in the order of `seed`.
    ///
    /// # Errors
    ///
    /// Without training galaxies.
    pub fn into_batches(self, seed: u64, samples: usize) -> Result<BatchReader> {
        let rows = self.rows.clone();
        self.into_batches_of(rows, seed, samples)
    }

    /// Reads batches of `samples` of these galaxies in the order of `seed`.
    ///
    /// # Errors
    ///
    /// Without galaxies.
    pub fn into_batches_of(self, rows: RowSet, seed: u64, samples: usize) -> Result<BatchReader> {
        Ok(BatchReader {
            sampler: Sampler::new(rows.clone(), seed)?,
            rows,
            data: self,
            seed,
            samples,
            seat: Seat::default(),
        })
    }

    /// Galaxies of these rows, training or not: those that can be used.
    ///
    /// # Errors
    ///
    /// Where one cannot be used, unless they are skipped.
    pub fn read(&self, rows: &[usize]) -> Result<Galaxies> {
        match &self.skipped {
            Some(skipped) => skipped.read(&self.dataset, rows, self.modalities),
            None => self.dataset.read(rows, self.modalities),
        }
    }
}

fn require(dataset: &Dataset, modality: Modality) -> Result<()> {
    if dataset.has(modality) {
        return Ok(());
    }
    let what = match modality {
        Modality::Image => "images",
        Modality::Spectrum => "spectra",
    };
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

/// The galaxies of every training step.
#[derive(Clone)]
pub struct BatchReader {
    data: TrainingData,
    rows: RowSet,
    sampler: Sampler,
    seed: u64,
    /// Galaxies of a step, of all ranks.
    samples: usize,
    /// Whose share of them is read.
    seat: Seat,
}

impl BatchReader {
    /// Reads a rank's share of every step.
    pub fn share_of(self, seat: Seat) -> Self {
        Self { seat, ..self }
    }

    /// The galaxies of step `step`, or a rank's share of them, the same whatever was read before.
    ///
    /// # Errors
    ///
    /// Where one cannot be used, unless they are skipped.
    pub fn read(&self, step: u64) -> Result<Galaxies> {
        let TrainingData {
            dataset,
            modalities,
            skipped,
            ..
        } = &self.data;
        let share = self.seat.share(self.samples);
        let rows = self.indices(step);
        let Some(skipped) = skipped else {
            return dataset.read(&rows, modalities);
        };
        let known = &self.rows;
        skipped.read_replaced(dataset, &rows, modalities, |place| {
            let place = step * self.samples as u64 + (share.start + place) as u64;
            let mut rng = generator(self.seed, Purpose::Replacement, place);
            (0..MOST_REPLACEMENTS).map(move |_| known.get(rng.random_range(0..known.len())))
        })
    }
}

impl BatchReader {
    /// The rows of the galaxies of step `step`.
    ///
    /// # Errors
    ///
    /// As [`BatchReader::read`].
    pub fn rows(&self, step: u64) -> Result<Vec<usize>> {
        match self.data.skipped {
            Some(_) => self.read(step).map(|galaxies| galaxies.rows),
            None => Ok(self.indices(step)),
        }
    }

    /// The rows that the order of the galaxies has for step `step`.
    fn indices(&self, step: u64) -> Vec<usize> {
        let mut rows = self.sampler.indices(step, self.samples);
        if self.seat.size > 1 {
            rows = rows[self.seat.share(self.samples)].to_vec();
        }
        rows
    }

    /// The galaxies that train, and all others of the files.
    pub fn dataset(&self) -> &Dataset {
        &self.data.dataset
    }

    /// Batches of the steps from `steps.start` on, read and prepared in the background.
    pub fn prefetch<T: Send + 'static>(
        self,
        steps: Range<u64>,
        prepare: impl Fn(u64, Galaxies) -> T + Send + Sync + 'static,
    ) -> Prefetcher<T> {
        Prefetcher::start(steps, move |step| Ok(prepare(step, self.read(step)?)))
    }
}
