//! Weights outside of models: tensors by name, in and out of modules, in and out of files.

mod file;
mod parameters;

use std::collections::BTreeMap;

pub use file::{ModelFile, ModelKind, file_sha256, read_tensors, write_tensors};
pub use parameters::{ModulePath, assign, host_values, named_parameters};

/// A tensor on the host, row-major, in the layout of files: linear weights are `(outputs, inputs)`.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedTensor {
    /// Extent of each axis.
    pub shape: Vec<usize>,
    /// Values in row-major order.
    pub values: Vec<f32>,
}

/// Tensors by dotted name, such as `blocks.0.attn.qkv.weight`.
pub type TensorMap = BTreeMap<String, NamedTensor>;
