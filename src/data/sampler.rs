//! The order in which training visits galaxies: a pure function of seed and step, so that a resumed
//! run needs nothing but its step.

use std::sync::{Arc, Mutex, PoisonError};

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::error::{Error, Result};

/// Visits every row once per epoch, in an order of its own in each epoch.
///
/// The rows of all epochs form one endless sequence that batches cut into pieces, so a batch may
/// straddle two epochs and no row is ever dropped.
#[derive(Debug)]
pub struct Sampler {
    rows: Vec<usize>,
    seed: u64,
    /// The orders used last, newest at the end; a batch needs two where it straddles epochs.
    orders: Mutex<Vec<(u64, Arc<[usize]>)>>,
}

impl Sampler {
    /// A sampler of these rows.
    ///
    /// # Errors
    /// Without rows.
    pub fn new(rows: Vec<usize>, seed: u64) -> Result<Self> {
        if rows.is_empty() {
            return Err(Error::input("no galaxies to train on"));
        }
        Ok(Self {
            rows,
            seed,
            orders: Mutex::default(),
        })
    }

    /// Rows per epoch.
    pub fn epoch_len(&self) -> usize {
        self.rows.len()
    }

    /// The rows of batch number `step`, counted from 0.
    pub fn indices(&self, step: u64, batch_size: usize) -> Vec<usize> {
        let epoch_len = self.rows.len() as u64;
        let mut indices = Vec::with_capacity(batch_size);
        let mut place = step * batch_size as u64;
        while indices.len() < batch_size {
            let order = self.order(place / epoch_len);
            let start = (place % epoch_len) as usize;
            let taken = (order.len() - start).min(batch_size - indices.len());
            indices.extend_from_slice(&order[start..start + taken]);
            place += taken as u64;
        }
        indices
    }

    /// The rows in the order of this epoch.
    fn order(&self, epoch: u64) -> Arc<[usize]> {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, order)) = orders.iter().find(|(known, _)| *known == epoch) {
            return Arc::clone(order);
        }
        let mut generator = ChaCha8Rng::seed_from_u64(self.seed);
        generator.set_stream(epoch);
        let mut order: Arc<[usize]> = self.rows.as_slice().into();
        Arc::make_mut(&mut order).shuffle(&mut generator);
        orders.push((epoch, Arc::clone(&order)));
        let surplus = orders.len().saturating_sub(2);
        orders.drain(..surplus);
        order
    }
}

#[cfg(test)]
mod tests {
    use super::Sampler;

    #[test]
    fn every_epoch_visits_each_row_once_and_any_step_can_be_asked_for() {
        let rows: Vec<usize> = (100..110).collect();
        let sampler = Sampler::new(rows.clone(), 7).unwrap();
        let steps: Vec<_> = (0..15).map(|step| sampler.indices(step, 4)).collect();
        let sequence: Vec<usize> = steps.concat();
        for epoch in sequence.chunks(10) {
            let mut visited = epoch.to_vec();
            visited.sort_unstable();
            assert_eq!(visited, rows);
        }
        assert_ne!(sequence[..10], sequence[10..20], "epochs differ");
        let resumed = Sampler::new(rows.clone(), 7).unwrap();
        assert_eq!(resumed.indices(8, 4), steps[8]);
        assert_eq!(resumed.indices(2, 4), steps[2], "straddles two epochs");
        assert_eq!(
            resumed.indices(1, 25),
            sequence[25..50],
            "longer than an epoch"
        );
        assert_ne!(
            Sampler::new(rows, 8).unwrap().indices(0, 10),
            sequence[..10]
        );
    }
}
