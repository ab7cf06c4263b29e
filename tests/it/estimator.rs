//! Estimators and catalogues, on constructed embeddings whose answers are known.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use astroclip::base::error::Kind;
use astroclip::base::shard::Shard;
use astroclip::evaluation::estimator::{
    EstimatorFile, FLAGS, Fit, FitOptions, Grid, PredictOptions, Predicted, Regressor, Telling,
    fit, predict,
};
use astroclip::evaluation::eval::flow::FlowConfig;
use astroclip::evaluation::eval::{
    self, EvalInputs, Method, MlpConfig, Model, PosteriorOptions, RegressionOptions, Source, Target,
};
use astroclip::files::catalog::Table;
use astroclip::files::embeddings::{
    EmbeddingBatch, EmbeddingFile, EmbeddingWriter, Features, Observed, Provenance,
};
use astroclip::files::inputs::Inputs;
use astroclip::survey::{CONTINUUM_BANDS, Labels, Modality, ObjectId, QUESTIONS, Split};
use ndarray::{Array2, Array3, s};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use tempfile::TempDir;

use crate::support::{astroclip, labels_of, writable};

const WIDTH: usize = 4;

/// Galaxies on their way to a file: the spectrum embedding tells redshift and mass, each with noise that grows with the
/// third column, the image embedding tells the same worse.
struct Survey {
    folder: TempDir,
    object_id: Vec<ObjectId>,
    image: Array2<f32>,
    spectrum: Array2<f32>,
    redshift: Vec<f32>,
    observed: Vec<Observed>,
    /// Unknown, as in files of earlier versions.
    continua: Option<Array3<f32>>,
    /// From before the heads: of images, of spectra.
    features: [Option<Array2<f32>>; 2],
    mass: Vec<f64>,
}

