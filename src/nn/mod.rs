//! Building blocks of the transformers: layers that know shapes and nothing of galaxies.

mod attention;
mod block;
mod drop_path;
mod init;
mod linear;
mod mlp;
mod norm;
pub mod ops;
mod position;
mod prototype_head;

pub use attention::{CrossAttention, SelfAttention};
pub use block::{Block, BlockConfig};
pub use drop_path::SampleDropper;
pub use init::Initializer;
pub use linear::Linear;
pub use mlp::Mlp;
pub use norm::{LayerNorm, l2_normalize};
pub use position::bicubic_resize_matrix;
pub use prototype_head::{PrototypeHead, PrototypeHeadConfig};
