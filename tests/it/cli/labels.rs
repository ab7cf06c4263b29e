//! Which columns of label tables commands take, and what they say of them.

use std::fs;

use serde_json::{Value, json};

use crate::support::{Workspace, astroclip};

const GALAXIES: usize = 200;

/// Embeddings that tell redshift, of galaxies numbered from 1.
fn write_embeddings(workspace: &Workspace) -> Vec<f64> {
    let redshift = |row: usize| 0.05 + 0.5 * (row * 37 % GALAXIES) as f64 / GALAXIES as f64;
    let redshifts: Vec<f64> = (0..GALAXIES).map(redshift).collect();
    let embeddings: Vec<[f32; 2]> = redshifts.iter().map(|&z| [z as f32, 1.0]).collect();
    let embeddings = ndarray::arr2(&embeddings);
    let file = hdf5::File::create(workspace.path("emb.h5")).expect("a file");
    let builder = file.new_dataset_builder();
    builder
        .with_data(&embeddings)
        .create("image_embeddings")
        .expect("embeddings");
    let ids: Vec<i64> = (1..=GALAXIES as i64).collect();
    file.new_dataset_builder()
        .with_data(&ids)
        .create("object_id")
        .expect("ids");
    let split: Vec<u8> = (0..GALAXIES).map(|row| u8::from(row >= 150)).collect();
    file.new_dataset_builder()
        .with_data(&split)
        .create("split")
        .expect("splits");
    redshifts
}

#[test]
fn columns_are_taken_by_name_and_value_and_said() {
    let workspace = Workspace::new();
    let redshifts = write_embeddings(&workspace);
    let table = |name: &str, spectroscopic: &str| {
        let mut text = format!("#Table1\nobjid,g,r,z,{spectroscopic}\n");
        for (row, z) in redshifts.iter().enumerate() {
            let magnitude = 15.0 + 5.0 * z;
            let known = match row % 20 {
                0 => "-99".to_owned(),
                1 => String::new(),
                _ => z.to_string(),
            };
            text += &format!(
                "{},{},{},{magnitude},{known}\n",
                row + 1,
                magnitude + 2.0,
                magnitude + 1.0
            );
        }
        let path = workspace.path(name).display().to_string();
        fs::write(&path, text).expect("a table");
        path
    };
    let (good, photometric) = (table("good.csv", "zspec"), table("photo.csv", "zphot"));
    let embeddings = workspace.path("emb.h5").display().to_string();
    let redshift = |labels: &str, more: &[&str]| {
        let arguments = [
            "eval",
            "redshift",
            "--embeddings",
            &embeddings,
            "--labels",
            labels,
            "--seeds",
            "1",
            "--bootstrap",
            "0",
            "--json",
        ];
        astroclip(arguments.into_iter().chain(more.iter().copied()))
    };
    let taken = redshift(&good, &[]).succeeds();
    let said =
        format!("redshift: column `zspec` of {good}; 20 of 200 unknown (-99: 10, blank: 10)");
    assert_eq!(taken.stderr.matches(&said).count(), 1, "{}", taken.stderr);
    let report: Value = taken.json();
    assert_eq!(report["taken"], json!([]));
    let column = json!({
        "quantity": "redshift", "file": good, "column": "zspec", "rows": 200, "unknown": {"-99": 10, "blank": 10},
    });
    assert_eq!(report["columns"], json!([column]));
    let result = &report["results"][0];
    assert_eq!(
        (&result["n_train"], &result["n_test"]),
        (&json!(134), &json!(46))
    );
    assert!(result["r2"].as_f64().expect("a number") > 0.99);

    let refused = redshift(&photometric, &[]);
    let said = refused.stderr.matches("look like magnitudes").count();
    assert_eq!(said, 1, "{}", refused.stderr);
    refused.fails_with(
        2,
        &[
            "column `z`",
            "look like magnitudes",
            "--redshift-column NAME",
        ],
    );
    let named = redshift(&photometric, &["--redshift-column", "zphot"])
        .succeeds()
        .json();
    assert_eq!(named["results"][0]["r2"], result["r2"]);
    redshift(&good, &["--redshift-column", "zbest"]).fails_with(2, &["no column `zbest`"]);
    let arguments = [
        "eval",
        "redshift",
        "--embeddings",
        &embeddings,
        "--tage-mw-column",
        "AGE",
    ];
    astroclip(arguments).fails_with(2, &["--tage-mw-column AGE: there is no label table"]);
}
