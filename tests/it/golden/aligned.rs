use std::process::Command;

use astroclip::files::embeddings::EmbeddingFile;
use astroclip::network::encoder::{AlignedArchitecture, architecture};
use astroclip::network::model::{AstroClip, AstroClipConfig};
use astroclip::network::nn::{Initializer, Precision};
use astroclip::network::released::{AttentionHeads, ReleasedWeights};
use astroclip::network::weights::{ModelFile, TensorMap, assign, named_parameters};
use astroclip::survey::Modality;
use astroclip::training::objective::{AlignConfig, AlignObjective, AlignOptimizerConfig, Compute};
use astroclip::training::train::{AdamWConfig, Objective};
use astroclip::views::augment::centre_crop;
use astroclip::views::batch::{PairBatch, stack_images};
use burn::module::Module;
use burn::tensor::{Tensor, TensorData};
use ndarray::{Array2, Array4, s};
use tempfile::TempDir;

use super::reference::*;

fn released() -> (ModelFile, TensorMap, AlignedArchitecture) {
    let path = folder().join("astroclip.ckpt");
    let weights = ReleasedWeights::open(&path, AttentionHeads::default()).expect("weights");
    let header = weights.header.clone();
    let architecture = architecture(&header).expect("a header");
    (header, weights.read().expect("values"), architecture)
}

/// The images of `astroclip_io`, axes (x, y, band) as in the joint file, as the model sees them.
fn collated(io: &Golden, architecture: &AlignedArchitecture) -> TensorData {
    let images = &io.tensors["images"];
    let &[count, width, height, bands] = images.shape.as_slice() else {
        panic!("images of shape {:?}", images.shape);
    };
    let images = Array4::from_shape_vec((count, width, height, bands), images.values.clone());
    let images = images
        .expect("a value per pixel")
        .permuted_axes([0, 3, 2, 1]);
    let views: Vec<_> = images
        .outer_iter()
        .map(|image| {
            let mut view = centre_crop(image, architecture.model.image.image_size).to_owned();
            architecture.pixels.apply(&mut view);
            view
        })
        .collect();
    stack_images(&views)
}

/// The spectra of `astroclip_io` as tokens.
fn tokens(io: &Golden, architecture: &AlignedArchitecture) -> TensorData {
    let spectra = &io.tensors["spectrum"];
    let shape = (spectra.shape[0], spectra.shape[1]);
    let spectra = Array2::from_shape_vec(shape, spectra.values.clone()).expect("one flux a pixel");
    architecture.tokens.tokenize(spectra.view())
}

#[test]
fn embeddings_of_raw_images_and_spectra() {
    let io = golden("astroclip_io.safetensors");
    let (_, tensors, architecture) = released();
    let device = device();
    let model = AstroClip::new(&architecture.model, &mut Initializer::new(0, &device));
    let model = assign(model, tensors).expect("the golden weights fit");

    let images = collated(&io, &architecture);
    let expected = &io.tensors["collated"].values;
    assert_close("collated", images.as_slice().expect("f32"), expected, 1e-4);
    let image = model.image_tokens(Tensor::from_data(images, &device), None);
    let embedding = values(model.image_embeddings(image, None, None));
    let expected = &io.tensors["image_embedding"].values;
    assert_close("image_embedding", &embedding, expected, 1e-4);

    let tokens = tokens(&io, &architecture);
    let tokens = model.spectrum.forward(Tensor::from_data(tokens, &device));
    let embedding = values(model.spectrum_embeddings(tokens, None, None));
    let expected = &io.tensors["spectrum_embedding"].values;
    assert_close("spectrum_embedding", &embedding, expected, 1e-4);
}

