//! Loops over `f32` slices, written so that the compiler vectorizes them.

pub(super) mod attention;
pub(super) mod gelu;
pub(super) mod layer_norm;
pub(super) mod linear;
pub(super) mod mlp;
