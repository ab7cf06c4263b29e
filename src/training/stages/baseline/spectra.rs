//! Spectra for baselines that take no steps: some to fit to, and all, batch by batch.

use std::sync::Arc;

use ndarray::{Array2, ArrayView2, s};
use rand::seq::SliceRandom;

use crate::base::error::{Error, Result};
use crate::base::progress::Progress;
use crate::base::random::{Purpose, generator};
use crate::files::data::loader::Prefetcher;
use crate::files::data::{Galaxies, TrainingData};
use crate::training::stages::supervised::SupervisedData;

/// Spectra that are read at once.
const BATCH: usize = 256;

/// Up to `most` spectra `(n, pixels)` of training galaxies, which the seed chooses, and their rows.
///
/// # Errors
///
/// Where one cannot be used, unless they are skipped, and where there are fewer than two.
pub(super) fn some(
    data: &SupervisedData,
    most: usize,
    seed: u64,
) -> Result<(Vec<usize>, Array2<f32>)> {
    let mut rows = data.train.clone();
    rows.shuffle(&mut generator(seed, Purpose::Components, 1));
    rows.truncate(most);
    rows.sort_unstable();
    let mut used = Vec::with_capacity(rows.len());
    let mut spectra: Option<Array2<f32>> = None;
    let wanted = rows.len();
    each(&data.files, rows, "read", |rows, read| {
        let all = spectra.get_or_insert_with(|| Array2::zeros((wanted, read.ncols())));
        let start = used.len();
        all.slice_mut(s![start..start + rows.len(), ..])
            .assign(&read);
        used.extend_from_slice(rows);
    })?;
    match spectra {
        Some(spectra) if used.len() > 1 => {
            let spectra = spectra.slice_move(s![..used.len(), ..]);
            Ok((used, spectra))
        }
        _ => Err(Error::input(
            "fewer than two training galaxies have a spectrum that can be used; `astroclip check` says why",
        )),
    }
}

/// Hands the spectra `(n, pixels)` of these rows to `take` in order, with the rows of those that can be used.
///
/// # Errors
///
/// Where one cannot be used, unless they are skipped.
pub(super) fn each(
    files: &TrainingData,
    rows: Vec<usize>,
    task: &str,
    mut take: impl FnMut(&[usize], ArrayView2<'_, f32>),
) -> Result<()> {
    let mut progress = Progress::new(task, "spectra", 0, rows.len() as u64);
    let (files, rows): (_, Arc<[usize]>) = (files.clone(), rows.into());
    let batches = rows.len().div_ceil(BATCH) as u64;
    let read = move |batch: u64| {
        let start = batch as usize * BATCH;
        files.read(&rows[start..(start + BATCH).min(rows.len())])
    };
    let mut done = 0;
    for galaxies in Prefetcher::start(0..batches, read) {
        let Galaxies { rows, spectra, .. } = galaxies?;
        if let Some(spectra) = spectra.filter(|_| !rows.is_empty()) {
            take(&rows, spectra.view());
        }
        done += BATCH as u64;
        progress.set(done, "");
    }
    progress.finish("");
    Ok(())
}