/// From the released checkpoint and a file in the layout of the released data to an embedding file, by
/// the commands that a user types.
#[test]
fn embeddings_by_the_commands() {
    let io = golden("astroclip_io.safetensors");
    let workspace = TempDir::new().expect("a temporary folder");
    let path = |name: &str| workspace.path().join(name).display().to_string();
    let from = |name: &str| folder().join(name).display().to_string();
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_astroclip"));
        let output = command
            .args(arguments)
            .output()
            .expect("the program starts");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
    };
    let (checkpoint, survey) = (from("astroclip.ckpt"), from("astroclip_desi_tiny.h5"));
    let (model, out) = (path("model.safetensors"), path("emb.h5"));
    run(&["import", &checkpoint, "--out", &model]);
    run(&[
        "embed",
        "--device",
        "cpu",
        "--raw",
        "--weights",
        &model,
        "--data",
        &survey,
        "--out",
        &out,
    ]);

    let file = EmbeddingFile::open(out.as_ref()).expect("embeddings");
    let survey = hdf5::File::open(survey).expect("the survey");
    let galaxies = io.tensors["images"].shape[0];
    for (modality, expected) in [
        (Modality::Image, "image_embedding"),
        (Modality::Spectrum, "spectrum_embedding"),
    ] {
        let actual = file.embeddings(modality).expect("embeddings");
        let expected = &io.tensors[expected];
        let width = expected.shape[1];
        // Group i holds galaxy i mod B; the groups before it say where its rows begin.
        let mut row = 0;
        for group in 0..2 * galaxies {
            let dataset = survey
                .dataset(&format!("{group}/targetids"))
                .expect("a group");
            let galaxy = group % galaxies;
            let expected = &expected.values[galaxy * width..(galaxy + 1) * width];
            let actual = actual.slice(s![row, ..]).to_vec();
            assert_close(
                &format!("{modality} of group {group}"),
                &actual,
                expected,
                1e-4,
            );
            row += dataset.size();
        }
    }
}

#[test]
fn three_info_nce_steps_with_frozen_encoders() {
    take_info_nce_steps(Precision::F32);
}

#[test]
fn three_info_nce_steps_in_bf16() {
    take_info_nce_steps(Precision::Bf16);
}

fn take_info_nce_steps(precision: Precision) {
    let io = golden("astroclip_io.safetensors");
    let last = golden("astroclip_steps.safetensors");
    let steps = json("astroclip_steps.json");
    let number = |key: &str| steps[key].as_f64().expect("a number");
    let beta = |index: usize| steps["betas"][index].as_f64().expect("a number");
    let (header, tensors, architecture) = released();
    let mut without_dropout: AstroClipConfig = architecture.model.clone();
    without_dropout.image_head.dropout = 0.0;
    without_dropout.spectrum_head.dropout = 0.0;
    let device = device().autodiff();
    let model = AstroClip::new(&without_dropout, &mut Initializer::new(0, &device));
    let model = assign(model, tensors.clone()).expect("the golden weights fit");
    let config = AlignConfig {
        optimizer: AlignOptimizerConfig {
            lr: number("lr"),
            min_lr: number("lr"),
            backbone_lr_factor: 0.0,
            warmup_steps: 0,
            weight_decay: number("weight_decay"),
            clip_norm: number("clip"),
            adamw: AdamWConfig {
                beta1: beta(0),
                beta2: beta(1),
                ..AdamWConfig::default()
            },
        },
        logit_scale: number("logit_scale"),
        teacher_weight: 1.0,
        steps: 3,
        seed: 0,
    };
    let mut objective =
        AlignObjective::new(model, config, Compute::on(&device).in_precision(precision));
    for (step, expected) in steps["steps"].as_array().expect("steps").iter().enumerate() {
        let batch = PairBatch::new(collated(&io, &architecture), tokens(&io, &architecture));
        let report = objective.step(step as u64, batch).expect("a step").read();
        assert_near(
            "loss",
            report.terms[0].1,
            &expected["loss"],
            allowed(precision, 1e-5),
        );
        // The same steps in float64 differ from these norms by 3.0e-6, 1.9e-5 and 1.8e-5: with two pairs
        // the gradient is a small difference of large numbers, in the reference as here.
        let tolerance = match precision {
            Precision::F32 => allowed(precision, 3e-5),
            Precision::Bf16 => 0.1,
        };
        let norm = report.grad_norm;
        assert_near("gradient norm", norm, &expected["grad_norm"], tolerance);
    }

    if precision != Precision::F32 {
        return;
    }
    // Through the exported checkpoint, whose names are those of the reference.
    let trained = named_parameters(&objective.model().valid());
    let workspace = TempDir::new().expect("a temporary folder");
    let path = |name: &str| workspace.path().join(name);
    header
        .write(&path("model"), &trained)
        .expect("a disk with space");
    let format = astroclip::network::released::ExportFormat::Safetensors;
    astroclip::network::released::export(&path("model"), &path("exported"), format)
        .expect("an export");
    let exported = golden_at(&path("exported")).tensors;
    assert_weights(&exported, &under(&last.tensors, "final."), "in_proj_bias");
    // Frozen encoders have not moved.
    for (name, before) in &tensors {
        if name.starts_with("image.") || name.starts_with("spectrum.") {
            assert_eq!(trained[name], *before, "{name}");
        }
    }
}
