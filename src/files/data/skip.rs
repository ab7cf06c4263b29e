//! Galaxies that cannot be used, left out and counted instead of stopping the work.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::dataset::{Dataset, Galaxies};
use crate::base::error::{Error, Result};
use crate::survey::Modality;

/// Reasons that are shown one by one; the rest is only counted.
const SHOWN: usize = 10;

/// Galaxies that were left out, each with the reason.
#[derive(Debug, Default)]
pub struct Skipped {
    rows: Mutex<BTreeMap<usize, String>>,
}

impl Skipped {
    /// Number of galaxies left out.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether none was left out.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Says how many were left out, where any were.
    pub fn report(&self) {
        match self.len() {
            0 => {}
            count => tracing::warn!(
                "left out {count} galaxies that cannot be used; `astroclip check` lists them"
            ),
        }
    }

    fn contains(&self, row: usize) -> bool {
        self.lock().contains_key(&row)
    }

    fn note(&self, row: usize, reason: &Error) {
        let mut rows = self.lock();
        if rows.insert(row, reason.to_string()).is_none() && rows.len() <= SHOWN {
            tracing::warn!("left out: {reason}");
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<usize, String>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a galaxy can be used; notes it where it cannot.
    fn usable(&self, dataset: &Dataset, row: usize, modalities: &[Modality]) -> bool {
        if self.contains(row) {
            return false;
        }
        match dataset.read(&[row], modalities) {
            Ok(_) => true,
            Err(reason) => {
                self.note(row, &reason);
                false
            }
        }
    }

    /// Those of the rows that can be used; the others are noted.
    ///
    /// # Errors
    /// Where the files fail a second reading.
    pub fn read(
        &self,
        dataset: &Dataset,
        rows: &[usize],
        modalities: &[Modality],
    ) -> Result<Galaxies> {
        if let Ok(galaxies) = dataset.read(rows, modalities) {
            return Ok(galaxies);
        }
        let usable: Vec<usize> = rows
            .iter()
            .copied()
            .filter(|&row| self.usable(dataset, row, modalities))
            .collect();
        dataset.read(&usable, modalities)
    }

    /// As many galaxies as there are rows: in place of one that cannot be used stands the first usable one
    /// that `replacement` offers for its place.
    ///
    /// # Errors
    /// Where `replacement` ends before one can be used.
    pub fn read_replaced<I: IntoIterator<Item = usize>>(
        &self,
        dataset: &Dataset,
        rows: &[usize],
        modalities: &[Modality],
        replacement: impl Fn(usize) -> I,
    ) -> Result<Galaxies> {
        let known = rows.iter().any(|&row| self.contains(row));
        if !known && let Ok(galaxies) = dataset.read(rows, modalities) {
            return Ok(galaxies);
        }
        let mut replaced = rows.to_vec();
        for (place, row) in replaced.iter_mut().enumerate() {
            if !self.usable(dataset, *row, modalities) {
                let mut offered = replacement(place).into_iter();
                *row = offered
                    .find(|&row| self.usable(dataset, row, modalities))
                    .ok_or_else(|| {
                        Error::input(
                            "too many galaxies cannot be used; `astroclip check` lists them",
                        )
                    })?;
            }
        }
        dataset.read(&replaced, modalities)
    }
}
