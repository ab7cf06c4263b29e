//! Surveys as their users have them: other bands and wavelengths, galaxies that cannot be used, pictures of
//! what a file holds.

use std::fs;
use std::path::Path;

use crate::support::{Workspace, astroclip, astroclip_with};
use astroclip::files::embeddings::EmbeddingFile;
use astroclip::survey::Modality;
use hdf5::File;
use ndarray::{Array2, Array4};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The `[survey]` table of five bands, 64-pixel cutouts and spectra from 3800 to 9200 Å.
const SURVEY: &str = r#"
[survey]
bands = ["u", "g", "r", "i", "z"]
pixel_scale = 0.4
cutout_size = 60
wavelengths = { start = 3800.0, step = 2.0, len = 2701 }
"#;

/// Names of the datasets of [`write_own`], for the command line.
const KEYS: [&str; 8] = [
    "--image-key",
    "stamps",
    "--spectrum-key",
    "spec/flux",
    "--wavelength-key",
    "spec/lambda",
    "--id-key",
    "id",
];

/// Galaxies of a survey of its own, spectra on logarithmic wavelengths; row 5 has no r band, row 7 a NaN.
fn write_own(path: &Path, rows: usize) {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let mut images = Array4::from_shape_fn((rows, 64, 64, 5), |(_, y, x, band)| {
        let r2 = (y as f32 - 31.5).powi(2) + (x as f32 - 31.5).powi(2);
        (1.0 + band as f32) * (-r2 / 40.0).exp() + 0.01 * rng.random::<f32>()
    });
    images.slice_mut(ndarray::s![5, .., .., 2]).fill(0.0);
    let waves: Vec<f64> = (0..3600)
        .map(|pixel| 3700.0 * (2.6e-4 * f64::from(pixel)).exp())
        .collect();
    let mut flux = Array2::from_shape_fn((rows, waves.len()), |(row, pixel)| {
        1.0 + 0.1 * row as f32 + 0.3 * rng.random::<f32>() + 1e-4 * pixel as f32
    });
    flux[[7, 1000]] = f32::NAN;
    let file = File::create(path).unwrap();
    let build = || file.new_dataset_builder();
    build().with_data(&images).create("stamps").unwrap();
    let ids: Vec<i64> = (0..rows as i64).map(|row| 900 + row).collect();
    build().with_data(&ids).create("id").unwrap();
    let group = file.create_group("spec").unwrap();
    let build = || group.new_dataset_builder();
    build().with_data(&flux).create("flux").unwrap();
    build().with_data(&waves).create("lambda").unwrap();
}

/// The preset `name` with the survey's table in place of what the tests set otherwise.
fn own_config(workspace: &Workspace, name: &str, more: &str) -> String {
    let shown = astroclip(["config", "show", name]).succeeds().stdout;
    let path = workspace.path(&format!("{name}.toml"));
    fs::write(&path, format!("{shown}\n{SURVEY}\n{more}")).unwrap();
    path.display().to_string()
}

