//! The evaluation as a whole, on constructed embeddings whose answers are known.

use std::collections::BTreeMap;

use astroclip::{
    embeddings::EmbeddingFile,
    eval::{
        self, EvalOptions, EvalReport, Evaluation, Labels, Method, MlpConfig, Source, Target,
        TaskResult,
    },
    survey::{Modality, ObjectId, Split},
};
use ndarray::{Array2, array};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Galaxies whose spectrum embedding tells redshift (first column) and mass (second), while the
/// image embedding is noise; magnitudes tell neither.
fn survey(galaxies: usize, first_id: ObjectId) -> (EmbeddingFile, Labels) {
    let mut rng = ChaCha8Rng::seed_from_u64(first_id as u64);
    let spectrum = Array2::from_shape_simple_fn((galaxies, 2), || rng.random::<f32>());
    let image = Array2::from_shape_simple_fn((galaxies, 2), || rng.random::<f32>());
    let object_id: Vec<ObjectId> = (first_id..).take(galaxies).collect();
    let mass = spectrum
        .column(1)
        .mapv(|value| 9.0 + 2.0 * f64::from(value))
        .to_vec();
    let mut column = |low: f64| (0..galaxies).map(|_| low + rng.random::<f64>()).collect();
    let columns = BTreeMap::from([
        (
            "AVG_SFR".to_owned(),
            mass.iter().map(|mass| 10_f64.powf(mass - 10.5)).collect(),
        ),
        (
            "Z_MW".to_owned(),
            mass.iter().map(|mass| 10_f64.powf(mass - 12.0)).collect(),
        ),
        ("LOG_MSTAR".to_owned(), mass),
        ("TAGE_MW".to_owned(), column(3.0)),
        ("MAG_G".to_owned(), column(20.0)),
        ("MAG_R".to_owned(), column(19.0)),
        ("MAG_Z".to_owned(), column(18.0)),
    ]);
    let file = EmbeddingFile {
        path: "emb.h5".into(),
        split: Split::of_group(galaxies).collect(),
        redshift: spectrum.column(0).to_vec(),
        image: Some(image),
        spectrum: Some(spectrum),
        object_id: object_id.clone(),
        provenance: None,
    };
    let labels = Labels {
        name: "labels.h5".into(),
        object_id: object_id.into_iter().rev().collect(),
        columns: columns
            .into_iter()
            .map(|(name, values): (String, Vec<f64>)| (name, values.into_iter().rev().collect()))
            .collect(),
    };
    (file, labels)
}

fn evaluation<'a>(file: &'a EmbeddingFile, labels: &'a Labels) -> Evaluation<'a> {
    Evaluation {
        embeddings: file,
        test: None,
        labels: Some(labels),
        options: EvalOptions::default(),
    }
}

fn result(report: &EvalReport, source: Source, method: Method, target: Target) -> &TaskResult {
    report
        .results
        .iter()
        .find(|r| (r.source, r.method, r.target) == (source, method, target))
        .unwrap()
}

#[test]
fn what_embeddings_know_is_found_and_what_they_do_not_is_not() {
    let (file, labels) = survey(800, 100);
    let report = evaluation(&file, &labels).redshift().unwrap();
    assert_eq!(report.results.len(), 3 * 2);
    for method in [Method::ZeroShot, Method::FewShot] {
        let of = |source| result(&report, source, method, Target::Redshift);
        let known = of(Source::Spectrum);
        assert_eq!((known.n_train, known.n_test), (640, 160));
        assert!(known.metrics.r2 > 0.98, "{known:?}");
        assert!(known.metrics.outlier_fraction.unwrap() < 0.02);
        assert!(of(Source::Image).metrics.r2 < 0.2);
        assert!(of(Source::Photometry).metrics.r2 < 0.2);
    }
    assert_eq!(report.predictions[0].object_id[0], 740);

    let report = evaluation(&file, &labels).properties().unwrap();
    assert_eq!(report.results.len(), 4 * 3 * 2);
    assert!(
        report.dropped.is_empty() && report.notes.is_empty(),
        "{report:?}"
    );
    for target in [Target::StellarMass, Target::Metallicity] {
        let known = result(&report, Source::Spectrum, Method::ZeroShot, target);
        assert!(known.metrics.r2 > 0.98, "{known:?}");
    }
    // log10(SFR/M★) = (log M★ − 10.5) − log M★ here.
    let position = report
        .results
        .iter()
        .position(|r| r.target == Target::SpecificStarFormationRate)
        .unwrap();
    for value in &report.predictions[position].truth {
        assert!((value + 10.5).abs() < 1e-9);
    }
}

