//! The models and training steps against numbers from the released PyTorch code.
//!
//! The files under `tests/golden` come from PolymathicAI/AstroCLIP (commit 9d85069) and
//! facebookresearch/dinov2 (b8931f7) in float32 on the CPU. `ASTROCLIP_REFERENCE` names another folder
//! with files of the same names; sizes are read from the files.

use std::collections::BTreeMap;
use std::path::PathBuf;

use astroclip::batch::{CropBatch, SpectrumTokenizer};
use astroclip::model::{Vit, VitConfig, VitInput};
use astroclip::nn::{Initializer, PrototypeHeadConfig};
use astroclip::objective::{
    DinoConfig, DinoLossConfig, DinoObjective, DinoOptimizerConfig, Schedule, TeacherConfig,
    parameter_rule,
};
use astroclip::train::{AdamWConfig, cosine_with_warmup, dino_cosine};
use astroclip::weights::{NamedTensor, TensorMap, assign};
use burn::tensor::{Bool, Device, Tensor, TensorData};
use ndarray::Array2;
use safetensors::SafeTensors;
use serde_json::Value;

fn folder() -> PathBuf {
    std::env::var_os("ASTROCLIP_REFERENCE").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden"),
        PathBuf::from,
    )
}

fn json(name: &str) -> Value {
    let text = std::fs::read_to_string(folder().join(name)).expect("golden file");
    serde_json::from_str(&text).expect("golden JSON")
}

struct Golden {
    tensors: TensorMap,
    metadata: BTreeMap<String, String>,
}

fn golden(name: &str) -> Golden {
    let bytes = std::fs::read(folder().join(name)).expect("golden file");
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
    fn size(&self, key: &str) -> usize {
        self.metadata[key].parse().expect("a size")
    }

    fn data(&self, name: &str) -> TensorData {
        let tensor = &self.tensors[name];
        TensorData::new(tensor.values.clone(), tensor.shape.clone())
    }
}

fn relative_error(actual: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(actual.len(), expected.len());
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
    let difference = norm(&mut actual.iter().zip(expected).map(|(a, b)| f64::from(a - b)));
    difference / norm(&mut expected.iter().map(|&b| f64::from(b)))
}

#[track_caller]
fn assert_close(what: &str, actual: &[f32], expected: &[f32], tolerance: f64) {
    let error = relative_error(actual, expected);
    assert!(
        error <= tolerance,
        "{what}: relative error {error:.2e} > {tolerance:.0e}"
    );
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().expect("f32")
}

/// Released names and shapes of student or teacher to ours: blocks are not chunked, the patch
/// embedding is a matrix.
fn network(tensors: &TensorMap, prefix: &str) -> TensorMap {
    tensors
        .iter()
        .filter_map(|(name, tensor)| {
            let name = name.strip_prefix(prefix)?;
            let mut parts: Vec<&str> = name.split('.').collect();
            if parts.starts_with(&["backbone", "blocks"]) {
                parts.remove(2);
            }
            if parts.starts_with(&["dino_head", "mlp"]) {
                parts[2] = match parts[2] {
                    "0" => "0",
                    "2" => "1",
                    _ => "2",
                };
            }
            let mut tensor = tensor.clone();
            if let Some(at) = parts.iter().position(|part| *part == "proj")
                && parts[at - 1] == "patch_embed"
            {
                parts.remove(at);
                if tensor.shape.len() == 4 {
                    tensor.shape = vec![tensor.shape[0], tensor.shape[1..].iter().product()];
                }
            }
            Some((parts.join("."), tensor))
        })
        .collect()
}

fn vit_config(io: &Golden) -> VitConfig {
    VitConfig {
        image_size: 144,
        patch_size: 12,
        channels: 3,
        width: io.size("D"),
        depth: io.size("depth"),
        heads: io.size("heads"),
        mlp_ratio: 4.0,
        layer_scale: 1e-5,
        drop_path: 0.0,
    }
}

