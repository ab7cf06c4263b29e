//! `eval catalogue`: estimates of catalogues against truth.

use std::fmt::Write;
use std::fs;

use serde_json::Value;

use crate::support::{Finished, Workspace};

/// Galaxies of the catalogues.
const GALAXIES: i32 = 60;

fn redshift(galaxy: i32) -> f64 {
    0.1 + 0.005 * f64::from(galaxy)
}

/// A position that no other galaxy is near.
fn position(galaxy: i32) -> [f64; 2] {
    [f64::from(galaxy), 0.5 * f64::from(galaxy) - 10.0]
}

/// Truth; a catalogue of ours whose estimates are one standard deviation off, every third galaxy fitted to; one of others,
/// with other identifiers, estimates half as good, and a column that is called like a redshift.
fn workspace() -> Workspace {
    let workspace = Workspace::new();
    let mut truth = String::from("TARGETID,target_ra,target_dec,Z,MAG_G,MAG_R,MAG_Z\n");
    let mut ours = String::from(
        "object_id,split,redshift,redshift_p025,redshift_p160,redshift_p500,redshift_p840,redshift_p975,\
         redshift_image_knn,flag\n",
    );
    let mut theirs = String::from("OBJID,RA,DEC,Z_PHOT_MEDIAN,Z_PHOT_L68,Z_PHOT_U68,Z\n");
    for galaxy in 0..GALAXIES {
        let (id, z, [ra, dec]) = (
            39_627_788_403_084_000 + i64::from(galaxy),
            redshift(galaxy),
            position(galaxy),
        );
        writeln!(truth, "{id},{ra},{dec},{z},20,{},19", 18.0 + z).unwrap();
        let sign = f64::from(1 - 2 * (galaxy % 2));
        let sigma = 0.01 * (1.0 + z);
        let estimate = z + sign * sigma;
        let split = if galaxy % 3 == 0 { "train" } else { "test" };
        // Standard scores of the levels.
        let points = [-1.959_963_984_540_054, -0.994_457_883_209_753_2, 0.0]
            .map(|score| estimate + score * sigma);
        let upper =
            [0.994_457_883_209_753_2, 1.959_963_984_540_054].map(|score| estimate + score * sigma);
        let points: Vec<String> = points.iter().chain(&upper).map(f64::to_string).collect();
        let flag = if galaxy == 1 { 8 + 16 } else { 0 };
        writeln!(
            ours,
            "{id},{split},{estimate},{},{},{flag}",
            points.join(","),
            z + 0.2
        )
        .unwrap();
        // Half an arcsecond is 1.4e-4 degrees. One has no estimate.
        let other = match galaxy {
            7 => [-99.0; 3],
            _ => [0.0, -1.0, 1.0].map(|score| z + 2.0 * sign * sigma + 4.0 * score * sigma),
        };
        let [median, low, high] = other;
        writeln!(
            theirs,
            "{},{ra},{},{median},{low},{high},{}",
            galaxy + 1,
            dec + 1e-5,
            z + 5.0
        )
        .unwrap();
    }
    for (name, text) in [
        ("truth.csv", truth),
        ("ours.csv", ours),
        ("theirs.csv", theirs),
    ] {
        fs::write(workspace.path(name), text).unwrap();
    }
    workspace
}

fn eval(workspace: &Workspace, line: &str) -> Finished {
    let words = ["eval", "catalogue"].into_iter().chain(line.split(' '));
    workspace.run(&words.collect::<Vec<_>>())
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(f64::NAN)
}

