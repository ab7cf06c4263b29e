//! Redshift and physical properties by k-NN and MLP, and what supervised networks predict (paper sections 6.2 and 6.3).

use ndarray::{Array2, parallel::prelude::*, s};

use super::{
    fit_progress::FitProgress,
    left_out::{LeftOut, Reason},
    mlp::{Mlp, MlpConfig},
    predictions::PredictionTable,
    results::{
        BinnedBy, Method, NotMade, Predictions, RegressionOptions, RegressionReport,
        RegressionResult,
    },
    sample::{EvalInputs, Features, MAGNITUDES_MODEL, Sample},
    scores::{Binning, gain_over_photometry},
    source::{Condition, Source},
    task::{Subject, Task},
    truth::Truths,
};
use crate::base::error::{Error, Result};
use crate::evaluation::knn;
use crate::survey::{Labels, Role, Split, Target};

/// The index of r in g, r, z.
const R_BAND: usize = 1;

/// Predicts the targets from every source, and says how well. The redshifts of the label table count; those that it does
/// not know are taken from the embedding files.
///
/// # Errors
/// For properties without a label table, where no galaxies are left to fit or to test, and where k is
/// too large.
pub fn regression(
    inputs: &EvalInputs<'_>,
    options: &RegressionOptions,
) -> Result<RegressionReport> {
    if options.targets.iter().any(|target| target.needs_cuts()) && inputs.labels.is_none() {
        return Err(Error::input(
            "galaxy properties need a label table; pass --labels FILE with columns LOG_MSTAR, \
             Z_MW, TAGE_MW, AVG_SFR (a file of `astroclip simulate` has them)",
        ));
    }
    if options.seeds == 0 {
        return Err(Error::input("seeds = 0; expected at least 1"));
    }
    let mut notes = Vec::new();
    let sample = Sample::new(inputs, &mut notes)?;
    if options.targets.contains(&Target::Redshift) {
        sample.note_redshifts(inputs.labels, &mut notes);
    }
    let truths = Truths::new(&sample, inputs.labels, &options.targets);
    let mut lacking = Vec::new();
    for &target in &options.targets {
        let Some(labels) = inputs.labels else {
            continue;
        };
        let knows = |values: &Vec<f64>| values.iter().any(|value| value.is_finite());
        match truths.values.get(&target) {
            Some(values) if knows(values) => {}
            _ if let Some(refused) = labels.refusal(target) => return Err(refused),
            Some(_) if labels.known(target).is_some() => {}
            _ => lacking.push(target),
        }
    }
    if let (Some(labels), [_, ..]) = (inputs.labels, &lacking[..]) {
        notes.push(format!("left out: {}", labels.lack_targets(&lacking)));
    }
    let mut not_made = Vec::new();
    if let Some(reason) = inputs
        .labels
        .and_then(|labels| photometry_lacks(&sample, labels))
    {
        not_made.extend(truths.values.keys().map(|&target| NotMade {
            target,
            source: Source::Photometry,
            model: MAGNITUDES_MODEL.to_owned(),
            reason: reason.clone(),
        }));
    }
    let mut left_out = Vec::new();
    let mut jobs = Vec::new();
    for features in sample.sources(&mut notes) {
        for &target in truths.values.keys() {
            let [(train, lost_train), (test, lost_test)] =
                [Split::Train, Split::Test].map(|split| usable(&truths, features, target, split));
            let (n_train, n_test) = (train.len(), test.len());
            if n_train < 4 || n_test < 2 {
                let Task { model, source, .. } = &lost_train.task;
                if *source == Source::Photometry {
                    not_made.push(NotMade {
                        target,
                        source: *source,
                        model: model.clone(),
                        reason: format!(
                            "{n_train} train and {n_test} test galaxies with magnitudes"
                        ),
                    });
                }
                notes.push(format!(
                    "{target} from {source} ({model}): left out, {n_train} train and {n_test} test galaxies \
                     remain ({}; {})",
                    lost_train.in_words(),
                    lost_test.in_words()
                ));
            } else if let Some(value) = [&train, &test]
                .into_iter()
                .find_map(|galaxies| truths.constant(target, galaxies))
            {
                let Task { model, source, .. } = &lost_train.task;
                notes.push(format!(
                    "{target} from {source} ({model}): left out, it is {value} of all train or all test galaxies: of a \
                     constant there is nothing to predict"
                ));
            } else {
                jobs.push(Job {
                    features,
                    target,
                    train,
                    test,
                });
            }
            left_out.extend([lost_train, lost_test]);
        }
    }
    let progress = FitProgress::new("few-shot", jobs.len() * options.seeds);
    let groups: Vec<&[Job]> = jobs.chunk_by(Job::has_same_rows).collect();
    let predicted: Vec<Vec<(usize, Predictions)>> = groups
        .into_par_iter()
        .map(|jobs| predict(jobs, &truths, options, &progress))
        .collect::<Result<_>>()?;
    progress.finish();
    let mut predicted: Vec<(usize, Predictions)> = predicted.into_iter().flatten().collect();
    for table in inputs.predictions {
        for &target in truths.values.keys() {
            match supervised(&truths, table, target, &mut left_out) {
                Ok(made) => predicted.push(made),
                Err(note) => notes.push(note),
            }
        }
    }
    left_out.retain(|lost| lost.total() > 0);
    if predicted.is_empty() {
        let error = Error::input(format!("nothing to evaluate; {}", notes.join("; ")));
        return Err(error.in_file(&inputs.models[0].embeddings.path));
    }
    // Stable: models of one source stay in the order in which they were given.
    predicted.sort_by_key(|(_, p)| (p.target, p.source));
    let binnings = binnings(&sample, options.bins);
    let (n_train, predictions): (Vec<usize>, Vec<Predictions>) = predicted.into_iter().unzip();
    let results: Vec<RegressionResult> = predictions
        .par_iter()
        .zip(&n_train)
        .map(|(one, &n_train)| RegressionResult {
            over_photometry: gain_over_photometry(one, &predictions, options),
            ..one.score(n_train, options, &binnings)
        })
        .collect();
    Ok(RegressionReport {
        options: options.clone(),
        results,
        not_made,
        left_out,
        notes,
        predictions,
    })
}