#[test]
fn five_bands_and_other_wavelengths_are_pretrained_aligned_and_embedded() {
    let workspace = Workspace::new();
    let survey = workspace.path("own.h5");
    write_own(&survey, 20);
    let survey = survey.display().to_string();
    let image = own_config(&workspace, "tiny-vit", "");
    let spectrum = own_config(&workspace, "tiny-specformer", "");
    let stars = "[0.02, 0.02, 0.02, 0.02, 0.02]";
    let mut image_settings: Vec<String> = vec![
        "--config".into(),
        image,
        "--set".into(),
        "model.channels=5".into(),
    ];
    for setting in [
        "images.pixels.pixel_values=zscore".to_owned(),
        format!("images.pixels.mean={stars}"),
        format!("images.pixels.std={stars}"),
    ] {
        image_settings.extend(["--set".to_owned(), setting]);
    }
    let run = |stage: &str, more: &[&str]| {
        let mut all = KEYS.to_vec();
        all.extend(more);
        workspace.train(stage, &survey, &all)
    };
    // The blur and the noise of the Legacy Surveys have no numbers for five bands.
    let strings = |more: &[String]| {
        more.iter()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join("\n")
    };
    let settings = strings(&image_settings);
    let settings: Vec<&str> = settings.split('\n').collect();
    let mut skipping = settings.clone();
    skipping.push("--skip-bad");
    run("image", &skipping).fails_with(
        2,
        &["`images.crops.blur.shape` is [0.2109966, 0.3008485, 0.3471172]; expected 5 values"],
    );
    let plain = [
        "--set",
        "images.crops.global_corruption=[0.0, 0.0]",
        "--set",
        "images.crops.local_corruption=0.0",
    ];
    let mut settings = [&settings[..], &plain].concat();
    // Without leave to skip, the galaxy that lacks a band stops the run by name.
    run(
        "image",
        &[
            &settings[..],
            &["--out", "runs/stopped", "--set", "train.batch_size=16"],
        ]
        .concat(),
    )
    .fails_with(
        2,
        &["own.h5: dataset `stamps` row 5: nothing but zeros in band r"],
    );
    settings.extend(["--skip-bad", "--json"]);
    let trained = run("image", &settings).succeeds().json();
    assert_eq!(trained["galaxies"], 16);
    let spectrum = [
        "--config",
        &spectrum,
        "--skip-bad",
        "--set",
        "spectra.masks.width=2",
    ];
    run("spectrum", &spectrum).succeeds();
    run("align", &["--skip-bad"]).succeeds();

    let embeddings = workspace.path("emb.h5").display().to_string();
    let model = workspace
        .path("runs/align/model.safetensors")
        .display()
        .to_string();
    let arguments = |more: &[&str]| {
        let mut all = vec![
            "embed",
            "--weights",
            &model,
            "--data",
            &survey,
            "--out",
            &embeddings,
        ];
        all.extend(KEYS);
        all.extend(more);
        astroclip(all)
    };
    arguments(&[]).fails_with(2, &["`stamps` row 5", "--skip-bad"]);
    let summary = arguments(&["--skip-bad", "--json"]).succeeds().json();
    assert_eq!(
        (summary["galaxies"].as_u64(), summary["skipped"].as_u64()),
        (Some(18), Some(2))
    );
    let file = EmbeddingFile::open(Path::new(&embeddings)).unwrap();
    let left: Vec<i64> = (900..920).filter(|id| ![905, 907].contains(id)).collect();
    assert_eq!(file.object_id, left);
    for modality in Modality::ALL {
        let values = file.embeddings(modality).unwrap();
        assert!(values.iter().all(|value| value.is_finite()));
    }
    assert!(file.observed.iter().all(|of| of.bands_missing == Some(0)));
    // Taken as it is, the image without its r band is told by its number.
    arguments(&["--skip-bad", "--missing-bands"]).succeeds();
    let file = EmbeddingFile::open(Path::new(&embeddings)).unwrap();
    let lacks = |id: i64| {
        let row = file.object_id.iter().position(|known| *known == id);
        file.observed[row.unwrap()].bands_missing
    };
    assert_eq!((file.len(), lacks(904), lacks(905)), (19, Some(0), Some(1)));
    assert_eq!(file.observed[0].spectrum_filled, 0.0);
    let told = astroclip(["inspect", &embeddings]).succeeds().stdout;
    for line in ["images lack bands", "1 of 19", "spectra not measured"] {
        assert!(told.contains(line), "{told}");
    }
}

#[test]
fn a_check_lists_every_galaxy_that_cannot_be_used() {
    let workspace = Workspace::new();
    let path = workspace.path("own.h5");
    write_own(&path, 12);
    let name = path.display().to_string();
    let config = own_config(&workspace, "tiny-specformer", "");
    let command = |what: &str, more: &[&str]| {
        let mut all = vec![what, &name, "--config", &config];
        all.extend(KEYS);
        all.extend(more);
        astroclip(all)
    };
    let found = command("check", &["--json"]);
    assert_eq!(found.code, Some(2));
    let found = found.json();
    let bad = found["bad"].as_array().unwrap();
    let rows: Vec<(u64, i64)> = bad
        .iter()
        .map(|bad| {
            (
                bad["row"].as_u64().unwrap(),
                bad["object_id"].as_i64().unwrap(),
            )
        })
        .collect();
    assert_eq!(rows, [(5, 905), (7, 907)]);
    assert!(
        bad[1]["reason"]
            .as_str()
            .unwrap()
            .contains("`spec/flux` row 7: 1 of 3600 values are NaN")
    );

    let held = command("inspect", &["--json"]).succeeds().json();
    assert_eq!(held["sampled"], 12);
    assert_eq!(held["unusable"], 2);
    assert_eq!(held["bands"].as_array().unwrap().len(), 5);
    assert_eq!(held["files"][0]["wavelength_coverage"], 1.0);
    for ending in ["png", "svg"] {
        let picture = workspace.path(&format!("own.{ending}"));
        command("inspect", &["--plot", picture.to_str().unwrap()]).succeeds();
        let bytes = fs::read(picture).unwrap();
        let start: &[u8] = if ending == "png" {
            b"\x89PNG"
        } else {
            b"<svg xmlns"
        };
        assert!(bytes.starts_with(start), "{ending}");
    }

    // A compressed file that is damaged in the middle: the galaxies of other chunks are whole.
    let damaged = workspace.path("damaged.h5");
    let images = Array4::from_shape_fn((4, 3, 24, 24), |(row, band, y, x)| {
        ((row * 7919 + band * 104_729 + y * 1_299_709 + x * 15_485_863) % 1009) as f32 + 1.0
    });
    let file = File::create(&damaged).unwrap();
    let build = file.new_dataset_builder().deflate(4).chunk([1, 3, 24, 24]);
    build.with_data(&images).create("images").unwrap();
    drop(file);
    let mut bytes = fs::read(&damaged).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 64].fill(0xff);
    fs::write(&damaged, bytes).unwrap();
    let found = astroclip(["check", damaged.to_str().unwrap(), "--json"]);
    assert_eq!(found.code, Some(2), "{}", found.stderr);
    let bad = found.json()["bad"].as_array().unwrap().len();
    assert!((1..=2).contains(&bad), "{bad} of 4 galaxies are damaged");
}

