//! The order in which training visits galaxies: a pure function of seed and step, so that a resumed
//! run needs nothing but its step.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::rows::RowSet;
use crate::base::error::{Error, Result};
use crate::base::random::mixed;

/// Rounds of the permutation; four make a Feistel network indistinguishable from chance (Luby & Rackoff
/// 1988), more make up for its few bits on small data sets.
const ROUNDS: usize = 8;

/// Visits every row once per epoch, in an order of its own in each epoch.
///
/// The rows of all epochs form one endless sequence that batches cut into pieces, so a batch may
/// straddle two epochs and no row is ever dropped. No order is kept in memory: the row at a place is
/// computed.
#[derive(Debug, Clone)]
pub struct Sampler {
    rows: RowSet,
    seed: u64,
}

impl Sampler {
    /// A sampler of these rows.
    ///
    /// # Errors
    /// Without rows.
    pub fn new(rows: RowSet, seed: u64) -> Result<Self> {
        if rows.is_empty() {
            return Err(Error::input("no galaxies to train on"));
        }
        Ok(Self { rows, seed })
    }

    /// The rows of batch number `step`, counted from 0.
    pub fn indices(&self, step: u64, batch_size: usize) -> Vec<usize> {
        let epoch_len = self.rows.len() as u64;
        let first = step * batch_size as u64;
        let mut order: Option<(u64, Permutation)> = None;
        (first..first + batch_size as u64)
            .map(|place| {
                let epoch = place / epoch_len;
                let permutation = match order {
                    Some((known, permutation)) if known == epoch => permutation,
                    _ => Permutation::new(epoch_len, self.seed, epoch),
                };
                order = Some((epoch, permutation));
                self.rows.get(permutation.apply(place % epoch_len) as usize)
            })
            .collect()
    }
}

/// A permutation of `0..len` that is computed, not stored: a Feistel network on the next power of four,
/// applied until the result is below `len` (Black & Rogaway 2002, "cycle walking").
#[derive(Debug, Clone, Copy)]
struct Permutation {
    len: u64,
    /// Bits of each half.
    half: u32,
    keys: [u64; ROUNDS],
}

impl Permutation {
    fn new(len: u64, seed: u64, epoch: u64) -> Self {
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        generator.set_stream(epoch);
        let bits = u64::BITS - (len - 1).leading_zeros();
        Self {
            len,
            half: bits.div_ceil(2).max(1),
            keys: std::array::from_fn(|_| generator.next_u64()),
        }
    }

    fn apply(&self, place: u64) -> u64 {
        let mut place = place;
        loop {
            place = self.network(place);
            if place < self.len {
                return place;
            }
        }
    }

    fn network(&self, place: u64) -> u64 {
        let mask = (1 << self.half) - 1;
        let (mut left, mut right) = (place >> self.half, place & mask);
        for key in self.keys {
            (left, right) = (right, left ^ (mixed(right ^ key) & mask));
        }
        (left << self.half) | right
    }
}

#[cfg(test)]
mod tests {
    use super::{RowSet, Sampler};

    #[test]
    fn every_epoch_visits_each_row_once_and_any_step_can_be_asked_for() {
        let rows = || RowSet::new([100..106, 200..204]);
        let sampler = Sampler::new(rows(), 7).unwrap();
        let steps: Vec<_> = (0..15).map(|step| sampler.indices(step, 4)).collect();
        let sequence: Vec<usize> = steps.concat();
        for epoch in sequence.chunks(10) {
            let mut visited = epoch.to_vec();
            visited.sort_unstable();
            assert_eq!(visited, rows().iter().collect::<Vec<_>>());
        }
        assert_ne!(sequence[..10], sequence[10..20], "epochs differ");
        let resumed = Sampler::new(rows(), 7).unwrap();
        assert_eq!(resumed.indices(8, 4), steps[8]);
        assert_eq!(resumed.indices(2, 4), steps[2], "straddles two epochs");
        assert_eq!(
            resumed.indices(1, 25),
            sequence[25..50],
            "longer than an epoch"
        );
        assert_ne!(
            Sampler::new(rows(), 8).unwrap().indices(0, 10),
            sequence[..10]
        );
    }

    #[test]
    fn orders_look_like_chance() {
        // Over many epochs every row stands as often in the first tenth as chance has it: 100 ± 9.5.
        let sampler = Sampler::new(RowSet::new([0..400, 400..1000]), 3).unwrap();
        let mut early = [0.0_f64; 1000];
        let mut neighbours = 0;
        for epoch in 0..1000 {
            let order = sampler.indices(epoch, 1000);
            order[..100].iter().for_each(|&row| early[row] += 1.0);
            neighbours += order
                .windows(2)
                .filter(|pair| pair[0] + 1 == pair[1])
                .count();
        }
        let chi_square: f64 = early.iter().map(|n| (n - 100.0).powi(2) / 90.0).sum();
        assert!((800.0..1200.0).contains(&chi_square), "{chi_square}");
        // One pair of neighbours stays together per epoch on average.
        assert!((850..1150).contains(&neighbours), "{neighbours}");
    }
}
