//! The evaluation as a whole, on constructed embeddings whose answers are known.

use std::collections::BTreeMap;

use crate::support::labels_of;
use astroclip::base::error::Result;
use astroclip::evaluation::eval::{
    self, BinnedBy, EvalInputs, Method, MlpConfig, Model, MorphologyOptions, PredictionTable,
    Reason, RegressionOptions, RegressionReport, RegressionResult, RetrievalOptions, Source,
    SplitRule, Subject, Target,
};
use astroclip::files::embeddings::{EmbeddingFile, Observed};
use astroclip::survey::{Labels, Modality, ObjectId, QUESTIONS, Role, Split};
use ndarray::{Array2, array};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Galaxies whose spectrum embedding tells redshift (first column) and mass (second), while the
/// image embedding is noise; magnitudes tell neither.
fn survey(galaxies: usize, first_id: i64) -> (EmbeddingFile, Labels) {
    let mut rng = ChaCha8Rng::seed_from_u64(first_id as u64);
    let spectrum = Array2::from_shape_simple_fn((galaxies, 2), || rng.random::<f32>());
    let image = Array2::from_shape_simple_fn((galaxies, 2), || rng.random::<f32>());
    let object_id: Vec<ObjectId> = (first_id..).take(galaxies).map(ObjectId::from).collect();
    let mass = spectrum
        .column(1)
        .mapv(|value| 9.0 + 2.0 * f64::from(value))
        .to_vec();
    let mut column = |low: f64| (0..galaxies).map(|_| low + rng.random::<f64>()).collect();
    let columns = BTreeMap::from([
        (
            "AVG_SFR".to_owned(),
            mass.iter()
                .map(|mass| 10_f64.powf(2.0 * mass - 20.5))
                .collect(),
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
        files: vec!["emb.h5".into()],
        split: Split::of_group(galaxies).collect(),
        redshift: spectrum.column(0).to_vec(),
        observed: vec![Observed::UNKNOWN; galaxies],
        image: Some(image),
        spectrum: Some(spectrum),
        object_id: object_id.clone(),
        features: Vec::new(),
        provenance: None,
    };
    let columns = columns
        .into_iter()
        .map(|(name, values): (String, Vec<f64>)| (name, values.into_iter().rev().collect()));
    let labels = labels_of(
        "labels.h5".into(),
        object_id.into_iter().rev().collect(),
        columns.collect(),
    );
    (file, labels)
}

fn model<'a>(name: &'a str, embeddings: &'a EmbeddingFile) -> Model<'a> {
    Model {
        name,
        embeddings,
        test: None,
    }
}

/// What is evaluated, and how.
struct Evaluation<'a> {
    inputs: EvalInputs<'a>,
    options: RegressionOptions,
}

impl Evaluation<'_> {
    fn redshift(&self) -> Result<RegressionReport> {
        self.run(&[Target::Redshift])
    }

    fn properties(&self) -> Result<RegressionReport> {
        self.run(&Target::PROPERTIES)
    }

    fn run(&self, targets: &[Target]) -> Result<RegressionReport> {
        let options = RegressionOptions {
            targets: targets.to_vec(),
            ..self.options.clone()
        };
        eval::regression(&self.inputs, &options)
    }
}

fn inputs<'a>(file: &'a EmbeddingFile, labels: Option<&'a Labels>) -> EvalInputs<'a> {
    EvalInputs {
        models: vec![model("emb", file)],
        predictions: &[],
        labels,
    }
}

fn evaluation<'a>(file: &'a EmbeddingFile, labels: &'a Labels) -> Evaluation<'a> {
    Evaluation {
        inputs: inputs(file, Some(labels)),
        options: RegressionOptions::default(),
    }
}

fn result(
    report: &RegressionReport,
    source: Source,
    method: Method,
    target: Target,
) -> &RegressionResult {
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
        report.left_out.is_empty() && report.notes.is_empty(),
        "{report:?}"
    );
    for target in [Target::StellarMass, Target::Metallicity] {
        let known = result(&report, Source::Spectrum, Method::ZeroShot, target);
        assert!(known.metrics.r2 > 0.98, "{known:?}");
    }
    // log10(SFR/M★) = (2 log M★ − 20.5) − log M★ here.
    let truth = |target| {
        let mut predictions = report.predictions.iter();
        &predictions.find(|one| one.target == target).unwrap().truth
    };
    let masses = truth(Target::StellarMass);
    for (value, mass) in truth(Target::SpecificStarFormationRate).iter().zip(masses) {
        assert!((value - (mass - 20.5)).abs() < 1e-9);
    }
}

