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
    /// Galaxies that stand in for those that cannot be used.
    Replacement = 5,
    /// Sizes, initial weights and batches of a normalizing flow.
    FlowTraining = 6,
    /// Samples of a posterior.
    PosteriorSamples = 7,
    /// Reference points and ties of a calibration test.
    Calibration = 8,
    /// Which training galaxies are set aside for validation.
    Validation = 9,
    /// Which of the labelled training galaxies are used, where not all are.
    Labels = 10,
    /// Where principal components and templates of spectra begin, and of which spectra they are.
    Components = 11,
    /// Vectors whose clusters are those of all, and queries that an index is measured by.
    Clusters = 12,
    /// How much worse the seeing of a galaxy's image is made.
    Seeing = 13,
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

/// A number of which every bit depends on every bit of `word`, one to one (the finaliser of SplitMix64,
/// Steele et al. 2014).
pub fn mixed(word: u64) -> u64 {
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}
