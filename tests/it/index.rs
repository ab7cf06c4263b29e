//! `astroclip index`: what is found in it, what it refuses, and that it answers as the embedding files do.

#[cfg(feature = "qdrant")]
mod qdrant;

use std::fs;
use std::path::Path;

use astroclip::evaluation::engine::Index;
use astroclip::evaluation::search::{Query, search, search_index};
use astroclip::files::embeddings::{
    EmbeddingBatch, EmbeddingFile, EmbeddingRows, EmbeddingWriter, Features, Keys, Observed,
    Provenance,
};
use astroclip::survey::{Modality, ObjectId, Split};
use half::f16;
use ndarray::{Array2, ArrayView1, Axis, concatenate, s};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::serve::client::Served;
use crate::support::Workspace;

const WIDTH: usize = 24;

/// Embeddings of images and spectra around some hundred centres; the spectra lie to one side of the images.
fn pairs(rows: usize) -> [Array2<f32>; 2] {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let mut noise = move |size: f32| size * (rng.random::<f32>() - 0.5);
    let centres = Array2::from_shape_simple_fn((120, WIDTH), || noise(2.0));
    let image = Array2::from_shape_fn((rows, WIDTH), |(row, column)| {
        centres[[row * 7 % 120, column]] + noise(1.0)
    });
    let spectrum = &image
        + &Array2::from_shape_fn((rows, WIDTH), |(_, column)| {
            (column as f32).sin() + noise(0.2)
        });
    [image, spectrum]
}

fn write(path: &Path, first_id: i64, image: Array2<f32>, spectrum: Array2<f32>, model: &str) {
    let provenance = Provenance {
        model_sha256: model.to_owned(),
        model_config: "{}".to_owned(),
        program_version: "0.1.0".to_owned(),
        normalized: false,
        inputs: None,
        part: None,
    };
    let rows = image.nrows();
    let mut writer = EmbeddingWriter::create(path, &Modality::ALL, WIDTH, &provenance).unwrap();
    let ids: Vec<ObjectId> = (first_id..).take(rows).map(ObjectId::from).collect();
    let redshift: Vec<f32> = (first_id..)
        .take(rows)
        .map(|id| (id - 1000) as f32 / 3000.0)
        .collect();
    let batch = EmbeddingBatch {
        image: Some(image.view()),
        spectrum: Some(spectrum.view()),
        features: Features::default(),
        object_id: &ids,
        split: &vec![Split::Test; rows],
        redshift: &redshift,
        observed: &vec![Observed::UNKNOWN; rows],
        continua: None,
    };
    writer.append(&batch).unwrap();
    writer.finish().unwrap();
}

/// A folder with two embedding files, `a.h5` and `b.h5`, and one of the galaxies of both, `both.h5`.
fn files() -> Workspace {
    let workspace = Workspace::new();
    let [image, spectrum] = pairs(3000);
    let part = |from: usize, to: usize| {
        [&image, &spectrum].map(|all| all.slice(s![from..to, ..]).to_owned())
    };
    let [one, other] = part(0, 1100);
    write(&workspace.path("a.h5"), 1000, one, other, "m");
    let [one, other] = part(1100, 3000);
    write(&workspace.path("b.h5"), 2100, one, other, "m");
    write(&workspace.path("both.h5"), 1000, image, spectrum, "m");
    workspace
}

fn make(workspace: &Workspace, words: &[&str]) -> serde_json::Value {
    let words = [&["index"], words, &["--out", "galaxies.index", "--json"]].concat();
    workspace.run(&words).succeeds().json()
}

/// Matches without the file that they are of.
fn without_place(mut found: serde_json::Value) -> serde_json::Value {
    for one in found.as_array_mut().unwrap() {
        one.as_object_mut().unwrap().remove("embeddings");
    }
    found
}

