//! The program as its users meet it: whole small runs, and what it says when something is wrong.

mod baseline;
mod defaults;
mod init;
mod labels;
mod nonfinite;
mod pairs;
mod surveys;

use clap::CommandFactory;
use std::fs;
use std::iter;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{Workspace, astroclip, astroclip_with, commands};
use astroclip::files::embeddings::EmbeddingFile;
use astroclip::survey::{Modality, Split};
use serde_json::Value;

#[test]
fn help_shows_an_example_of_every_command() {
    let overview = astroclip(["--help"]).succeeds().stdout;
    for command in commands() {
        let words = command.split(' ');
        let help = astroclip(words.clone().chain(["--help"])).succeeds().stdout;
        let example = format!(":\n  astroclip {command}");
        assert!(
            ["Example", "Examples"]
                .iter()
                .any(|head| help.contains(&format!("{head}{example}"))),
            "{command}: {help}"
        );
        let listed = words
            .take(1)
            .all(|word| overview.contains(&format!("\n  {word} ")));
        assert!(listed, "{command}: {overview}");
    }
}

#[test]
fn shell_and_manual_know_every_command() {
    let workspace = Workspace::new();
    workspace.run(&["man", "--out", "man1"]).succeeds();
    let completions = astroclip(["completions", "bash"]).succeeds().stdout;
    for command in commands() {
        let name = format!("astroclip-{}", command.replace(' ', "-"));
        let page = fs::read_to_string(workspace.path(&format!("man1/{name}.1"))).expect("a page");
        let words: Vec<&str> = command.split(' ').collect();
        let printed = astroclip(iter::once("man").chain(words.iter().copied())).succeeds();
        assert_eq!(printed.stdout, page);
        assert!(page.contains(&format!(".TH {name} 1")), "{page}");
        assert!(completions.contains(words[0]), "{command}");
    }
    let other = workspace.run(&["man", "--out", "man1/astroclip.1"]);
    assert_eq!(other.code, Some(2), "{}", other.stderr);
}

#[test]
fn presets_are_listed_shown_and_accepted_with_and_without_suffix() {
    let list: Value = astroclip(["config", "list", "--json"]).succeeds().json();
    let names: Vec<&str> = list
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|preset| preset["name"].as_str())
        .collect();
    for name in [
        "vitl",
        "specformer",
        "align",
        "tiny-vit",
        "tiny-specformer",
        "tiny-align",
    ] {
        assert!(names.contains(&name), "{name}");
    }
    let plain = astroclip(["config", "show", "vitl"]).succeeds();
    let suffixed = astroclip(["config", "show", "vitl.toml"]).succeeds();
    assert_eq!(plain.stdout, suffixed.stdout);
}

#[test]
fn catalogues_join_into_a_file_or_leave_none() {
    let workspace = Workspace::new();
    let path = |name: &str| workspace.path(name).display().to_string();
    let (left, right) = (path("left.csv"), path("right.tsv"));
    fs::write(&left, "id,ra,dec\n7,10,20\n8,30,-40\n").expect("a file");
    fs::write(&right, "id\tra\tdec\tz\n8\t10\t20.0001\t0.5\n").expect("a file");
    let join = |on: &str, out: &str, more: &[&str]| {
        let out = path(out);
        let arguments = ["match", &left, &right, "--on", on, "--out", &out];
        astroclip(arguments.into_iter().chain(more.iter().copied()))
    };
    let counts = join("sky", "sky.csv", &["--json"]).succeeds().json();
    assert_eq!(counts["matched"], 1);
    assert_eq!(counts["left"]["unmatched"], 1);
    let joined = fs::read_to_string(workspace.path("sky.csv")).expect("the joined table");
    let (header, row) = joined.trim_end().split_once('\n').expect("two lines");
    assert_eq!(
        header,
        "id_left,ra_left,dec_left,id_right,ra_right,dec_right,z,separation_arcsec"
    );
    assert!(row.starts_with("7,10,20,8,10,20.0001,0.5,0.3"), "{row}");
    let shown = join("id", "id.h5", &[]).succeeds().stdout;
    assert!(shown.contains("duplicates") && shown.contains("id.h5: 1 rows, 6 columns"));

    join("sky", "out.txt", &[]).fails_with(2, &["out.txt", ".h5 or .csv"]);
    join("sky", "none.csv", &["--radius", "0.1"]).fails_with(2, &["no row in common"]);
    join("id", "none.csv", &["--id-column", "name"]).fails_with(2, &["`name`", "id, ra, dec"]);
    assert!(!workspace.path("none.csv").exists());
}

