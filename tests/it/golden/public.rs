//! Image transformers of others that a run may begin with.

use std::path::Path;

use astroclip::base::error::Error;
use astroclip::network::encoder::{AlignedArchitecture, ImageArchitecture, architecture};
use astroclip::network::model::{Vit, VitConfig, VitInput};
use astroclip::network::nn::Initializer;
use astroclip::network::released::{AttentionHeads, ImageStart, ReleasedWeights, StartWeights};
use astroclip::network::weights::{ModelFile, NamedTensor, TensorMap, assign, write_safetensors};
use astroclip::views::augment::{PixelConfig, PixelValues};
use burn::tensor::{Tensor, TensorData};
use tempfile::TempDir;

use super::reference::*;

/// Of `dinov2_public.pth`, for images of `size` pixels.
fn model(size: usize) -> VitConfig {
    VitConfig {
        image_size: size,
        patch_size: 4,
        channels: 3,
        width: 16,
        depth: 2,
        heads: 2,
        mlp_ratio: 4.0,
        layer_scale: 1.0,
        drop_path: 0.0,
    }
}

fn begin(path: &Path, model: &VitConfig, pixels: &PixelConfig) -> Result<StartWeights, Error> {
    ImageStart::open(path)?.read(model, pixels)
}

fn imported(name: &str) -> (ModelFile, TensorMap) {
    let weights = ReleasedWeights::open(&folder().join(name), AttentionHeads::default());
    let weights = weights.expect("released weights");
    let header = weights.header.clone();
    (header, weights.read().expect("values"))
}

/// The tensors of `dinov2_public.pth` under their own names.
fn public() -> TensorMap {
    let (_, ours) = imported("dinov2_public.pth");
    let public = ours.into_iter().map(|(name, mut tensor)| {
        let name = name.replace("patch_embed.", "patch_embed.proj.");
        if name == "patch_embed.proj.weight" {
            tensor.shape = vec![16, 3, 4, 4];
        }
        (name, tensor)
    });
    public.collect()
}

/// The same as Hugging Face's `Dinov2Model` names and cuts them.
fn hugging_face() -> TensorMap {
    let mut theirs = TensorMap::new();
    for (name, tensor) in public() {
        let name = match name.split_once('.') {
            Some(("blocks", rest)) => format!("encoder.layer.{rest}"),
            Some(("norm", part)) => format!("layernorm.{part}"),
            _ => format!("embeddings.{name}"),
        };
        let name = name
            .replace("pos_embed", "position_embeddings")
            .replace("patch_embed.proj", "patch_embeddings.projection")
            .replace("attn.proj", "attention.output.dense")
            .replace("ls1.gamma", "layer_scale1.lambda1")
            .replace("ls2.gamma", "layer_scale2.lambda1");
        if !name.contains("attn.qkv") {
            theirs.insert(name, tensor);
            continue;
        }
        let parts = tensor.values.chunks(tensor.values.len() / 3);
        for (part, values) in ["query", "key", "value"].into_iter().zip(parts) {
            let mut shape = tensor.shape.clone();
            shape[0] /= 3;
            let name = name.replace("attn.qkv", &format!("attention.attention.{part}"));
            let values = values.to_vec();
            theirs.insert(name, NamedTensor { shape, values });
        }
    }
    theirs
}

#[test]
fn a_public_model_has_the_tokens_of_the_public_code() {
    let io = golden("dinov2_public_io.safetensors");
    let device = device();
    for size in [20, 12] {
        let path = folder().join("dinov2_public.pth");
        let StartWeights { tensors, notes } =
            begin(&path, &model(size), &PixelConfig::default()).expect("a public model");
        assert!(notes[0].contains("ImageNet"), "{notes:?}");
        let vit = Vit::new(&model(size), &mut Initializer::new(0, &device));
        let vit = assign(vit, tensors).expect("weights that fit");
        let pixels = (0..2 * 3 * size * size).map(|i| (7919 * i % 1000) as f32 / 1000.0);
        let pixels = TensorData::new(pixels.collect(), [2, 3, size, size]);
        let input = VitInput {
            images: Tensor::from_data(pixels, &device),
            masks: None,
        };
        let name = format!("tokens_{size}");
        let tokens = values(vit.forward(input, None));
        assert_close(&name, &tokens, &io.tensors[&name].values, 1e-5);
    }
}

