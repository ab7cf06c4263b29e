use std::ops::Range;

use burn::tensor::TensorData;
use ndarray::Array3;

use super::take_rows;

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
}

impl CropBatch {
    /// All crops of some neighbouring galaxies, crop-major as well.
    pub fn part(&self, galaxies: &Range<usize>) -> Self {
        let places = |crops: usize| {
            let first = (0..crops / self.samples).map(|crop| crop * self.samples);
            first.map(|first| first + galaxies.start..first + galaxies.end)
        };
        let crops = |data: &TensorData| take_rows(data, places(data.shape()[0]));
        Self {
            samples: galaxies.len(),
            global: crops(&self.global),
            local: crops(&self.local),
            masks: places(self.masks.len())
                .flat_map(|crops| self.masks[crops].iter().cloned())
                .collect(),
        }
    }

    /// Places of the masked patches in the flattened `(crops * patches)` and the weight of each: one
    /// over the number of masked patches in its crop.
    pub fn masked_patches(&self) -> (Vec<i32>, Vec<f32>) {
        let mut places = Vec::new();
        let mut weights = Vec::new();
        for (crop, mask) in self.masks.iter().enumerate() {
            let hidden = mask.iter().filter(|&&hidden| hidden).count();
            for (patch, _) in mask.iter().enumerate().filter(|(_, hidden)| **hidden) {
                places.push((crop * mask.len() + patch) as i32);
                weights.push((hidden as f32).recip());
            }
        }
        (places, weights)
    }
}