#[test]
fn catalogues_are_scored_side_by_side_on_galaxies_that_their_estimators_never_saw() {
    let workspace = workspace();
    let line = "ours.csv legacy=theirs.csv --labels truth.csv --bins 2 --outliers 2 --json";
    let report = eval(&workspace, line).succeeds().json();
    let [ours, legacy] = &report["results"].as_array().unwrap()[..] else {
        panic!("{report}");
    };
    assert_eq!(report["catalogues"][0]["joined_by"], "by identifier");
    assert_eq!(report["catalogues"][1]["joined_by"], "by position");
    assert_eq!(legacy["catalogue"], "legacy");
    assert_eq!(
        (&ours["counts"]["scored"], &ours["counts"]["of_other_split"]),
        (&40.into(), &20.into())
    );
    assert_eq!(
        (
            &legacy["counts"]["scored"],
            &legacy["counts"]["without_estimate"]
        ),
        (&59.into(), &1.into())
    );
    let notes = report["notes"].to_string();
    assert!(
        notes.contains("20 galaxies that the estimator was fitted to"),
        "{notes}"
    );

    // Each is one standard deviation off: of a Gaussian, all of it is known.
    let scored = (0..GALAXIES).filter(|galaxy| galaxy % 3 != 0);
    let sigmas: Vec<f64> = scored
        .map(|galaxy| 0.01 * (1.0 + redshift(galaxy)))
        .collect();
    let mean = sigmas.iter().sum::<f64>() / sigmas.len() as f64;
    let crps = mean * (0.682_689_492_137_085_9 + 0.483_941_449_038_286_7 - 0.564_189_583_547_756_3);
    let scores = &ours["scores"];
    assert!(
        (number(&scores["crps"]["mean"]) - crps).abs() < 1e-9,
        "{scores}"
    );
    assert!(
        (number(&scores["sigma_nmad"]) - 0.014_826).abs() < 1e-9,
        "{scores}"
    );
    assert_eq!(number(&scores["coverage68"]["share"]), 0.0);
    assert_eq!(number(&scores["coverage95"]["share"]), 1.0);
    let counts = scores["pit"]["counts"].as_array().unwrap();
    assert_eq!(
        counts
            .iter()
            .map(|count| count.as_u64().unwrap())
            .sum::<u64>(),
        40
    );
    assert!(number(&scores["pit"]["kolmogorov_smirnov_p"]) < 0.05);

    // On the galaxies that both have, the one that lacks an estimate there is left out here as well.
    assert_eq!(ours["common"]["galaxies"], 39);
    assert_eq!(legacy["common"]["galaxies"], 39);
    let ratio = number(&legacy["common"]["rmse"]) / number(&ours["common"]["rmse"]);
    assert!((ratio - 2.0).abs() < 1e-9, "{ratio}");
    assert_eq!(number(&legacy["scores"]["coverage68"]["share"]), 1.0);
    assert!(legacy["scores"]["coverage95"].is_null());

    assert_eq!(
        (&ours["flagged"]["galaxies"], &ours["unflagged"]["galaxies"]),
        (&1.into(), &39.into())
    );
    let flags = ours["flags"].as_array().unwrap();
    let set: Vec<&str> = flags
        .iter()
        .filter(|flag| flag["galaxies"] == 1)
        .map(|flag| flag["flag"].as_str().unwrap())
        .collect();
    assert_eq!(set, ["filled_spectrum", "missing_band"]);

    let bins = ours["bins"].as_array().unwrap();
    let of = |by: &str| -> u64 {
        let bins = bins.iter().filter(|bin| bin["by"] == by);
        bins.map(|bin| bin["scores"]["galaxies"].as_u64().unwrap())
            .sum()
    };
    assert_eq!((of("redshift"), of("magnitude_r")), (40, 40));

    let worst = &legacy["outliers"][0];
    let id = worst["object_id"].as_i64().unwrap();
    assert!(number(&worst["residual"]).abs() > 0.019);
    // Identifier and position are the truth's.
    let [ra, dec] = position((id - 39_627_788_403_084_000) as i32);
    assert_eq!(number(&worst["position"][0]), ra);
    assert_eq!(number(&worst["position"][1]), dec);
    let links = worst["links"].to_string();
    let viewer = format!("legacysurvey.org/viewer?ra={ra}&dec=");
    assert!(
        links.contains(&viewer) && links.contains(&format!("targetid{id}")),
        "{links}"
    );
    // Of ours no position is known but the truth's.
    assert_eq!(number(&ours["outliers"][0]["position"][0]).fract(), 0.0);

    let all = eval(
        &workspace,
        "ours.csv --labels truth.csv --split all --all-estimates --json",
    );
    let all = all.succeeds().json();
    let names: Vec<&Value> = all["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|of| &of["estimate"])
        .collect();
    assert_eq!(names, [&Value::Null, &"image knn".into()]);
    assert_eq!(all["results"][1]["counts"]["scored"], 60);
    assert!((number(&all["results"][1]["scores"]["bias"]) - 0.16).abs() < 0.02);
}

#[test]
fn truth_is_what_the_labels_say_and_columns_what_the_user_says() {
    let workspace = workspace();
    let fails = |line: &str, parts: &[&str]| eval(&workspace, line).fails_with(2, parts);
    fails("ours.csv", &["--labels TRUTH"]);
    fails(
        "theirs.csv --labels theirs.csv",
        &["is both a catalogue and its truth"],
    );
    fails(
        "ours.csv --labels truth.csv --column redshift=zphot",
        &["ours.csv: no column `zphot`"],
    );
    fails(
        "ours.csv --labels truth.csv --column z=Z",
        &["`z=Z`: expected KEY=COLUMN"],
    );
    fails(
        "ours.csv --labels truth.csv --targets log_mstar",
        &["ours.csv: no column `log_mstar`"],
    );
    fails("ours.csv a/ours.csv --labels truth.csv", &["no such file"]);
    fails(
        "x=ours.csv x=theirs.csv --labels truth.csv",
        &["a second catalogue is called `x`"],
    );
    fails(
        "ours.csv --labels truth.csv --split validation",
        &["are not of the split `validation`"],
    );

    // A column of theirs that is no usual one: 5 off, and without the intervals of the usual one.
    let line = "theirs.csv --labels truth.csv --column redshift=Z --json --report page.html";
    let report = eval(&workspace, line).succeeds().json();
    let scores = &report["results"][0]["scores"];
    assert_eq!(number(&scores["outlier_fraction"]), 1.0);
    assert!(scores["crps"].is_null() && scores["with_distribution"] == 0);
    let page = fs::read_to_string(workspace.path("page.html")).unwrap();
    assert!(page.contains("<svg") && page.contains("theirs"));
    assert!(
        workspace
            .path("page-figures/redshift-estimates.png")
            .is_file()
    );
    let line = "theirs.csv --labels truth.csv --column redshift=Z --column redshift_p160=Z_PHOT_L68 --column \
                redshift_p840=Z_PHOT_U68 --json";
    let report = eval(&workspace, line).succeeds().json();
    assert_eq!(report["results"][0]["scores"]["with_distribution"], 59);

    // Truth without identifiers has those of a catalogue that has them and positions.
    let truth = fs::read_to_string(workspace.path("truth.csv")).unwrap();
    let without: String = truth
        .lines()
        .map(|line| format!("{}\n", line.split_once(',').unwrap().1))
        .collect();
    fs::write(workspace.path("positions.csv"), without).unwrap();
    let report = eval(&workspace, "theirs.csv --labels positions.csv --json")
        .succeeds()
        .json();
    assert_eq!(report["results"][0]["counts"]["scored"], 59);
    assert!((number(&report["results"][0]["scores"]["r2"]) - 0.84).abs() < 0.15);
}
