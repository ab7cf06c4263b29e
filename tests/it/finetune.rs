//! Fine-tuning: what learns when, and what a run leaves.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use astroclip::network::model::{
    Backbone, FineTuned, RegressionHeadConfig, SpecFormer, SpecFormerConfig, Tower,
};
use astroclip::network::nn::{Initializer, Precision};
use astroclip::network::weights::{ModelFile, TensorMap};
use astroclip::survey::Modality;
use astroclip::training::objective::{
    Compute, FineTuneOptimizerConfig, RegressionConfig, RegressionObjective, RegressionOptimizer,
};
use astroclip::training::train::Objective;
use astroclip::views::batch::{RegressionBatch, TargetScaling};
use burn::tensor::{Device, TensorData};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

use crate::objectives::data;
use crate::support::{Finished, Workspace, astroclip};

/// Settings of runs that take a second.
const TINY: [&str; 8] = [
    "train.steps=6",
    "train.batch_size=4",
    "train.log_every=1",
    "train.checkpoint_every=2",
    "validation.every=2",
    "optimizer.frozen_steps=2",
    "optimizer.warmup_steps=1",
    "optimizer.lr=0.01",
];

/// Fine-tunes a model of the workspace in `runs/OUT`.
fn finetune(
    workspace: &Workspace,
    (weights, survey, out): (&str, &str, &str),
    more: &[&str],
) -> Finished {
    let out = format!("runs/{out}");
    let mut arguments = vec!["finetune", "--device", "cpu", "--weights", weights];
    arguments.extend(["--out", &out]);
    for named in ["--data", "--labels"] {
        if !more.contains(&named) {
            arguments.extend([named, survey]);
        }
    }
    arguments.extend(TINY.iter().flat_map(|setting| ["--set", setting]));
    arguments.extend(more);
    workspace.run(&arguments)
}

fn tensors(path: &Path) -> TensorMap {
    ModelFile::read(path).expect("a model").1
}

/// Rows of a table of predictions: identifier and split to predictions.
fn predictions(path: &Path) -> BTreeMap<(String, String), Vec<f64>> {
    let text = fs::read_to_string(path).expect("predictions");
    let rows = text.lines().skip(1).map(|line| {
        let cells: Vec<&str> = line.split(',').collect();
        let numbers = cells[2..]
            .iter()
            .map(|cell| cell.parse().expect("a number"));
        (
            (cells[0].to_owned(), cells[1].to_owned()),
            numbers.collect(),
        )
    });
    rows.collect()
}

/// How many galaxies are called train, validation and test.
fn roles(predictions: &BTreeMap<(String, String), Vec<f64>>) -> [usize; 3] {
    ["train", "validation", "test"]
        .map(|role| predictions.keys().filter(|(_, own)| own == role).count())
}

#[test]
fn a_fine_tuned_encoder_embeds_and_its_predictions_stand_beside_its_embeddings() {
    let workspace = Workspace::new();
    let survey = workspace.simulate(60);
    workspace.train("image", &survey, &[]).succeeds();
    let before = "runs/image/model.safetensors";
    let run = (before, survey.as_str(), "finetune");
    let targets = "redshift,log_mstar";
    let more = ["--targets", targets, "--json", "--set", "head.hidden=8"];
    let summary = finetune(&workspace, run, &more).succeeds().json();
    assert_eq!(summary["source"], "image");
    assert_eq!(summary["n_validation"], 6);
    assert_eq!(summary["results"][1]["target"], "log_mstar");
    let after = workspace.path("runs/finetune/model.safetensors");
    let losses: Vec<Value> = workspace.metrics("runs/finetune");
    let rates = losses.iter().map(|line| line["learning_rate"].as_f64());
    let rates: Vec<f64> = rates.map(|rate| rate.expect("a number")).collect();
    assert_eq!(rates[0], 0.01);
    assert!(rates.windows(2).all(|pair| pair[1] < pair[0]));
    let step = summary["best_step"].as_u64().expect("a number");
    let is_changed = tensors(&after) != tensors(&workspace.path(before));
    assert_eq!(is_changed, step > 2, "the best weights are of step {step}");

    let predicted = predictions(&workspace.path("runs/finetune/predictions.csv"));
    assert_eq!(roles(&predicted), [34, 6, 20]);
    let embed = ["embed", "--weights", "runs/finetune/model.safetensors"];
    let data = ["--data", &survey, "--out", "emb.h5", "--device", "cpu"];
    workspace.run(&[&embed[..], &data].concat()).succeeds();
    let eval = ["eval", "redshift", "--embeddings", "emb.h5", "--json"];
    let labels = ["--labels", &survey, "--seeds", "1", "--bootstrap", "0"];
    let table = ["--predictions", "image=runs/finetune/predictions.csv"];
    let scores = workspace.run(&[&eval[..], &labels, &table].concat());
    let scores = scores.succeeds().json();
    let of_head = scores["results"].as_array().expect("results").iter();
    let of_head = of_head.filter(|result| result["method"] == "supervised");
    let of_head: Vec<&Value> = of_head.collect();
    assert_eq!(of_head.len(), 1, "{scores}");
    let close = |a: &Value, b: &Value| {
        (a.as_f64().expect("a number") - b.as_f64().expect("a number")).abs() < 1e-6
    };
    assert!(close(&of_head[0]["r2"], &summary["results"][0]["r2"]));
}