#[test]
fn every_row_left_out_is_counted_with_its_reason() {
    let (mut file, mut labels) = survey(400, 1000);
    // Labels are in reverse order: label row i is galaxy 399 − i. Galaxies 0..319 train.
    labels.object_id[399] = -5; // galaxy 0 is not in the table
    labels.columns.get_mut("MAG_R").unwrap()[398] = 0.0; // galaxy 1 fails the cuts
    labels.columns.get_mut("AVG_SFR").unwrap()[397] = 0.0; // galaxy 2 has log10(0)
    labels.columns.remove("TAGE_MW");
    file.image.as_mut().unwrap()[[390, 1]] = f32::NAN; // a test galaxy
    file.redshift[3] = f32::NAN;

    let report = evaluation(&file, &labels).properties().unwrap();
    let of = |source, target| result(&report, source, Method::ZeroShot, target);
    let mass = of(Source::Spectrum, Target::StellarMass);
    assert_eq!((mass.n_train, mass.n_test), (318, 80));
    let ssfr = of(Source::Image, Target::SpecificStarFormationRate);
    assert_eq!((ssfr.n_train, ssfr.n_test), (317, 79));
    let dropped = report
        .dropped
        .iter()
        .find(|d| {
            (d.source, d.target, d.split)
                == (
                    Source::Image,
                    Target::SpecificStarFormationRate,
                    Split::Train,
                )
        })
        .unwrap();
    assert_eq!(
        (dropped.not_in_labels, dropped.cut, dropped.without_target),
        (1, 1, 1)
    );
    assert!(report.notes[0].contains("t_age"), "{:?}", report.notes);
    let text = eval::render_table(&report);
    assert!(
        text.contains("1 embedding or magnitude not finite"),
        "{text}"
    );

    // Redshift from embeddings asks the file, photometry needs the table.
    let report = evaluation(&file, &labels).redshift().unwrap();
    let of = |source| result(&report, source, Method::FewShot, Target::Redshift).n_train;
    assert_eq!((of(Source::Spectrum), of(Source::Photometry)), (319, 317));
}

#[test]
fn a_test_file_is_tested_on_and_never_trained_on() {
    let (train, labels) = survey(400, 100);
    let (test, _) = survey(60, 480); // ids 480..540: the last 20 galaxies of `train` are in it too
    let mut evaluation = evaluation(&train, &labels);
    evaluation.test = Some(&test);
    evaluation.labels = None;
    let report = evaluation.redshift().unwrap();
    assert_eq!(
        (report.results[0].n_train, report.results[0].n_test),
        (380, 60)
    );
    assert!(
        report
            .notes
            .iter()
            .any(|note| note.starts_with("20 galaxies"))
    );
    let known = result(
        &report,
        Source::Spectrum,
        Method::ZeroShot,
        Target::Redshift,
    );
    assert!(known.metrics.r2 > 0.98);

    evaluation.options.k = 381;
    let message = evaluation.redshift().unwrap_err().to_string();
    assert!(message.contains("k = 381"), "{message}");
    assert!(
        evaluation
            .properties()
            .unwrap_err()
            .to_string()
            .contains("--labels")
    );
    evaluation.test = Some(&train);
    let message = evaluation.redshift().unwrap_err().to_string();
    assert!(message.contains("0 train and 400 test"), "{message}");
}

#[test]
fn results_are_the_same_for_any_number_of_threads_and_survive_json() {
    let (file, labels) = survey(300, 7);
    let report = |threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        let mut evaluation = evaluation(&file, &labels);
        evaluation.options.mlp = MlpConfig {
            max_epochs: 5,
            ..MlpConfig::default()
        };
        pool.install(|| evaluation.redshift().unwrap())
    };
    let (one, three) = (report(1), report(3));
    assert_eq!(one, three);
    let json = serde_json::to_value(&one).unwrap();
    assert_eq!(json["results"][0]["source"], "image");
    assert_eq!(json["results"][0]["method"], "zero-shot");
    assert!(json["results"][0]["r2"].is_f64());
    let back: EvalReport = serde_json::from_value(json).unwrap();
    assert_eq!(back.results, one.results);
}

#[test]
fn retrieval_counts_who_finds_its_counterpart() {
    // Test galaxies: 0 and 1 find themselves, 2 and 3 find each other; the train galaxy, nearest to
    // all, is no part of it.
    let image = array![
        [1.0, 0.0, 0.0],
        [0.0, 1.0, 0.0],
        [0.0, 0.1, 1.0],
        [0.1, 0.0, 1.0],
        [1.0, 1.0, 1.0]
    ];
    let mut spectrum = image.clone();
    spectrum.row_mut(2).assign(&image.row(3));
    spectrum.row_mut(3).assign(&image.row(2));
    let file = EmbeddingFile {
        path: "emb.h5".into(),
        image: Some(image),
        spectrum: Some(spectrum),
        object_id: vec![1, 2, 3, 4, 5],
        split: vec![
            Split::Test,
            Split::Test,
            Split::Test,
            Split::Test,
            Split::Train,
        ],
        redshift: vec![f32::NAN; 5],
        provenance: None,
    };
    let results = eval::retrieval(&file, Split::Test, &[1, 2]).unwrap();
    assert_eq!(results.len(), 2);
    for (result, from) in results.iter().zip([Modality::Image, Modality::Spectrum]) {
        assert_eq!((result.from, result.galaxies, result.dropped), (from, 4, 0));
        assert_eq!(
            (result.recall[0].recall, result.recall[0].chance),
            (0.5, 0.25)
        );
        assert_eq!(
            (result.recall[1].recall, result.recall[1].chance),
            (1.0, 0.5)
        );
        assert_eq!((result.median_rank, result.chance_median_rank), (1.5, 2.5));
    }
    assert!(eval::render_retrieval_table(&results).contains("50.0 % (2.0 x chance)"));
}
