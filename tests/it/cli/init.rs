//! Image pretraining that begins with weights that exist.

use std::fs;
use std::path::Path;

use astroclip::network::released::{AttentionHeads, ReleasedWeights};
use astroclip::network::weights::{TensorFile, TensorMap};
use serde_json::Value;

use crate::support::Workspace;

/// The transformer of `dinov2_public.pth`, whose depth is not that of the tiny run.
const TWO_BLOCKS: [&str; 2] = ["--set", "model.depth=2"];

fn tensors(path: &Path) -> TensorMap {
    TensorFile::open(path)
        .and_then(|mut file| file.read_all())
        .expect("tensors")
}

#[test]
fn a_run_begins_with_a_public_model_and_goes_on_without_it() {
    let workspace = Workspace::new();
    let survey = workspace.simulate(24);
    let (file, away) = (workspace.path("dinov2.pth"), workspace.path("away.pth"));
    let public = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/golden/dinov2_public.pth"
    );
    fs::copy(public, &file).expect("a public model");
    let init = ["--init", "dinov2.pth"];
    let train = |more: &[&[&str]]| workspace.train("image", &survey, &more.concat());

    // The message says what fits, and nothing is left of the run.
    train(&[&init]).fails_with(
        2,
        &["dinov2.pth", "depth 2", "depth 1", "--set model.depth=2"],
    );
    assert!(!workspace.path("runs/image").exists());

    let begun = train(&[&TWO_BLOCKS, &init, &["--stop-after", "2"]]).succeeds();
    for part in [
        "begin with the transformer of dinov2.pth",
        "ImageNet's mean",
        "4 x 4 pixels are resized to 12 x 12",
        "5 x 5 patches is resized to 4 x 4",
    ] {
        assert!(begun.stderr.contains(part), "`{part}`: {}", begun.stderr);
    }
    let recorded = || -> Value {
        let text = fs::read_to_string(workspace.path("runs/image/inputs.json")).expect("a record");
        let record: Value = serde_json::from_str(&text).expect("JSON");
        record["models"].clone()
    };
    let models = recorded();
    let path = models[0]["path"].as_str().expect("the file");
    assert!(path.ends_with("dinov2.pth"), "{models}");
    assert_eq!(models[0]["sample_sha256"].as_str().map(str::len), Some(64));

    // A checkpoint has all that is needed.
    fs::rename(&file, &away).expect("a file");
    let resumed = train(&[&TWO_BLOCKS, &["--resume", "--stop-after", "3"]]).succeeds();
    assert!(!resumed.stderr.contains("begin with"), "{}", resumed.stderr);
    assert_eq!(recorded(), models);
    let other = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/astrodino.pth");
    train(&[&TWO_BLOCKS, &["--resume", "--init", other]])
        .fails_with(2, &["other weights", "dinov2.pth", "--init"]);

    // Without one the run begins again, as it began.
    fs::remove_dir_all(workspace.path("runs/image/checkpoints")).expect("no checkpoints");
    train(&[&TWO_BLOCKS, &["--resume"]]).fails_with(2, &["dinov2.pth", "--init"]);
    fs::rename(&away, &file).expect("a file");
    train(&[&TWO_BLOCKS, &["--resume"]]).succeeds();
    train(&[&TWO_BLOCKS, &init, &["--out", "runs/whole"]]).succeeds();
    let resumed = tensors(&workspace.path("runs/image/model.safetensors"));
    assert_eq!(
        resumed,
        tensors(&workspace.path("runs/whole/model.safetensors"))
    );

    // A step that is taken again from the start of a run begins with the same.
    let beyond = [
        "--set",
        "images.pixels.pixel_values=zscore",
        "--set",
        "images.pixels.std=[1e-38, 1e-38, 1e-38]",
    ];
    let stopped = train(&[&TWO_BLOCKS, &init, &beyond, &["--out", "runs/beyond"]]);
    assert_eq!(stopped.code, Some(1), "{}", stopped.stderr);
    let replayed = workspace.run(&["replay", "runs/beyond"]).succeeds().stderr;
    assert!(
        replayed.contains("begin with the transformer of dinov2.pth"),
        "{replayed}"
    );

    // What a run made is what another may begin with.
    let own = ["--init", "runs/whole/model.safetensors"];
    let still = ["--set", "optimizer.lr=0", "--set", "optimizer.min_lr=0"];
    train(&[&TWO_BLOCKS, &own, &still, &["--out", "runs/again"]]).succeeds();
    let again = tensors(&workspace.path("runs/again/model.safetensors"));
    for (name, tensor) in &resumed {
        for (a, b) in tensor.values.iter().zip(&again[name].values) {
            assert!((a - b).abs() <= 1e-5 * a.abs(), "{name}: {a} {b}");
        }
    }
}

#[test]
fn frozen_blocks_stay_as_the_run_begins_with_them() {
    let workspace = Workspace::new();
    let survey = workspace.simulate(24);
    let public = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/golden/dinov2_public.pth"
    );
    let frozen = [
        &TWO_BLOCKS[..],
        &["--init", public, "--set", "optimizer.frozen_blocks=1"],
    ];
    workspace
        .train("image", &survey, &frozen.concat())
        .succeeds();
    let weights = ReleasedWeights::open(Path::new(public), AttentionHeads::default());
    let before = weights.and_then(ReleasedWeights::read).expect("weights");
    let checkpoint = workspace.path("runs/image/checkpoints/step-00000004.safetensors");
    let after = tensors(&checkpoint);
    for (name, tensor) in before {
        // Those that are fitted to the run's patches and grid.
        if name.starts_with("patch_embed") || name == "pos_embed" {
            continue;
        }
        let stays = !name.starts_with("blocks.1") && !name.starts_with("norm");
        let student = &after[&format!("student/backbone.{name}")];
        assert_eq!(*student == tensor, stays, "{name}");
        let is_moved = after.contains_key(&format!("optimizer/first.backbone.{name}"));
        assert_eq!(is_moved, !stays, "{name}");
    }
}
