//! Building blocks of the networks: layers that know shapes and nothing of galaxies.

mod attention;
mod batch_norm;
mod block;
mod convolution;
mod drop_path;
mod dropout;
mod init;
mod linear;
mod mlp;
mod norm;
mod packed;
mod position;
mod precision;
mod prelu;
pub mod probe;
mod prototype_head;

pub use attention::{CrossAttention, SelfAttention};
pub use batch_norm::{BatchNorm, Statistics};
pub use block::{Block, BlockConfig};
pub use convolution::{Conv1d, Conv2d};
pub use drop_path::SampleDropper;
pub use dropout::{dropout, dropout_mask};
pub use init::Initializer;
pub use linear::Linear;
pub use mlp::Mlp;
pub use norm::{LayerNorm, instance_norm, l2_normalize};
pub use packed::Packed;
pub use position::{bicubic_axis_weights, bicubic_resize_matrix};
pub use precision::{Precision, entering, widen};
pub use prelu::PRelu;
pub use prototype_head::{PrototypeHead, PrototypeHeadConfig};

pub use super::ops::{Factors, gelu, product};