#[test]
fn the_names_of_hugging_face_are_those_of_the_same_model() {
    let workspace = TempDir::new().expect("a folder");
    let path = workspace.path().join("model.safetensors");
    write_safetensors(&path, &hugging_face(), "format", "pt".into()).expect("a file");
    let zscore = PixelConfig {
        pixel_values: PixelValues::Zscore,
        ..PixelConfig::default()
    };
    let reference = folder().join("dinov2_public.pth");
    for pixels in [PixelConfig::default(), zscore] {
        let theirs = begin(&path, &model(20), &pixels).expect("their names");
        let expected = begin(&reference, &model(20), &pixels).expect("a public model");
        assert_eq!(theirs.tensors, expected.tensors);
        assert_eq!(theirs.notes, expected.notes);
    }
}

#[test]
fn a_model_that_fits_is_taken_as_it_is() {
    let workspace = TempDir::new().expect("a folder");
    let ours = workspace.path().join("ours.safetensors");
    for name in ["astrodino.pth", "astroclip.ckpt"] {
        let (header, tensors) = imported(name);
        header.write(&ours, &tensors).expect("a file");
        let (model, expected) = match architecture::<ImageArchitecture>(&header) {
            Ok(found) => (found.model, tensors),
            Err(_) => {
                let found: AlignedArchitecture = architecture(&header).expect("an aligned model");
                let image = tensors.into_iter().filter_map(|(name, tensor)| {
                    Some((name.strip_prefix("image.")?.to_owned(), tensor))
                });
                (found.model.image, image.collect())
            }
        };
        for path in [&folder().join(name), &ours] {
            let found = begin(path, &model, &PixelConfig::default()).expect(name);
            assert_eq!(found.tensors, expected, "{}", path.display());
            assert!(found.notes.is_empty(), "{:?}", found.notes);
        }
    }
}

#[test]
fn what_a_run_cannot_begin_with_is_said() {
    let workspace = TempDir::new().expect("a folder");
    let path = workspace.path().join("other.safetensors");
    let write = |tensors: &TensorMap| {
        write_safetensors(&path, tensors, "format", "pt".into()).expect("a file");
        begin(&path, &model(20), &PixelConfig::default())
    };
    let expected = write(&public()).expect("a public model").tensors;
    let tensor = |shape: &[usize]| NamedTensor {
        shape: shape.to_vec(),
        values: vec![0.5; shape.iter().product()],
    };

    let mut with_registers = public();
    with_registers.insert("register_tokens".into(), tensor(&[1, 4, 16]));
    let found = write(&with_registers).expect("registers are dropped");
    assert!(
        found.notes[0].contains("its 4 registers"),
        "{:?}",
        found.notes
    );
    assert_eq!(found.tensors, expected);
    let mut without_mask = public();
    without_mask.remove("mask_token");
    let found = write(&without_mask).expect("a mask token is not needed");
    assert_eq!(found.tensors["mask_token"].values, [0.0; 16]);

    let renamed = |from: &str, to: &str| -> TensorMap {
        let tensors = public().into_iter();
        tensors
            .map(|(name, tensor)| (name.replace(from, to), tensor))
            .collect()
    };
    let mut lacking = public();
    lacking.remove("blocks.1.ls2.gamma");
    lacking.insert("blocks.1.ls3.gamma".into(), tensor(&[16]));
    let mut grey = public();
    grey.insert("patch_embed.proj.weight".into(), tensor(&[16, 1, 4, 4]));
    let mut torn = hugging_face();
    torn.remove("encoder.layer.0.attention.attention.key.bias");
    for (tensors, parts) in [
        (
            renamed("pos_embed", "rope_embed.periods"),
            ["DINOv3", "RoPE"],
        ),
        (
            renamed("cls_token", "storage_tokens"),
            ["DINOv3", "dinov2_vits14"],
        ),
        (renamed("mlp.fc1", "mlp.w12"), ["SwiGLU", "ViT-g"]),
        (
            lacking,
            [
                "`backbone.blocks.1.ls2.gamma` [16] is missing",
                "ls3.gamma` is not expected",
            ],
        ),
        (grey, ["1 channels", "red, green and blue"]),
        (
            torn,
            ["backbone.blocks.0.attn.qkv.bias` has shape [32]", "[48]"],
        ),
    ] {
        let message = write(&tensors).expect_err(parts[0]).to_string();
        for part in parts.into_iter().chain(["other.safetensors"]) {
            assert!(message.contains(part), "`{part}` is not in: {message}");
        }
    }
    let spectra = begin(
        &folder().join("specformer.ckpt"),
        &model(20),
        &PixelConfig::default(),
    );
    let message = spectra.expect_err("no images").to_string();
    assert!(message.contains("no image transformer"), "{message}");
}
