//! Commands that name nothing: what they take, what they say of it, and what they refuse to guess.

use std::fs;

use serde_json::Value;

use crate::support::{Finished, Workspace};

const IMAGE_RUN: &str = r#"
base = "tiny-vit"

[train]
steps = 4
batch_size = 4

[model]
width = 16
depth = 1
heads = 2
image_size = 48

[images.crops]
global_size = 48
local_size = 24

[head]
prototypes = 32
hidden = 16
"#;
const SPECTRUM_RUN: &str = r#"
base = "tiny-specformer"

[train]
steps = 4
batch_size = 4

[model]
width = 16
depth = 1
heads = 2
"#;
const ALIGN_RUN: &str = r#"
base = "tiny-align"

[train]
steps = 4
batch_size = 4

[align]
image_head.embedding = 64
spectrum_head.embedding = 64
"#;

impl Workspace {
    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("a file");
    }

    /// Small run files under the names of the paper's, in a folder within.
    fn write_run_files(&self, folder: &str) {
        self.write(&format!("{folder}vitl.toml"), IMAGE_RUN);
        self.write(&format!("{folder}spec.toml"), SPECTRUM_RUN);
        self.write(&format!("{folder}clip.toml"), ALIGN_RUN);
    }

    fn simulate_in(&self, name: &str, seed: &str) {
        let arguments = [
            "simulate",
            "--galaxies",
            "60",
            "--seed",
            seed,
            "--out",
            name,
        ];
        self.run(&arguments).succeeds();
    }

    /// A survey, two encoders and an aligned model.
    fn aligned() -> Self {
        let workspace = Self::new();
        workspace.write_run_files("");
        workspace.simulate_in("survey.h5", "0");
        for (command, config) in [
            ("pretrain-image", "vitl.toml"),
            ("pretrain-spectrum", "spec.toml"),
            ("align", "clip.toml"),
        ] {
            workspace.run(&[command, "--config", config]).succeeds();
        }
        workspace
    }
}

impl Finished {
    /// Asserts that it was said what was taken.
    #[track_caller]
    fn said(self, lines: &[&str]) -> Self {
        for line in lines {
            assert!(
                self.stderr.contains(line),
                "`{line}` is not in: {}",
                self.stderr
            );
        }
        self
    }
}

