//! The supervised baselines through the command line.

use std::collections::BTreeMap;
use std::fs;

use astroclip::survey::Modality;
use serde_json::Value;

use crate::support::{Workspace, astroclip};

/// Columns of a CSV file by name.
fn read_csv(text: &str) -> BTreeMap<String, Vec<String>> {
    let mut lines = text.lines().map(|line| line.split(',').map(str::to_owned));
    let header: Vec<String> = lines.next().expect("a header").collect();
    let mut columns = vec![Vec::new(); header.len()];
    for line in lines {
        for (column, cell) in columns.iter_mut().zip(line) {
            column.push(cell);
        }
    }
    header.into_iter().zip(columns).collect()
}

/// How many galaxies are called train, validation and test.
fn roles(predictions: &BTreeMap<String, Vec<String>>) -> [usize; 3] {
    ["train", "validation", "test"].map(|role| {
        let split = predictions["split"].iter();
        split.filter(|of| *of == role).count()
    })
}

#[test]
fn a_baseline_writes_a_run_folder_with_predictions_for_all_galaxies() {
    let workspace = Workspace::new();
    let survey = workspace.simulate(60);
    for stage in ["baseline-image", "baseline-spectrum"] {
        let more = ["--targets", "redshift,stellar_mass", "--json"];
        let summary = workspace.train(stage, &survey, &more).succeeds().json();
        let results = summary["results"].as_array().expect("results");
        let targets: Vec<&Value> = results.iter().map(|result| &result["target"]).collect();
        assert_eq!(targets, ["redshift", "log_mstar"]);
        assert_eq!(results[0]["n_train"], 40, "the first 80 % of groups of six");
        assert_eq!(results[0]["n_test"], 20);
        assert_eq!(summary["n_validation"], 4);
        assert!(results.iter().all(|result| result["r2"].is_f64()));

        let run = workspace.path(&format!("runs/{stage}"));
        let file = |name: &str| fs::read_to_string(run.join(name)).expect("a file of the run");
        assert!(file("config.toml").contains("targets = [\"redshift\", \"log_mstar\"]"));
        let losses: Vec<f64> = workspace
            .metrics(&format!("runs/{stage}"))
            .iter()
            .filter_map(|record| record["validation_mse"].as_f64())
            .collect();
        assert_eq!(losses.len(), 2, "every 2 of 4 steps");
        let best = losses.iter().copied().fold(f64::INFINITY, f64::min);
        assert_eq!(summary["validation_mse"], best);

        let predictions = read_csv(&file("predictions.csv"));
        let names: Vec<&String> = predictions.keys().collect();
        assert_eq!(names, ["log_mstar", "object_id", "redshift", "split"]);
        assert_eq!(predictions["split"].len(), 60);
        assert_eq!(roles(&predictions), [36, 4, 20]);
        let redshifts = predictions["redshift"].iter();
        assert!(
            redshifts
                .map(|cell| cell.parse::<f64>())
                .all(|z| z.is_ok_and(f64::is_finite))
        );

        let model = run.join("model.safetensors").display().to_string();
        let shown = astroclip(["inspect", &model]).succeeds();
        assert!(shown.stdout.contains("supervised"), "{}", shown.stdout);
        let out = workspace.path("none.h5").display().to_string();
        astroclip([
            "embed",
            "--weights",
            &model,
            "--data",
            &survey,
            "--out",
            &out,
        ])
        .fails_with(2, &["supervised", "predicts and does not embed"]);
    }

    // Other labels are noticed: of one galaxy the mass is unknown.
    let changed = workspace.path("labels.csv");
    let ids = read_csv(
        &fs::read_to_string(workspace.path("runs/baseline-image/predictions.csv"))
            .expect("a table"),
    );
    let rows = ids["object_id"]
        .iter()
        .enumerate()
        .skip(1)
        .map(|(row, id)| format!("{id},10.{row}\n"));
    fs::write(
        &changed,
        format!("object_id,LOG_MSTAR\n{}", rows.collect::<String>()),
    )
    .expect("labels");
    let more = ["--targets", "redshift,log_mstar", "--resume", "--labels"];
    let changed = changed.display().to_string();
    let command = ["baseline", "image", "--data", &survey, "--out"];
    let run = workspace.path("runs/baseline-image").display().to_string();
    let settings = [
        "train.steps=4",
        "train.batch_size=4",
        "optimizer.warmup_steps=1",
        "validation.every=2",
        "model.width=2",
        "images.view.size=48",
    ];
    let settings = settings.iter().flat_map(|setting| ["--set", setting]);
    let arguments = command.into_iter().chain([run.as_str()]).chain(more);
    astroclip(arguments.chain([changed.as_str()]).chain(settings))
        .fails_with(2, &["other labels", "--labels"]);
}

