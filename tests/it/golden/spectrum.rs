use astroclip::network::encoder::{SpectrumArchitecture, architecture};
use astroclip::network::model::SpecFormer;
use astroclip::network::nn::{Initializer, Precision};
use astroclip::network::released::{AttentionHeads, ReleasedWeights};
use astroclip::network::weights::{assign, named_parameters};
use astroclip::training::objective::{
    Compute, MaskedModellingConfig, MaskedModellingObjective, SpectrumOptimizerConfig,
};
use astroclip::training::train::{AdamWConfig, Objective};
use astroclip::views::batch::{MaskedTokens, SpectrumTokenizer};
use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use ndarray::Array2;

use super::reference::*;

/// The released spectrum transformer on `device`.
fn specformer(device: &Device) -> SpecFormer {
    let path = folder().join("specformer.ckpt");
    let weights = ReleasedWeights::open(&path, AttentionHeads::default()).expect("weights");
    let SpectrumArchitecture { model, .. } = architecture(&weights.header).expect("a header");
    let model = SpecFormer::new(&model, &mut Initializer::new(0, device));
    assign(model, weights.read().expect("values")).expect("the golden weights fit")
}

#[test]
fn spectrum_transformer_forward() {
    let io = golden("specformer_io.safetensors");
    let device = device();
    let model = specformer(&device);
    let tokens = Tensor::from_data(io.data("tokens"), &device);
    let embedding = values(model.forward(tokens.clone()));
    assert_close(
        "embedding",
        &embedding,
        &io.tensors["embedding"].values,
        1e-4,
    );
    let reconstructed = values(model.reconstruct(tokens));
    let expected = &io.tensors["reconstructions"].values;
    assert_close("reconstructions", &reconstructed, expected, 1e-4);
}

#[test]
fn three_masked_modelling_steps() {
    take_masked_modelling_steps(Precision::F32);
}

#[test]
fn three_masked_modelling_steps_in_bf16() {
    take_masked_modelling_steps(Precision::Bf16);
}

fn take_masked_modelling_steps(precision: Precision) {
    let io = golden("specformer_io.safetensors");
    let last = golden("specformer_steps.safetensors");
    let steps = json("specformer_steps.json");
    let number = |key: &str| steps[key].as_f64().expect("a number");
    let beta = |index: usize| steps["betas"][index].as_f64().expect("a number");
    let config = MaskedModellingConfig {
        optimizer: SpectrumOptimizerConfig {
            lr: number("lr"),
            min_lr: number("lr"),
            warmup_steps: 0,
            weight_decay: number("weight_decay"),
            clip_norm: number("clip"),
            adamw: AdamWConfig {
                beta1: beta(0),
                beta2: beta(1),
                ..AdamWConfig::default()
            },
        },
        steps: 3,
    };
    let device = device().autodiff();
    let mut objective = MaskedModellingObjective::new(
        specformer(&device),
        config,
        Compute::on(&device).in_precision(precision),
    );
    let target = &io.tensors["tokens"];
    for (step, expected) in steps["steps"].as_array().expect("steps").iter().enumerate() {
        let visible = &last.tensors[&format!("masked_tokens_{step}")];
        let hidden = target.values.iter().zip(&visible.values);
        let hidden = hidden
            .map(|(a, b)| f32::from(u8::from(a != b)))
            .collect::<Vec<_>>();
        let batch = MaskedTokens {
            target: io.data("tokens"),
            mask: TensorData::new(hidden, target.shape.clone()),
        };
        let report = objective.step(step as u64, batch).expect("a step").read();
        assert_near(
            "loss",
            report.terms[0].1,
            &expected["loss"],
            allowed(precision, 1e-5),
        );
        assert_near(
            "gradient norm",
            report.grad_norm,
            &expected["grad_norm"],
            allowed(precision, 1e-5),
        );
    }
    if precision != Precision::F32 {
        return;
    }
    let expected = under(&last.tensors, "final.");
    let renamed = expected
        .into_iter()
        .map(|(name, tensor)| (ours(&name), tensor));
    let weights = named_parameters(&objective.model().valid());
    assert_weights(&weights, &renamed.collect(), "qkv.bias");
}

/// Our name of a released tensor.
fn ours(name: &str) -> String {
    [
        ("position_embed.weight", "position_embed"),
        ("layernorm1", "norm1"),
        ("layernorm2", "norm2"),
        ("attention.attention", "attn.qkv"),
        ("attention.projection", "attn.proj"),
        ("mlp.encoder", "mlp.fc1"),
        ("mlp.decoder", "mlp.fc2"),
    ]
    .iter()
    .fold(name.to_owned(), |name, (released, ours)| {
        name.replace(released, ours)
    })
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
