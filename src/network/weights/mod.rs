//! Weights outside of models: tensors by name, in and out of modules, in and out of files.

mod model_file;
mod parameters;
mod tensor_file;

use std::collections::BTreeMap;

pub use model_file::{ImportSource, ModelFile, ModelKind, file_sha256};
pub use parameters::{ModulePath, assign, host_values, named_parameters, trainable_parameters};
pub use tensor_file::{TensorFile, floats, read_tensors, write_safetensors, write_tensors};

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
