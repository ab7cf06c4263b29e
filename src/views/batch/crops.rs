//! The crops of a step of image pretraining.

use std::ops::Range;

use burn::tensor::TensorData;
use ndarray::{Array3, ArrayView4, Axis};
use rayon::prelude::*;

use super::{micro_batches, take_rows};
use crate::base::random::{Purpose, generator};
use crate::base::ranks::Seat;
use crate::views::augment::{
    BlockMaskConfig, GLOBAL_CROPS, MultiCrop, MultiCropConfig, PixelConfig, block_masks, multi_crop,
};

/// Stacks images of one shape `(channels, side, side)` to `(batch, channels, side, side)`.
pub fn stack_images<'a>(images: impl IntoIterator<Item = &'a Array3<f32>>) -> TensorData {
    let mut values = Vec::new();
    let (mut count, mut shape) = (0, (0, 0, 0));
    for image in images {
        (shape, count) = (image.dim(), count + 1);
        match image.as_slice() {
            Some(contiguous) => values.extend_from_slice(contiguous),
            None => values.extend(image.iter()),
        }
    }
    TensorData::new(values, [count, shape.0, shape.1, shape.2])
}

/// From images to the crops of a step.
#[derive(Debug, Clone)]
pub struct CropRecipe {
    /// Crops and what is done to them.
    pub crops: MultiCropConfig,
    /// From nanomaggies to pixel values.
    pub pixels: PixelConfig,
    /// Masked patches of the global crops.
    pub masks: BlockMaskConfig,
    /// Side of a patch, pixels.
    pub patch_size: usize,
    /// Seed of the run.
    pub seed: u64,
    /// Which of the ranks prepares.
    pub seat: Seat,
}

impl CropRecipe {
    /// The crops and masks of step `step` for this rank's share of its images `(galaxies, bands, side, side)` in
    /// nanomaggies: those that the images have in the whole batch.
    pub fn prepare(&self, images: ArrayView4<'_, f32>, step: u64) -> CropBatch {
        let samples = images.len_of(Axis(0));
        let (place, batch) = (self.seat.place(samples), samples * self.seat.size);
        let crops: Vec<MultiCrop> = images
            .axis_iter(Axis(0))
            .into_par_iter()
            .enumerate()
            .map(|(index, image)| {
                let sample = step * batch as u64 + (place.start + index) as u64;
                let mut rng = generator(self.seed, Purpose::Augmentation, sample);
                multi_crop(image, &self.crops, &self.pixels, &mut rng)
            })
            .collect();
        let grid = self.crops.global_size / self.patch_size;
        let mut rng = generator(self.seed, Purpose::Masks, step);
        let crops = &crops;
        let mut masks = block_masks(GLOBAL_CROPS * batch, [grid, grid], &self.masks, &mut rng);
        if samples < batch {
            let mut galaxies = (0..GLOBAL_CROPS).flat_map(|_| 0..batch);
            masks.retain(|_| {
                galaxies
                    .next()
                    .is_some_and(|galaxy| place.contains(&galaxy))
            });
        }
        CropBatch::new(
            samples,
            stack_images(
                (0..GLOBAL_CROPS).flat_map(|i| crops.iter().map(move |crop| &crop.global[i])),
            ),
            stack_images(
                (0..self.crops.local_count)
                    .flat_map(|i| crops.iter().map(move |crop| &crop.local[i])),
            ),
            masks,
        )
    }
}

/// The crops of a batch for one DINOv2 step, crop-major: all first global crops, all second, and so on.
#[derive(Debug, Clone)]
pub struct CropBatch {
    /// Galaxies in the batch.
    pub samples: usize,
    /// Global crops `(globals * samples, channels, side, side)`.
    pub global: TensorData,
    /// Local crops `(locals * samples, channels, side, side)`.
    pub local: TensorData,
    /// For every global crop, which of its patches the student does not see.
    pub masks: Vec<Vec<bool>>,
    /// The same patches as a list.
    pub masked: MaskedPatches,
}

/// The patches that the student does not see.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MaskedPatches {
    /// Index of each in the flattened `(crops * patches)`.
    pub index: Vec<i32>,
    /// Weight of each in the loss: one over the number of masked patches in its crop.
    pub weights: Vec<f32>,
}

impl MaskedPatches {
    fn of(masks: &[Vec<bool>]) -> Self {
        let mut patches = Self::default();
        for (crop, mask) in masks.iter().enumerate() {
            let hidden = mask.iter().filter(|&&hidden| hidden).count();
            for (patch, _) in mask.iter().enumerate().filter(|(_, hidden)| **hidden) {
                patches.index.push((crop * mask.len() + patch) as i32);
                patches.weights.push((hidden as f32).recip());
            }
        }
        patches
    }
}

impl CropBatch {
    /// Crops of `samples` galaxies, crop-major, and the masks of the global ones.
    pub fn new(
        samples: usize,
        global: TensorData,
        local: TensorData,
        masks: Vec<Vec<bool>>,
    ) -> Self {
        Self {
            masked: MaskedPatches::of(&masks),
            samples,
            global,
            local,
            masks,
        }
    }

    /// The batch in parts of at most so many neighbouring galaxies, crop-major as well, each with its range of the
    /// whole. One part is the batch itself, without a copy.
    pub fn into_parts(self, size: Option<usize>) -> Box<dyn Iterator<Item = (Range<usize>, Self)>> {
        let ranges = micro_batches(self.samples, size);
        match ranges.len() {
            1 => Box::new(std::iter::once((0..self.samples, self))),
            _ => Box::new(ranges.into_iter().map(move |galaxies| {
                let part = self.part(&galaxies);
                (galaxies, part)
            })),
        }
    }

    /// All crops of some neighbouring galaxies.
    fn part(&self, galaxies: &Range<usize>) -> Self {
        let rows = |crops: usize| {
            let first = (0..crops / self.samples).map(|crop| crop * self.samples);
            first.map(|first| first + galaxies.start..first + galaxies.end)
        };
        let crops = |data: &TensorData| take_rows(data, rows(data.shape()[0]));
        let masks = rows(self.masks.len()).flat_map(|crops| self.masks[crops].iter().cloned());
        Self::new(
            galaxies.len(),
            crops(&self.global),
            crops(&self.local),
            masks.collect(),
        )
    }
}
