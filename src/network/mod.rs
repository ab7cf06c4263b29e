//! Operations, layers, losses, the models of the paper, their weights, and trained models that embed.

pub mod encoder;
pub mod loss;
pub mod model;
pub mod nn;
pub mod ops;
pub mod released;
pub mod weights;
