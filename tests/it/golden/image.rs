use astroclip::network::encoder::{ImageArchitecture, architecture};
use astroclip::network::loss::sinkhorn_knopp;
use astroclip::network::model::{Vit, VitConfig, VitInput};
use astroclip::network::nn::{Initializer, Precision, PrototypeHeadConfig};
use astroclip::network::released::{AttentionHeads, ReleasedWeights};
use astroclip::network::weights::{TensorMap, assign};
use astroclip::training::objective::{
    Compute, DinoConfig, DinoLossConfig, DinoObjective, DinoOptimizerConfig, Schedule,
    TeacherConfig, parameter_rule,
};
use astroclip::training::train::{AdamWConfig, Objective};
use astroclip::views::batch::CropBatch;
use burn::tensor::{Bool, Tensor, TensorData};

use super::reference::*;

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
fn image_transformer_forward() {
    let io = golden("astrodino_io.safetensors");
    let device = device();
    let heads = AttentionHeads {
        image: Some(io.size("heads")),
        ..AttentionHeads::default()
    };
    let path = folder().join("astrodino.pth");
    let weights = ReleasedWeights::open(&path, heads).expect("released weights");
    let ImageArchitecture { model, .. } = architecture(&weights.header).expect("a header");
    let vit = Vit::new(&model, &mut Initializer::new(0, &device));
    let vit = assign(vit, weights.read().expect("values")).expect("the golden weights fit");
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
fn three_dinov2_steps() {
    take_dinov2_steps(Precision::F32);
}

#[test]
fn three_dinov2_steps_in_bf16() {
    take_dinov2_steps(Precision::Bf16);
}

/// Takes the steps of the reference; the weights after them are compared in `f32` alone, because AdamW's first
/// steps go by the signs of gradients.
fn take_dinov2_steps(precision: Precision) {
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
            frozen_blocks: 0,
            clip_norm: number("clip_grad"),
            adamw: AdamWConfig::default(),
        },
        steps: 3,
        seed: 0,
    };
    let samples = io.size("B");
    let mut objective = DinoObjective::new(
        config,
        Compute::on(&device().autodiff()).in_precision(precision),
    );
    objective
        .set_networks(
            network(&init.tensors, "student."),
            network(&init.tensors, "teacher."),
        )
        .expect("the golden weights fit");
    let masks = &io.tensors["masks"];
    let batch = CropBatch::new(
        samples,
        io.data("global"),
        io.data("local"),
        masks
            .values
            .chunks(masks.shape[1])
            .map(|crop| crop.iter().map(|&hidden| hidden > 0.0).collect())
            .collect(),
    );
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
            .step_with(step as u64, batch.clone(), schedule)
            .read();
        for (name, actual) in &report.terms {
            assert_near(name, *actual, &expected[name], allowed(precision, 1e-5));
        }
        for (part, norm) in &report.part_norms {
            let expected = match *part {
                "backbone" => &expected["grad_norm_backbone"],
                _ => &expected["grad_norm_head"],
            };
            assert_near(part, *norm, expected, allowed(precision, 1e-5));
        }
        if precision != Precision::F32 {
            continue;
        }
        // The released code moves its centres when they are used next, so that the reference's are those
        // before the last step.
        if step + 2 == steps["steps"].as_array().map_or(0, Vec::len) {
            let mut centers = objective.checkpoint(0).take("center");
            for (ours, theirs) in [("class", "dino_center"), ("patch", "ibot_center")] {
                let center = centers.remove(ours).expect("a centre").values;
                assert_close(theirs, &center, &last.tensors[theirs].values, 1e-4);
            }
        }
    }
    if precision != Precision::F32 {
        return;
    }
    let (student, teacher) = objective.networks();
    for (prefix, ours) in [("student.", student), ("teacher.", teacher)] {
        assert_weights(&ours, &network(&last.tensors, prefix), "qkv.bias");
    }
}

#[test]
fn sinkhorn_knopp_of_the_teachers_scores() {
    let last = golden("dinov2_step_final.safetensors");
    let scores = Tensor::from_data(last.data("teacher_cls_logits"), &device());
    let plan = values(sinkhorn_knopp(scores, 0.04, 3));
    assert_close(
        "assignment",
        &plan,
        &last.tensors["sinkhorn_teacher_cls"].values,
        1e-5,
    );
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
