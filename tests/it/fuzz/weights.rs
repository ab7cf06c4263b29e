//! Files of weights: pickles, the archives around them, headers of safetensors, architectures.
//!
//! Checksums are put right again where they would end every attempt at the door; beside these targets others keep them.

use std::fs;
use std::io::{Cursor, Read, Write};
use std::path::{Path, PathBuf};

use astroclip::network::encoder::Encoder;
use astroclip::network::released::{AttentionHeads, ExportFormat, ReleasedWeights, export};
use astroclip::network::weights::{ModelFile, NamedTensor, TensorFile, TensorMap, write_tensors};
use burn::tensor::Device;
use serde_json::json;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::{check, fuzz, written};

const RELEASED: [&str; 3] = ["astrodino.pth", "specformer.ckpt", "astroclip.ckpt"];

fn golden(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    fs::read(folder.join(name)).expect("a golden file")
}

/// Beside a file that a target reads: where its reader's own input is put.
fn beside(path: &Path, name: &str) -> PathBuf {
    path.with_file_name(name)
}

/// What import and inspect do.
fn import(path: &Path) {
    let open = || check(ReleasedWeights::open(path, AttentionHeads::default()));
    if let Some(weights) = open() {
        check(weights.read());
    }
    if let Some(weights) = open() {
        check(weights.not_finite());
    }
}

/// What embed, inspect and export do.
fn model(path: &Path) {
    if let Some(mut file) = check(TensorFile::open(path)) {
        check(file.header::<ModelFile>());
        for name in file.names() {
            check(file.read(&name));
        }
    }
    check(Encoder::load(path, &Device::flex()));
    check(export(
        path,
        &beside(path, "exported"),
        ExportFormat::Released,
    ));
}

/// The pickles of the released models, in archives whose checksums are right.
#[test]
fn pickles() {
    let unpacked = RELEASED.map(|name| {
        let mut archive = ZipArchive::new(Cursor::new(golden(name))).expect("an archive");
        let entries: Vec<(String, Vec<u8>)> = (0..archive.len())
            .map(|index| {
                let mut entry = archive.by_index(index).expect("an entry");
                let mut bytes = Vec::new();
                entry.read_to_end(&mut bytes).expect("its bytes");
                (entry.name().expect("a name").into_owned(), bytes)
            })
            .collect();
        entries
    });
    let pickle = |entries: &Vec<(String, Vec<u8>)>| {
        let entry = entries.iter().find(|(name, _)| name.ends_with("data.pkl"));
        entry.expect("a pickle").1.clone()
    };
    fuzz("data.pkl", &unpacked.each_ref().map(pickle), |path| {
        let bytes = fs::read(path).expect("an input");
        // Storages of the model whose pickle is most like it do for any.
        let entries = unpacked.iter().min_by_key(|entries| {
            let sound = pickle(entries).len();
            sound.abs_diff(bytes.len())
        });
        let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, values) in entries.expect("three models") {
            archive.start_file(name.as_str(), stored).expect("an entry");
            let content = match name.ends_with("data.pkl") {
                true => &bytes,
                false => values,
            };
            archive.write_all(content).expect("its bytes");
        }
        let archive = archive.finish().expect("an archive").into_inner();
        let file = beside(path, "weights.ckpt");
        fs::write(&file, archive).expect("a file");
        import(&file);
    });
}

/// Archives as they are, with checksums that damage to an entry breaks, and of entries that are compressed.
#[test]
fn archives() {
    let mut seeds = RELEASED[..2]
        .iter()
        .map(|name| golden(name))
        .collect::<Vec<_>>();
    seeds.push(written(|path| {
        let mut archive = ZipWriter::new(fs::File::create(path).expect("a file"));
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        for (name, bytes) in [
            ("a/data.pkl", &b"\x80\x02}q\x00."[..]),
            ("a/data/0", &[0; 64]),
        ] {
            archive.start_file(name, options).expect("an entry");
            archive.write_all(bytes).expect("its bytes");
        }
        archive.finish().expect("an archive");
    }));
    fuzz("archive.pth", &seeds, import);
}