#[test]
fn bad_settings_are_refused_by_path_with_the_valid_keys() {
    let refused = |arguments: &[&str], parts: &[&str]| {
        let mut all = vec!["pretrain-image", "--data", "none.h5"];
        all.extend(arguments);
        astroclip(all).fails_with(2, parts);
    };
    refused(&["--config", "vitx"], &["`vitx`", "vitl", "tiny-vit"]);
    refused(
        &["--config", "tiny-align"],
        &["tiny-align", "\"align\"", "\"pretrain-image\""],
    );
    refused(
        &["--set", "optimizer.lrr=1"],
        &["`optimizer.lrr`", "`lr`", "`warmup_steps`"],
    );
    refused(
        &["--set", "train.steps=many"],
        &["`train.steps`", "\"many\""],
    );
    refused(&["--set", "train.steps"], &["train.steps", "key=value"]);
    refused(&["--set", "model.heads=7"], &["`model.heads` is 7", "128"]);
    refused(
        &["--set", "images.crops.local_size=50"],
        &["local_size", "multiple of model.patch_size"],
    );
    refused(
        &[
            "--set",
            "train.batch_size=32",
            "--set",
            "train.micro_batch_size=12",
        ],
        &[
            "`train.micro_batch_size` is 12",
            "divisor of train.batch_size = 32",
        ],
    );
    refused(
        &["--set", "optimizer.lr.x=1"],
        &["`lr` is a value, not a table"],
    );
}

#[test]
fn missing_and_misshapen_files_are_named() {
    let workspace = Workspace::new();
    let path = |name: &str| workspace.path(name).display().to_string();
    fs::write(workspace.path("text.h5"), "no HDF5 at all").expect("a file");
    workspace.write_survey_with_nan("nan.h5");
    workspace.write_hdf5_without_layout("other.h5");
    fs::create_dir(workspace.path("empty")).expect("a folder");

    for command in ["pretrain-image", "pretrain-spectrum"] {
        let refused = workspace.run_in("empty", &[command], None);
        refused.fails_with(2, &["--data", "ASTROCLIP_DATA", "astroclip simulate"]);
    }
    workspace
        .run_in("empty", &["align"], None)
        .fails_with(2, &["image encoder", "astroclip pretrain-image"]);
    let train = |data: &str| {
        let out = path("run");
        astroclip(["pretrain-spectrum", "--data", data, "--out", &out])
    };
    train(&path("absent.h5")).fails_with(2, &["absent.h5", "no such file"]);
    train(&path("text.h5")).fails_with(2, &["text.h5", "HDF5"]);
    train(&path("other.h5")).fails_with(2, &["other.h5", "numbers"]);
    astroclip(["inspect", &path("text.h5")]).fails_with(2, &["text.h5"]);
    astroclip(["search", &path("nan.h5"), "--id", "1"])
        .fails_with(2, &["nan.h5", "no embeddings recognised"]);
    astroclip(["eval", "redshift", "--embeddings", &path("absent.h5")])
        .fails_with(2, &["absent.h5", "no such file"]);
    let arguments = crate::support::TINY_SPECTRUM
        .iter()
        .flat_map(|set| ["--set", *set]);
    let mut command = vec![
        "pretrain-spectrum".to_owned(),
        "--data".to_owned(),
        path("nan.h5"),
    ];
    command.extend(["--out".to_owned(), path("nan-run")]);
    command.extend(arguments.map(str::to_owned));
    astroclip(command).fails_with(2, &["nan.h5", "`flux` row 3", "NaN"]);
}