#[test]
fn every_row_left_out_is_counted_with_its_reason() {
    let (mut file, mut labels) = survey(400, 1000);
    // Labels are in reverse order: label row i is galaxy 399 − i. Galaxies 0..319 train.
    labels.object_id[399] = (-5_i64).into(); // galaxy 0 is not in the table
    labels.columns.get_mut("MAG_R").unwrap()[398] = 0.0; // galaxy 1 fails the cuts
    labels.columns.get_mut("AVG_SFR").unwrap()[397] = 0.0; // galaxy 2 has log10(0)
    labels.columns.remove("TAGE_MW");
    labels = labels_of(labels.name, labels.object_id, labels.columns);
    file.image.as_mut().unwrap()[[390, 1]] = f32::NAN; // a test galaxy
    file.redshift[3] = f32::NAN;

    let report = evaluation(&file, &labels).properties().unwrap();
    let of = |source, target| result(&report, source, Method::ZeroShot, target);
    let mass = of(Source::Spectrum, Target::StellarMass);
    assert_eq!((mass.n_train, mass.n_test), (318, 80));
    let ssfr = of(Source::Image, Target::SpecificStarFormationRate);
    assert_eq!((ssfr.n_train, ssfr.n_test), (317, 79));
    let dropped = report
        .left_out
        .iter()
        .find(|d| {
            (d.task.source, &d.task.subject, d.task.split)
                == (
                    Source::Image,
                    &Subject::Target(Target::SpecificStarFormationRate),
                    Split::Train,
                )
        })
        .unwrap();
    assert_eq!(
        [Reason::NotInLabels, Reason::Cut, Reason::WithoutTarget].map(|why| dropped.count(why)),
        [1, 1, 1]
    );
    assert!(report.notes[0].contains("t_age"), "{:?}", report.notes);
    let text = eval::render_regression_table(&report);
    assert!(
        text.contains("1 embedding or magnitude not finite"),
        "{text}"
    );

    // Redshifts are in the file alone; photometry needs the table.
    let report = evaluation(&file, &labels).redshift().unwrap();
    let of = |source| result(&report, source, Method::FewShot, Target::Redshift).n_train;
    assert_eq!((of(Source::Spectrum), of(Source::Photometry)), (319, 317));
}

#[test]
fn a_test_file_is_tested_on_and_never_trained_on() {
    let (train, labels) = survey(400, 100);
    let (test, _) = survey(60, 480); // ids 480..540: the last 20 galaxies of `train` are in it too
    let mut evaluation = evaluation(&train, &labels);
    evaluation.inputs.models[0].test = Some(&test);
    evaluation.inputs.labels = None;
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
    evaluation.inputs.models[0].test = Some(&train);
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
    let back: RegressionReport = serde_json::from_value(json).unwrap();
    assert_eq!(back.results, one.results);
}