#[test]
fn a_resumed_baseline_goes_on_with_the_column_that_was_named() {
    let workspace = Workspace::new();
    let survey = workspace.simulate(60);
    let joined = workspace.path("catalog.csv").display().to_string();
    astroclip(["match", &survey, &survey, "--on", "id", "--out", &joined]).succeeds();
    let table = read_csv(&fs::read_to_string(&joined).expect("a table"));
    let rows = table["TARGETID"].iter().zip(&table["Z_left"]);
    let rows: String = rows.map(|(id, z)| format!("{id},0.5,{z}\n")).collect();
    let labels = workspace.path("labels.csv").display().to_string();
    fs::write(&labels, format!("object_id,zspec,other\n{rows}")).expect("labels");
    let out = workspace.path("run").display().to_string();
    let command = ["baseline", "image", "--out", &out];
    let settings = [
        "targets=[\"redshift\"]",
        "train.steps=4",
        "train.batch_size=4",
        "optimizer.warmup_steps=1",
        "validation.every=2",
        "model.width=2",
        "images.view.size=48",
    ];
    let begun = [
        "--data",
        &survey,
        "--labels",
        &labels,
        "--redshift-column",
        "other",
    ];
    let begun = command
        .into_iter()
        .chain(begun)
        .chain(["--stop-after", "2"]);
    astroclip(begun.chain(settings.iter().flat_map(|setting| ["--set", setting]))).succeeds();
    let done = astroclip(command.into_iter().chain(["--resume"])).succeeds();
    assert!(done.stderr.contains("column `other`"), "{}", done.stderr);
    assert!(
        done.stderr.contains("what the run began with"),
        "{}",
        done.stderr
    );
    assert!(
        done.stdout.contains("--redshift-column other"),
        "{}",
        done.stdout
    );
}

#[test]
fn the_photometry_baseline_learns_in_seconds() {
    let workspace = Workspace::new();
    let survey = workspace.simulate(400);
    let out = workspace.path("run").display().to_string();
    workspace.write_one_kind("spectra.h5", &survey, Modality::Spectrum);
    let bare = workspace.path("spectra.h5").display().to_string();
    let without_labels = ["baseline", "photometry", "--data", &bare, "--out", &out];
    astroclip(without_labels).fails_with(2, &["--labels", "MAG_G"]);
    let command = ["baseline", "photometry", "--data", &survey, "--out", &out];
    let labelled = command.into_iter().chain(["--labels", &survey]);
    let summary = astroclip(labelled.clone().chain(["--json"]))
        .succeeds()
        .json();
    let results = summary["results"].as_array().expect("results");
    assert_eq!(results.len(), 5);
    let r2 = results[0]["r2"].as_f64().expect("a number");
    assert!(r2 > 0.5, "redshift from magnitudes: {r2}");
    let text = fs::read_to_string(workspace.path("run/predictions.csv")).expect("predictions");
    let predictions = read_csv(&text);
    assert_eq!(predictions["log_ssfr"].len(), 400);
    assert_eq!(roles(&predictions), [288, 32, 80]);
    astroclip(labelled).fails_with(2, &["holds a run already"]);
}

