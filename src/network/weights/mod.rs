//! Weights outside of models: tensors by name, in and out of modules, in and out of files.

mod checksums;
mod finite;
mod model_file;
mod parameters;
mod tensor_file;
mod tensor_writer;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub use finite::NotFinite;
pub use model_file::{ImportSource, ModelFile, ModelKind, file_sha256};
pub use parameters::{ModulePath, assign, host_values, named_parameters, trainable_parameters};
pub use tensor_file::{TensorFile, floats, read_tensors};
pub use tensor_writer::{bytes_of, write_safetensors, write_tensors};

/// Key of our JSON header in a safetensors file's metadata.
const HEADER_KEY: &str = "astroclip";
/// Largest header that the format allows, bytes.
const MOST_HEADER_BYTES: u64 = 100_000_000;

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
