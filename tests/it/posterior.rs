//! Posteriors by normalizing flows on problems whose answers are known.

use std::collections::BTreeMap;
use std::f64::consts::TAU;

use crate::support::labels_of;
use astroclip::base::error::Result;
use astroclip::evaluation::eval::{
    self, Condition, EvalInputs, Model, PosteriorOptions, PosteriorReport, PredictionTable, Reason,
    Source, Target,
    flow::{ConditionalFlow, FlowConfig},
    render_posterior_table,
};
use astroclip::files::embeddings::{EmbeddingFile, Observed};
use astroclip::survey::{Labels, ObjectId, Role, Split};
use ndarray::Array2;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// Scatter of redshift and of mass at given redshift, about their means.
const SCATTER: [f64; 2] = [0.03, 0.2];

/// Galaxies whose redshift and mass are a linear function of the spectrum embedding plus correlated normal
/// noise, and −ln of the true density of both for each.
fn survey(galaxies: usize, seed: u64) -> (EmbeddingFile, Labels, Vec<f64>) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut normal = || -> f64 { StandardNormal.sample(&mut rng) };
    let spectrum = Array2::from_shape_simple_fn((galaxies, 3), || normal() as f32);
    let (mut redshift, mut mass, mut nll) = (Vec::new(), Vec::new(), Vec::new());
    for x in spectrum.rows() {
        let [a, b, c] = [0, 1, 2].map(|column| f64::from(x[column]));
        let noise = [normal(), normal()];
        redshift.push((0.3 + 0.05 * a + 0.02 * b + SCATTER[0] * noise[0]) as f32);
        mass.push(10.5 + 0.3 * b - 0.2 * c + 0.15 * noise[0] + SCATTER[1] * noise[1]);
        let square: f64 = noise.iter().map(|noise| noise * noise).sum();
        nll.push(0.5 * square + TAU.ln() + (SCATTER[0] * SCATTER[1]).ln());
    }
    let object_id: Vec<ObjectId> = (0_i64..).take(galaxies).map(ObjectId::from).collect();
    let file = EmbeddingFile {
        path: "emb.h5".into(),
        files: vec!["emb.h5".into()],
        split: Split::of_group(galaxies).collect(),
        redshift,
        observed: vec![Observed::UNKNOWN; galaxies],
        image: None,
        spectrum: Some(spectrum),
        object_id: object_id.clone(),
        features: Vec::new(),
        provenance: None,
    };
    let columns = BTreeMap::from([("LOG_MSTAR".to_owned(), mass)]);
    let labels = labels_of("labels.h5".into(), object_id, columns);
    (file, labels, nll)
}

/// What is evaluated, and how.
struct Evaluation<'a> {
    inputs: EvalInputs<'a>,
    options: PosteriorOptions,
}

impl Evaluation<'_> {
    fn run(&self) -> Result<PosteriorReport> {
        eval::posterior(&self.inputs, &self.options)
    }
}

fn evaluation<'a>(file: &'a EmbeddingFile, labels: &'a Labels) -> Evaluation<'a> {
    Evaluation {
        inputs: EvalInputs {
            models: vec![Model {
                name: "astroclip",
                embeddings: file,
                test: None,
            }],
            predictions: &[],
            labels: Some(labels),
        },
        options: PosteriorOptions {
            flow: FlowConfig {
                flows: 2,
                max_epochs: 3,
                ..FlowConfig::default()
            },
            samples: 100,
            ..PosteriorOptions::default()
        },
    }
}

#[test]
fn a_linear_gaussian_posterior_is_found_and_calibrated() {
    let (file, labels, nll) = survey(40_000, 1);
    let mut evaluation = evaluation(&file, &labels);
    evaluation.options.flow = FlowConfig {
        flows: 2,
        transforms: [4, 4],
        hidden: [32, 32],
        ..FlowConfig::default()
    };
    evaluation.options.samples = 500;
    let report = evaluation.run().unwrap();
    assert_eq!(report.targets, [Target::Redshift, Target::StellarMass]);
    let result = &report.results[0];
    assert_eq!((result.n_train, result.n_test), (32_000, 8_000));

    let truth = nll[32_000..].iter().sum::<f64>() / 8_000.0;
    let excess = result.nll.mean - truth;
    assert!(
        (-0.005..0.02).contains(&excess),
        "{excess} nats above {truth}"
    );
    assert!(result.nll_of_mixture <= result.nll.mean);
    let parts: f64 = result
        .targets
        .iter()
        .map(|target| target.nll_part.mean)
        .sum();
    assert!((parts - result.nll.mean).abs() < 1e-9);

    let [redshift, mass] = &result.targets[..] else {
        panic!("{:?}", result.targets)
    };
    assert!((redshift.rmse - 0.03).abs() < 0.001, "{redshift:?}");
    assert!((mass.half_width68 - 0.25 * 0.9945).abs() < 0.01, "{mass:?}");
    for target in [redshift, mass] {
        assert!((target.coverage68 - 0.68).abs() < 0.02, "{target:?}");
        assert!((target.coverage95 - 0.95).abs() < 0.01, "{target:?}");
    }
    let curve = &result.tarp;
    for (level, coverage) in curve.credibility.iter().zip(&curve.expected_coverage) {
        assert!((level - coverage).abs() < 0.03, "{curve:?}");
    }
    let summaries = &report.summaries[0];
    let row = summaries
        .object_id
        .iter()
        .position(|&id| id == result.example.object_id)
        .unwrap();
    let samples = &result.example.samples[1];
    let below = samples
        .iter()
        .filter(|&&s| s <= summaries.intervals[1][row].median)
        .count();
    assert_eq!((samples.len(), below), (500, 250));
    assert_eq!(result.example.truth[1], summaries.truth[1][row]);
}