/// Why labels make no baseline of magnitudes; `None` where they do.
fn photometry_lacks(sample: &Sample<'_>, labels: &Labels) -> Option<String> {
    let missing = labels.missing_magnitudes();
    (sample.photometry.is_none()).then(|| format!("the labels have no {}", missing.join(", ")))
}

/// Galaxies with finite features and target, and those left out.
pub(in crate::evaluation) fn usable(
    truths: &Truths<'_>,
    features: Features,
    target: Target,
    split: Split,
) -> (Vec<usize>, LeftOut) {
    let sample = truths.sample;
    let mut left_out = LeftOut::none(sample.task(features, Subject::Target(target), split));
    let usable = left_out.select(sample.of_split(split), |galaxy| {
        truths
            .lacks_targets(features.into(), &[target], galaxy)
            .or_else(|| sample.lacks_features(features, galaxy))
    });
    (usable, left_out)
}

/// What a network predicts for test galaxies, with the number of galaxies that it was fitted to; else why there is
/// nothing to score.
fn supervised(
    truths: &Truths<'_>,
    from: &PredictionTable,
    target: Target,
    left_out: &mut Vec<LeftOut>,
) -> Result<(usize, Predictions), String> {
    let without = |why: &str| format!("{target} of `{}` left out: {why}", from.model);
    let (table, roles) = (&from.table, from.roles());
    let Some(column) = table.column(&[target.name()]) else {
        let (name, has) = (&table.name, table.column_names());
        let why = format!("{name} has no column {}; it has {has}", target.name());
        return Err(without(&why));
    };
    let (row_of, _) = table.rows();
    let sample = truths.sample;
    let row = |galaxy: usize| row_of.get(&sample.object_id[galaxy]).copied();
    let mut lost = LeftOut::none(Task {
        model: from.model.clone(),
        source: from.source,
        subject: Subject::Target(target),
        split: Split::Test,
    });
    let galaxies = lost.select(sample.of_split(Split::Test), |galaxy| {
        let lacks = truths.lacks_targets(Condition::Predictions, &[target], galaxy);
        lacks.or_else(|| match row(galaxy) {
            None => Some(Reason::NotInFile),
            Some(row) if roles[row] != Role::Test => Some(Reason::TrainedOn),
            Some(row) if !column[row].is_finite() => Some(Reason::WithoutFeatures),
            Some(_) => None,
        })
    });
    left_out.push(lost);
    if galaxies.len() < 2 {
        return Err(without(&format!("{} test galaxies remain", galaxies.len())));
    }
    if let Some(value) = truths.constant(target, &galaxies) {
        return Err(without(&format!("it is {value} of all test galaxies")));
    }
    let rows = galaxies.iter().filter_map(|&galaxy| row(galaxy));
    let predictions = Predictions {
        model: from.model.clone(),
        source: from.source,
        method: Method::Supervised,
        target,
        object_id: sample.ids(&galaxies),
        truth: truths.of(target, &galaxies),
        predicted: rows.map(|row| column[row]).collect(),
        further_seeds: Vec::new(),
    };
    let n_train = roles.iter().filter(|&&role| role == Role::Train).count();
    Ok((n_train, predictions))
}