#[test]
fn several_models_and_predictions_enter_one_table() {
    let (first, mut labels) = survey(400, 100);
    // A second model lacks galaxy 0 and the last, and calls a train galaxy a test galaxy.
    let mut second = first.clone();
    second.split[5] = Split::Test;
    second.image = None;
    second.object_id[0] = (-1_i64).into();
    second.object_id[399] = second.object_id[398];
    // A network that is off by 0.01 for all galaxies, knows nothing of one, and saw two test galaxies: it was fitted
    // to one and chosen by the other.
    let mut table = labels_of(
        "predictions.csv".into(),
        first.object_id.clone(),
        BTreeMap::from([
            (
                "redshift".to_owned(),
                first
                    .redshift
                    .iter()
                    .map(|&z| f64::from(z) + 0.01)
                    .collect(),
            ),
            ("split".to_owned(), vec![1.0; 400]),
        ]),
    );
    table.columns.get_mut("split").unwrap()[390] = Role::Train.code();
    table.columns.get_mut("split").unwrap()[392] = Role::Validation.code();
    table.columns.get_mut("redshift").unwrap()[391] = f64::NAN;
    labels.columns.remove("TAGE_MW");
    labels = labels_of(labels.name, labels.object_id, labels.columns);
    let predictions = [PredictionTable {
        model: "resnet18".into(),
        source: Source::Image,
        table,
    }];
    let mut evaluation = evaluation(&first, &labels);
    evaluation.inputs.models.push(model("second", &second));
    evaluation.inputs.predictions = &predictions;
    evaluation.options.seeds = 2;
    evaluation.options.bins = 4;
    let report = evaluation.redshift().unwrap();
    // Two of `emb`, one of `second`, photometry, each by two methods, and the network.
    assert_eq!(report.results.len(), 4 * 2 + 1);
    let of = |name: &str, method| {
        let mut results = report.results.iter();
        results
            .find(|r| r.model == name && r.method == method)
            .unwrap()
    };
    let network = of("resnet18", Method::Supervised);
    assert_eq!((network.n_train, network.n_test), (1, 77));
    assert!((network.metrics.rmse - 0.01).abs() < 1e-6);
    let lost = report
        .left_out
        .iter()
        .find(|d| d.task.model == "resnet18")
        .unwrap();
    assert_eq!(
        (
            lost.count(Reason::TrainedOn),
            lost.count(Reason::WithoutFeatures),
            lost.total()
        ),
        (2, 1, 3)
    );
    // The galaxy called −1 trains too, where nothing else knows it.
    let second = of("second", Method::FewShot);
    assert_eq!((second.n_train, second.n_test), (320, 79));
    assert!(
        report.notes.iter().any(|n| n.contains("1 rows repeat")),
        "{:?}",
        report.notes
    );
    assert!(
        report
            .notes
            .iter()
            .any(|n| n.starts_with("1 galaxies of emb.h5 train there"))
    );

    // Errors: the network beats magnitudes, which know nothing, by the whole of its R².
    let gain = network.over_photometry.unwrap();
    let photometry = of("magnitudes", Method::FewShot);
    assert_eq!(gain.galaxies, 77);
    assert!((gain.r2 - network.metrics.r2 + photometry.metrics.r2).abs() < 0.1);
    assert!(gain.uncertainty.unwrap().low > 0.5);
    assert!(photometry.over_photometry.is_none());
    assert!(photometry.over_seeds.unwrap().r2 > 0.0);
    assert!(network.over_seeds.is_none() && of("emb", Method::ZeroShot).over_seeds.is_none());
    let interval = second.uncertainty.unwrap();
    assert!(interval.low.r2 < second.metrics.r2 && second.metrics.r2 < interval.high.r2);
    assert!(interval.deviation.sigma_nmad > 0.0);

    // Bins hold all galaxies, once by redshift and once by magnitude.
    for by in [BinnedBy::Redshift, BinnedBy::MagnitudeR] {
        let bins: Vec<_> = photometry.bins.iter().filter(|bin| bin.by == by).collect();
        assert_eq!(bins.len(), 4);
        assert_eq!(
            bins.iter().map(|bin| bin.n_test).sum::<usize>(),
            photometry.n_test
        );
        assert!(
            bins.iter()
                .all(|bin| bin.n_test >= 15 && bin.metrics.is_some())
        );
    }
    let text = eval::render_regression_table(&report);
    for part in [
        "resnet18",
        "supervised",
        "R² over magnitudes",
        "that the network was trained on",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn splits_by_hash_and_by_list_do_not_depend_on_the_order() {
    let (mut file, _) = survey(1000, 5000);
    let hash = SplitRule::Hash {
        test_fraction: 0.2,
        seed: 1,
    };
    hash.apply(&mut file).unwrap();
    let held_out = |file: &EmbeddingFile| -> Vec<ObjectId> {
        let rows = file.rows_of(Split::Test).into_iter();
        let mut ids: Vec<ObjectId> = rows.map(|row| file.object_id[row]).collect();
        ids.sort_unstable();
        ids
    };
    let first = held_out(&file);
    assert!((150..250).contains(&first.len()));
    file.object_id.reverse();
    hash.apply(&mut file).unwrap();
    assert_eq!(held_out(&file), first);
    let chosen = [5000_i64, 5999, 7].map(ObjectId::from);
    SplitRule::TestIds(chosen.into()).apply(&mut file).unwrap();
    assert_eq!(held_out(&file), [5000, 5999]);
    let all = SplitRule::Hash {
        test_fraction: 1.0,
        seed: 1,
    };
    assert!(
        all.apply(&mut file)
            .unwrap_err()
            .to_string()
            .contains("test fraction 1")
    );
}

/// Votes on two questions: the first spectrum column decides whether a galaxy is smooth, and whether its disc is
/// edge-on; 40 volunteers each.
fn votes(file: &EmbeddingFile) -> Labels {
    let spectrum = file.spectrum.as_ref().unwrap();
    let smooth = spectrum.column(0).mapv(|x| if x < 0.5 { 0.9 } else { 0.2 });
    let edge_on = spectrum.column(1).mapv(|x| if x < 0.3 { 0.8 } else { 0.1 });
    let rows = file.len();
    let mut columns = BTreeMap::new();
    let mut add = |name: &str, values: Vec<f64>| columns.insert(name.to_owned(), values);
    add("smooth-or-featured_total-votes", vec![40.0; rows]);
    add("smooth-or-featured_smooth_fraction", smooth.to_vec());
    add(
        "smooth-or-featured_featured-or-disk_fraction",
        smooth.mapv(|x| 1.0 - x).to_vec(),
    );
    add("smooth-or-featured_artifact_fraction", vec![0.0; rows]);
    add(
        "disk-edge-on_total-votes",
        smooth.mapv(|x: f64| 40.0 * (1.0 - x)).to_vec(),
    );
    // Counts, as the catalogue has them too.
    add("disk-edge-on_yes", edge_on.mapv(|x| 10.0 * x).to_vec());
    add(
        "disk-edge-on_no",
        edge_on.mapv(|x| 10.0 * (1.0 - x)).to_vec(),
    );
    labels_of("votes.csv".into(), file.object_id.clone(), columns)
}

#[test]
fn morphology_is_learned_from_votes_of_those_who_were_asked() {
    let (file, _) = survey(900, 10);
    let mut labels = votes(&file);
    labels
        .columns
        .get_mut("smooth-or-featured_total-votes")
        .unwrap()[899] = 33.0;
    labels.object_id[898] = (-7_i64).into();
    let options = MorphologyOptions {
        seeds: 2,
        ..MorphologyOptions::default()
    };
    let report = eval::morphology(&inputs(&file, Some(&labels)), &options).unwrap();
    assert_eq!(
        report.results.len(),
        2 * 2,
        "two questions, two kinds of data"
    );
    let unknown = report.notes[0].matches(", ").count() + 1;
    assert!(unknown >= QUESTIONS.len() - 2, "{:?}", report.notes);
    assert!(report.notes[0].contains("spiral-winding"));
    let of = |question: &str, source| {
        let mut results = report.results.iter();
        results
            .find(|r| r.question == question && r.source == source)
            .unwrap()
    };
    let smooth = of("smooth-or-featured", Source::Spectrum);
    assert_eq!((smooth.n_train, smooth.n_test), (720, 178));
    assert_eq!(smooth.support.iter().sum::<usize>(), 178);
    assert!(
        smooth.metrics.accuracy > 0.95 && smooth.metrics.f1 > 0.95,
        "{smooth:?}"
    );
    assert!((0.4..0.6).contains(&smooth.majority.accuracy));
    let edge_on = of("disk-edge-on", Source::Spectrum);
    assert!(edge_on.metrics.accuracy > 0.85, "{edge_on:?}");
    // Half of the galaxies are smooth, and only 4 of 40 were asked about their discs.
    assert!((300..420).contains(&edge_on.n_train));
    let guess = of("disk-edge-on", Source::Image);
    assert!(guess.metrics.accuracy < guess.majority.accuracy + 0.08);
    assert!(guess.uncertainty.is_some() && guess.over_seeds.is_some());
    let lost = |split| {
        let mut left_out = report.left_out.iter();
        left_out
            .find(|d| {
                let question = Subject::Question("disk-edge-on".to_owned());
                (&d.task.subject, d.task.source, d.task.split) == (&question, Source::Image, split)
            })
            .unwrap()
    };
    let test = lost(Split::Test);
    assert_eq!(
        [Reason::TooFewVotes, Reason::WithoutVotes].map(|why| test.count(why)),
        [1, 1]
    );
    assert_eq!(test.total() + guess.n_test, 180);
    assert_eq!(
        lost(Split::Train).count(Reason::RarelyAsked) + guess.n_train,
        720
    );
    let position = report.results.iter().position(|r| r == guess).unwrap();
    assert_eq!(report.predictions[position].predicted.len(), 2);
    let text = eval::render_morphology_table(&report);
    assert!(
        text.contains("emb, spectrum") && text.contains("commonest"),
        "{text}"
    );

    labels.columns.remove("smooth-or-featured_total-votes");
    let message = eval::morphology(&inputs(&file, Some(&labels)), &options)
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("smooth-or-featured_total-votes"),
        "{message}"
    );
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
        files: vec!["emb.h5".into()],
        image: Some(image),
        spectrum: Some(spectrum),
        object_id: (1..=5_i64).map(ObjectId::from).collect(),
        split: vec![
            Split::Test,
            Split::Test,
            Split::Test,
            Split::Test,
            Split::Train,
        ],
        redshift: vec![f32::NAN; 5],
        observed: vec![Observed::UNKNOWN; 5],
        features: Vec::new(),
        provenance: None,
    };
    let options = RetrievalOptions {
        at: vec![1, 2],
        ..RetrievalOptions::default()
    };
    let report = eval::retrieval(&inputs(&file, None), &options).unwrap();
    let results = &report.results;
    assert_eq!(results.len(), 4);
    let (across, within): (Vec<_>, Vec<_>) = results.iter().partition(|r| r.from != r.to);
    assert!(within.iter().all(|result| result.recall[0].recall == 1.0));
    for (result, from) in across.iter().zip([Modality::Image, Modality::Spectrum]) {
        assert_eq!(
            (result.from, result.galaxies, result.left_out),
            (from, 4, 0)
        );
        // The standard error of a share of a half in four.
        let deviation = result.recall[0].uncertainty.unwrap().deviation;
        assert!((deviation - 0.25).abs() < 0.02, "{deviation}");
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
    assert!(eval::render_retrieval_table(&report).contains("% (2.0 x chance)"));
}

#[test]
fn labels_win_and_impossible_values_and_constants_enter_no_metric() {
    let (mut file, labels) = survey(400, 100);
    let right = file.redshift.clone();
    // The file's own redshifts are noise, those of the labels right but for placeholders.
    let mut redshift: Vec<f64> = right.iter().rev().map(|&z| f64::from(z)).collect();
    redshift[399] = -99.0;
    redshift[398] = f64::NAN;
    let mut columns = labels.columns.clone();
    columns.insert("zspec".to_owned(), redshift);
    let noise = file.image.as_ref().unwrap().column(0).to_vec();
    file.redshift = noise;
    file.redshift[0] = -9.0;
    let report =
        |file: &EmbeddingFile, columns: &BTreeMap<String, Vec<f64>>, targets: &[Target]| {
            let labels = labels_of(
                "labels.h5".into(),
                labels.object_id.clone(),
                columns.clone(),
            );
            evaluation(file, &labels).run(targets)
        };
    let redshifts = report(&file, &columns, &[Target::Redshift]).unwrap();
    let known = result(
        &redshifts,
        Source::Spectrum,
        Method::ZeroShot,
        Target::Redshift,
    );
    // Galaxy 0 is unknown to both, galaxy 1 known to the file.
    assert_eq!((known.n_train, known.n_test), (319, 80));
    assert!(known.metrics.r2 > 0.98, "{known:?}");
    let said = "redshifts of 1 galaxies are those of the embedding files: labels.h5";
    assert!(
        redshifts.notes.iter().any(|note| note.starts_with(said)),
        "{:?}",
        redshifts.notes
    );

    // A mass that is not known is none of 0: the baseline of photometry stays.
    let masses = columns.get_mut("LOG_MSTAR").unwrap();
    masses[..300].fill(f64::NAN);
    let redshifts = report(&file, &columns, &[Target::Redshift]).unwrap();
    let photometry = result(
        &redshifts,
        Source::Photometry,
        Method::ZeroShot,
        Target::Redshift,
    );
    assert_eq!((photometry.n_train, photometry.n_test), (319, 80));

    columns.insert("TAGE_MW".to_owned(), vec![5.0; 400]);
    let properties = report(&file, &columns, &[Target::Age, Target::Metallicity]).unwrap();
    assert!(
        properties
            .results
            .iter()
            .all(|result| result.target == Target::Metallicity)
    );
    assert!(
        properties
            .notes
            .iter()
            .any(|note| note.contains("is 5 of all")),
        "{:?}",
        properties.notes
    );
    for value in [-99.0, f64::NAN] {
        columns.insert("TAGE_MW".to_owned(), vec![value; 400]);
        let message = report(&file, &columns, &[Target::Age])
            .unwrap_err()
            .to_string();
        assert!(message.contains("0 train and 0 test"), "{message}");
    }
    columns.insert("TAGE_MW".to_owned(), vec![5e9; 400]);
    let message = report(&file, &columns, &[Target::Age])
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("years") && message.contains("--tage-mw-column"),
        "{message}"
    );
}

