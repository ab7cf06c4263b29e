//! Which patches and which sections of spectra a model does not see.

use rand::seq::SliceRandom;
use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use crate::base::error::{ABOVE_0_TO_1, Check, Result};

/// iBOT's block-wise masks of image patches as DINOv2 draws them (`MaskingGenerator`,
/// `collate_data_and_cast`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BlockMaskConfig {
    /// Share of a batch's global crops that get a mask, 0 to 1; the others keep all patches.
    pub masked_crops: f64,
    /// Least share of a crop's patches that is masked, 0 to `max_ratio`.
    pub min_ratio: f64,
    /// Largest share of a crop's patches that is masked, `min_ratio` to 1.
    pub max_ratio: f64,
    /// Least patches per block, before overlaps, 1 or more.
    pub min_patches: usize,
    /// Least height of a block over its width, above 0 to 1; the largest is its inverse.
    pub min_aspect: f64,
    /// Places tried for a block before the mask is left as it is, 1 or more.
    pub attempts: usize,
}

impl Default for BlockMaskConfig {
    fn default() -> Self {
        Self {
            masked_crops: 0.5,
            min_ratio: 0.1,
            max_ratio: 0.5,
            min_patches: 4,
            min_aspect: 0.3,
            attempts: 10,
        }
    }
}

impl BlockMaskConfig {
    /// Checks all values; `path` stands in front of the fields' names.
    ///
    /// # Errors
    /// Names the first field that is out of range.
    pub fn check(&self, path: &str) -> Result<()> {
        let check = Check::at(path);
        check.number("masked_crops", self.masked_crops, 0.0..=1.0)?;
        check.number("max_ratio", self.max_ratio, 0.0..=1.0)?;
        check.number("min_ratio", self.min_ratio, 0.0..=self.max_ratio)?;
        check.number("min_aspect", self.min_aspect, ABOVE_0_TO_1)?;
        check.count("min_patches", self.min_patches, 1..)?;
        check.count("attempts", self.attempts, 1..)
    }
}

/// Masks for a batch of `crops` global crops of `[rows, columns]` patches, true where masked, row by
/// row. The ratios of the masked crops are drawn from equal parts of [min, max], in random order over
/// the batch.
pub fn block_masks<R: Rng + ?Sized>(
    crops: usize,
    grid: [usize; 2],
    config: &BlockMaskConfig,
    rng: &mut R,
) -> Vec<Vec<bool>> {
    let patches = grid[0] * grid[1];
    let masked = (crops as f64 * config.masked_crops) as usize;
    let width = (config.max_ratio - config.min_ratio) / masked.max(1) as f64;
    let mut masks: Vec<_> = (0..crops)
        .map(|crop| {
            let wanted = if crop < masked {
                let ratio = config.min_ratio + (crop as f64 + rng.random::<f64>()) * width;
                (patches as f64 * ratio) as usize
            } else {
                0
            };
            block_mask(grid, wanted, config, rng)
        })
        .collect();
    masks.shuffle(rng);
    masks
}

/// A mask of blocks that covers `wanted` patches, or somewhat fewer where no more block fits.
fn block_mask<R: Rng + ?Sized>(
    [rows, columns]: [usize; 2],
    wanted: usize,
    config: &BlockMaskConfig,
    rng: &mut R,
) -> Vec<bool> {
    let mut mask = vec![false; rows * columns];
    let mut count = 0;
    while count < wanted {
        let added = add_block(&mut mask, [rows, columns], wanted - count, config, rng);
        if added == 0 {
            break;
        }
        count += added;
    }
    mask
}

/// Masks one block of at most `most` new patches; returns how many, 0 where no attempt succeeds.
fn add_block<R: Rng + ?Sized>(
    mask: &mut [bool],
    [rows, columns]: [usize; 2],
    most: usize,
    config: &BlockMaskConfig,
    rng: &mut R,
) -> usize {
    let (least, most_area) = (config.min_patches as f64, most as f64);
    let log_aspect = config.min_aspect.ln();
    for _ in 0..config.attempts {
        // Like Python's `random.uniform`, this is a sensible draw where `most` is below the least.
        let area = least + (most_area - least) * rng.random::<f64>();
        let aspect = (log_aspect * (1.0 - 2.0 * rng.random::<f64>())).exp();
        let height = (area * aspect).sqrt().round_ties_even() as usize;
        let width = (area / aspect).sqrt().round_ties_even() as usize;
        if height >= rows || width >= columns {
            continue;
        }
        let top = rng.random_range(0..=rows - height);
        let left = rng.random_range(0..=columns - width);
        let lines = (top..top + height).map(|row| row * columns + left);
        let new = lines
            .clone()
            .flat_map(|start| &mask[start..start + width])
            .filter(|masked| !**masked)
            .count();
        if new > 0 && new <= most {
            for start in lines {
                mask[start..start + width].fill(true);
            }
            return new;
        }
    }
    0
}

/// Masks of contiguous segments of a spectrum's tokens (Parker et al. 2024, section 5.2).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SegmentMaskConfig {
    /// Segments per spectrum, 1 or more.
    pub segments: usize,
    /// Tokens per segment, 1 or more. The paper has 30, the released code 50.
    pub width: usize,
}

impl Default for SegmentMaskConfig {
    fn default() -> Self {
        Self {
            segments: 6,
            width: 30,
        }
    }
}

impl SegmentMaskConfig {
    /// Checks that the segments, and gaps as wide between them, fit into a sequence of `tokens`; `path` stands in
    /// front of the fields' names.
    ///
    /// # Errors
    /// Where they do not.
    pub fn check(&self, path: &str, tokens: usize) -> Result<()> {
        let check = Check::at(path);
        check.count("segments", self.segments, 1..=tokens)?;
        let widest = tokens / (2 * self.segments - 1);
        let expected = format!(
            "from 1 to {widest}: {} segments, and gaps as wide between them, share {tokens} tokens",
            self.segments
        );
        let fits = (1..=widest).contains(&self.width);
        check.require(fits, "width", self.width, expected)
    }
}

/// A mask of `tokens` tokens, true where masked: one segment in each of the sequence's equal parts.
/// The first token, which holds mean and width of the spectrum, is masked like any other, as the
/// released code does it (`SpecFormer._mask_seq`).
///
/// # Panics
/// Where the segments do not fit; [`SegmentMaskConfig::check`] says so before.
pub fn segment_mask<R: Rng + ?Sized>(
    tokens: usize,
    config: &SegmentMaskConfig,
    rng: &mut R,
) -> Vec<bool> {
    let mut mask = vec![false; tokens];
    let free = tokens / config.segments - config.width;
    for segment in 0..config.segments {
        let part = segment * tokens / config.segments;
        // The last possible place is never drawn, as in the released code.
        let start = part + rng.random_range(0..free.max(1));
        mask[start..start + config.width].fill(true);
    }
    mask
}
