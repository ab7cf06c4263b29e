//! Spectra as tokens, and the tokens of a step of masked modelling.

use std::ops::Range;

use burn::tensor::TensorData;
use ndarray::ArrayView2;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{micro_batches, take_rows};
use crate::base::error::{ABOVE_0, Check, Result};
use crate::base::numeric::binned;
use crate::base::random::{Purpose, generator};
use crate::base::ranks::Seat;
use crate::views::augment::{SegmentMaskConfig, segment_mask};

/// Columns in front of every section; the first token holds mean and deviation there.
const HEADER_COLUMNS: usize = 2;

/// Cuts spectra into overlapping sections (paper sect. 3.2 and appendix B2), as the released code does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SpectrumTokenizer {
    /// Pixels of a section, 1 or more.
    pub section_length: usize,
    /// Pixels that a section shares with the next; less than `section_length`.
    pub overlap: usize,
    /// Smallest standard deviation by which a spectrum is divided, in units of the flux, above 0.
    pub min_sigma: f32,
    /// Pixels of the survey in one of a section, 1 or more: their mean, in which there is less noise.
    #[serde(skip_serializing_if = "is_one")]
    pub bin: usize,
}

fn is_one(bin: &usize) -> bool {
    *bin == 1
}

impl Default for SpectrumTokenizer {
    fn default() -> Self {
        Self {
            section_length: 20,
            overlap: 10,
            min_sigma: 0.2,
            bin: 1,
        }
    }
}

impl SpectrumTokenizer {
    /// Checks that spectra of `pixels` can be cut so; `path` stands in front of the fields' names.
    ///
    /// # Errors
    ///
    /// Names the setting that does not go.
    pub fn check(&self, path: &str, pixels: usize) -> Result<()> {
        let check = Check::at(path);
        check.count("bin", self.bin, 1..=pixels)?;
        check.count("section_length", self.section_length, 1..=pixels / self.bin)?;
        check.count("overlap", self.overlap, 0..self.section_length)?;
        check.number("min_sigma", self.min_sigma, ABOVE_0)
    }

    /// Checks that tokens are as wide as the transformer at `path` takes them.
    ///
    /// # Errors
    ///
    /// Names its `token_width` when they are not.
    pub fn check_width(&self, path: &str, width: usize) -> Result<()> {
        let expected = format!("section_length + {HEADER_COLUMNS} = {}", self.width());
        Check::at(path).require(self.width() == width, "token_width", width, expected)
    }

