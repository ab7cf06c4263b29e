//! Files of reference values, and comparisons with them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use astroclip::base::device::DeviceChoice;
use astroclip::network::nn::Precision;
use astroclip::network::weights::{NamedTensor, TensorMap};
use burn::tensor::{Device, Tensor, TensorData};
use safetensors::SafeTensors;
use serde_json::Value;

/// What losses and gradient norms may be off by in bf16, whose 8 bits round by up to 2e-3: the errors of many roundings
/// add up in some places and cancel in most.
const BF16: f64 = 3e-2;
/// What anything may be off by on a GPU, which may take TF32 for the products of `f32`: 11 bits round by up to 5e-4.
const TF32: f64 = 2e-3;

/// The device that is tested: the CPU, or what `ASTROCLIP_GOLDEN_DEVICE` names, as `--device` takes it.
pub fn device() -> Device {
    let name = std::env::var("ASTROCLIP_GOLDEN_DEVICE").unwrap_or_else(|_| "cpu".to_owned());
    let choice: DeviceChoice = name.parse().expect("a device");
    choice.open().expect("a device that is there")
}

/// What a number may be off by, where `f32` on the CPU may be off by `exact`.
pub fn allowed(precision: Precision, exact: f64) -> f64 {
    match precision {
        Precision::Bf16 => BF16,
        Precision::F32 if device() == Device::flex() => exact,
        Precision::F32 => exact.max(TF32),
    }
}

/// Where the files lie.
pub fn folder() -> PathBuf {
    std::env::var_os("ASTROCLIP_REFERENCE").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden"),
        PathBuf::from,
    )
}

/// A JSON file.
pub fn json(name: &str) -> Value {
    let text = std::fs::read_to_string(folder().join(name)).expect("golden file");
    serde_json::from_str(&text).expect("golden JSON")
}

/// A safetensors file.
pub struct Golden {
    pub tensors: TensorMap,
    pub metadata: BTreeMap<String, String>,
}

/// Reads a safetensors file.
pub fn golden(name: &str) -> Golden {
    golden_at(&folder().join(name))
}

/// Reads a safetensors file anywhere.
pub fn golden_at(path: &Path) -> Golden {
    let bytes = std::fs::read(path).expect("golden file");
    let (_, header) = SafeTensors::read_metadata(&bytes).expect("golden header");
    let tensors = SafeTensors::deserialize(&bytes).expect("golden tensors");
    let tensors = tensors
        .iter()
        .map(|(name, view)| {
            let values = match view.dtype() {
                safetensors::Dtype::F32 => view
                    .data()
                    .chunks_exact(4)
                    .map(|bytes| f32::from_le_bytes(bytes.try_into().expect("four bytes")))
                    .collect(),
                safetensors::Dtype::U8 | safetensors::Dtype::BOOL => {
                    view.data().iter().map(|&byte| f32::from(byte)).collect()
                }
                other => panic!("{name} holds {other:?}"),
            };
            let shape = view.shape().to_vec();
            (name.to_owned(), NamedTensor { shape, values })
        })
        .collect();
    let metadata = header.metadata().clone().unwrap_or_default();
    Golden {
        tensors,
        metadata: metadata.into_iter().collect(),
    }
}

impl Golden {
    /// A size from the file's metadata.
    pub fn size(&self, key: &str) -> usize {
        self.metadata[key].parse().expect("a size")
    }

    /// A tensor for a model's input.
    pub fn data(&self, name: &str) -> TensorData {
        let tensor = &self.tensors[name];
        TensorData::new(tensor.values.clone(), tensor.shape.clone())
    }
}

pub fn relative_error(actual: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(actual.len(), expected.len());
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
    let difference = norm(&mut actual.iter().zip(expected).map(|(a, b)| f64::from(a - b)));
    difference / norm(&mut expected.iter().map(|&b| f64::from(b)))
}

/// ‖a − b‖ ≤ tolerance · ‖b‖ in `f32` on the CPU.
#[track_caller]
pub fn assert_close(what: &str, actual: &[f32], expected: &[f32], tolerance: f64) {
    let error = relative_error(actual, expected);
    let tolerance = allowed(Precision::F32, tolerance);
    assert!(
        error <= tolerance,
        "{what}: relative error {error:.2e} > {tolerance:.0e}"
    );
}

/// Values of a tensor in row-major order.
pub fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().expect("f32")
}

/// |a / b − 1| ≤ tolerance.
#[track_caller]
pub fn assert_near(what: &str, actual: f64, expected: &Value, tolerance: f64) {
    let expected = expected.as_f64().expect("a number");
    let error = (actual / expected - 1.0).abs();
    assert!(
        error <= tolerance,
        "{what}: {actual} against {expected}, {error:.1e} > {tolerance:.0e}"
    );
}

/// Weights within 1e-4. Softmax does not see the keys' bias, so Adam follows rounding noise in the middle
/// third of every fused bias, whose names end with `fused_bias`: 1e-2 there.
#[track_caller]
pub fn assert_weights(ours: &TensorMap, expected: &TensorMap, fused_bias: &str) {
    for (name, expected) in expected {
        let actual = &ours[name].values;
        let third = match name.ends_with(fused_bias) {
            true => actual.len() / 3,
            false => actual.len(),
        };
        let tolerances = [1e-4, 1e-2, 1e-4];
        let parts = actual.chunks(third).zip(expected.values.chunks(third));
        for ((actual, expected), tolerance) in parts.zip(tolerances) {
            assert_close(name, actual, expected, tolerance);
        }
    }
}

/// Tensors whose name starts with `prefix`, without it.
pub fn under(tensors: &TensorMap, prefix: &str) -> TensorMap {
    let inner = tensors
        .iter()
        .filter_map(|(name, tensor)| Some((name.strip_prefix(prefix)?.to_owned(), tensor.clone())));
    inner.collect()
}