#[test]
fn the_four_lines_work_as_they_are_typed() {
    let workspace = Workspace::new();
    let empty = workspace.run(&[]).succeeds();
    assert!(empty.stdout.contains("astroclip quickstart"));
    assert!(
        empty
            .stdout
            .contains("astroclip pretrain-image    --data survey.h5")
    );

    workspace.write_run_files("");
    let made = ["simulate", "--galaxies", "200", "--out", "survey.h5"];
    let made = workspace.run(&made).succeeds().stdout;
    assert!(made.contains("next: astroclip pretrain-image\n"), "{made}");

    let only = "data: survey.h5, the only survey in the current folder";
    let image = workspace.run(&["pretrain-image", "--config", "vitl.toml"]);
    let image = image.succeeds().said(&[only]).stdout;
    assert!(
        image.contains("next: astroclip pretrain-spectrum\n      astroclip align"),
        "{image}"
    );
    let spectrum = workspace.run(&["pretrain-spectrum", "--config", "spec.toml"]);
    let spectrum = spectrum.succeeds().said(&[only]).stdout;
    assert!(spectrum.contains("next: astroclip align\n"), "{spectrum}");
    let aligned = workspace.run(&["align", "--config", "clip.toml", "--json"]);
    let aligned = aligned
        .succeeds()
        .said(&[
            "image encoder: runs/vitl/model.safetensors, the only one in runs",
            "spectrum encoder: runs/spec/model.safetensors, the only one in runs",
            "data: survey.h5, what runs/vitl/model.safetensors was trained on",
        ])
        .json();
    let whats: Vec<&Value> = (aligned["taken"].as_array().expect("a list").iter())
        .map(|taken| &taken["what"])
        .collect();
    assert_eq!(whats, ["image encoder", "spectrum encoder", "data"]);
    workspace
        .run(&["embed", "--out", "emb.h5"])
        .succeeds()
        .said(&[
            "model: runs/clip/model.safetensors, the only one in runs",
            "data: survey.h5, what runs/clip/model.safetensors was trained on",
        ]);
    let table = workspace.run(&["eval", "redshift"]).succeeds();
    let table = table.said(&[
        "embeddings: emb.h5, the only one in the current folder",
        "labels: survey.h5, what was embedded in emb.h5",
    ]);
    assert!(table.stdout.contains("photometry") && table.stdout.contains("few-shot"));

    // The other commands follow.
    let report = workspace.run(&["eval", "properties", "--json", "--seeds", "1"]);
    let report = report.succeeds().json();
    assert_eq!(report["taken"][1]["paths"][0], "survey.h5");
    let found = workspace
        .run(&["eval", "retrieval", "--json"])
        .succeeds()
        .json();
    assert_eq!(found[0]["embeddings"], "emb.h5");
    let id = "3000000000000007";
    let found = workspace
        .run(&["search", "--id", id, "--json"])
        .succeeds()
        .json();
    assert_eq!(found[0]["embeddings"], "emb.h5");
    assert_eq!(found[0]["object_id"].to_string(), id);
    let all = [
        "eval",
        "all",
        "--flows",
        "0",
        "--seeds",
        "1",
        "--bootstrap",
        "0",
        "--json",
    ];
    let all = workspace.run(&all).succeeds().json();
    let whats: Vec<&Value> = (all["taken"].as_array().expect("a list").iter())
        .map(|taken| &taken["what"])
        .collect();
    let expected = ["embeddings", "labels", "data", "model", "spectrum encoder"];
    assert_eq!(whats, expected);
    assert!(
        workspace
            .path("evaluation/report-figures/reconstruction.svg")
            .is_file()
    );
    for drawing in ["reconstruction", "attention", "map"] {
        let picture = format!("{drawing}.svg");
        workspace
            .run(&["plot", drawing, "--out", &picture])
            .succeeds();
        assert!(workspace.path(&picture).is_file());
    }
    let exported = [
        "export",
        "--to",
        "safetensors",
        "--out",
        "mine.safetensors",
        "--json",
    ];
    let exported = workspace.run(&exported).succeeds().json();
    assert_eq!(
        exported["taken"][0]["paths"][0],
        "runs/clip/model.safetensors"
    );
    assert_eq!(
        workspace.run(&["check", "--json"]).succeeds().json()["galaxies"],
        200
    );
    let shown = workspace.run(&["inspect", "emb.h5"]).succeeds().stdout;
    assert!(
        shown.contains("made from") && shown.contains("survey.h5"),
        "{shown}"
    );
    let overview = workspace.run(&["inspect", "--json"]).succeeds().json();
    assert_eq!(overview["surveys"][0], "survey.h5");
    assert_eq!(overview["models"].as_array().map(Vec::len), Some(3));
    assert_eq!(overview["embeddings"][0], "emb.h5");
    assert_eq!(overview["next"][0], "astroclip eval redshift");
}