#[test]
fn a_gpu_is_refused_where_there_is_none() {
    let workspace = Workspace::new();
    let survey = workspace.simulate(20);
    let out = workspace.path("run").display().to_string();
    let command = ["pretrain-image", "--data", &survey, "--out", &out];
    let asked = |device| astroclip(command.into_iter().chain(["--device", device]));
    for unknown in ["tpu", "cpu:1", "cuda:", "vulkan:x"] {
        asked(unknown).fails_with(2, &[unknown, "auto, cpu, gpu, cuda, vulkan or metal"]);
    }
    for absent in ["gpu:99", "cuda:99", "vulkan:99", "metal:99"] {
        asked(absent).fails_with(2, &["--device"]);
    }
}

#[test]
fn a_survey_becomes_a_search_engine() {
    let workspace = Workspace::new();
    let survey = workspace.simulate(60);
    workspace.train("image", &survey, &[]).succeeds();
    workspace.train("spectrum", &survey, &[]).succeeds();
    // Finds the newest encoders beside its own run folder.
    let aligned = workspace.train("align", &survey, &[]).succeeds();
    let model = aligned
        .stdout
        .lines()
        .next()
        .expect("the model's path")
        .to_owned();
    assert!(Path::new(&model).is_file());
    assert!(
        aligned
            .stdout
            .contains("next: astroclip embed --out emb.h5")
    );

    let emb = workspace.path("emb.h5").display().to_string();
    let embed = [
        "embed",
        "--weights",
        &model,
        "--data",
        &survey,
        "--out",
        &emb,
    ];
    let summary = astroclip(embed.into_iter().chain(["--json"]))
        .succeeds()
        .json();
    assert_eq!(summary["galaxies"], 60);
    let file = EmbeddingFile::open(Path::new(&emb)).expect("an embedding file");
    assert_eq!(
        file.rows_of(Split::Train).len(),
        40,
        "the first 80 % of groups of six"
    );
    for modality in Modality::ALL {
        let embeddings = file.embeddings(modality).expect("both modalities");
        assert_eq!(embeddings.dim(), (60, 64));
        for row in embeddings.outer_iter() {
            let norm = row.iter().map(|value| value * value).sum::<f32>();
            assert!((norm - 1.0).abs() < 1e-5, "{norm}");
        }
    }
    let provenance = file.provenance.as_ref().expect("where it comes from");
    assert_eq!(provenance.model_sha256.len(), 64);

    let id = file.object_id[0].to_string();
    for (from, to) in [
        ("image", "image"),
        ("image", "spectrum"),
        ("spectrum", "image"),
        ("spectrum", "spectrum"),
    ] {
        let query = [
            "search", &emb, "--id", &id, "--from", from, "--to", to, "-k", "5",
        ];
        let found = astroclip(query.into_iter().chain(["--json"]))
            .succeeds()
            .json();
        assert_eq!(found.as_array().map(Vec::len), Some(5));
        if from == to {
            assert_eq!(found[0]["object_id"].to_string(), id);
            assert!(found[0]["similarity"].as_f64().expect("a number") > 0.9999);
        }
        let table = astroclip(query).succeeds();
        assert!(table.stdout.contains("similarity") && table.stdout.contains("redshift"));
    }
    astroclip(["search", &emb, "--id", "17"]).fails_with(2, &["17", "60"]);

    for task in ["redshift", "properties"] {
        let evaluate = [
            "eval",
            task,
            "--embeddings",
            &emb,
            "--labels",
            &survey,
            "-k",
            "4",
        ];
        let report = astroclip(evaluate.into_iter().chain(["--json"]))
            .succeeds()
            .json();
        let results = report["results"].as_array().expect("results");
        let targets = if task == "redshift" { 1 } else { 4 };
        assert_eq!(results.len(), targets * 3 * 2, "three sources, two methods");
        assert!(results.iter().all(|result| result["r2"].is_f64()));
        assert!(astroclip(evaluate).succeeds().stdout.contains("zero-shot"));
    }
    // What is before the heads, by name.
    let features = ["--embedding-key", "spectrum_features"];
    let evaluate = [
        "eval",
        "redshift",
        "--embeddings",
        &emb,
        "--labels",
        &survey,
    ];
    let report = astroclip(
        evaluate
            .into_iter()
            .chain(features)
            .chain(["-k", "4", "--json"]),
    )
    .succeeds()
    .json();
    let results = report["results"].as_array().expect("results");
    assert_eq!(results.len(), 2 * 2, "spectra and magnitudes, two methods");
    let query = [
        "search", &emb, "--id", &id, "--from", "spectrum", "--to", "spectrum",
    ];
    let found = astroclip(query.into_iter().chain(features).chain(["--json"]));
    assert_eq!(found.succeeds().json()[0]["object_id"].to_string(), id);
    let query = ["search", &emb, "--id", &id];
    astroclip(query.into_iter().chain(features)).fails_with(2, &["image"]);
    let estimator = workspace.path("features.safetensors").display().to_string();
    let fit = [
        "fit",
        "--embeddings",
        &emb,
        "--labels",
        &survey,
        "--out",
        &estimator,
    ];
    let knn = ["--method", "knn", "-k", "4", "--targets", "redshift"];
    astroclip(fit.into_iter().chain(knn).chain(features)).succeeds();
    let catalogue = workspace.path("features.csv").display().to_string();
    let predict = ["predict", "--estimator", &estimator, "--out", &catalogue];
    astroclip(predict.into_iter().chain(["--embeddings", &emb])).succeeds();
    let of_survey = ["--data", &survey, "--weights", &model];
    let of_survey: Vec<&str> = predict.into_iter().chain(of_survey).collect();
    astroclip(&of_survey).succeeds();
    // Tasks of an array embed and estimate a part each.
    let rows = |name: &str| {
        let text = fs::read_to_string(workspace.path(name)).expect("a catalogue");
        let rows = text.lines().filter(|line| !line.starts_with('#')).skip(1);
        rows.map(str::to_owned).collect::<Vec<_>>()
    };
    let parts = ["0", "1"].map(|task| {
        let array = [("ID", task), ("COUNT", "2"), ("MIN", "0"), ("MAX", "1")];
        let array = array.map(|(what, value)| (format!("SLURM_ARRAY_TASK_{what}"), value));
        let array: Vec<_> = array
            .iter()
            .map(|(name, it)| (name.as_str(), *it))
            .collect();
        astroclip_with(&array, &of_survey).succeeds();
        rows(&format!(
            "features-{}-of-2.csv",
            1 + task.parse::<u8>().expect("a digit")
        ))
    });
    assert!(parts.iter().all(|part| !part.is_empty()));
    assert_eq!(parts.concat(), rows("features.csv"));
    astroclip(predict.into_iter().chain([
        "--embeddings",
        &emb,
        "--embedding-key",
        "spectrum_embeddings",
    ]))
    .fails_with(2, &["embeddings alone", "features of spectrum"]);

    let morphology = [
        "eval",
        "morphology",
        "--embeddings",
        &emb,
        "--labels",
        &survey,
    ];
    let report = astroclip(morphology.into_iter().chain(["--json", "--seeds", "1"]))
        .succeeds()
        .json();
    assert!(report["results"][0]["f1"].is_f64());
    let retrieval = ["eval", "retrieval", "--embeddings", &emb, "--at", "1,3"];
    let shown = astroclip(retrieval).succeeds().stdout;
    assert!(
        shown.contains("in top 3") && shown.contains("median rank"),
        "{shown}"
    );
    let list = workspace.path("test.txt").display().to_string();
    fs::write(
        &list,
        format!("targetid\n{}\n{}\n", file.object_id[0], file.object_id[1]),
    )
    .expect("a list");
    let named = format!("mine={emb}");
    let by_list = [
        "eval",
        "redshift",
        "--embeddings",
        &named,
        "--split",
        &list,
        "--json",
    ];
    let report = astroclip(by_list).succeeds().json();
    assert_eq!(report["results"][0]["n_test"], 2);
    assert_eq!(report["results"][0]["model"], "mine");
    astroclip([
        "eval",
        "redshift",
        "--embeddings",
        &emb,
        "--embedding-key",
        "none",
    ])
    .fails_with(2, &["no dataset `none`", "image_embeddings (60, 64)"]);
    astroclip([
        "eval",
        "redshift",
        "--embeddings",
        &emb,
        "--predictions",
        &emb,
    ])
    .fails_with(2, &["image=FILE"]);
    astroclip(["eval", "redshift", "--embeddings", &emb, "-k", "500"])
        .fails_with(2, &["500", "40"]);
    // The embedding file says what it was made from.
    let by_itself = astroclip(["eval", "properties", "--embeddings", &emb]).succeeds();
    assert!(by_itself.stderr.contains("what was embedded in"));

    for (path, holds) in [
        (&survey, "survey"),
        (&emb, "embeddings"),
        (&model, "aligned"),
    ] {
        let shown = astroclip(["inspect", path]).succeeds();
        assert!(shown.stdout.contains(holds), "{path}: {}", shown.stdout);
        astroclip(["inspect", path, "--json"]).succeeds().json();
    }

    let spectrum_encoder = workspace.path("runs/spectrum/model.safetensors");
    let drawings: [&[&str]; 4] = [
        &[
            "reconstruction",
            "--weights",
            spectrum_encoder.to_str().expect("UTF-8"),
            "--data",
            &survey,
        ],
        &["attention", "--weights", &model, "--data", &survey],
        &[
            "attention",
            "--weights",
            &model,
            "--data",
            &survey,
            "--of",
            "image",
        ],
        &["map", &emb, "--labels", &survey, "--colour", "LOG_MSTAR"],
    ];
    for drawing in drawings {
        let out = workspace.path("drawing.svg");
        let ending = ["--json", "--out", out.to_str().expect("UTF-8")];
        let drawn = astroclip(["plot"].iter().chain(drawing).chain(&ending));
        let galaxies = if drawing[0] == "map" { 60 } else { 4 };
        assert_eq!(drawn.succeeds().json()["galaxies"], galaxies);
        let text = fs::read_to_string(out).expect("a drawing");
        assert!(text.starts_with("<svg xmlns") && text.ends_with("</svg>\n"));
    }
    astroclip([
        "plot", "map", &emb, "--labels", &survey, "--colour", "MASS", "--out", "no.svg",
    ])
    .fails_with(2, &["no column `MASS`", "LOG_MSTAR"]);

    let report = workspace.path("evaluation/galaxies.html");
    let whole = [
        "eval",
        "all",
        "--embeddings",
        &emb,
        "--labels",
        &survey,
        "-k",
        "4",
        "--seeds",
        "1",
        "--bootstrap",
        "10",
        "--flows",
        "1",
        "--data",
        &survey,
        "--model",
        &model,
        "--spectrum-model",
        spectrum_encoder.to_str().expect("UTF-8"),
        "--report",
        report.to_str().expect("UTF-8"),
        "--json",
    ];
    let results = astroclip(whole).succeeds().json();
    // Too few galaxies for a flow: the page says so instead of failing.
    let left_out = results["left_out"].to_string();
    assert!(left_out.contains("posteriors: "), "{left_out}");
    let page = fs::read_to_string(&report).expect("a page");
    let numbers = fs::read_to_string(report.with_extension("json")).expect("numbers");
    let numbers: Value = serde_json::from_str(&numbers).expect("JSON");
    assert_eq!(numbers, results);
    for part in [
        "paper Table 2",
        "paper Fig. 2",
        "paper Fig. D1",
        "paper Fig. D2",
        "Left out",
    ] {
        assert!(page.contains(part), "{part}");
    }
    for figure in [
        "search",
        "redshift-image",
        "map-spectrum",
        "attention-image",
        "reconstruction",
    ] {
        for ending in ["svg", "png"] {
            let file = report.with_file_name(format!("galaxies-figures/{figure}.{ending}"));
            assert!(file.is_file(), "{}", file.display());
        }
    }

    // Files with one kind of data only.
    for (name, kind) in [
        ("images.h5", Modality::Image),
        ("spectra.h5", Modality::Spectrum),
    ] {
        workspace.write_one_kind(name, &survey, kind);
        let data = workspace.path(name).display().to_string();
        let out = workspace.path("one.h5").display().to_string();
        astroclip(["embed", "--weights", &model, "--data", &data, "--out", &out]).succeeds();
        let one = EmbeddingFile::open(Path::new(&out)).expect("an embedding file");
        assert_eq!(one.modalities(), [kind]);
        let whole = file.embeddings(kind).expect("both").row(0).to_vec();
        assert_eq!(
            one.embeddings(kind).expect("this one").row(0).to_vec(),
            whole
        );
    }
    let encoder = workspace
        .path("runs/image/model.safetensors")
        .display()
        .to_string();
    let spectra = workspace.path("spectra.h5").display().to_string();
    let out = workspace.path("none.h5").display().to_string();
    astroclip([
        "embed",
        "--weights",
        &encoder,
        "--data",
        &spectra,
        "--out",
        &out,
    ])
    .fails_with(2, &["image", "none"]);
    workspace
        .train(
            "align",
            &survey,
            &["--out", "runs/again", "--spectrum-encoder", &encoder],
        )
        .fails_with(2, &["image encoder", "spectrum encoder"]);
    crate::support::closes_the_pipe_at_once(&["search", &emb, "--id", &id, "-k", "60"]);
}

