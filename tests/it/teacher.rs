//! Alignment with embeddings of another model to learn from.

use ndarray::{Array2, Axis};

use crate::support::{Workspace, astroclip, writable};

/// Image and spectrum embeddings of a file.
fn embeddings(path: &str) -> [Array2<f32>; 2] {
    let file = hdf5::File::open(path).expect("an embedding file");
    ["image_embeddings", "spectrum_embeddings"].map(|name| {
        let dataset = file.dataset(name).expect("embeddings");
        dataset.read_2d().expect("numbers")
    })
}

/// The mean of the cosines between rows.
fn alike(ours: &[Array2<f32>; 2], theirs: &[Array2<f32>; 2]) -> f32 {
    let rows = ours.iter().zip(theirs).flat_map(|(ours, theirs)| {
        let rows = ours.axis_iter(Axis(0)).zip(theirs.axis_iter(Axis(0)));
        rows.map(|(a, b)| a.dot(&b) / (a.dot(&a) * b.dot(&b)).sqrt())
    });
    let cosines: Vec<f32> = rows.collect();
    cosines.iter().sum::<f32>() / cosines.len() as f32
}

#[test]
fn a_model_learns_to_make_the_embeddings_of_another_and_goes_on_with_them_after_a_break() {
    let workspace = Workspace::new();
    let survey = workspace.simulate(60);
    for stage in ["image", "spectrum"] {
        workspace.train(stage, &survey, &[]).succeeds();
    }
    let path = |name: &str| workspace.path(name).display().to_string();
    let embed = |run: &str| {
        let (model, out) = (
            path(&format!("{run}/model.safetensors")),
            path(&format!("{run}.h5")),
        );
        astroclip([
            "embed",
            "--weights",
            &model,
            "--data",
            &survey,
            "--out",
            &out,
        ])
        .succeeds();
        out
    };
    workspace.train("align", &survey, &[]).succeeds();
    let taught = embed("runs/align");

    // Other heads to begin with.
    let student = |run: &str, more: &[&str]| {
        let out = path(run);
        let settings = ["train.seed=7", "train.steps=40", "optimizer.lr=1e-3"];
        let settings = settings.iter().flat_map(|setting| ["--set", setting]);
        let all: Vec<&str> = settings
            .chain(["--out", &out])
            .chain(more.iter().copied())
            .collect();
        workspace.train("align", &survey, &all)
    };
    student("runs/alone", &[]).succeeds();
    student("runs/whole", &["--teacher", &taught]).succeeds();
    student("runs/broken", &["--teacher", &taught, "--stop-after", "20"]).succeeds();
    let out = path("runs/broken");
    // Nothing is named: the run knows its teacher.
    astroclip(["align", "--resume", "--out", &out]).succeeds();
    let whole = workspace.metrics("runs/whole");
    assert_eq!(whole, workspace.metrics("runs/broken"));
    let first = whole.first().expect("a line")["distillation"].as_f64();
    let last = whole.last().expect("a line")["distillation"].as_f64();
    assert!(
        last.expect("a term") < 0.5 * first.expect("a term"),
        "{first:?} to {last:?}"
    );

    let teacher = embeddings(&taught);
    let [alone, like] =
        ["runs/alone", "runs/whole"].map(|run| alike(&embeddings(&embed(run)), &teacher));
    assert!(
        like > 0.9 && alone < 0.5,
        "{like}, and {alone} without a teacher"
    );

    let narrow = [
        "--set",
        "align.image_head.embedding=16",
        "--set",
        "align.spectrum_head.embedding=16",
    ];
    let narrow: Vec<&str> = ["--teacher", &taught].into_iter().chain(narrow).collect();
    student("runs/narrow", &narrow).fails_with(
        2,
        &[
            "align.h5",
            "its image embeddings have 64 numbers, align.image_head.embedding is 16",
            "--set align.image_head.embedding=64",
        ],
    );
    let images = workspace.write_embeddings("images.h5", &[1, 2], &[0; 2]);
    student("runs/images", &["--teacher", &images]).fails_with(2, &["images.h5", "spectrum"]);
    let strangers = path("strangers.h5");
    std::fs::copy(&taught, &strangers).expect("a copy");
    let file = writable(&strangers);
    let ids: Vec<i64> = (900_000..900_060).collect();
    let written = file
        .dataset("object_id")
        .and_then(|dataset| dataset.write(&ids));
    written.expect("numbers");
    file.close().expect("a file");
    student("runs/strangers", &["--teacher", &strangers])
        .fails_with(2, &["strangers.h5", "none of the", "by their object_id"]);
}