#[test]
fn what_lies_outside_of_the_folder_is_read_where_it_is_asked_for() {
    let workspace = Workspace::new();
    let path = |name: &str| workspace.path(name).display().to_string();
    for (folder, value) in [("inside", 1.0), ("outside", 2.0)] {
        fs::create_dir(workspace.path(folder)).unwrap();
        let file = File::create(workspace.path(folder).join("part.h5")).unwrap();
        let flux = Array2::<f32>::from_elem((2, 50), value);
        file.new_dataset_builder()
            .with_data(&flux)
            .create("flux")
            .unwrap();
    }
    let write = |name: &str, add: &dyn Fn(&File)| {
        let file = File::create(workspace.path(name)).unwrap();
        let wave: Vec<f64> = (0..50)
            .map(|pixel| 4000.0 + 10.0 * f64::from(pixel))
            .collect();
        file.new_dataset_builder()
            .with_data(&wave)
            .create("wave")
            .unwrap();
        file.new_dataset_builder()
            .with_data(&[1_i64, 2])
            .create("targetid")
            .unwrap();
        add(&file);
    };
    write("inside/link.h5", &|file| {
        file.link_external("../outside/part.h5", "/flux", "flux")
            .unwrap();
    });
    let refused = ["`flux`", "outside/part.h5", "--follow-links"];
    astroclip(["inspect", &path("inside/link.h5")]).fails_with(2, &refused);
    let followed = ["inspect", "--follow-links", &path("inside/link.h5")];
    let shown = astroclip(followed).succeeds().stdout;
    assert!(shown.contains("2.000 … 2.000 … 2.000"), "{shown}");

    // libhdf5 would look there first.
    write("inside/virtual.h5", &|file| {
        let all = || hdf5::Hyperslab::from((0..2, ..));
        let builder = file.new_dataset::<f32>().shape((2, 50));
        let builder = builder.virtual_map("part.h5", "flux", (2, 50), all(), (2, 50), all());
        builder.create("flux").unwrap();
    });
    let outside = path("outside");
    let elsewhere = [
        ("HDF5_VDS_PREFIX", outside.as_str()),
        ("HDF5_VOL_CONNECTOR", "a plugin"),
    ];
    let shown = astroclip_with(&elsewhere, &["inspect", &path("inside/virtual.h5")]);
    let shown = shown.succeeds().stdout;
    assert!(shown.contains("1.000 … 1.000 … 1.000"), "{shown}");
}

#[test]
fn a_table_in_hdf5_is_inspected_as_one() {
    let workspace = Workspace::new();
    let path = workspace.path("labels.h5");
    let file = File::create(&path).unwrap();
    let build = || file.new_dataset_builder();
    build().with_data(&[5_i64, 6]).create("object_id").unwrap();
    build().with_data(&[0.25, 0.5]).create("z_spec").unwrap();
    drop(file);
    let shown = astroclip(["inspect", path.to_str().unwrap()])
        .succeeds()
        .stdout;
    for part in ["table", "object_id", "integers, 5 … 6", "0.25 … 0.5"] {
        assert!(shown.contains(part), "`{part}` is not in: {shown}");
    }
}

#[test]
fn check_says_what_is_assumed_and_counts_placeholders_in_the_files_own_columns() {
    let workspace = Workspace::new();
    let path = workspace.path("images.h5");
    let file = File::create(&path).unwrap();
    let build = || file.new_dataset_builder();
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let images = Array4::from_shape_fn((5, 3, 8, 8), |_| 0.01 * rng.random::<f32>());
    build().with_data(&images).create("images").unwrap();
    let columns = [
        ("z_spec", [0.1_f32, -99.0, -99.0, 0.3, 0.2]),
        ("flux_w1", [1.0, 99.0, 200.0, 99.0, 3.0]),
        ("sersic", [9999.0, 9999.0, 9999.0, f32::NAN, 4.0]),
    ];
    for (name, values) in columns {
        build().with_data(&values).create(name).unwrap();
    }
    build()
        .with_data(&[1_i64, 2, 3, 4, 5])
        .create("targetid")
        .unwrap();
    drop(file);
    let run = |more: &[&str]| {
        let args = ["check", path.to_str().unwrap()];
        astroclip(args.iter().chain(more)).succeeds().stdout
    };
    let shown = run(&[]);
    for line in [
        "assumed      bands g, r, z in this order, pixels of 0.262 arcsec, images in nanomaggies",
        "positions    none",
        "column       `sersic`: 9999 in 3 rows (unknown?)",
        "column       `z_spec`: -99 in 2 rows (unknown?)",
    ] {
        assert!(shown.contains(line), "{line} is not in:\n{shown}");
    }
    assert!(
        !shown.contains("flux_w1"),
        "99 is one of its values:\n{shown}"
    );
    let json: serde_json::Value = serde_json::from_str(&run(&["--json"])).unwrap();
    let held = &json["holds"][0];
    assert_eq!(held["placeholders"]["z_spec"]["-99"], 2);
    assert_eq!(held["files"][0]["stated"], serde_json::json!([]));
}