#[test]
fn three_dinov2_steps() {
    let io = golden("astrodino_io.safetensors");
    let init = golden("dinov2_step_init.safetensors");
    let last = golden("dinov2_step_final.safetensors");
    let steps = json("dinov2_steps.json");
    let number = |key: &str| steps[key].as_f64().expect("a number");
    let config = DinoConfig {
        model: vit_config(&io),
        head: PrototypeHeadConfig {
            hidden: io.size("hid"),
            layers: 3,
            bottleneck: io.size("bott"),
            prototypes: io.size("proto"),
        },
        separate_heads: false,
        loss: DinoLossConfig {
            koleo_weight: number("koleo_weight"),
            ..DinoLossConfig::default()
        },
        teacher: TeacherConfig {
            momentum: 0.0,
            momentum_end: 0.0,
            temperature: 0.0,
            temperature_end: 0.0,
            temperature_warmup_steps: 0,
        },
        optimizer: DinoOptimizerConfig {
            lr: 0.0,
            min_lr: 0.0,
            warmup_steps: 0,
            weight_decay: 0.0,
            weight_decay_end: 0.0,
            layer_decay: number("layerwise_decay"),
            patch_embed_lr_factor: number("patch_embed_lr_mult"),
            freeze_last_layer_steps: 0,
            clip_norm: number("clip_grad"),
            adamw: AdamWConfig::default(),
        },
        steps: 3,
        seed: 0,
    };
    let samples = io.size("B");
    let mut objective = DinoObjective::new(config, &Device::flex().autodiff());
    objective
        .set_networks(
            network(&init.tensors, "student."),
            network(&init.tensors, "teacher."),
        )
        .expect("the golden weights fit");
    let masks = &io.tensors["masks"];
    let batch = CropBatch {
        samples,
        global: io.data("global"),
        local: io.data("local"),
        masks: masks
            .values
            .chunks(masks.shape[1])
            .map(|crop| crop.iter().map(|&hidden| hidden > 0.0).collect())
            .collect(),
    };
    for (step, expected) in steps["steps"].as_array().expect("steps").iter().enumerate() {
        let at = |key: &str| steps[key][step].as_f64().expect("a number");
        let schedule = Schedule {
            learning_rate: at("lr"),
            last_layer_learning_rate: at("last_layer_lr"),
            weight_decay: at("weight_decay"),
            momentum: at("momentum"),
            teacher_temperature: at("teacher_temp"),
        };
        let report = objective
            .step_with(step as u64, &batch, schedule)
            .expect("a step");
        for (name, actual) in &report.terms {
            let expected = expected[name].as_f64().expect("a loss");
            let error = (actual / expected - 1.0).abs();
            assert!(
                error < 1e-5,
                "step {step}, {name}: {actual} against {expected}"
            );
        }
        let head = expected["grad_norm_head"].as_f64().expect("a norm");
        assert!(
            (report.grad_norm / head - 1.0).abs() < 1e-5,
            "step {step}: norm {}",
            report.grad_norm
        );
    }
    let (student, teacher) = objective.networks();
    for (prefix, ours) in [("student.", student), ("teacher.", teacher)] {
        for (name, expected) in network(&last.tensors, prefix) {
            let actual = &ours[&name].values;
            if name.ends_with("qkv.bias") {
                // Softmax does not see the keys' bias: Adam follows rounding noise there.
                let third = actual.len() / 3;
                for (part, tolerance) in [(0, 1e-4), (1, 1e-2), (2, 1e-4)] {
                    let range = part * third..(part + 1) * third;
                    assert_close(
                        &name,
                        &actual[range.clone()],
                        &expected.values[range],
                        tolerance,
                    );
                }
            } else {
                assert_close(&format!("{prefix}{name}"), actual, &expected.values, 1e-4);
            }
        }
    }
}

