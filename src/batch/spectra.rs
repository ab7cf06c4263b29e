use std::ops::Range;

use burn::tensor::TensorData;
use ndarray::ArrayView2;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::take_rows;
use crate::error::{Error, Result};

/// Columns in front of every section; the first token holds mean and deviation there.
const HEADER_COLUMNS: usize = 2;

/// Cuts spectra into overlapping sections (paper sect. 3.2 and appendix B2), as the released code does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SpectrumTokenizer {
    /// Pixels of a section.
    pub section_length: usize,
    /// Pixels that a section shares with the next; less than `section_length`.
    pub overlap: usize,
    /// Smallest standard deviation by which a spectrum is divided, in units of the flux.
    pub min_sigma: f32,
}

impl Default for SpectrumTokenizer {
    fn default() -> Self {
        Self {
            section_length: 20,
            overlap: 10,
            min_sigma: 0.2,
        }
    }
}

impl SpectrumTokenizer {
    /// Checks that spectra of `pixels` can be cut so; `key` stands in front of the fields' names.
    ///
    /// # Errors
    ///
    /// Names the setting that does not go.
    pub fn check(&self, key: &str, pixels: usize) -> Result<()> {
        let (length, overlap) = (self.section_length, self.overlap);
        match overlap < length && length <= pixels {
            true => Ok(()),
            false => Err(Error::input(format!(
                "`{key}.overlap` is {overlap} and `{key}.section_length` {length}; expected an overlap below the length, and that at most {}",
                pixels
            ))),
        }
    }

    /// Checks that tokens are as wide as a transformer takes them, which `key` says.
    ///
    /// # Errors
    ///
    /// Names `key` when they are not.
    pub fn check_width(&self, key: &str, width: usize) -> Result<()> {
        match self.width() == width {
            true => Ok(()),
            false => Err(Error::input(format!(
                "`{key}` is {width}; expected section_length + {HEADER_COLUMNS} = {}",
                self.width()
            ))),
        }
    }

    /// Tokens of a spectrum of `pixels`; an incomplete last section is dropped, one token is added for
    /// mean and deviation.
    pub fn tokens(&self, pixels: usize) -> usize {
        (pixels - self.section_length) / self.stride() + 2
    }

    /// Width of a token.
    pub fn width(&self) -> usize {
        self.section_length + HEADER_COLUMNS
    }

    fn stride(&self) -> usize {
        self.section_length - self.overlap
    }

    /// Tokens `(batch, tokens, width)` of spectra `(batch, pixels)`: each spectrum is z-scored; the
    /// first token holds (mean − 2) / 2 and (σ − 2) / 8, the others two zeros and a section.
    pub fn tokenize(&self, spectra: ArrayView2<'_, f32>) -> TensorData {
        let (batch, pixels) = spectra.dim();
        let (tokens, width) = (self.tokens(pixels), self.width());
        let mut values = vec![0.0; batch * tokens * width];
        values
            .par_chunks_mut(tokens * width)
            .zip(spectra.outer_iter().into_par_iter())
            .for_each(|(output, spectrum)| {
                let spectrum = spectrum.to_vec();
                self.tokenize_one(&spectrum, output);
            });
        TensorData::new(values, [batch, tokens, width])
    }

    fn tokenize_one(&self, spectrum: &[f32], output: &mut [f32]) {
        let count = spectrum.len() as f64;
        let mean = spectrum.iter().map(|&flux| f64::from(flux)).sum::<f64>() / count;
        let variance = spectrum
            .iter()
            .map(|&flux| (f64::from(flux) - mean).powi(2))
            .sum::<f64>()
            / (count - 1.0);
        let sigma = (variance.sqrt() as f32).max(self.min_sigma);
        let mean = mean as f32;
        let (first, sections) = output.split_at_mut(self.width());
        first[0] = (mean - 2.0) / 2.0;
        first[1] = (sigma - 2.0) / 8.0;
        for (token, section) in sections
            .chunks_exact_mut(self.width())
            .zip(spectrum.windows(self.section_length).step_by(self.stride()))
        {
            for (place, flux) in token[HEADER_COLUMNS..].iter_mut().zip(section) {
                *place = (flux - mean) / sigma;
            }
        }
    }
}

/// A batch for masked modelling.
#[derive(Debug, Clone)]
pub struct MaskedTokens {
    /// Whole spectra, `(batch, tokens, width)`.
    pub target: TensorData,
    /// One where the model sees zero and is asked for the target, else zero; same shape.
    pub mask: TensorData,
}

impl MaskedTokens {
    /// Hides tokens: `hidden[i][j]` says whether token `j` of spectrum `i` is masked. Columns that hold
    /// nothing (all but the header of the first token, the header of the others) are never masked.
    pub fn new(target: TensorData, hidden: &[Vec<bool>]) -> Self {
        let (tokens, width) = (target.shape()[1], target.shape()[2]);
        let mut mask = vec![0.0f32; target.num_elements()];
        for (spectrum, hidden) in mask.chunks_exact_mut(tokens * width).zip(hidden) {
            for (index, token) in spectrum.chunks_exact_mut(width).enumerate() {
                match (hidden[index], index) {
                    (false, _) => {}
                    (true, 0) => token[..HEADER_COLUMNS].fill(1.0),
                    (true, _) => token[HEADER_COLUMNS..].fill(1.0),
                }
            }
        }
        let mask = TensorData::new(mask, target.shape().clone());
        Self { target, mask }
    }

    /// Some neighbouring spectra.
    pub fn part(&self, spectra: &Range<usize>) -> Self {
        Self {
            target: take_rows(&self.target, [spectra.clone()]),
            mask: take_rows(&self.mask, [spectra.clone()]),
        }
    }

    /// Number of masked places.
    pub fn masked(&self) -> f64 {
        let mask = self.mask.as_slice::<f32>().expect("masks are f32");
        mask.iter().map(|&masked| f64::from(masked)).sum()
    }
}
