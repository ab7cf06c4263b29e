//! On which estimates of a catalogue not to rely, and why.

use crate::files::embeddings::EmbeddingBlock;
use crate::survey;

/// A bit of the column `flag`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flag {
    /// Its value.
    pub bit: i32,
    /// Its name.
    pub name: &'static str,
    /// What it says.
    pub meaning: &'static str,
}

/// The image embedding lies where no training galaxies are.
pub(super) const UNLIKE_IMAGES: i32 = 1;
/// The spectrum embedding lies where no training galaxies are.
pub(super) const UNLIKE_SPECTRA: i32 = 2;
/// An estimate lies at the edge of what the training galaxies have, or beyond.
pub(super) const BEYOND_RANGE: i32 = 4;
/// Much of the spectrum was not measured.
pub(super) const FILLED_SPECTRUM: i32 = 8;
/// A band of the image was not measured.
pub(super) const MISSING_BAND: i32 = 16;
/// The posterior of the redshift has more than one summit.
pub(super) const SUMMITS: i32 = 32;
/// Nothing could be estimated.
pub(super) const NO_ESTIMATE: i32 = 64;

/// The spectrum holds no signal.
pub(super) const NO_SIGNAL: i32 = 128;
/// The spectrum is a star's.
pub(super) const STAR_LINES: i32 = 256;
/// The continuum runs as no training galaxy's.
pub(super) const UNLIKE_CONTINUA: i32 = 512;

/// Share of a spectrum that may be filled before it is flagged.
const FILLED_SHARE: f32 = 0.1;

/// All bits of the column `flag`.
pub const FLAGS: [Flag; 10] = [
    Flag {
        bit: UNLIKE_IMAGES,
        name: "unlike_images",
        meaning: "image embedding farther from the training galaxies than 99 % of these from each other",
    },
    Flag {
        bit: UNLIKE_SPECTRA,
        name: "unlike_spectra",
        meaning: "spectrum embedding farther from the training galaxies than 99 % of these from each other",
    },
    Flag {
        bit: BEYOND_RANGE,
        name: "beyond_range",
        meaning: "an estimate lies beyond the middle 99 % of the training galaxies' values",
    },
    Flag {
        bit: FILLED_SPECTRUM,
        name: "filled_spectrum",
        meaning: "more than 10 % of the spectrum's pixels were not measured",
    },
    Flag {
        bit: MISSING_BAND,
        name: "missing_band",
        meaning: "a band of the image was not measured",
    },
    Flag {
        bit: SUMMITS,
        name: "multimodal",
        meaning: "the posterior of the redshift has more than one summit",
    },
    Flag {
        bit: NO_ESTIMATE,
        name: "no_estimate",
        meaning: "no usable embedding: nothing is estimated",
    },
    Flag {
        bit: NO_SIGNAL,
        name: "no_signal",
        meaning: "signal to noise of the spectrum's pixels below 0.3, as in an empty fibre",
    },
    Flag {
        bit: STAR_LINES,
        name: "star_lines",
        meaning: "absorption lines of stars at redshift 0 by 5 standard deviations",
    },
    Flag {
        bit: UNLIKE_CONTINUA,
        name: "unlike_continua",
        meaning: "continuum of the spectrum farther from the training galaxies' than 99 % of these",
    },
];

/// What is wrong with how a galaxy of a block was observed.
pub(super) fn of_observation(block: &EmbeddingBlock, row: usize) -> i32 {
    let reasons = [
        (block.spectrum_filled[row] > FILLED_SHARE, FILLED_SPECTRUM),
        (
            block.bands_missing[row].is_some_and(|bands| bands > 0),
            MISSING_BAND,
        ),
        (block.signal_to_noise[row] < survey::NO_SIGNAL, NO_SIGNAL),
        (block.star_lines[row] > survey::STAR_LINES, STAR_LINES),
    ];
    let reasons = reasons.into_iter().filter(|(is_so, _)| *is_so);
    reasons.fold(0, |flags, (_, bit)| flags | bit)
}
