//! A survey whose images and spectra lie in different files.

use std::fs;

use crate::support::{Workspace, astroclip, writable};
use astroclip::files::data::{self, ReadOptions};
use astroclip::files::embeddings::EmbeddingFile;
use astroclip::survey::{DESI_GRID, Modality, ObjectId, Split, Survey};
use hdf5::File;
use ndarray::Axis;

/// Writes the images of some galaxies of a survey, in this order, or their spectra, with the identifiers that `id_of`
/// makes of theirs, and a position for each galaxy.
fn write_side(
    workspace: &Workspace,
    name: &str,
    survey: &str,
    rows: &[usize],
    kind: Modality,
    id_of: impl Fn(i64) -> i64,
) -> String {
    let joint = data::open(
        &[survey.into()],
        &Survey::default(),
        &ReadOptions::default(),
    )
    .unwrap();
    let labels = joint.labels(0..joint.len()).unwrap();
    let path = workspace.path(name);
    let file = File::create(&path).unwrap();
    let build = || file.new_dataset_builder();
    let ids: Vec<i64> = rows
        .iter()
        .map(|&row| id_of(labels.object_id[row].integer().unwrap()))
        .collect();
    build().with_data(&ids).create("targetid").unwrap();
    let ra: Vec<f64> = rows.iter().map(|&row| 150.0 + 0.01 * row as f64).collect();
    build().with_data(&ra).create("ra").unwrap();
    let dec = vec![2.0; rows.len()];
    build().with_data(&dec).create("dec").unwrap();
    match kind {
        Modality::Image => {
            let images = joint.images(rows).unwrap();
            build().with_data(&images).create("images").unwrap();
        }
        Modality::Spectrum => {
            let spectra = joint.spectra(rows).unwrap();
            build().with_data(&spectra).create("flux").unwrap();
            let wave = DESI_GRID.wavelengths();
            build().with_data(&wave).create("wave").unwrap();
            let redshifts: Vec<f32> = rows.iter().map(|&row| labels.redshift[row]).collect();
            build().with_data(&redshifts).create("redshift").unwrap();
        }
    }
    path.display().to_string()
}