#[test]
fn values_are_joined_by_identifier_and_cut() {
    let column = |name: &str, values: [f64; 3]| (name.to_owned(), values.to_vec());
    let columns = BTreeMap::from([
        column("LOG_MSTAR", [10.0, 11.0, -99.0]),
        column("AVG_SFR", [0.0, 10.0, 10.0]),
        column("Z_HP", [0.3, -9.0, 0.2]),
    ]);
    let ids = [30, 10, 20_i64].map(ObjectId::from).to_vec();
    let labels = labels_of("labels".into(), ids, columns);
    let galaxies = eval::SurveyGalaxies {
        object_id: &[10, 20, 30, 40_i64].map(ObjectId::from),
        redshift: &[0.5, 0.9, -1.0, -99.0],
    };
    let targets = [
        Target::Redshift,
        Target::StellarMass,
        Target::SpecificStarFormationRate,
    ];
    let values = galaxies.targets(&targets, Some(&labels)).unwrap();
    let known = |target: usize| {
        values
            .column(target)
            .mapv(|v| if v.is_nan() { -1.0 } else { v })
    };
    assert_eq!(
        known(0).to_vec(),
        [0.5, 0.2, 0.3, -1.0],
        "the survey's own where the labels have a placeholder"
    );
    assert_eq!(
        known(1).to_vec(),
        [11.0, -1.0, 10.0, -1.0],
        "the second is cut"
    );
    assert_eq!(
        known(2).to_vec(),
        [-10.0, -1.0, -1.0, -1.0],
        "no star formation, no logarithm"
    );

    let message = |error: astroclip::base::error::Error| error.to_string();
    let age = galaxies.targets(&[Target::Age], Some(&labels)).unwrap_err();
    assert!(message(age).contains("TAGE_MW"));
    let mass = galaxies.targets(&[Target::StellarMass], None).unwrap_err();
    assert!(message(mass).contains("--labels"));
    assert!(message(galaxies.magnitudes(&labels).unwrap_err()).contains("MAG_G, MAG_R, MAG_Z"));
}