#[test]
fn an_alignment_pretrains_the_encoder_that_is_missing() {
    let workspace = Workspace::new();
    workspace.write_run_files("");
    workspace.simulate_in("survey.h5", "0");
    // A run file is named as the preset, so that the default is small.
    let small = SPECTRUM_RUN.replace("tiny-specformer", "tiny-specformer.toml");
    workspace.write("tiny-specformer", &small);
    let image = ["pretrain-image", "--config", "vitl.toml"];
    workspace.run(&image).succeeds();
    let with_config = ["align", "--config", "clip.toml"];
    workspace
        .run(&with_config)
        .fails_with(2, &["spectrum encoder", "astroclip pretrain-spectrum"]);
    let steps = [
        "align",
        "--set",
        "train.steps=2",
        "--set",
        "train.batch_size=4",
    ];
    workspace.run(&steps).succeeds().said(&[
        "spectrum encoder: none is in runs, so one is pretrained first, by the preset tiny-specformer",
        "data: survey.h5, what runs/vitl/model.safetensors was trained on",
        "spectrum encoder: runs/tiny-specformer/model.safetensors, the only one in runs",
    ]);
    workspace.run(&["embed", "--out", "emb.h5"]).succeeds();
    workspace.run(&["eval", "redshift"]).succeeds();
}

#[test]
fn explicit_paths_work_from_any_folder() {
    let workspace = Workspace::new();
    fs::create_dir_all(workspace.path("a/b")).expect("folders");
    workspace.write_run_files("a/b/");
    workspace.simulate_in("a/b/survey.h5", "0");
    let train = |command, config, run, more: &[&str]| {
        let (config, run) = (format!("a/b/{config}"), format!("a/b/runs/{run}"));
        let mut arguments = vec![command, "--config", &config, "--out", &run];
        arguments.extend(["--data", "a/b/survey.h5", "--json"]);
        arguments.extend(more);
        let summary = workspace.run(&arguments).succeeds().json();
        assert_eq!(summary["taken"], Value::Array(Vec::new()));
    };
    train("pretrain-image", "vitl.toml", "vit", &[]);
    train("pretrain-spectrum", "spec.toml", "spec", &[]);
    let encoders = [
        "--image-encoder",
        "a/b/runs/vit/model.safetensors",
        "--spectrum-encoder",
        "a/b/runs/spec/model.safetensors",
    ];
    train("align", "clip.toml", "clip", &encoders);
    let model = "a/b/runs/clip/model.safetensors";
    let embed = [
        "embed",
        "--weights",
        model,
        "--data",
        "a/b/survey.h5",
        "--out",
        "a/b/emb.h5",
    ];
    workspace.run(&embed).succeeds();
    let eval = [
        "eval",
        "redshift",
        "--embeddings",
        "a/b/emb.h5",
        "--labels",
        "a/b/survey.h5",
        "--json",
    ];
    let report = workspace.run(&eval).succeeds().json();
    assert_eq!(report["taken"], Value::Array(Vec::new()));

    // Moved as a whole, everything still finds its files.
    fs::rename(workspace.path("a"), workspace.path("moved")).expect("a move");
    let labels = "labels: survey.h5, what was embedded in emb.h5";
    workspace
        .run_in("moved/b", &["eval", "redshift"], None)
        .succeeds()
        .said(&[labels]);
    let embed = ["embed", "--out", "again.h5"];
    workspace.run_in("moved/b", &embed, None).succeeds();
}