#[test]
fn image_transformer_forward() {
    let io = golden("astrodino_io.safetensors");
    let init = golden("dinov2_step_init.safetensors");
    let device = Device::flex();
    let vit = Vit::new(&vit_config(&io), &mut Initializer::new(0, &device));
    let backbone = network(&init.tensors, "teacher.")
        .into_iter()
        .filter_map(|(name, tensor)| Some((name.strip_prefix("backbone.")?.to_owned(), tensor)))
        .collect();
    let vit = assign(vit, backbone).expect("the golden weights fit");
    let positions = values(vit.positions(5));
    assert_close(
        "pos_embed_60",
        &positions,
        &io.tensors["pos_embed_60"].values,
        1e-4,
    );
    for (input, masked, output) in [
        ("global", false, "global"),
        ("local", false, "local"),
        ("global", true, "masked"),
    ] {
        let masks = masked.then(|| {
            let masks = io.tensors["masks"].clone();
            let flags: Vec<bool> = masks.values.iter().map(|&value| value > 0.0).collect();
            Tensor::<2, Bool>::from_data(TensorData::new(flags, masks.shape), &device)
        });
        let images = Tensor::from_data(io.data(input), &device);
        let tokens = vit.forward(VitInput { images, masks }, None);
        let [_, count, _] = tokens.dims();
        for (part, range) in [("cls", 0..1), ("patches", 1..count)] {
            let name = format!("{output}_{part}");
            let actual = values(tokens.clone().narrow(1, range.start, range.len()));
            assert_close(&name, &actual, &io.tensors[&name].values, 1e-4);
        }
    }
}

#[test]
fn spectrum_tokens() {
    let io = golden("specformer_io.safetensors");
    let spectra = &io.tensors["spectrum"];
    let shape = (spectra.shape[0], spectra.shape[1]);
    let spectra = Array2::from_shape_vec(shape, spectra.values.clone()).expect("one flux a pixel");
    let tokens = SpectrumTokenizer::default().tokenize(spectra.view());
    let expected = &io.tensors["tokens"];
    assert_eq!(tokens.shape().as_slice(), expected.shape);
    let actual: Vec<f32> = tokens.try_into_vec().expect("f32");
    assert_close("tokens", &actual, &expected.values, 1e-5);
}

#[test]
fn schedules() {
    let schedules = json("schedules.json");
    for name in ["dinov2_cosine", "teacher_temp", "momentum", "warmup_cosine"] {
        let args = &schedules[name]["args"];
        let number = |key: &str| args[key].as_f64().unwrap_or(0.0);
        let count = |key: &str| args[key].as_u64().unwrap_or(0);
        for (step, expected) in schedules[name]["values"].as_object().expect("values") {
            let step: u64 = step.parse().expect("a step");
            let actual = match name {
                "warmup_cosine" => {
                    let rates = (number("base"), number("eta_min"));
                    cosine_with_warmup(step, rates, count("T_warmup"), count("T_max"))
                }
                _ => {
                    let values = (
                        number("start_warmup_value"),
                        number("base_value"),
                        number("final_value"),
                    );
                    dino_cosine(step, values, count("warmup_iters"), count("total_iters"))
                }
            };
            let expected = expected.as_f64().expect("a number");
            assert!(
                (actual - expected).abs() < 1e-12,
                "{name} at {step}: {actual} against {expected}"
            );
        }
    }
}

#[test]
fn parameter_groups() {
    let depth = golden("astrodino_io.safetensors").size("depth");
    for group in json("param_groups.json").as_array().expect("groups") {
        let name = group["name"].as_str().expect("a name");
        let is_head = name.starts_with("mlp.") || name.starts_with("last_layer");
        let mut parts: Vec<&str> = name.split('.').collect();
        if parts[0] == "blocks" {
            parts.remove(1);
        }
        let prefix = if is_head { "dino_head" } else { "backbone" };
        let ours = format!("{prefix}.{}", parts.join("."));
        let (rate, decay) = parameter_rule(&ours, depth, 0.9, 0.2);
        let expected = |key: &str| group[key].as_f64().expect("a number");
        assert!(
            (rate - expected("lr_multiplier")).abs() < 1e-12,
            "{name}: {rate}"
        );
        assert_eq!(decay, expected("wd_multiplier"), "{name}");
        assert_eq!(
            ours.contains("last_layer"),
            group["is_last_layer"] == true,
            "{name}"
        );
    }
}