#[test]
fn images_and_spectra_in_different_files_align_and_embed_as_the_joint_survey() {
    let workspace = Workspace::new();
    let survey = workspace.simulate(40);
    for stage in ["image", "spectrum"] {
        workspace.train(stage, &survey, &[]).succeeds();
    }
    // Galaxies 5 to 34 are in both, each side in an order of its own.
    let of_images: Vec<usize> = (0..35).map(|row| (row * 12) % 35).collect();
    let of_spectra: Vec<usize> = (5..40).rev().collect();
    let side = |name: &str, kind, id_of: fn(i64) -> i64| {
        let rows = match kind {
            Modality::Image => &of_images,
            Modality::Spectrum => &of_spectra,
        };
        write_side(&workspace, name, &survey, rows, kind, id_of)
    };
    let spectra = side("spectra.h5", Modality::Spectrum, |id| id);
    let images = side("images.h5", Modality::Image, |id| id);
    let renamed = side("renamed.h5", Modality::Image, |id| id + (1 << 40));

    // Aligned on pairs by position; the run keeps in mind what paired them.
    let pairs = workspace.path("pairs.csv").display().to_string();
    let matching = ["--on", "sky", "--out", &pairs];
    astroclip([&["match", &renamed, &spectra], &matching[..]].concat()).succeeds();
    workspace
        .train("align", &renamed, &["--data", &spectra])
        .fails_with(
            2,
            &[
                "have no identifier in common",
                "astroclip match IMAGES SPECTRA",
            ],
        );
    fs::create_dir(workspace.path("conf")).unwrap();
    let run_file = "base = \"tiny-align\"\n[data]\npairs = \"../pairs.csv\"\n";
    fs::write(workspace.path("conf/pairs.toml"), run_file).unwrap();
    let aligning = ["--data", &spectra, "--config", "conf/pairs.toml", "--json"];
    let aligned = workspace.train("align", &renamed, &aligning).succeeds();
    assert!(
        aligned
            .stderr
            .contains("35 images and 35 spectra; 30 galaxies are in both"),
        "{}",
        aligned.stderr
    );
    let record = fs::read_to_string(workspace.path("runs/align/inputs.json")).unwrap();
    assert!(record.contains("pairs.csv"), "{record}");

    let embed = |out: &str, data: &[&str]| {
        let mut all = vec!["embed", "--weights", "runs/align/model.safetensors"];
        all.extend(["--device", "cpu", "--out", out]);
        all.extend(data);
        workspace.run(&all).succeeds();
        EmbeddingFile::open(&workspace.path(out)).unwrap()
    };
    let joint = embed("joint.emb.h5", &["--data", &survey]);
    let row_of = |id: ObjectId| {
        joint
            .object_id
            .iter()
            .position(|known| *known == id)
            .unwrap()
    };
    for (out, data) in [
        ("by-id.emb.h5", &["--data", &images, &spectra][..]),
        ("as-trained.emb.h5", &[]),
    ] {
        let paired = embed(out, data);
        assert_eq!(paired.object_id.len(), 30);
        let rows: Vec<usize> = paired.object_id.iter().map(|&id| row_of(id)).collect();
        let order = of_images.iter().copied().filter(|row| *row >= 5);
        assert!(rows.iter().copied().eq(order), "{rows:?}");
        for kind in Modality::ALL {
            let (one, other) = (
                paired.embeddings(kind).unwrap(),
                joint.embeddings(kind).unwrap(),
            );
            let other = other.select(Axis(0), &rows);
            let far = (one - &other)
                .mapv(f32::abs)
                .into_iter()
                .fold(0.0, f32::max);
            assert!(far < 1e-5, "{out}: {kind} embeddings differ by {far}");
        }
        assert!(
            rows.iter()
                .zip(&paired.redshift)
                .all(|(&row, z)| joint.redshift[row] == *z)
        );
        let test = paired.rows_of(Split::Test);
        assert!(
            test.iter()
                .all(|&row| Split::of_id(paired.object_id[row]) == Split::Test)
        );
    }

    // Another table of pairs would be another run.
    let text = fs::read_to_string(&pairs).unwrap();
    let fewer: Vec<&str> = text.lines().take(20).collect();
    fs::write(workspace.path("fewer.csv"), fewer.join("\n")).unwrap();
    let resumed = ["--data", &spectra, "--pairs", "fewer.csv", "--resume"];
    workspace
        .train("align", &renamed, &resumed)
        .fails_with(2, &["resuming with other pairs", "--pairs"]);
}

#[test]
fn inspect_and_check_say_what_is_paired_and_name_bad_rows_by_their_own_file() {
    let workspace = Workspace::new();
    let survey = workspace.simulate(10);
    fs::create_dir(workspace.path("both")).unwrap();
    let rows = [4, 0, 3, 1];
    write_side(
        &workspace,
        "both/i.h5",
        &survey,
        &rows,
        Modality::Image,
        |id| id,
    );
    let rows = [5, 1, 2, 0];
    let spectra = write_side(
        &workspace,
        "both/s.h5",
        &survey,
        &rows,
        Modality::Spectrum,
        |id| id,
    );
    let note = "4 images and 4 spectra; 2 galaxies are in both, paired by identifier";
    let shown = workspace
        .run(&["inspect", "both", "--json"])
        .succeeds()
        .json();
    assert_eq!(
        (&shown["galaxies"], &shown["notes"][0]),
        (&2.into(), &note.into())
    );
    let checked = workspace.run(&["check", "both"]).succeeds();
    assert!(
        checked
            .stdout
            .contains("2 galaxies in 2 files: all can be used")
    );
    assert!(
        checked.stdout.contains("2 galaxies are in both"),
        "{}",
        checked.stdout
    );

    let file = writable(&spectra);
    let flux = file.dataset("flux").unwrap();
    let nan = ndarray::arr1(&[f32::NAN]);
    flux.write_slice(&nan, ndarray::s![3, 7..8]).unwrap();
    drop((flux, file));
    let found = workspace.run(&["check", "both", "--json"]);
    assert_eq!(found.code, Some(2));
    let bad = found.json()["bad"].clone();
    assert_eq!(
        (&bad[0]["row"], &bad[1]),
        (&3.into(), &serde_json::Value::Null)
    );
    assert!(bad[0]["file"].as_str().unwrap().ends_with("s.h5"), "{bad}");
}