#[test]
fn nearly_all_is_found_and_exactly_all_where_that_is_asked_for() {
    let workspace = files();
    let made = make(&workspace, &["a.h5", "b.h5"]);
    assert_eq!(made["galaxies"], 3000);
    let both = EmbeddingFile::open(&workspace.path("both.h5")).unwrap();
    let open = |is_exact| Index::open(&workspace.path("galaxies.index"), is_exact).unwrap();
    let (index, exact) = (open(false), open(true));
    for (gallery, to) in made["galleries"]
        .as_array()
        .unwrap()
        .iter()
        .zip(Modality::ALL)
    {
        assert!(gallery["lists"].as_u64().unwrap() > 50);
        for (measured, from) in gallery["searches"]
            .as_array()
            .unwrap()
            .iter()
            .zip(Modality::ALL)
        {
            let mut right = 0;
            for row in (0..3000).step_by(60) {
                let object_id = both.object_id[row];
                let query = Query {
                    object_id,
                    from,
                    to,
                    k: 10,
                };
                let expected = search(&both, &query).unwrap();
                // To the last bit.
                assert_eq!(
                    search_index(&exact, &query).unwrap(),
                    expected,
                    "{from} → {to} {row}"
                );
                let found = search_index(&index, &query).unwrap();
                assert_eq!(found.len(), 10);
                right += expected
                    .iter()
                    .filter(|one| {
                        found
                            .iter()
                            .any(|other| (other.row, other.similarity) == (one.row, one.similarity))
                    })
                    .count();
            }
            let recall = right as f64 / 500.0;
            let said = measured["recall"].as_f64().unwrap();
            assert!(
                said >= 0.97 && recall > 0.92,
                "{from} → {to}: {recall}, said {said}"
            );
            assert!(measured["vectors"].as_u64().unwrap() < 2400, "{measured}");
        }
    }
    // As many are looked at where few are let in.
    let gallery = index.gallery(Modality::Image).unwrap();
    let query = gallery.vector(7).unwrap();
    let few = |row: usize| row % 50 == 3;
    let found = gallery
        .nearest(
            ArrayView1::from(&query),
            Some(Modality::Image),
            40,
            Some(&few),
        )
        .unwrap();
    let all = exact.gallery(Modality::Image).unwrap();
    let expected = all
        .nearest(ArrayView1::from(&query), None, 40, Some(&few))
        .unwrap();
    assert!(found.iter().all(|&(row, _)| few(row)));
    assert_eq!((found, expected.len()), (expected.clone(), 40));
}

#[test]
fn the_commands_answer_from_it() {
    let workspace = files();
    make(&workspace, &["[ab].h5"]);
    let asked = ["--id", "2345", "--to", "spectrum", "-k", "5", "--json"];
    let run = |words: &[&str]| workspace.run(&[words, &asked].concat()).succeeds();
    let of_file = without_place(run(&["search", "both.h5"]).json());
    let exact = run(&["search", "galaxies.index", "--exact"]);
    assert_eq!(without_place(exact.json()), of_file);
    let near = run(&["search", "galaxies.index"]);
    assert!(near.stderr.contains("approximate"), "{}", near.stderr);
    assert_eq!(near.json()[0]["rank"], 1);
    let inspected = workspace
        .run(&["inspect", "galaxies.index", "--json"])
        .succeeds()
        .json();
    assert_eq!(
        (&inspected["kind"], &inspected["galaxies"]),
        (&"index".into(), &3000.into())
    );

    let served = Served::start(&workspace, &["galaxies.index"]);
    assert_eq!(served.get("/api/v1/info").json()["approximate"], true);
    drop(served);
    let served = Served::start(&workspace, &["galaxies.index", "--exact"]);
    assert_eq!(served.get("/api/v1/info").json()["approximate"], false);
    let found = served
        .get("/api/v1/search?id=2345&to=spectrum&limit=5")
        .json();
    assert_eq!(found["total"], 3000);
    for (found, expected) in found["matches"]
        .as_array()
        .unwrap()
        .iter()
        .zip(of_file.as_array().unwrap())
    {
        for field in ["rank", "row", "similarity", "split"] {
            assert_eq!(found[field], expected[field], "{field}");
        }
    }
    let low = served
        .get("/api/v1/search?id=2345&limit=9&filters=redshift:..0.1")
        .json();
    assert!(low["total"].as_u64().unwrap() < 400);
    let redshifts = low["matches"].as_array().unwrap().iter();
    assert!(
        redshifts
            .map(|one| one["properties"]["redshift"].as_f64().unwrap())
            .all(|z| z <= 0.1)
    );
    assert_eq!(served.stop(), Some(0));
}