#[test]
fn data_come_from_the_nearest_that_names_them() {
    let workspace = Workspace::new();
    workspace.write_run_files("");
    fs::create_dir_all(workspace.path("south")).expect("a folder");
    for (name, seed) in [("one.h5", "1"), ("two.h5", "2"), ("south/three.h5", "3")] {
        workspace.simulate_in(name, seed);
    }
    // Two surveys and nothing that says which.
    workspace
        .run(&["pretrain-image"])
        .fails_with(2, &["2 surveys", "one.h5 two.h5", "--data"]);
    let train = |config: &str, more: &[&str], variable| {
        let arguments = [&["pretrain-image", "--config", config][..], more].concat();
        workspace.run_in("", &arguments, variable)
    };
    let variable = "data: one.h5, as ASTROCLIP_DATA says";
    train("vitl.toml", &[], Some("one.h5"))
        .succeeds()
        .said(&[variable]);

    // A run file names its files from its own folder, and labels for later.
    let files = format!(
        "{IMAGE_RUN}\n[data]\nfiles = [\"*.h5\"]\nlabels = [\"../one.h5\"]\nskip_bad = true\n"
    );
    workspace.write("south/mine.toml", &files);
    let summary = train("south/mine.toml", &["--json"], Some("one.h5")).succeeds();
    let summary = summary
        .said(&["data: south/*.h5, as south/mine.toml says"])
        .json();
    assert_eq!(summary["galaxies"], 40, "the first 80 % of groups of six");
    let record = fs::read_to_string(workspace.path("runs/mine/inputs.json")).expect("a record");
    let record: Value = serde_json::from_str(&record).expect("JSON");
    assert_eq!(record["data"][0]["files"], 1);
    assert_eq!(record["read"]["skip_bad"], true);
    // Its model carries both on.
    let weights = "runs/mine/model.safetensors";
    workspace
        .run(&["embed", "--weights", weights, "--out", "emb.h5"])
        .succeeds()
        .said(&["data: south/*.h5, what runs/mine/model.safetensors was trained on"]);
    let labels = "labels: one.h5, the labels of emb.h5";
    let evaluated = workspace.run(&["eval", "redshift"]).succeeds();
    evaluated.said(&[labels]);
    // What is named wins.
    let named = train(
        "south/mine.toml",
        &["--data", "two.h5", "--out", "runs/two"],
        Some("one.h5"),
    );
    assert!(!named.succeeds().stderr.contains("data:"));

    // Encoders of different surveys: neither is taken.
    let spectrum = [
        "pretrain-spectrum",
        "--config",
        "spec.toml",
        "--data",
        "one.h5",
    ];
    workspace.run(&spectrum).succeeds();
    let encoder = ["--image-encoder", "runs/two/model.safetensors"];
    workspace
        .run(&[&["align", "--config", "clip.toml"][..], &encoder].concat())
        .fails_with(2, &["two.h5", "one.h5", "--data"]);

    workspace.write(
        "south/bad.toml",
        "base = \"tiny-vit\"\n[data]\nfile = [\"one.h5\"]\n",
    );
    train("south/bad.toml", &[], None).fails_with(2, &["bad.toml", "`data.file`", "`files`"]);
}

#[test]
fn a_run_file_starts_from_another() {
    let workspace = Workspace::new();
    workspace.simulate_in("survey.h5", "0");
    workspace.write("mine.toml", IMAGE_RUN);
    workspace.write("longer.toml", "base = \"mine.toml\"\ntrain.steps = 6\n");
    let longer = workspace
        .run(&["pretrain-image", "--config", "longer.toml"])
        .succeeds();
    assert!(longer.stdout.starts_with("runs/longer/model.safetensors"));
    let resolved =
        fs::read_to_string(workspace.path("runs/longer/config.toml")).expect("a run file");
    let resolved: toml::Table = resolved.parse().expect("TOML");
    assert_eq!(resolved["train"]["steps"].as_integer(), Some(6));
    assert_eq!(resolved["model"]["width"].as_integer(), Some(16));

    let refused = |text: &str, parts: &[&str]| {
        workspace.write("wrong.toml", text);
        workspace
            .run(&["pretrain-image", "--config", "wrong.toml"])
            .fails_with(2, parts);
    };
    refused(
        "base = \"tiny-vitt\"\n",
        &["wrong.toml", "`base`", "`tiny-vitt`", "tiny-vit"],
    );
    refused(
        "base = \"tiny-align\"\n",
        &["wrong.toml", "\"align\"", "\"pretrain-image\""],
    );
    refused("base = 3\n", &["wrong.toml", "`base` is 3"]);
    refused("base = \"wrong.toml\"\n", &["wrong.toml", "leads back"]);
    refused(
        "train.steps = 6\n",
        &["wrong.toml", "`stage`", "base = \"tiny-vit\""],
    );
    workspace.write("a.toml", "base = \"wrong.toml\"\n");
    refused("base = \"a.toml\"\n", &["a.toml", "leads back"]);
}

