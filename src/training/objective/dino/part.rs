//! What of a batch goes through student and teacher at once.

use std::ops::Range;

use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::views::batch::{CropBatch, MaskedPatches};

/// Some neighbouring galaxies of a batch, which go through student and teacher at once.
pub(super) struct Part {
    /// Pixel values of the global crops, which both see, outside automatic differentiation.
    pub(super) global: Tensor<4>,
    /// Pixel values of the local crops.
    pub(super) local: TensorData,
    /// For every global crop, which of its patches the student does not see.
    pub(super) masks: Vec<Vec<bool>>,
    pub(super) masked: Option<Masked>,
    /// The galaxies among those of the batch, and the number of these.
    pub(super) galaxies: Range<usize>,
    pub(super) batch: usize,
}

/// The patches that the student does not see, outside automatic differentiation.
pub(super) struct Masked {
    /// Index of each in `(crops * patches)`.
    pub(super) index: Tensor<1, Int>,
    /// Weights in the loss, `(masked, 1)`.
    pub(super) weights: Tensor<2>,
}

impl Part {
    pub(super) fn new(
        crops: CropBatch,
        galaxies: Range<usize>,
        batch: usize,
        device: &Device,
    ) -> Self {
        let MaskedPatches { index, weights } = crops.masked;
        let count = index.len();
        let masked = (count > 0).then(|| Masked {
            index: Tensor::from_data(TensorData::new(index, [count]), device),
            weights: Tensor::from_data(TensorData::new(weights, [count, 1]), device),
        });
        Self {
            global: Tensor::from_data(crops.global, device),
            local: crops.local,
            masks: crops.masks,
            masked,
            galaxies,
            batch,
        }
    }

    pub(super) fn samples(&self) -> usize {
        self.galaxies.len()
    }
}
