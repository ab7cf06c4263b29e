//! Rounds of steps, timed on a device that runs behind the program, and the random numbers that they take.

use std::time::Instant;

use burn::tensor::{Device, TensorData};
use rand::RngExt;
use rand_distr::StandardNormal;

use super::phases::synchronize;
use crate::base::error::{Error, Result};
use crate::base::random::{Purpose, generator};

/// Measurements of which the median is taken, each of several steps.
const ROUNDS: usize = 5;

/// Seconds that steps take.
pub(super) struct Times {
    /// Of the very first step, in which kernels are compiled and chosen.
    pub first: f64,
    /// Mean of the steps of a round, ascending.
    pub rounds: Vec<f64>,
    /// Steps measured.
    pub steps: usize,
}

impl Times {
    /// Seconds of a step in the median of the rounds.
    pub fn median(&self) -> f64 {
        self.rounds[self.rounds.len() / 2]
    }
}

/// Times [`ROUNDS`] rounds of `steps`, after `warmup` steps of which the first is timed alone. The device is waited for
/// between rounds alone: within one the host may run ahead of it.
pub(super) fn time(
    device: &Device,
    steps: usize,
    warmup: usize,
    next: &mut impl FnMut() -> Result<()>,
) -> Result<Times> {
    let timed = |count: usize, next: &mut dyn FnMut() -> Result<()>| {
        synchronize(device);
        let started = Instant::now();
        for _ in 0..count {
            next()?;
        }
        synchronize(device);
        Ok::<f64, Error>(started.elapsed().as_secs_f64() / count as f64)
    };
    let first = timed(1, next)?;
    for _ in 1..warmup {
        next()?;
    }
    let mut rounds = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        rounds.push(timed(steps, next)?);
    }
    rounds.sort_by(f64::total_cmp);
    Ok(Times {
        first,
        rounds,
        steps: ROUNDS * steps,
    })
}

/// Standard normal values.
pub(super) fn random<const D: usize>(shape: [usize; D], seed: u64, index: u64) -> TensorData {
    let mut rng = generator(seed, Purpose::Augmentation, index);
    let count = shape.iter().product();
    let values: Vec<f32> = (0..count).map(|_| rng.sample(StandardNormal)).collect();
    TensorData::new(values, shape)
}