#[test]
fn predictions_enter_the_tables_and_the_flows() {
    let workspace = Workspace::new();
    let survey = workspace.simulate(400);
    let run = workspace.path("mlp");
    let out = run.display().to_string();
    let more = "mlp.validation_fraction=0.4";
    let data = ["--data", &survey, "--labels", &survey, "--out", &out];
    let train = ["baseline", "photometry", "--set", more];
    astroclip(train.iter().chain(&data)).succeeds();
    let file = run.join("predictions.csv");
    let predictions = read_csv(&fs::read_to_string(&file).expect("predictions"));
    assert_eq!(roles(&predictions), [192, 128, 80]);
    let ids = predictions["object_id"].iter();
    let ids: Vec<i64> = ids.map(|id| id.parse().expect("an identifier")).collect();
    let split = predictions["split"].iter();
    let split: Vec<u8> = split.map(|role| u8::from(role == "test")).collect();
    let embeddings = workspace.write_embeddings("emb.h5", &ids, &split);

    let predictions = format!("photometry={}", file.display());
    let inputs = ["--embeddings", &embeddings, "--labels", &survey];
    let given = |task| ["eval", task, "--predictions", &predictions, "--json"];
    let few = ["--flows", "2", "--epochs", "20", "--samples", "50"];
    let table = workspace.path("posterior.csv").display().to_string();
    let arguments = given("posterior").into_iter().chain(inputs).chain(few);
    let report = astroclip(arguments.chain(["--out", &table]))
        .succeeds()
        .json();
    let results = report["results"].as_array().expect("results");
    assert_eq!(results.len(), 3, "embeddings, magnitudes, predictions");
    let network = &results[2];
    assert_eq!(
        (&network["model"], &network["condition"]),
        (&"mlp".into(), &"predictions".into())
    );
    assert_eq!(
        (&network["n_train"], &network["n_test"]),
        (&128.into(), &80.into())
    );
    let noise = results[0]["nll"]["mean"].as_f64().expect("a number");
    assert!(network["nll"]["mean"].as_f64().expect("a number") < noise - 0.5);
    let summaries = read_csv(&fs::read_to_string(&table).expect("a table"));
    assert_eq!(
        summaries["conditioned_on"].last().expect("rows"),
        "predictions"
    );

    let report = workspace.path("report.html");
    let quick = ["--seeds", "1", "--bootstrap", "0", "--report"];
    let report_name = report.display().to_string();
    let arguments = given("all")
        .into_iter()
        .chain(inputs)
        .chain(few)
        .chain(quick);
    let all = astroclip(arguments.chain([report_name.as_str()]))
        .succeeds()
        .json();
    assert_eq!(all["posterior"]["results"][2]["nll"], network["nll"]);
    let page = fs::read_to_string(&report).expect("a page");
    let (_, likelihoods) = page.split_once("paper Table 3").expect("a table");
    assert!(likelihoods.contains("mlp, supervised"));
    assert!(page.contains("128 train galaxies that the network was not fitted to"));
    assert!(
        workspace
            .path("report-figures/coverage-mlp-supervised-photometry.svg")
            .exists()
    );
}

#[test]
fn bad_targets_and_labels_of_a_baseline_are_named() {
    let workspace = Workspace::new();
    let survey = workspace.simulate(20);
    let out = workspace.path("run").display().to_string();
    let refused = |more: &[&str], parts: &[&str]| {
        let mut command = vec!["baseline", "spectrum", "--out", &out];
        if !more.contains(&"--data") {
            command.extend(["--data", &survey]);
        }
        astroclip(command.iter().chain(more)).fails_with(2, parts);
    };
    refused(
        &["--targets", "z"],
        &["--targets", "'z'", "redshift", "log_mstar"],
    );
    refused(&["--targets", "redshift,redshift"], &["redshift twice"]);
    workspace.write_one_kind("spectra.h5", &survey, Modality::Spectrum);
    let bare = workspace.path("spectra.h5").display().to_string();
    refused(
        &["--targets", "age", "--data", &bare],
        &["t_age", "--labels"],
    );
    refused(
        &["--set", "train.micro_batch_size=4"],
        &["train.batch_size"],
    );
    let labels = workspace.path("other.csv");
    fs::write(&labels, "object_id,LOG_MSTAR\n1,10\n2,11\n").expect("labels");
    let labels = labels.display().to_string();
    refused(
        &["--labels", &labels, "--targets", "log_mstar"],
        &["known of 0 training", "other.csv", "log_mstar"],
    );
    refused(
        &["--labels", &labels, "--targets", "log_z_mw"],
        &["other.csv", "Z_MW", "LOG_MSTAR"],
    );
    assert!(!workspace.path("run").exists());
}