#[test]
fn the_best_weights_are_kept_not_the_last() {
    // Pure noise: every epoch after the first few only overfits.
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let mut normal = || -> f64 { StandardNormal.sample(&mut rng) };
    let x = Array2::from_shape_simple_fn((300, 40), || normal() as f32);
    let y = Array2::from_shape_simple_fn((300, 2), normal);
    let fit = |max_epochs| {
        let config = FlowConfig {
            max_epochs,
            ..FlowConfig::default()
        };
        ConditionalFlow::fit(x.view(), y.view(), &config).unwrap()
    };
    let long = fit(100);
    let summary = long.summary().clone();
    assert_eq!(summary.epochs, summary.best_epoch + 20);
    let short = fit(summary.best_epoch);
    assert_eq!(
        short.log_prob(x.view(), y.view()),
        long.log_prob(x.view(), y.view())
    );
}

#[test]
fn every_galaxy_is_counted_and_those_without_labels_have_a_posterior() {
    let (mut file, mut labels, _) = survey(600, 2);
    labels.object_id[0] = (-5_i64).into();
    labels.columns.get_mut("LOG_MSTAR").unwrap()[1] = 0.0; // fails the cut on mass
    labels = labels_of(labels.name, labels.object_id, labels.columns);
    file.redshift[2] = f32::NAN;
    file.spectrum.as_mut().unwrap()[[3, 0]] = f32::NAN;
    labels.object_id[480] = (-6_i64).into(); // a test galaxy
    file.spectrum.as_mut().unwrap()[[481, 0]] = f32::INFINITY;
    let report = evaluation(&file, &labels).run().unwrap();
    let result = &report.results[0];
    assert_eq!((result.source, result.n_train), (Source::Spectrum, 476));
    assert_eq!((result.n_test, result.n_posteriors), (118, 119));
    let [train, test] = &report.left_out[..] else {
        panic!("{:?}", report.left_out)
    };
    assert_eq!(
        [
            Reason::WithoutFeatures,
            Reason::NotInLabels,
            Reason::Cut,
            Reason::WithoutTarget
        ]
        .map(|why| train.count(why)),
        [1, 1, 1, 1]
    );
    assert_eq!(
        (
            test.count(Reason::WithoutFeatures),
            test.count(Reason::NotInLabels),
            test.total()
        ),
        (1, 1, 2)
    );
    let summaries = &report.summaries[0];
    assert_eq!(summaries.object_id[0], 480);
    assert!(summaries.truth[0][0].is_nan() && summaries.intervals[0][0].median.is_finite());
    assert!(
        report
            .notes
            .iter()
            .any(|note| note.contains("log_z_mw (column Z_MW)"))
    );
    assert!(
        report
            .notes
            .iter()
            .any(|note| note.contains("no photometry"))
    );
    let text = render_posterior_table(&report);
    assert!(
        text.contains("test: 1 embedding or magnitude not finite, 1 not in the label table"),
        "{text}"
    );

    let mut asked = evaluation(&file, &labels);
    asked.options.targets = vec![Target::Age];
    let message = asked.run().unwrap_err().to_string();
    assert!(message.contains("tage_mw (column TAGE_MW)"), "{message}");
    asked.options.targets = vec![Target::Redshift];
    asked.options.sources = vec![Source::Photometry];
    let message = asked.run().unwrap_err().to_string();
    assert!(message.contains("MAG_G"), "{message}");
}

#[test]
fn results_are_the_same_for_any_number_of_threads_and_survive_json() {
    let (file, labels, _) = survey(2_000, 4);
    let report = |threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        let mut report = pool.install(|| evaluation(&file, &labels).run().unwrap());
        report.results[0].fit_seconds = 0.0;
        report
    };
    let (one, three) = (report(1), report(3));
    assert_eq!(one, three);
    let json = serde_json::to_string(&one).unwrap();
    let back: PosteriorReport = serde_json::from_str(&json).unwrap();
    assert_eq!(back.results, one.results);
}