#[test]
fn what_could_be_the_wrong_one_is_not_taken() {
    let workspace = Workspace::aligned();
    // Two models of one age.
    let other = ["align", "--config", "clip.toml", "--out", "runs/other"];
    workspace.run(&other).succeeds();
    for run in ["clip", "other"] {
        workspace.set_age(&format!("runs/{run}/model.safetensors"), 100);
    }
    let embed = ["embed", "--out", "emb.h5"];
    workspace.run(&embed).fails_with(
        2,
        &[
            "runs/clip/model.safetensors runs/other/model.safetensors",
            "same age",
            "--weights",
        ],
    );
    workspace.set_age("runs/other/model.safetensors", 50);
    let newest = "model: runs/other/model.safetensors, the newest of 2 in runs";
    workspace.run(&embed).succeeds().said(&[newest]);

    // Two embedding files of one age.
    workspace.run(&["embed", "--out", "again.h5"]).succeeds();
    workspace.set_age("emb.h5", 10);
    workspace.set_age("again.h5", 10);
    let redshift = ["eval", "redshift", "--seeds", "1", "--bootstrap", "0"];
    workspace
        .run(&redshift)
        .fails_with(2, &["again.h5 emb.h5", "same age", "--embeddings"]);
    fs::remove_file(workspace.path("again.h5")).expect("a file less");
    workspace.run(&redshift).succeeds();

    // A model that was trained again since.
    let weights = workspace.path("runs/other/model.safetensors");
    let old = fs::read(&weights).expect("a model");
    fs::copy(workspace.path("runs/vitl/model.safetensors"), &weights).expect("another model");
    let stale = &[
        "runs/other/model.safetensors",
        "changed since",
        "embed again",
        "--embeddings",
    ];
    workspace.run(&redshift).fails_with(2, stale);
    workspace
        .run(&[&redshift[..], &["--embeddings", "emb.h5"]].concat())
        .succeeds();
    fs::write(&weights, old).expect("the old model");
    workspace.run(&redshift).succeeds();

    // A survey that is another by now.
    fs::rename(workspace.path("survey.h5"), workspace.path("old.h5")).expect("a move");
    workspace.simulate_in("survey.h5", "1");
    workspace
        .run(&redshift)
        .fails_with(2, &["survey.h5: has changed since", "--embeddings"]);
    let named = [&redshift[..], &["--embeddings", "emb.h5"]].concat();
    workspace
        .run(&named)
        .fails_with(2, &["survey.h5: has changed since", "--labels"]);
    workspace
        .run(&["embed", "--out", "new.h5"])
        .fails_with(2, &["survey.h5: has changed since", "--data"]);
    // One that is gone: its redshifts are in the embedding file, its magnitudes are not.
    fs::remove_file(workspace.path("survey.h5")).expect("a file less");
    let gone = workspace
        .run(&redshift)
        .succeeds()
        .said(&["survey.h5: is gone"]);
    assert!(
        gone.stdout.contains("no photometry baseline"),
        "{}",
        gone.stdout
    );
    workspace
        .run(&["eval", "properties"])
        .fails_with(2, &["--labels"]);

    // A model that does not go with the files.
    workspace.write_one_kind(
        "images.h5",
        &workspace.path("old.h5").display().to_string(),
        astroclip::survey::Modality::Image,
    );
    for run in ["clip", "other", "vitl"] {
        fs::remove_file(workspace.path(&format!("runs/{run}/model.safetensors"))).expect(run);
    }
    workspace
        .run(&["embed", "--data", "images.h5", "--out", "new.h5"])
        .fails_with(
            2,
            &[
                "spectrum",
                "runs/spec/model.safetensors was taken",
                "--weights",
                "no aligned AstroCLIP model is there",
            ],
        );
}

