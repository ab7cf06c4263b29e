//! Files of weights as commands meet them: damaged, of no use, or no files at all.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Workspace, astroclip};

/// A model file of another program's making: a header and values, without checksums.
fn model(header: &Value, tensors: &[(&str, &[usize], &[f32])]) -> Vec<u8> {
    let mut values = Vec::new();
    let mut entries = serde_json::Map::new();
    let ours = json!({ "astroclip": header.to_string() });
    entries.insert("__metadata__".into(), ours);
    for (name, shape, tensor) in tensors {
        let start = values.len();
        values.extend(tensor.iter().flat_map(|value| value.to_le_bytes()));
        let entry = json!({
            "dtype": "F32", "shape": shape, "data_offsets": [start, values.len()],
        });
        entries.insert((*name).into(), entry);
    }
    let header = serde_json::to_vec(&entries).expect("plain JSON");
    [&(header.len() as u64).to_le_bytes()[..], &header, &values].concat()
}

#[cfg(unix)]
#[test]
fn what_is_no_file_is_refused_and_not_waited_for() {
    let workspace = Workspace::new();
    let survey = workspace.simulate(10);
    let pipe = workspace.path("pipe").display().to_string();
    let made = Command::new("mkfifo").arg(&pipe).status();
    assert!(made.expect("mkfifo").success());
    let out = workspace.path("out").display().to_string();
    let encoders = ["--image-encoder", &pipe, "--spectrum-encoder", &pipe];
    for arguments in [
        &["inspect", &pipe][..],
        &["import", &pipe, "--out", &out],
        &["export", &pipe, "--to", "released", "--out", &out],
        &[
            "embed",
            "--weights",
            &pipe,
            "--data",
            &survey,
            "--out",
            &out,
        ],
        &[&["align", "--data", &survey, "--out", &out], &encoders[..]].concat(),
    ] {
        astroclip(arguments).fails_with(2, &["pipe: ", "is a pipe"]);
        assert!(!workspace.path("out").exists(), "{arguments:?}");
    }
    astroclip(["import", "/dev/null", "--out", &out])
        .fails_with(2, &["/dev/null: ", "is a device"]);
}

#[test]
fn weights_that_are_not_finite_are_described_and_not_taken() {
    let workspace = Workspace::new();
    let path = workspace.path("model.safetensors");
    let header = json!({
        "kind": "image-encoder", "architecture": {}, "step": 7, "version": "0.1.0", "config": null,
    });
    let tensors: &[(&str, &[usize], &[f32])] = &[
        ("norm.bias", &[2], &[0.0, 1.0]),
        ("norm.weight", &[3], &[0.0, f32::NAN, f32::INFINITY]),
    ];
    fs::write(&path, model(&header, tensors)).expect("a file");
    let path = path.display().to_string();
    let fault = "tensor `norm.weight`: 2 of 3 values are NaN or infinite";
    let shown = astroclip(["inspect", &path]).succeeds().stdout;
    assert!(
        shown.contains("of no use") && shown.contains(fault),
        "{shown}"
    );
    let json = astroclip(["inspect", &path, "--json"]).succeeds().json();
    let faults = json!([{ "tensor": "norm.weight", "count": 2, "of": 3 }]);
    assert_eq!((&json["step"], &json["not_finite"]), (&7.into(), &faults));
    let out = workspace.path("out").display().to_string();
    astroclip(["export", &path, "--to", "released", "--out", &out]).fails_with(2, &[fault]);
    assert!(!workspace.path("out").exists());
}

/// Every number of a model file's architecture at values that nobody means: the file is refused, and before its size is
/// taken at its word.
#[test]
fn architectures_of_strangers_are_refused_before_they_are_built() {
    use astroclip::network::encoder::Encoder;
    use astroclip::network::released::{ExportFormat, export};
    use burn::tensor::Device;

    fn numbers(value: &Value, path: &str, found: &mut Vec<String>) {
        match value {
            Value::Object(entries) => {
                for (key, value) in entries {
                    numbers(value, &format!("{path}/{key}"), found);
                }
            }
            Value::Array(values) => {
                for (index, value) in values.iter().enumerate() {
                    numbers(value, &format!("{path}/{index}"), found);
                }
            }
            Value::Number(_) => found.push(path.to_owned()),
            _ => {}
        }
    }

    let workspace = Workspace::new();
    let survey = workspace.simulate(20);
    workspace
        .train("image", &survey, &["--set", "train.steps=1"])
        .succeeds();
    let model = "runs/image/model.safetensors";
    let bytes = fs::read(workspace.path(model)).expect("a model");
    let start = 8 + u64::from_le_bytes(bytes[..8].try_into().expect("8 bytes")) as usize;
    let mut header: Value = serde_json::from_slice(&bytes[8..start]).expect("JSON");
    let text = header["__metadata__"]["astroclip"].take();
    let text = text.as_str().expect("our header");
    let inner: Value = serde_json::from_str(text).expect("JSON");

    let mut places = Vec::new();
    numbers(&inner["architecture"], "/architecture", &mut places);
    assert!(places.len() > 15, "{places:?}");
    let path = workspace.path("changed.safetensors");
    let out = workspace.path("out");
    let mut refused = 0;
    for place in &places {
        for value in [
            json!(0),
            json!(-1),
            json!(65535),
            json!(65536),
            json!(1_u64 << 63),
            json!(0.01),
            json!(1e308),
        ] {
            let mut inner = inner.clone();
            *inner.pointer_mut(place).expect("a number") = value.clone();
            header["__metadata__"] = json!({ "astroclip": inner.to_string() });
            let text = serde_json::to_vec(&header).expect("plain JSON");
            let file = [
                &(text.len() as u64).to_le_bytes()[..],
                &text,
                &bytes[start..],
            ]
            .concat();
            fs::write(&path, file).expect("a disk with space");
            let loaded = Encoder::load(&path, &Device::flex()).map(|_| ());
            let exported = export(&path, &out, ExportFormat::Released).map(|_| ());
            for result in [loaded, exported] {
                if let Err(error) = result {
                    assert!(error.is_input(), "{place} = {value}: {error}");
                    refused += 1;
                }
            }
        }
    }
    assert!(refused > 7 * places.len(), "{refused}");
}

/// What can never fit is refused by name before the run folder is made.
#[test]
fn runs_beyond_all_memory_are_refused_with_an_estimate() {
    let workspace = Workspace::new();
    let survey = workspace.simulate(20);
    for (stage, setting, named) in [
        (
            "pretrain-image",
            "train.batch_size=16777216",
            "`train.batch_size` is 16777216; ",
        ),
        (
            "pretrain-image",
            "head.hidden=1000000",
            "`model` and its heads",
        ),
        (
            "pretrain-spectrum",
            "model.depth=65536",
            "`model` and its heads",
        ),
        (
            "pretrain-spectrum",
            "train.batch_size=16777216",
            "`train.batch_size` is 16777216; ",
        ),
    ] {
        let run = workspace.path("run").display().to_string();
        astroclip([stage, "--data", &survey, "--out", &run, "--set", setting])
            .fails_with(2, &[named, "at least", "of memory"]);
        assert!(!workspace.path("run").exists(), "{setting}");
    }
}
