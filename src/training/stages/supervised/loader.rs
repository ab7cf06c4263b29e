//! Batches of supervised networks, made in the background.

use std::sync::Arc;

use burn::tensor::{Device, TensorData};
use ndarray::{Array2, ArrayView1, Axis};

use super::inputs::Inputs;
use crate::base::error::Result;
use crate::base::progress::Progress;
use crate::files::data::loader::Prefetcher;
use crate::files::data::{BatchReader, Galaxies, RowSet, TrainingData};
use crate::network::model::{Pass, Regressor};
use crate::network::weights::host_values;
use crate::training::objective::ValidationBatches;
use crate::training::train::RunConfig;
use crate::views::batch::{RegressionBatch, TargetScaling};

/// Makes batches of galaxies in the background.
#[derive(Clone)]
pub(super) struct Loader {
    pub files: TrainingData,
    pub targets: Arc<Array2<f64>>,
    pub inputs: Arc<dyn Inputs>,
    pub scaling: TargetScaling,
    pub batch_size: usize,
}

impl Loader {
    /// Galaxies of these rows with their targets.
    fn batch(&self, rows: &[usize], inputs: TensorData) -> RegressionBatch {
        let targets = self.targets.select(Axis(0), rows);
        self.scaling.batch(inputs, targets.view())
    }

    /// Reads the galaxies of every step among these rows.
    pub fn reader(&self, rows: Vec<usize>, run: &RunConfig) -> Result<BatchReader> {
        let rows = RowSet::new(rows.into_iter().map(|row| row..row + 1));
        let files = self.files.clone();
        files.into_batches_of(rows, run.seed, self.batch_size)
    }

    /// What the network sees of the galaxies of step `step`.
    pub fn augmented(&self, step: u64, galaxies: Galaxies) -> RegressionBatch {
        let rows = galaxies.rows.clone();
        let sample = step * self.batch_size as u64;
        self.batch(&rows, self.inputs.augmented(galaxies, sample))
    }

    /// Batches of all steps from `start` on.
    pub fn training(
        &self,
        reader: BatchReader,
        run: &RunConfig,
        start: u64,
    ) -> Prefetcher<RegressionBatch> {
        let loader = self.clone();
        reader.prefetch(start..run.steps, move |step, galaxies| {
            loader.augmented(step, galaxies)
        })
    }

    /// These galaxies as they are, in order, with their rows: those that can be used.
    fn plain(&self, rows: Arc<[usize]>) -> Prefetcher<(Vec<usize>, RegressionBatch)> {
        let loader = self.clone();
        let batches = rows.len().div_ceil(loader.batch_size) as u64;
        let make = move |batch: u64| {
            let start = batch as usize * loader.batch_size;
            let rows = &rows[start..(start + loader.batch_size).min(rows.len())];
            let galaxies = loader.files.read(rows)?;
            let rows = galaxies.rows.clone();
            let batch = loader.batch(&rows, loader.inputs.plain(galaxies));
            Ok((rows, batch))
        };
        Prefetcher::start(0..batches, make)
    }

    pub fn validation(&self, rows: Vec<usize>) -> ValidationBatches {
        let (loader, rows): (_, Arc<[usize]>) = (self.clone(), rows.into());
        Box::new(move || {
            let batches = loader.plain(Arc::clone(&rows));
            Box::new(batches.map(|batch| batch.map(|(_, batch)| batch)))
        })
    }

    /// Predictions `(galaxies, targets)` for all galaxies, in the targets' units; NaN for those that cannot be
    /// used.
    pub fn predict<M: Regressor>(&self, model: &M, device: &Device) -> Result<Array2<f64>> {
        let galaxies = self.files.dataset.len();
        let mut progress = Progress::new("predict", "galaxies", 0, galaxies as u64);
        let mut predicted = Array2::from_elem(self.targets.dim(), f32::NAN);
        for batch in self.plain((0..galaxies).collect()) {
            let (rows, batch) = batch?;
            if rows.is_empty() {
                continue;
            }
            let values = host_values(model.predict(batch.inputs, device, Pass::Inference));
            for (&row, values) in rows.iter().zip(values.chunks_exact(predicted.ncols())) {
                predicted.row_mut(row).assign(&ArrayView1::from(values));
            }
            progress.set(rows[rows.len() - 1] as u64 + 1, "");
        }
        progress.finish("");
        Ok(self.scaling.undo(predicted.view()))
    }
}