#[test]
fn a_run_file_names_the_columns_of_its_labels_and_options_win() {
    let workspace = Workspace::new();
    let survey = workspace.simulate(60);
    let file = hdf5::File::open(&survey).expect("a survey");
    let mut rows = "object_id,MAG_G,MAG_R,MAG_Z,REDSHIFT,my z,other\n".to_owned();
    for group in file.groups().expect("groups") {
        let Ok(ids) = group.dataset("targetids") else {
            continue;
        };
        for id in ids.read_raw::<i64>().expect("identifiers") {
            let z = 0.001 * (id % 97) as f64;
            rows += &format!(
                "{id},{},{},{},{},{z},{}\n",
                20.0 + z,
                19.0 - z,
                18.0 + 2.0 * z,
                z + 0.2,
                z + 0.1
            );
        }
    }
    fs::write(workspace.path("labels.csv"), rows).expect("a file");
    let run_file = format!(
        "base = \"baseline-photometry\"\ntargets = [\"redshift\"]\n[mlp]\nhidden = [4]\n[data]\nfiles = [{survey:?}]\n\
         labels = [\"labels.csv\"]\nid_column = \"object_id\"\nredshift_column = \"my z\"\n"
    );
    fs::write(workspace.path("run.toml"), run_file).expect("a file");
    let taken = |more: &[&str]| {
        let run = ["baseline", "photometry", "--config", "run.toml"];
        let done = workspace.run(&[&run[..], more].concat()).succeeds();
        (done.stderr, done.stdout)
    };
    let (said, next) = taken(&["--out", "a"]);
    assert!(said.contains("redshift: column `my z` of"), "{said}");
    assert!(
        next.contains("--id-column object_id --redshift-column 'my z' --predictions"),
        "{next}"
    );
    let (said, _) = taken(&["--out", "b", "--redshift-column", "other"]);
    assert!(said.contains("redshift: column `other` of"), "{said}");
    let (said, _) = taken(&["--out", "c", "--labels", "labels.csv"]);
    assert!(said.contains("redshift: column `REDSHIFT` of"), "{said}");
}

#[test]
fn baselines_without_steps_stand_beside_embeddings() {
    let workspace = Workspace::new();
    let survey = workspace.simulate(60);
    let baseline = |method: &str, out: &str, more: &[&str]| {
        let run = ["baseline", "spectrum", "--method", method, "--data"];
        workspace.run(&[&run[..], &[&survey, "--out", out], more].concat())
    };
    let targets = ["--targets", "redshift,log_mstar", "--json"];
    let pca = baseline("pca", "runs/pca", &targets).succeeds().json();
    assert_eq!(pca["results"][1]["target"], "log_mstar");
    assert_eq!(pca["results"][0]["n_test"], 20);
    let mlp = ["--set", "estimator=mlp", "--set", "mlp.max_epochs=2"];
    baseline("pca", "runs/mlp", &mlp).succeeds();
    let templates = baseline("templates", "runs/templates", &["--json"]);
    assert_eq!(templates.succeeds().json()["results"][0]["n_test"], 20);
    for (run, expected) in [
        ("pca", [0, 40, 20]),
        ("mlp", [36, 4, 20]),
        ("templates", [40, 0, 20]),
    ] {
        let table = workspace.path(&format!("runs/{run}/predictions.csv"));
        let predictions = read_csv(&fs::read_to_string(table).expect("a table"));
        assert_eq!(roles(&predictions), expected, "{run}");
        let mut redshifts = predictions["redshift"].iter();
        assert!(redshifts.all(|cell| cell.parse::<f64>().is_ok_and(f64::is_finite)));
        let model = format!("runs/{run}/model.safetensors");
        workspace.run(&["inspect", &model]).succeeds();
    }
    let shown = workspace.run(&["status"]).succeeds().stdout;
    assert!(shown.contains("finished"), "{shown}");
    baseline("templates", "runs/mass", &["--targets", "log_mstar"]).fails_with(
        2,
        &["`targets` is [\"log_mstar\"]", "all that templates tell"],
    );
    baseline("pca", "runs/pca", &["--resume"]).fails_with(2, &["--resume", "take no steps"]);
    baseline("pca", "runs/many", &["--set", "neighbours=40"])
        .fails_with(2, &["40 training galaxies", "40 neighbours"]);
}
