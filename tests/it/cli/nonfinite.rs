//! Runs that meet numbers that are not finite: they stop, go on as they are told to, and say which galaxy did it.

use std::fs;

use astroclip::files::data::{self, ReadOptions};
use astroclip::survey::Survey;
use ndarray::{Array4, Axis};
use serde_json::Value;

use crate::support::{Workspace, astroclip, writable};

/// Pixel values that bring a galaxy of 1e9 nanomaggies beyond `f32`, and no other; every training galaxy is met.
const STRETCHED: [&str; 10] = [
    "--set",
    "images.pixels.pixel_values=zscore",
    "--set",
    "images.pixels.std=[1e-30, 1e-30, 1e-30]",
    "--set",
    "train.steps=8",
    "--set",
    "train.checkpoint_every=1",
    "--set",
    "train.log_every=3",
];

/// Fills the image of a training galaxy with one flux; returns its identifier.
fn fill_one_image(survey: &str, flux: f32) -> String {
    let galaxies = data::open(
        &[survey.into()],
        &Survey::default(),
        &ReadOptions::default(),
    )
    .expect("a survey");
    let row = galaxies
        .train_rows()
        .iter()
        .next()
        .expect("a training galaxy");
    let id = galaxies.labels(row..row + 1).expect("labels").object_id[0];
    drop(galaxies);
    let file = writable(survey);
    let mut first = 0;
    for group in 0.. {
        let images = file.dataset(&format!("{group}/images")).expect("images");
        let rows = images.shape()[0];
        if row < first + rows {
            let mut values: Array4<f32> = images.read().expect("pixels");
            values.index_axis_mut(Axis(0), row - first).fill(flux);
            images.write(&values).expect("pixels");
            break;
        }
        first += rows;
    }
    id.to_string()
}

fn lines(workspace: &Workspace, run: &str) -> Vec<Value> {
    let text = fs::read_to_string(workspace.path(run).join("metrics.jsonl")).expect("metrics");
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).expect("a record"))
        .collect()
}

#[test]
fn a_run_that_stops_goes_on_by_its_own_advice_and_replay_names_the_galaxy() {
    let workspace = Workspace::new();
    let survey = workspace.simulate(24);
    let guilty = fill_one_image(&survey, 1e9);
    let stopped = workspace.train("image", &survey, &STRETCHED);
    assert_eq!(stopped.code, Some(1), "{}", stopped.stderr);
    let said = &stopped.stderr;
    for part in ["is NaN", guilty.as_str(), "`astroclip replay "] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(!workspace.path("runs/image/model.safetensors").exists());

    // Again by resuming: the batches are the same.
    let again = workspace.train("image", &survey, &[&STRETCHED[..], &["--resume"]].concat());
    assert_eq!(again.code, Some(1), "{}", again.stderr);

    let replayed = workspace
        .run(&["replay", "runs/image", "--json"])
        .succeeds()
        .json();
    assert_eq!(replayed["guilty"]["object_id"], guilty, "{replayed}");
    assert_eq!(replayed["galaxies"][0]["object_id"], guilty);
    assert_eq!(replayed["turn"]["in"], "layer", "{replayed}");
    assert_eq!(
        replayed["turn"]["galaxies"].as_array().map(Vec::len),
        Some(1)
    );
    let shown = workspace.run(&["replay", "runs/image"]).succeeds().stdout;
    assert!(
        shown.contains(&format!("galaxy {guilty} did it")),
        "{shown}"
    );

    // What the message says can be typed.
    let typed = said
        .split('`')
        .find(|text| text.contains("on_nonfinite=skip"));
    let typed = typed.expect("a command");
    let words: Vec<&str> = typed.split(' ').skip(1).collect();
    let resumed = workspace
        .run(&[&words[..], &["--device", "cpu"]].concat())
        .succeeds();
    assert!(
        resumed.stderr.contains("its update is skipped"),
        "{}",
        resumed.stderr
    );
    let whole = [
        &STRETCHED[..],
        &["--set", "train.on_nonfinite=skip", "--out", "runs/whole"],
    ];
    workspace
        .train("image", &survey, &whole.concat())
        .succeeds();
    let of_skips = |run: &str| -> Vec<Value> {
        let mut lines = lines(&workspace, run);
        lines.retain(|line| line.get("skipped").is_some());
        lines
    };
    let skips = of_skips("runs/whole");
    assert!(!skips.is_empty());
    assert_eq!(of_skips("runs/image"), skips);
    // The state of an update that was skipped: the run ends as if its steps had not been.
    let tensors = |run: &str| {
        fs::read(
            workspace
                .path(run)
                .join("checkpoints/step-00000008.safetensors"),
        )
        .expect("the end")
    };
    assert!(tensors("runs/image") == tensors("runs/whole"), "other bits");
    // The state before the last step was kept; that before the first was removed, and is reached from the start.
    assert!(skips.len() > 2, "{skips:?}");
    for (skip, has_state) in [(&skips[skips.len() - 1], true), (&skips[0], false)] {
        let step = skip["step"].as_u64().expect("a step");
        let record = format!("runs/whole/nonfinite/step-{step:08}");
        let replayed = workspace
            .run(&["replay", &record, "--json"])
            .succeeds()
            .json();
        let start = if has_state { step - 1 } else { 0 };
        assert_eq!(replayed["started_from"], start, "{replayed}");
        assert_eq!(replayed["guilty"]["object_id"], guilty, "{replayed}");
    }
}