#[test]
fn a_run_goes_on_with_what_it_began_with() {
    let workspace = Workspace::new();
    workspace.write_run_files("");
    workspace.simulate_in("survey.h5", "0");
    let start = |command, config: &str, more: &[&str]| {
        let stop = ["--config", config, "--stop-after", "2"];
        workspace.run(&[&[command][..], &stop, more].concat())
    };
    workspace
        .run(&["pretrain-image", "--resume"])
        .fails_with(2, &["no run of pretrain-image", "--resume"]);
    for (command, config) in [
        ("pretrain-image", "vitl.toml"),
        ("pretrain-spectrum", "spec.toml"),
    ] {
        let stopped = start(command, config, &["--set", "train.seed=7"])
            .succeeds()
            .stdout;
        let next = format!("next: astroclip {command} --resume\n");
        assert!(stopped.contains(&next), "{stopped}");
        // Neither configuration nor data, and from now on the survey could be either.
        workspace.write_run_files("");
        let data = "data: survey.h5, what the run began with";
        let run = format!(
            "run: runs/{}, the only one in runs",
            config.trim_end_matches(".toml")
        );
        workspace
            .run(&[command, "--resume"])
            .succeeds()
            .said(&[data, &run]);
    }
    workspace
        .run(&["pretrain-image", "--resume"])
        .fails_with(2, &["unfinished", "finished: runs/vitl"]);

    start("align", "clip.toml", &[]).succeeds();
    // A newer encoder is not what the alignment began with.
    let again = [
        "pretrain-image",
        "--config",
        "vitl.toml",
        "--out",
        "runs/newer",
    ];
    workspace.run(&again).succeeds();
    let encoder = "image encoder: runs/vitl/model.safetensors, what the run began with";
    let resumed = workspace.run(&["align", "--resume", "--out", "runs/clip"]);
    resumed.succeeds().said(&[encoder]);
    let whole = [
        "align",
        "--config",
        "clip.toml",
        "--out",
        "runs/whole",
        "--image-encoder",
    ];
    let whole = [&whole[..], &["runs/vitl/model.safetensors"]].concat();
    workspace.run(&whole).succeeds();
    let bytes = |run: &str| fs::read(workspace.path(run).join("model.safetensors")).expect(run);
    assert!(bytes("runs/clip") == bytes("runs/whole"));

    let baseline = [
        "baseline",
        "spectrum",
        "--stop-after",
        "2",
        "--set",
        "train.steps=4",
    ];
    let baseline = [&baseline[..], &["--set", "train.batch_size=4"]].concat();
    let labels = "labels: survey.h5, the catalogue of the survey";
    workspace.run(&baseline).succeeds().said(&[labels]);
    workspace
        .run(&[
            "pretrain-image",
            "--resume",
            "--out",
            "runs/tiny-baseline-spectrum",
        ])
        .fails_with(2, &["baseline spectrum --resume"]);
    workspace
        .run(&["baseline", "spectrum", "--resume"])
        .succeeds();

    // Another survey under the old name, and the old one elsewhere.
    start("pretrain-image", "vitl.toml", &["--out", "runs/moved"]).succeeds();
    fs::rename(workspace.path("survey.h5"), workspace.path("old.h5")).expect("a move");
    let resume = ["pretrain-image", "--resume"];
    workspace
        .run(&resume)
        .fails_with(2, &["survey.h5: no such file", "--data"]);
    workspace.simulate_in("survey.h5", "1");
    workspace
        .run(&resume)
        .fails_with(2, &["survey.h5: has changed since", "--data"]);
    let other = [&resume[..], &["--data", "survey.h5"]].concat();
    workspace
        .run(&other)
        .fails_with(2, &["resuming with other data", "runs/moved"]);
    let old = [
        &resume[..],
        &["--data", "old.h5", "--set", "train.log_every=1"],
    ]
    .concat();
    workspace.run(&old).succeeds();
}
