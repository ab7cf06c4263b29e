//! Files of weights as commands meet them: damaged, of no use, or no files at all.

use std::fs;
use std::process::Command;

use crate::support::{Workspace, astroclip};

/// A model file of another program's making: a header and values, without checksums.
fn model(header: &serde_json::Value, tensors: &[(&str, &[usize], &[f32])]) -> Vec<u8> {
    let mut values = Vec::new();
    let mut entries = serde_json::Map::new();
    let ours = serde_json::json!({ "astroclip": header.to_string() });
    entries.insert("__metadata__".into(), ours);
    for (name, shape, tensor) in tensors {
        let start = values.len();
        values.extend(tensor.iter().flat_map(|value| value.to_le_bytes()));
        let entry = serde_json::json!({
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
    let header = serde_json::json!({
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
    let faults = serde_json::json!([{ "tensor": "norm.weight", "count": 2, "of": 3 }]);
    assert_eq!((&json["step"], &json["not_finite"]), (&7.into(), &faults));
    let out = workspace.path("out").display().to_string();
    astroclip(["export", &path, "--to", "released", "--out", &out]).fails_with(2, &[fault]);
    assert!(!workspace.path("out").exists());
}