impl Survey {
    fn new(galaxies: usize, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut normal = || -> f32 { StandardNormal.sample(&mut rng) };
        let spectrum = Array2::from_shape_simple_fn((galaxies, WIDTH), &mut normal);
        let image = spectrum.map(|value| value + 0.7 * normal());
        let mut redshift = Vec::new();
        let mut mass = Vec::new();
        for x in spectrum.rows() {
            let noise = 0.02 * (1.0 + 2.0 * x[2].abs());
            redshift.push((0.4 + 0.08 * x[0] + 0.03 * x[1] + noise * normal()).max(0.001));
            mass.push(f64::from(10.5 + 0.5 * x[1] + 5.0 * noise * normal()));
        }
        Self {
            folder: TempDir::new().unwrap(),
            object_id: (1..)
                .take(galaxies)
                .map(|id: i64| (1000 + id).into())
                .collect(),
            image,
            spectrum,
            redshift,
            observed: vec![Observed::UNKNOWN; galaxies],
            continua: None,
            features: [None, None],
            mass,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes the embeddings of one model.
    fn write(&self, name: &str, model: &str, normalized: bool) -> PathBuf {
        self.write_kinds(&Modality::ALL, name, model, normalized)
    }

    fn write_kinds(
        &self,
        kinds: &[Modality],
        name: &str,
        model: &str,
        normalized: bool,
    ) -> PathBuf {
        let path = self.path(name);
        let provenance = Provenance {
            model_sha256: model.to_owned(),
            model_config: "{}".to_owned(),
            program_version: "0".to_owned(),
            normalized,
            inputs: None,
            part: None,
        };
        let mut writer = EmbeddingWriter::create(&path, kinds, WIDTH, &provenance).unwrap();
        let [image, spectrum] = self.features.each_ref().map(|features| features.as_ref());
        let splits: Vec<Split> = Split::of_group(self.object_id.len()).collect();
        writer
            .append(&EmbeddingBatch {
                image: kinds
                    .contains(&Modality::Image)
                    .then_some(self.image.view()),
                spectrum: kinds
                    .contains(&Modality::Spectrum)
                    .then_some(self.spectrum.view()),
                features: Features {
                    image: image.map(|vectors| vectors.view()),
                    spectrum: spectrum.map(|vectors| vectors.view()),
                },
                object_id: &self.object_id,
                split: &splits,
                redshift: &self.redshift,
                observed: &self.observed,
                continua: self.continua.as_ref().map(|continua| continua.view()),
            })
            .unwrap();
        writer.finish().unwrap();
        path
    }

    fn labels(&self) -> Labels {
        let columns = BTreeMap::from([("LOG_MSTAR".to_owned(), self.mass.clone())]);
        labels_of("labels.h5".into(), self.object_id.clone(), columns)
    }

    /// Predicts for a file of embeddings.
    fn predict(
        &self,
        estimator: &Path,
        embeddings: &Path,
        out: &str,
        change: impl FnOnce(&mut PredictOptions),
    ) -> astroclip::base::error::Result<Predicted> {
        let mut options = PredictOptions {
            out: self.path(out),
            embeddings: vec![embeddings.to_owned()],
            keys: Default::default(),
            labels: None,
            shard: Shard::WHOLE,
            is_cut: false,
            telling: Telling {
                samples: 100,
                grid: None,
                each: false,
            },
            resume: false,
            inputs: Inputs::default(),
        };
        change(&mut options);
        predict(&EstimatorFile::open(estimator)?, &options)
    }
}

fn options(methods: &[Regressor]) -> FitOptions {
    FitOptions {
        methods: methods.to_vec(),
        members: 2,
        mlp: MlpConfig {
            max_epochs: 30,
            ..MlpConfig::default()
        },
        flow: FlowConfig {
            flows: 2,
            max_epochs: 10,
            ..FlowConfig::default()
        },
        samples: 100,
        ..FitOptions::default()
    }
}

fn fitted(embeddings: &Path, labels: &Labels, options: &FitOptions) -> Fit {
    let file = EmbeddingFile::open(embeddings).unwrap();
    fit(&inputs(&file, labels), options).unwrap()
}

fn inputs<'a>(file: &'a EmbeddingFile, labels: &'a Labels) -> EvalInputs<'a> {
    EvalInputs {
        models: vec![Model {
            name: "emb",
            embeddings: file,
            test: None,
        }],
        predictions: &[],
        labels: Some(labels),
    }
}

/// Continua that rise or fall, with noise of a tenth.
fn continua(galaxies: usize, seed: u64) -> Array3<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut normal = || -> f32 { StandardNormal.sample(&mut rng) };
    let mut continua = Array3::from_elem((galaxies, 2, CONTINUUM_BANDS), 0.1);
    for mut continuum in continua.outer_iter_mut() {
        let slope = 0.1 * normal();
        for band in 0..CONTINUUM_BANDS {
            continuum[[0, band]] = 2.0 + slope * (band as f32 / 30.0 - 1.0) + 0.1 * normal();
        }
    }
    continua
}

fn column(table: &Table, name: &str) -> Vec<f64> {
    table.numbers(name).unwrap().into_owned()
}

#[test]
fn estimates_are_those_of_eval_in_another_process() {
    let survey = Survey::new(400, 1);
    let (embeddings, labels) = (survey.write("emb.h5", "model", true), survey.labels());
    let options = options(&Regressor::ALL);
    let estimator = survey.path("estimator.safetensors");
    let fit = fitted(&embeddings, &labels, &options);
    fit.estimator.save(&estimator, &Inputs::default()).unwrap();
    survey
        .predict(&estimator, &embeddings, "all.h5", |options| {
            options.telling.each = true
        })
        .unwrap();
    let table = Table::open(&survey.path("all.h5")).unwrap();
    let ids = column(&table, "object_id");

    let file = EmbeddingFile::open(&embeddings).unwrap();
    let inputs = inputs(&file, &labels);
    let mut compared = 0;
    for target in [Target::Redshift, Target::StellarMass] {
        let of_eval = RegressionOptions {
            targets: vec![target],
            mlp: options.mlp.clone(),
            seeds: 2,
            ..RegressionOptions::default()
        };
        for made in &eval::regression(&inputs, &of_eval).unwrap().predictions {
            let method = match made.method {
                Method::ZeroShot => "knn",
                _ => "mlp",
            };
            let name = format!("{}_{}_{method}", target.name(), made.source);
            let ours = column(&table, &name);
            for (row, id) in made.object_id.iter().enumerate() {
                let at = ids
                    .iter()
                    .position(|known| id.to_string() == known.to_string());
                let seeds: f64 = made.further_seeds.iter().map(|seed| seed[row]).sum();
                let mean = (made.predicted[row] + seeds) / (1 + made.further_seeds.len()) as f64;
                assert!((ours[at.unwrap()] - mean).abs() < 1e-6, "{name}");
                compared += 1;
            }
        }
    }
    let of_eval = PosteriorOptions {
        flow: options.flow.clone(),
        samples: 100,
        ..PosteriorOptions::default()
    };
    let report = eval::posterior(&inputs, &of_eval).unwrap();
    for of in &report.summaries {
        for (target, intervals) in report.targets.iter().zip(&of.intervals) {
            let ours = [("p500", 0.5), ("p160", 0.16)].map(|(ending, _)| {
                column(
                    &table,
                    &format!("{}_{}_flow_{ending}", target.name(), of.source),
                )
            });
            for (interval, id) in intervals.iter().zip(&of.object_id) {
                let at = ids
                    .iter()
                    .position(|known| id.to_string() == known.to_string());
                assert!((ours[0][at.unwrap()] - interval.median).abs() < 1e-6);
                assert!((ours[1][at.unwrap()] - interval.inner[0].max(0.0)).abs() < 1e-6);
                compared += 1;
            }
        }
    }
    assert_eq!(compared, 80 * (2 * 2 * 2 + 2 * 2));

    // Scores are of the same estimates; what both know comes first.
    let plain = column(&table, "redshift");
    assert_eq!(plain, column(&table, "redshift_both_flow"));
    let split = column(&table, "split");
    assert_eq!(split.iter().filter(|&&split| split == 0.0).count(), 320);
}

/// What a file holds is what was fitted, to the last bit; parts of a survey and interrupted work make the same catalogue.
#[test]
fn files_shards_and_resumed_catalogues_are_the_same_to_the_bit() {
    let survey = Survey::new(300, 2);
    let (embeddings, labels) = (survey.write("emb.h5", "model", true), survey.labels());
    let estimator = survey.path("estimator.safetensors");
    let options = options(&[Regressor::Flow, Regressor::Knn]);
    for _ in 0..2 {
        let fit = fitted(&embeddings, &labels, &options);
        let again = survey.path("again.safetensors");
        fit.estimator.save(&again, &Inputs::default()).unwrap();
        if estimator.exists() {
            assert_eq!(fs::read(&estimator).unwrap(), fs::read(&again).unwrap());
        }
        fs::rename(again, &estimator).unwrap();
    }
    let read = EstimatorFile::open(&estimator).unwrap();
    let copy = survey.path("copy.safetensors");
    read.estimator.save(&copy, &Inputs::default()).unwrap();
    assert_eq!(fs::read(&estimator).unwrap(), fs::read(&copy).unwrap());

    // Embeddings of earlier versions: nothing is known of the spectra, and nothing is flagged for it.
    survey
        .predict(&estimator, &embeddings, "old.csv", |_| {})
        .unwrap();
    let table = Table::open(&survey.path("old.csv")).unwrap();
    for name in ["spectrum_snr", "star_lines"] {
        assert!(column(&table, name).iter().all(|value| value.is_nan()));
    }
    assert!(table.numbers("novelty_continuum").is_err());
    let flags = column(&table, "flag");
    assert!(flags.iter().all(|&flags| (flags as i32) < 128));

    let with_density = |options: &mut PredictOptions| {
        options.telling.grid = Some(Grid::new(0.0, 1.0, 51).unwrap());
    };
    survey
        .predict(&estimator, &embeddings, "whole.csv", with_density)
        .unwrap();
    let whole = fs::read_to_string(survey.path("whole.csv")).unwrap();
    let mut parts = String::new();
    for number in 1..=3 {
        survey
            .predict(&estimator, &embeddings, "part.csv", |options| {
                with_density(options);
                options.shard = format!("{number}/3").parse().unwrap();
            })
            .unwrap();
        let part = fs::read_to_string(survey.path("part.csv")).unwrap();
        let (head, rows) = part.split_once('\n').unwrap();
        if number == 1 {
            parts += &format!("{head}\n");
        }
        parts += rows;
    }
    assert_eq!(whole, parts);
}

#[test]
fn intervals_hold_the_truth_as_often_as_they_say_and_know_where_it_is_hard() {
    let (mut covered, mut galaxies) = (BTreeMap::new(), 0);
    for seed in 10..14 {
        let survey = Survey::new(600, seed);
        let embeddings = survey.write("emb.h5", "model", true);
        let methods = [Regressor::Knn, Regressor::Mlp];
        let options = FitOptions {
            sources: vec![Source::Spectrum],
            ..options(&methods)
        };
        let fit = fitted(&embeddings, &survey.labels(), &options);
        for score in &fit.estimator.head.scores {
            let sums: &mut [f64; 2] = covered.entry((score.target, score.method)).or_default();
            sums[0] += score.coverage68 * score.n_test as f64;
            sums[1] += score.coverage95 * score.n_test as f64;
        }
        galaxies += 120;
    }
    assert_eq!(covered.len(), 4);
    for (what, sums) in covered {
        for (sum, stated) in sums.into_iter().zip([0.68, 0.95]) {
            let share = sum / f64::from(galaxies);
            // Three standard errors of the test galaxies.
            let error = (stated * (1.0_f64 - stated) / f64::from(galaxies)).sqrt();
            assert!(
                (share - stated).abs() < 3.0 * error,
                "{what:?}: {share}, not {stated}"
            );
        }
    }
}

#[test]
fn flags_say_what_is_wrong() {
    let mut training = Survey::new(400, 3);
    for of in &mut training.observed {
        of.signal_to_noise = 4.0;
    }
    training.continua = Some(continua(400, 5));
    let embeddings = training.write("emb.h5", "model", true);
    let estimator = training.path("estimator.safetensors");
    let fit = fitted(&embeddings, &training.labels(), &options(&[Regressor::Mlp]));
    fit.estimator.save(&estimator, &Inputs::default()).unwrap();

    let mut new = Survey::new(50, 4);
    new.object_id = (1..=50_i64).map(ObjectId::from).collect();
    new.image.fill(0.0);
    new.spectrum.fill(0.0);
    new.image.row_mut(1).fill(40.0);
    new.spectrum.row_mut(2).fill(-40.0);
    let plain = Observed {
        position: [150.0, 2.0],
        spectrum_filled: 0.01,
        signal_to_noise: 3.0,
        star_lines: 1.0,
        bands_missing: Some(0),
    };
    new.observed = vec![plain; 50];
    new.observed[3].spectrum_filled = 0.3;
    new.observed[4].bands_missing = Some(1);
    new.observed[7].signal_to_noise = -0.125;
    new.observed[8].star_lines = 6.0;
    let mut of_new = continua(50, 6);
    of_new.slice_mut(s![9, 0, ..20]).fill(0.5);
    // A galaxy of which nothing is measured is not flagged.
    new.observed[10] = Observed::UNKNOWN;
    of_new.slice_mut(s![10, .., ..]).fill(f32::NAN);
    new.continua = Some(of_new);
    // Where nothing is observed, an embedding is unknown.
    let path = new.write("new.h5", "model", true);
    let file = writable(&path);
    for name in ["image_embeddings", "spectrum_embeddings"] {
        let unknown = Array2::from_elem((1, WIDTH), f32::NAN);
        file.dataset(name)
            .unwrap()
            .write_slice(&unknown, s![5..6, ..])
            .unwrap();
    }
    let unknown = Array2::from_elem((1, WIDTH), f32::NAN);
    let images = file.dataset("image_embeddings").unwrap();
    images.write_slice(&unknown, s![6..7, ..]).unwrap();
    drop((images, file));
    let predicted = new.predict(&estimator, &path, "new.csv", |_| {}).unwrap();
    let table = Table::open(&new.path("new.csv")).unwrap();
    let flags = column(&table, "flag");
    let names = |row: usize| -> Vec<&str> {
        let flags = flags[row] as i32;
        let set = FLAGS.iter().filter(|flag| flags & flag.bit != 0);
        set.map(|flag| flag.name).collect()
    };
    assert_eq!(names(0), [] as [&str; 0]);
    assert!(names(1).contains(&"unlike_images") && !names(1).contains(&"unlike_spectra"));
    assert!(names(2).contains(&"unlike_spectra") && names(2).contains(&"beyond_range"));
    assert_eq!(names(3), ["filled_spectrum"]);
    assert_eq!(names(4), ["missing_band"]);
    assert_eq!(names(5), ["no_estimate"]);
    assert_eq!(names(6), [] as [&str; 0]);
    assert_eq!(names(7), ["no_signal"]);
    assert_eq!(names(8), ["star_lines"]);
    assert_eq!(names(9), ["unlike_continua"]);
    assert_eq!(names(10), [] as [&str; 0]);
    // One in a hundred galaxies like the others is called unlike them.
    let others = (11..50).filter(|&row| names(row) == ["unlike_continua"]);
    let others = others.count();
    assert!(others <= 2, "{others}");
    assert_eq!(predicted.without_flag, 42 - others);
    let novelty = column(&table, "novelty_continuum");
    assert!(novelty[9] > 2.0 && novelty[10].is_nan() && novelty[0] < 1.0);
    assert_eq!(column(&table, "spectrum_snr")[7], -0.125);
    assert_eq!(column(&table, "star_lines")[8], 6.0);
    let redshift = column(&table, "redshift");
    assert!(redshift[5].is_nan() && redshift[6].is_finite());
    let text = fs::read_to_string(new.path("new.csv")).unwrap();
    let sources: Vec<&str> = text
        .lines()
        .skip(1)
        .map(|line| {
            if line.contains("both,mlp") {
                "both"
            } else {
                "other"
            }
        })
        .collect();
    assert_eq!((sources[0], sources[6]), ("both", "other"));
    assert_eq!(column(&table, "ra")[0], 150.0);
    assert!(column(&table, "split").iter().all(|&split| split == 1.0));
}

/// Votes are learned from images where there are labels of them; of galaxies without images nothing is told of them, and
/// the rest from what there is.
#[test]
fn morphology_is_told_of_galaxies_with_images() {
    let survey = Survey::new(400, 8);
    let embeddings = survey.write("emb.h5", "model", true);
    let smooth: Vec<f64> = survey
        .spectrum
        .column(0)
        .iter()
        .map(|&x| 0.95 / (1.0 + f64::from(-2.0 * x).exp()))
        .collect();
    let question = &QUESTIONS[0];
    let name = |ending: &str| format!("{}_{ending}", question.name);
    let mut columns = BTreeMap::from([(name("total-votes"), vec![40.0; 400])]);
    for (place, answer) in question.answers.iter().enumerate() {
        let fraction = |smooth: &f64| match place {
            0 => *smooth,
            1 => 0.95 - smooth,
            _ => 0.05,
        };
        let fractions = smooth.iter().map(fraction).collect();
        columns.insert(name(&format!("{answer}_fraction")), fractions);
    }
    let labels = labels_of("votes.h5".into(), survey.object_id.clone(), columns);
    let estimator = survey.path("estimator.safetensors");
    let mut options = options(&[Regressor::Knn]);
    options.morphology.as_mut().unwrap().mlp.max_epochs = 20;
    let fit = fitted(&embeddings, &labels, &options);
    fit.estimator.save(&estimator, &Inputs::default()).unwrap();

    survey
        .predict(&estimator, &embeddings, "all.csv", |_| {})
        .unwrap();
    let table = Table::open(&survey.path("all.csv")).unwrap();
    let of = |table: &Table, ending: &str| {
        column(
            table,
            &name(&format!("{}_fraction{ending}", question.answers[0])),
        )
    };
    let told = of(&table, "");
    let errors = told
        .iter()
        .zip(&smooth)
        .map(|(told, truth)| (told - truth).abs());
    let error = errors.sum::<f64>() / 400.0;
    // The images have noise of 0.7 on what the fractions are of: to say 0.475 of all would be wrong by 0.25.
    assert!(error < 0.17, "{error}");
    let (low, high) = (of(&table, "_p160"), of(&table, "_p840"));
    let inside = (0..400).filter(|&row| low[row] <= smooth[row] && smooth[row] <= high[row]);
    let share = inside.count() as f64 / 400.0;
    assert!((0.6..0.8).contains(&share), "{share}");

    let spectra = survey.write_kinds(&[Modality::Spectrum], "spectra.h5", "model", true);
    survey
        .predict(&estimator, &spectra, "spectra.csv", |_| {})
        .unwrap();
    let table = Table::open(&survey.path("spectra.csv")).unwrap();
    assert!(of(&table, "").iter().all(|fraction| fraction.is_nan()));
    assert!(column(&table, "redshift").iter().all(|z| z.is_finite()));
    assert!(
        column(&table, "novelty_image")
            .iter()
            .all(|novelty| novelty.is_nan())
    );
}

#[test]
fn embeddings_of_another_model_are_refused() {
    let survey = Survey::new(200, 5);
    let embeddings = survey.write("emb.h5", "model", true);
    let estimator = survey.path("estimator.safetensors");
    let fit = fitted(&embeddings, &survey.labels(), &options(&[Regressor::Knn]));
    fit.estimator.save(&estimator, &Inputs::default()).unwrap();
    for (model, normalized, what) in [
        ("another", true, "is of the model another"),
        ("model", false, "scaled to unit length"),
    ] {
        let other = survey.write("other.h5", model, normalized);
        let refused = survey
            .predict(&estimator, &other, "out.csv", |_| {})
            .unwrap_err();
        let text = refused.to_string();
        assert!(text.contains(what) && text.contains("other.h5"), "{text}");
        assert!(matches!(refused.kind(), Kind::Input));
    }
    assert!(!survey.path("out.csv").exists());

    // Every bit counts: a damaged estimator is refused, whichever it is.
    let bytes = fs::read(&estimator).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    for _ in 0..40 {
        let mut damaged = bytes.clone();
        let place = rng.random_range(0..damaged.len());
        damaged[place] ^= 1 << rng.random_range(0..8);
        let path = survey.path("damaged.safetensors");
        fs::write(&path, &damaged).unwrap();
        let refused = EstimatorFile::open(&path);
        assert!(refused.is_err_and(|error| error.is_input()), "byte {place}");
    }
    let refused = EstimatorFile::open(&embeddings).unwrap_err().to_string();
    assert!(refused.contains("safetensors"), "{refused}");
}

#[test]
fn what_cannot_be_fitted_is_said() {
    let survey = Survey::new(60, 7);
    let embeddings = survey.write("emb.h5", "model", true);
    let file = EmbeddingFile::open(&embeddings).unwrap();
    let labels = survey.labels();
    let with = |change: fn(&mut FitOptions)| {
        let mut options = options(&[Regressor::Flow]);
        change(&mut options);
        let refused = fit(&inputs(&file, &labels), &options).unwrap_err();
        assert!(refused.is_input());
        refused.to_string()
    };
    let few = with(|_| {});
    assert!(
        few.contains("48 training galaxies") && few.contains("at least 100"),
        "{few}"
    );
    let unknown = with(|options| options.targets = vec![Target::Age]);
    assert!(unknown.contains("tage_mw"), "{unknown}");
    let photometry = with(|options| options.sources = vec![Source::Photometry]);
    assert!(
        photometry.contains("no label table has magnitudes"),
        "{photometry}"
    );
    let k = with(|options| options.k = 48);
    assert!(k.contains("more than k = 48"), "{k}");
}

#[test]
fn vectors_that_tell_more_are_taken_where_nobody_names_any() {
    let mut survey = Survey::new(600, 3);
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let mut normal = || -> f32 { StandardNormal.sample(&mut rng) };
    // Of images those from before the head are the better ones, of spectra the embeddings.
    let noise = Array2::from_shape_simple_fn((600, 9), &mut normal);
    survey.features = [
        Some(survey.spectrum.slice(s![.., ..3]).to_owned()),
        Some(noise),
    ];
    let embeddings = survey.write("emb.h5", "model", true);
    let out = survey.path("estimator.safetensors");
    let fitted = |more: &[&str]| {
        let named = [&embeddings, &out].map(|path| path.to_str().unwrap());
        let [embeddings, out] = named;
        let mut arguments = vec![
            "fit",
            "--embeddings",
            embeddings,
            "--method",
            "knn",
            "--json",
        ];
        arguments.extend([
            "--targets",
            "redshift",
            "--source",
            "image",
            "spectrum",
            "--out",
            out,
        ]);
        arguments.extend(more);
        let report = astroclip(arguments).succeeds().json();
        let features = report["features"].as_array().cloned().unwrap_or_default();
        (
            features,
            report["widths"].clone(),
            report["notes"].to_string(),
        )
    };
    let (features, widths, notes) = fitted(&[]);
    assert_eq!(features, ["image"]);
    assert_eq!(
        (&widths["image"], &widths["spectrum"]),
        (&3.into(), &WIDTH.into())
    );
    assert!(
        notes.contains("image: image_features, which tell more"),
        "{notes}"
    );
    assert!(
        notes.contains("spectrum: spectrum_embeddings, which tell more"),
        "{notes}"
    );
    // A catalogue takes the same of another file.
    let predicted = survey
        .predict(&out, &embeddings, "catalogue.h5", |_| {})
        .unwrap();
    assert_eq!(predicted.galaxies, 600);
    let named = ["image=image_embeddings", "spectrum=spectrum_embeddings"];
    let keys = named.map(|name| ["--embedding-key", name]).concat();
    let (features, widths, notes) = fitted(&keys);
    assert!(
        features.is_empty() && !notes.contains("tell more"),
        "{notes}"
    );
    assert_eq!(widths["image"], WIDTH);
}
