//! Random numbers as a function of what they are for: no state to save, no order to keep.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// What a stream of random numbers is for; streams of different purposes are independent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub enum Purpose {
    /// Crops, flips, blur, noise of a galaxy.
    Augmentation = 1,
    /// Masked patches of a batch.
    Masks = 2,
    /// Stochastic depth.
    DropPath = 3,
    /// Dropout.
    Dropout = 4,
    /// Which training galaxies are set aside for validation.
    Validation = 5,
}

/// The generator of `purpose` for item `index` (a step, or a galaxy's place in the run) under `seed`.
pub fn generator(seed: u64, purpose: Purpose, index: u64) -> ChaCha8Rng {
    let mut key = [0; 32];
    for (place, word) in key
        .as_chunks_mut::<8>()
        .0
        .iter_mut()
        .zip([seed, purpose as u64, index])
    {
        *place = word.to_le_bytes();
    }
    ChaCha8Rng::from_seed(key)
}