#[test]
fn a_frozen_encoder_keeps_its_bits_and_the_other_transformer_always_does() {
    let workspace = Workspace::new();
    let survey = workspace.simulate(40);
    workspace.train("spectrum", &survey, &[]).succeeds();
    let before = "runs/spectrum/model.safetensors";
    let frozen = [
        "--set",
        "optimizer.frozen_steps=6",
        "--set",
        "optimizer.warmup_steps=0",
    ];
    let run = (before, survey.as_str(), "frozen");
    let said = finetune(&workspace, run, &frozen).succeeds();
    assert!(
        said.stderr.contains("the head still learned alone"),
        "{}",
        said.stderr
    );
    let after = workspace.path("runs/frozen/model.safetensors");
    assert_eq!(tensors(&after), tensors(&workspace.path(before)));

    workspace.train("image", &survey, &[]).succeeds();
    let encoders = [
        "--image-encoder",
        "runs/image/model.safetensors",
        "--spectrum-encoder",
        before,
    ];
    workspace.train("align", &survey, &encoders).succeeds();
    let aligned = "runs/align/model.safetensors";
    let more = [
        "--source",
        "spectrum",
        "--set",
        "optimizer.frozen_steps=0",
        "--json",
    ];
    let run = (aligned, survey.as_str(), "aligned");
    let summary = finetune(&workspace, run, &more).succeeds().json();
    assert_eq!(summary["source"], "spectrum");
    let before = tensors(&workspace.path(aligned));
    let after = tensors(&workspace.path("runs/aligned/model.safetensors"));
    assert_eq!(before.len(), after.len());
    for (name, tensor) in &before {
        // Components of features stay: what the transformer says now is projected on them. So does what fluxes add.
        let stays = [
            "spectrum.head.",
            "spectrum_photometry.",
            "spectrum_features.",
        ];
        let learns =
            name.starts_with("spectrum") && !stays.iter().any(|part| name.starts_with(part));
        assert_eq!(after[name] != *tensor, learns, "{name}");
    }
}

#[test]
fn folds_predict_for_galaxies_that_they_were_not_fitted_to_and_resuming_changes_no_bit() {
    let workspace = Workspace::new();
    let survey = workspace.simulate(60);
    workspace.train("spectrum", &survey, &[]).succeeds();
    let weights = "runs/spectrum/model.safetensors";
    let folds = ["--set", "validation.folds=2", "--json"];
    let whole = (weights, survey.as_str(), "whole");
    let summary = finetune(&workspace, whole, &folds).succeeds().json();
    let of_fold = |fold: usize, key: &str| summary["folds"][fold][key].as_u64();
    let best = (0..2).filter_map(|fold| of_fold(fold, "best_step")).min();
    assert_eq!(summary["best_step"].as_u64(), best, "the lower of two");
    assert_eq!(summary["n_validation"], 40);
    let joined = predictions(&workspace.path("runs/whole/predictions.csv"));
    assert_eq!(roles(&joined), [0, 40, 20]);
    let of_folds = [0, 1].map(|fold| {
        predictions(&workspace.path(&format!("runs/whole/fold-{fold}/predictions.csv")))
    });
    assert_eq!(of_folds.each_ref().map(roles), [[20, 20, 20]; 2]);
    for (galaxy, values) in &joined {
        match galaxy.1.as_str() {
            "validation" => {
                let own = of_folds.iter().find_map(|fold| fold.get(galaxy));
                assert_eq!(own, Some(values));
            }
            _ => {
                let mean = (of_folds[0][galaxy][0] + of_folds[1][galaxy][0]) / 2.0;
                assert!((mean - values[0]).abs() < 1e-12);
            }
        }
    }

    let broken = (weights, survey.as_str(), "broken");
    for (stop, resume) in [("1", &[][..]), ("5", &["--resume"])] {
        let stop = ["--stop-after", stop];
        let stopped = finetune(&workspace, broken, &[&folds[..], &stop, resume].concat());
        assert_eq!(stopped.succeeds().json()["model"], Value::Null);
    }
    workspace
        .run(&[
            "finetune",
            "--resume",
            "--out",
            "runs/broken",
            "--device",
            "cpu",
        ])
        .succeeds();
    for file in [
        "model.safetensors",
        "predictions.csv",
        "fold-1/model.safetensors",
    ] {
        let bytes = |run: &str| fs::read(workspace.path(run).join(file)).expect("a file");
        assert!(
            bytes("runs/broken") == bytes("runs/whole"),
            "{file} differs"
        );
    }
    assert_eq!(
        workspace.metrics("runs/broken"),
        workspace.metrics("runs/whole")
    );
    // A fold alone is a run, too.
    let alone = (weights, survey.as_str(), "alone");
    let settings = [
        "--set",
        "validation.fold=1",
        "--set",
        "train.keep_checkpoints=1",
    ];
    finetune(&workspace, alone, &[&folds[..], &settings].concat()).succeeds();
    let bytes = |run: &str| fs::read(workspace.path(run).join("model.safetensors"));
    assert_eq!(
        bytes("runs/alone").expect("a model"),
        bytes("runs/whole/fold-1").expect("a model")
    );
}

