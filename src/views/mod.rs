//! What networks are shown of galaxies: pixel values, crops, masks and tokens, put together as the batch of a step.

pub mod augment;
pub mod batch;