#[test]
fn what_is_no_longer_true_is_refused() {
    let workspace = files();
    make(&workspace, &["a.h5", "b.h5"]);
    let ask = |file: &str| workspace.run(&["search", file, "--id", "1000"]);
    // Both may move together.
    fs::create_dir(workspace.path("moved")).unwrap();
    for name in ["a.h5", "b.h5", "galaxies.index"] {
        fs::copy(workspace.path(name), workspace.path("moved").join(name)).unwrap();
    }
    fs::rename(workspace.path("b.h5"), workspace.path("c.h5")).unwrap();
    ask("moved/galaxies.index").succeeds();
    ask("galaxies.index").fails_with(2, &["b.h5", "no such file", "astroclip index"]);
    let [image, spectrum] = pairs(1900);
    write(&workspace.path("b.h5"), 2100, spectrum, image, "m");
    ask("galaxies.index").fails_with(2, &["b.h5", "has changed since", "galaxies.index"]);

    let whole = fs::read(workspace.path("moved/galaxies.index")).unwrap();
    let damaged = |name: &str, bytes: &[u8]| {
        fs::write(workspace.path("moved").join(name), bytes).unwrap();
        ask(&format!("moved/{name}"))
    };
    damaged("short.index", &whole[..whole.len() - 1]).fails_with(2, &["damaged index", "bytes"]);
    let text = String::from_utf8_lossy(&whole).into_owned();
    let newer = text.find(r#"\"version\":1"#).expect("a version");
    let mut changed = whole.clone();
    changed[newer + 12] = b'7';
    damaged("newer.index", &changed).fails_with(2, &["format version 7", "newer one"]);
    let header = 8 + u64::from_le_bytes(*whole.first_chunk().unwrap()) as usize;
    let mut changed = whole.clone();
    changed[header..header + 800].fill(0xff);
    damaged("lists.index", &changed).fails_with(2, &["damaged index", "lists"]);
    // Anything may be in the codes.
    let mut changed = whole.clone();
    let last = changed.len() - 40_000;
    changed[last..].fill(0x55);
    damaged("codes.index", &changed).succeeds();

    let index = |words: &[&str]| workspace.run(&[&["index"], words].concat());
    index(&["both.h5", "--out", "both.h5"]).fails_with(2, &["both.h5", "no index"]);
    index(&["both.h5", "--out", "new.index", "--recall", "2"])
        .fails_with(2, &["--recall", "above 0"]);
    let [image, spectrum] = pairs(30);
    write(&workspace.path("other.h5"), 1, image, spectrum, "n");
    index(&["both.h5", "other.h5", "--out", "new.index"])
        .fails_with(2, &["other.h5", "another model"]);
    workspace
        .run(&["search", "both.h5", "--id", "1000", "--exact"])
        .fails_with(2, &["--exact", "both.h5"]);
    assert!(!workspace.path("new.index").exists());
}

#[test]
fn a_few_galaxies_are_enough_and_those_without_a_direction_are_left_out() {
    let workspace = Workspace::new();
    let [image, mut spectrum] = pairs(9);
    spectrum.row_mut(2).fill(0.0);
    write(&workspace.path("few.h5"), 1, image, spectrum, "m");
    let made = make(&workspace, &["few.h5"]);
    assert_eq!(made["galleries"][1]["vectors"], 8);
    let found = |words: &[&str]| {
        let words = [&["search", "galaxies.index", "-k", "20", "--json"], words].concat();
        workspace.run(&words)
    };
    let all = found(&["--id", "4", "--to", "spectrum"]).succeeds();
    assert!(
        all.stderr.contains("1 galaxies have a spectrum embedding"),
        "{}",
        all.stderr
    );
    assert_eq!(all.json().as_array().unwrap().len(), 8);
    found(&["--id", "3", "--from", "spectrum"])
        .fails_with(2, &["galaxy 3 (row 2) is zero throughout"]);
    let [_, mut none] = pairs(3);
    none.fill(0.0);
    write(&workspace.path("none.h5"), 1, none.clone(), none, "m");
    workspace
        .run(&["index", "none.h5", "--out", "none.index"])
        .fails_with(2, &["zero or not finite"]);
}

#[test]
fn vectors_are_looked_up_one_by_one_however_they_are_stored() {
    let folder = tempfile::tempdir().unwrap();
    let [image, spectrum] = pairs(300);
    let mut paths = Vec::new();
    for (name, image) in [("chunks.h5", &image), ("compressed.h5", &spectrum)] {
        let path = folder.path().join(name);
        let file = hdf5::File::create(&path).unwrap();
        let build = file.new_dataset_builder().with_data(image);
        match name {
            "chunks.h5" => build.chunk((64, WIDTH)).create("image_embeddings"),
            _ => build
                .deflate(4)
                .chunk((50, WIDTH))
                .create("image_embeddings"),
        }
        .unwrap();
        let half = spectrum.mapv(f16::from_f32);
        let build = file.new_dataset_builder().with_data(&half);
        build.create("spectrum_embeddings").unwrap();
        let ids: Vec<i64> = (0..300).collect();
        file.new_dataset_builder()
            .with_data(&ids)
            .create("object_id")
            .unwrap();
        paths.push(path);
    }
    let rows = EmbeddingRows::open(&paths, &Keys::default()).unwrap();
    for (of, expected) in [
        (Modality::Image, concatenate![Axis(0), image, spectrum]),
        (
            Modality::Spectrum,
            rows.vectors(Modality::Spectrum, 0..600).unwrap(),
        ),
    ] {
        let lookup = rows.lookup(of);
        assert_eq!((lookup.rows(), lookup.width()), (600, WIDTH));
        for row in (0..600).step_by(7) {
            assert_eq!(
                ArrayView1::from(&lookup.read(row).unwrap()),
                expected.row(row),
                "{of} {row}"
            );
        }
    }
}