#[test]
fn a_small_run_learns_and_ends_when_it_learns_no_more() {
    let workspace = Workspace::new();
    let survey = workspace.simulate(200);
    workspace.train("spectrum", &survey, &[]).succeeds();
    let settings = [
        "train.steps=400",
        "train.batch_size=16",
        "validation.every=10",
        "validation.patience=2",
        "optimizer.frozen_steps=20",
        "optimizer.warmup_steps=10",
        "labels_limit=120",
        "huber_delta=1.0",
    ];
    let mut more = vec!["--targets", "log_mstar", "--json"];
    more.extend(settings.iter().flat_map(|setting| ["--set", setting]));
    let run = ("runs/spectrum/model.safetensors", survey.as_str(), "learns");
    let summary = finetune(&workspace, run, &more).succeeds().json();
    let result = &summary["results"][0];
    assert_eq!(
        (&result["n_train"], &result["n_test"]),
        (&120.into(), &40.into())
    );
    let r2 = result["r2"].as_f64().expect("a number");
    assert!(r2 > 0.3, "{r2}");
    let (step, best) = (summary["step"].as_u64(), summary["best_step"].as_u64());
    assert_eq!(step, best.map(|best| best + 20), "{summary}");
    let last = workspace.metrics("runs/learns").pop().expect("a line");
    assert!(last["huber"].is_f64() && last["validation_huber"].is_f64());
    // A finished run that goes on does nothing, to the same result.
    let out = workspace.path("runs/learns").display().to_string();
    let again = [
        "finetune", "--resume", "--out", &out, "--json", "--device", "cpu",
    ];
    let again = workspace.run(&again).succeeds().json();
    assert_eq!(again["results"], summary["results"]);
    assert_eq!(again["step"], summary["step"]);
}