#[test]
fn a_learning_rate_that_is_too_high_is_told_from_a_galaxy_and_skipping_ends() {
    let workspace = Workspace::new();
    let survey = workspace.simulate(24);
    let high = [
        "--set",
        "optimizer.lr=1e30",
        "--set",
        "train.on_nonfinite=skip",
        "--set",
        "train.max_skips=1",
        "--set",
        "train.steps=8",
    ];
    let stopped = workspace.train("spectrum", &survey, &high);
    assert_eq!(stopped.code, Some(1), "{}", stopped.stderr);
    assert!(
        stopped.stderr.contains("lower optimizer.lr"),
        "{}",
        stopped.stderr
    );
    assert!(!workspace.path("runs/spectrum/model.safetensors").exists());
    let replayed = workspace
        .run(&["replay", "runs/spectrum"])
        .succeeds()
        .stdout;
    assert!(replayed.contains("no galaxy"), "{replayed}");
    assert!(
        lines(&workspace, "runs/spectrum")
            .iter()
            .all(|line| line["loss"].is_null() || line["loss"].is_f64())
    );
}

#[test]
fn a_flux_that_cannot_be_is_refused_alike_by_check_embedding_and_training() {
    let workspace = Workspace::new();
    let survey = workspace.simulate(24);
    let id = fill_one_image(&survey, 1e37);
    let checked = astroclip(["check", &survey, "--json"]);
    assert_eq!(checked.code, Some(2), "{}", checked.stderr);
    let findings: Value = checked.json();
    assert_eq!(findings["unusable"], 1, "{findings}");
    assert_eq!(findings["bad"][0]["object_id"].to_string(), id);
    workspace
        .train("image", &survey, &["--set", "train.steps=8"])
        .fails_with(2, &["images", "beyond ±1e10", "1e37", "--skip-bad"]);
    workspace
        .train(
            "image",
            &survey,
            &["--set", "train.steps=8", "--skip-bad", "--out", "runs/skip"],
        )
        .succeeds();
}

#[test]
fn what_is_no_run_with_a_record_is_not_replayed() {
    let workspace = Workspace::new();
    workspace
        .run(&["replay", "."])
        .fails_with(2, &["no record of a step that is not finite"]);
    let folder = workspace.path("run/nonfinite/step-00000003");
    fs::create_dir_all(&folder).expect("folders");
    fs::write(folder.join("record.json"), "{\"step\": 3}").expect("a record");
    workspace
        .run(&["replay", "run"])
        .fails_with(2, &["record.json", "is damaged"]);
}