/// Zero- and few-shot predictions of targets that are known for the same galaxies, with the number of
/// galaxies fitted to.
fn predict(
    jobs: &[Job],
    truths: &Truths<'_>,
    options: &RegressionOptions,
    progress: &FitProgress,
) -> Result<Vec<(usize, Predictions)>> {
    let Job {
        features,
        train,
        test,
        ..
    } = &jobs[0];
    let sample = truths.sample;
    let x_train = sample.features(*features, train);
    let x_test = sample.features(*features, test);
    let y_train = Array2::from_shape_fn((train.len(), jobs.len()), |(row, job)| {
        truths.values[&jobs[job].target][train[row]]
    });
    let neighbours = knn::euclidean(x_train.view(), x_test.view(), options.k)?;
    let zero_shot = knn::regress(&neighbours, y_train.view(), options.weights);
    let fits: Vec<(usize, u64)> = (0..jobs.len())
        .flat_map(|job| (0..options.seeds as u64).map(move |seed| (job, seed)))
        .collect();
    let few_shot: Vec<Vec<f64>> = fits
        .into_par_iter()
        .map(|(job, seed)| {
            let config = MlpConfig {
                seed: options.mlp.seed + seed,
                ..options.mlp.clone()
            };
            let y_train = y_train.slice(s![.., job..=job]);
            let mlp = Mlp::fit(x_train.view(), y_train, &config)?;
            progress.one_more();
            Ok(mlp.predict(x_test.view()).into_raw_vec_and_offset().0)
        })
        .collect::<Result<_>>()?;
    let mut few_shot = few_shot.into_iter();
    let (model, source) = sample.describe(*features);
    let mut made = Vec::new();
    for (column, job) in jobs.iter().enumerate() {
        let mut add = |method, mut seeds: Vec<Vec<f64>>| {
            let further_seeds = seeds.split_off(1);
            made.push((
                train.len(),
                Predictions {
                    model: model.to_owned(),
                    source,
                    method,
                    target: job.target,
                    object_id: sample.ids(test),
                    truth: truths.of(job.target, test),
                    predicted: seeds.remove(0),
                    further_seeds,
                },
            ));
        };
        add(Method::ZeroShot, vec![zero_shot.column(column).to_vec()]);
        add(
            Method::FewShot,
            few_shot.by_ref().take(options.seeds).collect(),
        );
    }
    Ok(made)
}

/// Bins of the test galaxies.
fn binnings(sample: &Sample<'_>, bins: usize) -> Vec<Binning> {
    if bins == 0 {
        return Vec::new();
    }
    let test = || sample.of_split(Split::Test);
    let redshift = test().map(|g| (sample.object_id[g], sample.redshift[g]));
    let magnitude = sample.photometry.as_ref().and_then(|magnitudes| {
        let of = |g: usize| (sample.object_id[g], f64::from(magnitudes[[g, R_BAND]]));
        Binning::new(BinnedBy::MagnitudeR, bins, test().map(of))
    });
    Binning::new(BinnedBy::Redshift, bins, redshift)
        .into_iter()
        .chain(magnitude)
        .collect()
}

struct Job {
    features: Features,
    target: Target,
    train: Vec<usize>,
    test: Vec<usize>,
}

impl Job {
    fn has_same_rows(&self, other: &Self) -> bool {
        (self.features, &self.train, &self.test) == (other.features, &other.train, &other.test)
    }
}