#[test]
fn what_does_not_go_together_is_named() {
    let workspace = Workspace::new();
    let survey = workspace.simulate(40);
    for stage in ["image", "spectrum", "baseline-spectrum"] {
        workspace.train(stage, &survey, &[]).succeeds();
    }
    let image = "runs/image/model.safetensors";
    let refused = |weights: &str, more: &[&str], parts: &[&str]| {
        let run = (weights, survey.as_str(), "refused");
        finetune(&workspace, run, more).fails_with(2, parts);
        assert!(!workspace.path("runs/refused").exists());
    };
    refused(
        "runs/baseline-spectrum/model.safetensors",
        &[],
        &[
            "supervised spectrum baseline",
            "predicts and does not embed",
        ],
    );
    refused(
        image,
        &["--source", "spectrum"],
        &["takes image data", "--source"],
    );
    refused(
        image,
        &["--targets", "redshift,redshift"],
        &["redshift twice"],
    );
    refused(
        image,
        &["--set", "validation.fold=1"],
        &["validation.fold", "validation.folds"],
    );
    refused(
        image,
        &["--set", "validation.folds=40"],
        &["30 training galaxies", "40"],
    );
    refused(image, &["--set", "labels_limit=3"], &["labels_limit"]);
    refused(
        image,
        &["--set", "optimizer.layer_decay=0"],
        &["optimizer.layer_decay"],
    );
    refused(
        image,
        &["--set", "optimizer.frozen_steps=7"],
        &["optimizer.frozen_steps"],
    );
    refused(
        image,
        &["--set", "train.micro_batch_size=2"],
        &["train.batch_size"],
    );
    workspace.write_one_kind("spectra.h5", &survey, Modality::Spectrum);
    let spectra = workspace.path("spectra.h5").display().to_string();
    refused(image, &["--data", &spectra], &["image"]);
    let labels = workspace.path("labels.csv");
    let named = labels.display().to_string();
    fs::write(&labels, "object_id,LOG_MSTAR\n1,10\n2,11\n").expect("labels");
    let few = ["--labels", &named, "--targets", "log_mstar"];
    refused(image, &few, &["known of 0 training", "labels.csv"]);
    let other = ["--labels", &named, "--targets", "log_z_mw"];
    refused(image, &other, &["labels.csv", "Z_MW"]);
    let nothing = astroclip(["finetune", "--data", &survey, "--out", "/nowhere/runs/x"]);
    nothing.fails_with(2, &["/nowhere/runs", "--weights MODEL"]);
}

#[test]
fn a_galaxy_whose_target_is_unknown_leaves_the_gradient_of_that_target_alone() {
    const WIDTH: usize = 8;
    let device = Device::flex().autodiff();
    let model = SpecFormerConfig {
        token_width: 6,
        max_tokens: 5,
        width: WIDTH,
        depth: 1,
        heads: 2,
        mlp_ratio: 1.0,
    };
    let gradient = |inputs: TensorData, target: f64| {
        let mut init = Initializer::new(1, &device);
        let backbone = Backbone::Spectrum(SpecFormer::new(&model, &mut init));
        let tower = Tower {
            source: Modality::Spectrum,
            drop_path: 0.0,
            precision: Precision::F32,
        };
        let head = RegressionHeadConfig {
            hidden: None,
            dropout: 0.0,
        };
        let network = FineTuned::new(backbone, tower, 2, &head, &mut init);
        let scaling = TargetScaling {
            mean: vec![0.0; 2],
            std: vec![1.0; 2],
        };
        let config = RegressionConfig {
            optimizer: RegressionOptimizer::FineTuning(optimizer(), 1),
            huber_delta: None,
            scaling: scaling.clone(),
            steps: 4,
            schedule_steps: 4,
            validate_every: 4,
            patience: None,
            seed: 0,
        };
        let targets = ndarray::array![[0.3, -0.2], [target, f64::NAN]];
        let batch: RegressionBatch = scaling.batch(inputs, targets.view());
        let compute = Compute::on(&device);
        let mut objective = RegressionObjective::new(network, config, None, compute);
        let step = objective.gradients(3, batch).expect("gradients");
        let gradients: BTreeMap<String, Vec<f32>> = (step.gradients.on_host())
            .map(|(name, values)| (name.to_owned(), values))
            .collect();
        let of_backbone = gradients
            .keys()
            .filter(|name| name.starts_with("backbone."));
        assert!(of_backbone.count() > 10, "all learn");
        // Rows are inputs, columns targets.
        let weights = gradients["head.output.weight"].chunks_exact(2);
        let (first, second): (Vec<f32>, Vec<f32>) = weights.map(|row| (row[0], row[1])).unzip();
        (first, second)
    };
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let known: TensorData = data(&mut rng, [1, 5, 6]);
    let mut with = |target: f64| {
        let other: TensorData = data(&mut rng, [1, 5, 6]);
        let values = |data: &TensorData| data.as_slice::<f32>().expect("f32").to_vec();
        let both = [values(&known), values(&other)].concat();
        gradient(TensorData::new(both, [2, 5, 6]), target)
    };
    let (one, other) = (with(0.5), with(-2.0));
    assert_ne!(one.0, other.0, "the target that is known");
    assert_eq!(one.1, other.1, "the target that is not");
    assert!(one.1.iter().any(|&value| value != 0.0));
}

fn optimizer() -> FineTuneOptimizerConfig {
    FineTuneOptimizerConfig {
        lr: 1e-3,
        min_lr: 0.0,
        backbone_lr_factor: 1.0,
        layer_decay: 0.5,
        frozen_steps: 0,
        warmup_steps: 0,
        weight_decay: 0.0,
        clip_norm: 1e9,
        adamw: Default::default(),
    }
}