#[test]
fn quickstart_runs_the_whole_method_and_writes_a_report() {
    let workspace = Workspace::new();
    let out = workspace.path("quickstart").display().to_string();
    let command = [
        "quickstart",
        "--preset",
        "smoke",
        "--device",
        "cpu",
        "--out",
        &out,
    ];
    let shown = astroclip(command).succeeds();
    assert!(shown.stdout.contains("redshift from") && shown.stdout.contains("report.html"));
    let text = fs::read_to_string(workspace.path("quickstart/results.json")).expect("results");
    let results: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(results["test_galaxies"], 40);
    assert_eq!(results["times"].as_array().map(Vec::len), Some(6));
    assert_eq!(results["retrieval"].as_array().map(Vec::len), Some(2));
    let page = fs::read_to_string(workspace.path("quickstart/report.html")).expect("a page");
    for part in [
        "Search by similarity",
        "AstroCLIP, zero-shot",
        "AstroCLIP before its head, zero-shot",
        "principal components, few-shot",
        "before alignment",
        "g, r, z magnitudes",
    ] {
        assert!(page.contains(part), "{part}");
    }
    astroclip(command).fails_with(2, &["holds a quickstart that is finished", "--out"]);
}

#[test]
fn an_interrupted_run_ends_with_the_same_bits() {
    let workspace = Workspace::new();
    let survey = workspace.simulate(40);
    let whole: &[&str] = &[];
    // In micro-batches, and stopped between two lines of the metrics.
    let parts = &["train.micro_batch_size=2", "train.log_every=3"];
    for (stage, name, settings) in [
        ("image", "image", whole),
        ("spectrum", "spectrum", whole),
        ("align", "align", whole),
        ("image", "image-parts", parts),
        ("spectrum", "spectrum-parts", parts),
        ("align", "align-parts", parts),
        ("baseline-image", "baseline-image", whole),
        ("baseline-spectrum", "baseline-spectrum", whole),
    ] {
        let settings: Vec<&str> = settings.iter().flat_map(|set| ["--set", *set]).collect();
        let run = format!("runs/{name}");
        let unbroken = [&["--out", run.as_str()], &settings[..]].concat();
        workspace.train(stage, &survey, &unbroken).succeeds();
        let run = format!("runs/{name}-broken");
        let broken = [&["--out", run.as_str()], &settings[..]].concat();
        let first = workspace
            .train(
                stage,
                &survey,
                &[&broken[..], &["--stop-after", "2"]].concat(),
            )
            .succeeds();
        assert!(
            first.stdout.contains("stopped after step 2 of 4") && first.stdout.contains("--resume")
        );
        workspace
            .train(stage, &survey, &broken)
            .fails_with(2, &["holds a run already", "--resume"]);
        let changed = [
            &broken[..],
            &["--resume", "--set", "optimizer.clip_norm=0.5"],
        ]
        .concat();
        workspace
            .train(stage, &survey, &changed)
            .fails_with(2, &["`optimizer.clip_norm`", "0.5"]);
        workspace
            .train(stage, &survey, &[&broken[..], &["--resume"]].concat())
            .succeeds();
        for file in ["model.safetensors", "checkpoints/step-00000004.safetensors"] {
            let bytes = |run: &str| {
                fs::read(workspace.path(&format!("runs/{run}/{file}"))).expect("a finished run")
            };
            assert!(
                bytes(name) == bytes(&format!("{name}-broken")),
                "{name}: {file} differs"
            );
        }
        assert_eq!(
            workspace.metrics(&format!("runs/{name}")),
            workspace.metrics(&run)
        );
    }
    workspace
        .train("image", &survey, &["--out", "runs/absent", "--resume"])
        .fails_with(2, &["no run to resume"]);
}