#[test]
fn a_label_table_without_the_properties_is_one_sentence_and_without_magnitudes_a_line() {
    let (file, mut labels) = survey(400, 1000);
    labels.columns.retain(|name, _| name == "LOG_MSTAR");
    labels = labels_of(labels.name, labels.object_id, labels.columns);
    let report = evaluation(&file, &labels).properties().unwrap();
    let missing: Vec<&String> = report
        .notes
        .iter()
        .filter(|note| note.contains("left out"))
        .collect();
    assert_eq!(missing.len(), 1, "{missing:?}");
    let expected = "labels.h5: has none of the columns Z_MW, TAGE_MW, AVG_SFR, LOG_MSTAR, which tell log Z_MW, t_age [Gyr], \
                    log sSFR; there are LOG_MSTAR; --log-z-mw-column, --tage-mw-column, --log-ssfr-column NAME say which";
    assert!(missing[0].contains(expected), "{missing:?}");
    let line = eval::render_regression_table(&report);
    let line = line
        .lines()
        .find(|line| line.contains("photometry"))
        .unwrap();
    let reason = "not made: the labels have no MAG_G, MAG_R, MAG_Z";
    assert!(line.contains("log M★") && line.contains(reason), "{line}");
    assert_eq!(report.not_made.len(), 1);
}