#[test]
fn flows_see_no_prediction_for_a_galaxy_that_the_network_was_fitted_to() {
    const ERROR: f64 = 0.05;
    let (file, labels, _) = survey(10_000, 5);
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    let mut normal = || -> f64 { StandardNormal.sample(&mut rng) };
    // Half of the train galaxies and one test galaxy were fitted to, and are known exactly. For others the network
    // errs, twice: its mass is a second measurement of redshift.
    let role = |row: usize| match row {
        0..4_000 | 8_000 => Role::Train,
        4_000..8_000 | 8_001 => Role::Validation,
        _ => Role::Test,
    };
    let mut predict = || -> Vec<f64> {
        let rows = file.redshift.iter().enumerate();
        rows.map(|(row, &z)| match role(row) {
            Role::Train => f64::from(z),
            _ => f64::from(z) + ERROR * normal(),
        })
        .collect()
    };
    let columns = [predict(), predict()];
    let table = |role: &dyn Fn(usize) -> Role| {
        let roles = (0..10_000).map(|row| role(row).code()).collect();
        let [redshift, mass] = columns.clone();
        [PredictionTable {
            model: "resnet18".into(),
            source: Source::Image,
            table: labels_of(
                "predictions.csv".into(),
                file.object_id.clone(),
                BTreeMap::from([
                    ("redshift".to_owned(), redshift),
                    ("log_mstar".to_owned(), mass),
                    ("split".to_owned(), roles),
                ]),
            ),
        }]
    };
    let run = |predictions: &[PredictionTable]| {
        let mut evaluation = evaluation(&file, &labels);
        evaluation.inputs.predictions = predictions;
        evaluation.options.targets = vec![Target::Redshift];
        evaluation.options.sources = vec![Source::Image];
        evaluation.options.flow = FlowConfig {
            flows: 2,
            transforms: [3, 3],
            hidden: [32, 32],
            ..FlowConfig::default()
        };
        evaluation.run().unwrap()
    };

    let tables = table(&role);
    let report = run(&tables);
    let [result] = &report.results[..] else {
        panic!("{:?}", report.results)
    };
    assert_eq!(
        (result.model.as_str(), result.source, result.condition),
        ("resnet18", Source::Image, Condition::Predictions)
    );
    assert_eq!((result.n_train, result.n_test), (4_000, 1_998));
    let trained_on: Vec<usize> = report
        .left_out
        .iter()
        .map(|of| of.count(Reason::TrainedOn))
        .collect();
    assert_eq!(trained_on, [4_000, 2]);
    assert_eq!(report.summaries[0].object_id[0], 8_002);
    // A normal prior and two normal measurements: the posterior is known.
    let prior = 0.05_f64.powi(2) + 0.02_f64.powi(2) + SCATTER[0].powi(2);
    let precision = prior.recip() + 2.0 / ERROR.powi(2);
    let nll: f64 = (8_002..10_000)
        .map(|row| {
            let sum = columns[0][row] + columns[1][row];
            let mean = (0.3 / prior + sum / ERROR.powi(2)) / precision;
            let square = (f64::from(file.redshift[row]) - mean).powi(2) * precision;
            0.5 * (square + (TAU / precision).ln())
        })
        .sum::<f64>()
        / 1_998.0;
    let excess = result.nll.mean - nll;
    assert!((-0.01..0.03).contains(&excess), "{excess} nats above {nll}");
    assert!((result.targets[0].coverage68 - 0.68).abs() < 0.04);

    // Too few set aside: fitted to all, and said so; half of those are known exactly.
    let few = table(&|row| match role(row) {
        Role::Validation if row >= 4_050 => Role::Train,
        role => role,
    });
    let report = run(&few);
    let result = &report.results[0];
    assert_eq!((result.n_train, result.n_test), (8_000, 1_998));
    assert!(result.nll.mean > nll + 0.1, "{} and {nll}", result.nll.mean);
    let says = |report: &PosteriorReport, part: &str| {
        let found = report.notes.iter().any(|note| note.contains(part));
        assert!(found, "{part}: {:?}", report.notes);
    };
    says(&report, "not fitted to 50 of the train galaxies");
    says(&report, "too narrow");

    let mut silent = few;
    silent[0].table.columns.remove("split");
    says(&run(&silent), "has no column split");
    silent[0].table.columns.remove("redshift");
    says(&run(&silent), "log_mstar alone");
}

#[test]
fn a_constant_is_left_out_where_nobody_asked_for_it() {
    let (file, mut labels, _) = survey(600, 3);
    let ages = vec![5.0; labels.object_id.len()];
    labels.columns.insert("TAGE_MW".to_owned(), ages);
    let labels = labels_of(labels.name, labels.object_id, labels.columns);
    let mut all = evaluation(&file, &labels);
    all.options.targets = Vec::new();
    let report = all.run().unwrap();
    assert_eq!(report.targets, [Target::Redshift, Target::StellarMass]);
    assert!(
        report
            .notes
            .iter()
            .any(|note| note.contains("tage_mw is the same"))
    );
    all.options.targets = vec![Target::Redshift, Target::Age];
    let message = all.run().unwrap_err().to_string();
    assert!(
        message.contains("of a constant there are no posteriors"),
        "{message}"
    );
}