#[test]
fn a_killed_run_with_a_damaged_checkpoint_ends_with_the_same_bits() {
    const STEPS: &str = "train.steps=100";
    const LINES: &str = "train.log_every=7";
    let workspace = Workspace::new();
    let survey = workspace.simulate(40);
    let settings = ["--set", STEPS, "--set", LINES];
    workspace.train("spectrum", &survey, &settings).succeeds();

    let run = "runs/killed";
    let killed = [&["--out", run], &settings[..]].concat();
    let often = [&killed[..], &["--set", "train.checkpoint_every=1"]].concat();
    let mut child = workspace.start_training("spectrum", &survey, &often);
    let metrics = workspace.path(run).join("metrics.jsonl");
    let started = Instant::now();
    while !fs::read_to_string(&metrics).is_ok_and(|lines| lines.contains("\"step\":14,")) {
        assert!(started.elapsed() < Duration::from_secs(120), "no progress");
        thread::sleep(Duration::from_millis(1));
    }
    child.kill().expect("a running process");
    child.wait().expect("a dead process");
    assert!(!workspace.path(run).join("model.safetensors").exists());

    let checkpoints = fs::read_dir(workspace.path(run).join("checkpoints")).expect("a folder");
    let newest = checkpoints
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|end| end == "safetensors"))
        .max()
        .expect("a checkpoint");
    let file = fs::OpenOptions::new().write(true).open(&newest);
    let file = file.expect("a checkpoint");
    let half = file.metadata().expect("a size").len() / 2;
    file.set_len(half).expect("a shorter file");

    let resumed = workspace
        .train(
            "spectrum",
            &survey,
            // Not as the folder says: the model's header holds how often checkpoints were written.
            &[&killed[..], &["--resume", "--config", "tiny-specformer"]].concat(),
        )
        .succeeds();
    let newest = newest.file_name().expect("a name").to_string_lossy();
    assert!(
        resumed.stderr.contains("damaged checkpoint") && resumed.stderr.contains(&*newest),
        "{}",
        resumed.stderr
    );
    for file in ["model.safetensors", "checkpoints/step-00000100.safetensors"] {
        let bytes = |run: &str| fs::read(workspace.path(run).join(file)).expect("a finished run");
        assert!(bytes("runs/spectrum") == bytes(run), "{file} differs");
    }
    let metrics = workspace.metrics(run);
    let steps: Vec<_> = metrics.iter().map(|record| &record["step"]).collect();
    assert_eq!(steps.len(), 15, "{steps:?}");
    assert_eq!(workspace.metrics("runs/spectrum"), metrics);
}

#[test]
fn no_command_has_two_options_of_one_name() {
    fn check(command: &clap::Command) {
        let mut names = std::collections::HashSet::new();
        for argument in command.get_arguments() {
            let aliases = argument.get_all_aliases().unwrap_or_default();
            for name in argument.get_long().into_iter().chain(aliases) {
                assert!(
                    names.insert(name.to_owned()),
                    "{}: --{name}",
                    command.get_name()
                );
            }
        }
        command.get_subcommands().for_each(check);
    }
    check(&astroclip::app::cli::Cli::command());
}