/// A model file of a small transformer.
fn small_model() -> (ModelFile, TensorMap) {
    let model = json!({
        "image_size": 4, "patch_size": 2, "channels": 3, "width": 4, "depth": 1, "heads": 2,
        "mlp_ratio": 1.0, "layer_scale": 0.1, "drop_path": 0.0,
    });
    let pixels = json!({
        "pixel_values": "zscore", "mean": [0.0, 0.0, 0.0], "std": [1.0, 1.0, 1.0],
        "rgb": { "scales": [1.0, 1.0, 1.0], "m": 0.03, "q": 20.0 },
    });
    let header = json!({
        "kind": "image-encoder", "architecture": { "model": model, "pixels": pixels },
        "step": 3, "version": "0.1.0", "config": null,
    });
    let shapes: &[(&str, &[usize])] = &[
        ("blocks.0.attn.proj.bias", &[4]),
        ("blocks.0.attn.proj.weight", &[4, 4]),
        ("blocks.0.attn.qkv.bias", &[12]),
        ("blocks.0.attn.qkv.weight", &[12, 4]),
        ("blocks.0.ls1.gamma", &[4]),
        ("blocks.0.ls2.gamma", &[4]),
        ("blocks.0.mlp.fc1.bias", &[4]),
        ("blocks.0.mlp.fc1.weight", &[4, 4]),
        ("blocks.0.mlp.fc2.bias", &[4]),
        ("blocks.0.mlp.fc2.weight", &[4, 4]),
        ("blocks.0.norm1.bias", &[4]),
        ("blocks.0.norm1.weight", &[4]),
        ("blocks.0.norm2.bias", &[4]),
        ("blocks.0.norm2.weight", &[4]),
        ("cls_token", &[1, 1, 4]),
        ("mask_token", &[1, 4]),
        ("norm.bias", &[4]),
        ("norm.weight", &[4]),
        ("patch_embed.bias", &[4]),
        ("patch_embed.weight", &[4, 12]),
        ("pos_embed", &[1, 5, 4]),
    ];
    let tensors = shapes.iter().map(|(name, shape)| {
        let count = shape.iter().product();
        let tensor = NamedTensor {
            shape: shape.to_vec(),
            values: vec![0.25; count],
        };
        ((*name).to_owned(), tensor)
    });
    let header = serde_json::from_value(header).expect("a header");
    (header, tensors.collect())
}

/// Model files with the checksums that damage breaks, and such as they were before there were any.
#[test]
fn model_files() {
    let (header, tensors) = small_model();
    let sound = written(|path| header.write(path, &tensors).expect("a disk with space"));
    Encoder::load(&file_of(&sound), &Device::flex()).expect("a sound model");
    fuzz("model.safetensors", &[unsummed(&sound), sound], model);
}

/// Our header in files that are sound else: architectures and all beside them.
#[test]
fn headers_of_models() {
    let (header, tensors) = small_model();
    let seed = serde_json::to_vec(&header).expect("plain JSON");
    fuzz("header.json", &[seed], |path| {
        let bytes = fs::read(path).expect("an input");
        let Ok(header) = serde_json::from_slice::<serde_json::Value>(&bytes) else {
            return;
        };
        let file = beside(path, "model.safetensors");
        write_tensors(&file, &tensors, &header).expect("a disk with space");
        model(&file);
    });
}

/// The bytes of a file, in a file again.
fn file_of(bytes: &[u8]) -> tempfile::TempPath {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(bytes).expect("a disk with space");
    file.into_temp_path()
}

/// A safetensors file without its checksums.
fn unsummed(bytes: &[u8]) -> Vec<u8> {
    let length = u64::from_le_bytes(bytes[..8].try_into().expect("8 bytes")) as usize;
    let (text, values) = bytes[8..].split_at(length);
    let mut header: serde_json::Value = serde_json::from_slice(text).expect("JSON");
    let metadata = header["__metadata__"].as_object_mut().expect("entries");
    metadata.retain(|key, _| key == "astroclip");
    let text = serde_json::to_vec(&header).expect("plain JSON");
    [&(text.len() as u64).to_le_bytes()[..], &text, values].concat()
}