    /// Tokens of a spectrum of `pixels`; an incomplete last section is dropped, one token is added for
    /// mean and deviation.
    pub fn tokens(&self, pixels: usize) -> usize {
        (pixels / self.bin - self.section_length) / self.stride() + 2
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

    /// Pixels of the survey in token `token`; none for the first, which holds mean and deviation.
    pub fn pixels(&self, token: usize) -> Range<usize> {
        match token {
            0 => 0..0,
            _ => {
                let start = (token - 1) * self.stride();
                self.bin * start..self.bin * (start + self.section_length)
            }
        }
    }

    /// The flux that `tokens` `(tokens, width)` give where a spectrum is hidden: in pixels that only hidden
    /// tokens hold, the mean of these; NaN elsewhere. Mean and deviation are those of the spectrum.
    pub fn hidden_flux(
        &self,
        spectrum: &[f32],
        tokens: ArrayView2<'_, f32>,
        hidden: &[bool],
    ) -> Vec<f32> {
        let (mean, sigma) = self.scale(&binned(spectrum, self.bin));
        let mut sums = vec![0.0; spectrum.len()];
        let mut counts = vec![0_u32; spectrum.len()];
        let mut seen = vec![false; spectrum.len()];
        for (index, token) in tokens.outer_iter().enumerate() {
            let pixels = self.pixels(index);
            if !hidden[index] {
                seen[pixels].fill(true);
                continue;
            }
            for (place, pixel) in pixels.enumerate() {
                let value = token[HEADER_COLUMNS + place / self.bin];
                sums[pixel] += mean + sigma * value;
                counts[pixel] += 1;
            }
        }
        let believed = sums.iter().zip(&counts).zip(&seen);
        believed
            .map(|((sum, &count), &seen)| match count > 0 && !seen {
                true => sum / count as f32,
                false => f32::NAN,
            })
            .collect()
    }

    /// Mean and deviation by which a spectrum is scaled.
    fn scale(&self, spectrum: &[f32]) -> (f32, f32) {
        let count = spectrum.len() as f64;
        let mean = spectrum.iter().map(|&flux| f64::from(flux)).sum::<f64>() / count;
        let variance = spectrum
            .iter()
            .map(|&flux| (f64::from(flux) - mean).powi(2))
            .sum::<f64>()
            / (count - 1.0);
        (mean as f32, (variance.sqrt() as f32).max(self.min_sigma))
    }

    fn tokenize_one(&self, spectrum: &[f32], output: &mut [f32]) {
        let spectrum = &binned(spectrum, self.bin);
        let (mean, sigma) = self.scale(spectrum);
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

/// From spectra to the tokens and masks of a step.
#[derive(Debug, Clone)]
pub struct TokenRecipe {
    /// Sections of a spectrum.
    pub tokenizer: SpectrumTokenizer,
    /// Masked segments.
    pub masks: SegmentMaskConfig,
    /// Seed of the run.
    pub seed: u64,
    /// Which of the ranks prepares.
    pub seat: Seat,
}

impl TokenRecipe {
    /// The tokens and masks of step `step` for this rank's share of its spectra `(galaxies, pixels)`: those that the
    /// spectra have in the whole batch.
    pub fn prepare(&self, spectra: ArrayView2<'_, f32>, step: u64) -> MaskedTokens {
        let tokens = self.tokenizer.tokens(spectra.ncols());
        let mut rng = generator(self.seed, Purpose::Masks, step);
        let place = self.seat.place(spectra.nrows());
        let mut hidden: Vec<Vec<bool>> = (0..place.end)
            .map(|_| segment_mask(tokens, &self.masks, &mut rng))
            .collect();
        hidden.drain(..place.start);
        MaskedTokens::new(self.tokenizer.tokenize(spectra), &hidden)
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

    /// The batch in parts of at most so many neighbouring spectra. One part is the batch itself, without a copy.
    pub fn into_parts(self, size: Option<usize>) -> Box<dyn Iterator<Item = Self>> {
        let ranges = micro_batches(self.target.shape()[0], size);
        match ranges.len() {
            1 => Box::new(std::iter::once(self)),
            _ => Box::new(ranges.into_iter().map(move |spectra| Self {
                target: take_rows(&self.target, [spectra.clone()]),
                mask: take_rows(&self.mask, [spectra]),
            })),
        }
    }

    /// Number of masked places.
    pub fn masked(&self) -> f64 {
        let mask = self.mask.as_slice::<f32>().expect("masks are f32");
        mask.iter().map(|&masked| f64::from(masked)).sum()
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, ArrayView2};

    use super::SpectrumTokenizer;

    #[test]
    fn what_hidden_tokens_say_becomes_flux_where_no_other_token_shows_it() {
        let tokenizer = SpectrumTokenizer {
            section_length: 4,
            overlap: 2,
            ..SpectrumTokenizer::default()
        };
        let spectrum: Vec<f32> = (0..12).map(|pixel| 3.0 + (pixel as f32).sin()).collect();
        let tokens = tokenizer.tokenize(ArrayView2::from_shape((1, 12), &spectrum).unwrap());
        let [_, count, width] = tokens.shape().dims();
        let tokens = Array2::from_shape_vec((count, width), tokens.try_to_vec().unwrap()).unwrap();
        // Tokens 2 and 3 hold pixels 2 to 7, of which tokens 1 and 4 show 2, 3, 6 and 7.
        let hidden: Vec<bool> = (0..count).map(|token| [2, 3].contains(&token)).collect();
        let flux = tokenizer.hidden_flux(&spectrum, tokens.view(), &hidden);
        for (pixel, (flux, truth)) in flux.iter().zip(&spectrum).enumerate() {
            match pixel {
                4 | 5 => assert!((flux - truth).abs() < 1e-5, "{pixel}: {flux} {truth}"),
                _ => assert!(flux.is_nan(), "{pixel}"),
            }
        }
    }

    #[test]
    fn sections_of_bins_come_back_as_means() {
        let tokenizer = SpectrumTokenizer {
            section_length: 4,
            overlap: 2,
            bin: 3,
            ..SpectrumTokenizer::default()
        };
        assert_eq!(tokenizer.pixels(2), 6..18);
        let spectrum: Vec<f32> = (0..38).map(|pixel| 3.0 + (pixel as f32).sin()).collect();
        assert_eq!(tokenizer.tokens(38), 6);
        let tokens = tokenizer.tokenize(ArrayView2::from_shape((1, 38), &spectrum).unwrap());
        let tokens = Array2::from_shape_vec((6, 6), tokens.try_to_vec().unwrap()).unwrap();
        let flux = tokenizer.hidden_flux(&spectrum, tokens.view(), &[true; 6]);
        for (pixel, flux) in flux.iter().take(36).enumerate() {
            let bin = pixel / 3 * 3;
            let mean = spectrum[bin..bin + 3].iter().sum::<f32>() / 3.0;
            assert!((flux - mean).abs() < 1e-5, "{pixel}: {flux} {mean}");
        }
        assert!(flux[36].is_nan() && flux[37].is_nan());
    }
}
