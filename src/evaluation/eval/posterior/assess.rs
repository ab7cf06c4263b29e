//! Fits an ensemble of flows to some galaxies and measures its posteriors of others.

use std::time::Instant;

use ndarray::{Array2, Axis};
use rand::RngExt;

use super::{
    galaxies::Galaxies,
    results::{
        Example, FlowResult, Interval, MeanAndDeviation, PosteriorOptions, PosteriorResult,
        PosteriorSummaries, TargetPosterior,
    },
};
use crate::base::error::Result;
use crate::base::random::{Purpose, generator};
use crate::evaluation::eval::{
    bootstrap::mean,
    calibration::{RankHistogram, Tarp, UnitCube},
    flow::{FlowEnsemble, LogProb, PosteriorSamples},
    source::{Condition, Source},
};
use crate::survey::Target;

/// What is kept of one galaxy's samples.
struct Assessed {
    /// By target.
    intervals: Vec<Interval>,
    score: Option<Score>,
    samples: Option<Array2<f64>>,
}

/// Where the truth lies among the samples, as fractions between 0 and 1 that are uniform for calibrated
/// posteriors.
struct Score {
    /// Rank of the truth, by target.
    ranks: Vec<f64>,
    /// Credibility of the truth around a random reference point, by target.
    credibilities: Vec<f64>,
    /// The same for all targets together.
    joint: f64,
}

/// Posteriors of `test` by flows fitted to `train`, all of which have a truth; their features are numbers of
/// that kind from a source and the model so named.
pub(super) fn assess(
    (model, source, condition): (&str, Source, Condition),
    targets: &[Target],
    train: &Galaxies,
    test: &Galaxies,
    options: &PosteriorOptions,
) -> Result<(PosteriorResult, PosteriorSummaries)> {
    let started = Instant::now();
    let from = format!("{} ({model})", condition.of(source));
    let ensemble = FlowEnsemble::fit(
        train.features.view(),
        train.truth.view(),
        &options.flow,
        &format!("flows from {from}"),
    )?;
    let fit_seconds = started.elapsed().as_secs_f64();
    let scored = test.select(&test.complete());
    let log_prob = ensemble.log_prob(scored.features.view(), scored.truth.view());
    let cube = UnitCube::of(scored.truth.view());
    let example = example_row(test, options.flow.seed);
    let keys: Vec<u64> = test.object_id.iter().map(|id| id.bits()).collect();
    let assessed = ensemble.posteriors(
        test.features.view(),
        &keys,
        options.samples,
        &format!("posteriors from {from}"),
        |posterior| {
            let keep = posterior.row == example;
            examine(posterior, test, &cube, keep, options.flow.seed)
        },
    )?;
    let scores: Vec<&Score> = assessed
        .iter()
        .filter_map(|galaxy| galaxy.score.as_ref())
        .collect();
    let by_target = |index: usize| -> (Vec<f64>, Vec<Interval>) {
        let intervals = assessed.iter().map(|galaxy| galaxy.intervals[index]);
        (test.truth.column(index).to_vec(), intervals.collect())
    };
    let (truth, intervals): (Vec<_>, Vec<_>) = (0..targets.len()).map(by_target).unzip();
    let of_targets = targets.iter().enumerate().map(|(index, &target)| {
        let known = Iterator::zip(truth[index].iter(), &intervals[index]);
        let known = known.filter(|(truth, _)| truth.is_finite());
        let known: Vec<(f64, Interval)> =
            known.map(|(&truth, &interval)| (truth, interval)).collect();
        target_posterior((index, target), &known, &log_prob, &scores)
    });
    let flows: Vec<FlowResult> = ensemble
        .flows()
        .iter()
        .zip(&log_prob)
        .map(|(flow, log_prob)| FlowResult {
            summary: flow.summary().clone(),
            nll: -mean(&log_prob.joint),
        })
        .collect();
    let nll: Vec<f64> = flows.iter().map(|flow| flow.nll).collect();
    let log_volume = ensemble.log_volume();
    let per_dimension: Vec<f64> = nll
        .iter()
        .map(|nll| (nll - log_volume) / targets.len() as f64)
        .collect();
    let result = PosteriorResult {
        model: model.to_owned(),
        source,
        condition,
        n_train: train.object_id.len(),
        n_test: scored.object_id.len(),
        n_posteriors: test.object_id.len(),
        nll: MeanAndDeviation::of(&nll),
        nll_of_mixture: -mean(&ensemble.log_mixture(&log_prob)),
        nll_per_dimension: MeanAndDeviation::of(&per_dimension),
        targets: of_targets.collect(),
        tarp: Tarp::new(&fractions(&scores, |score| score.joint)),
        flows,
        example: example_of(test, example, assessed[example].samples.as_ref()),
        fit_seconds,
    };
    let summaries = PosteriorSummaries {
        model: model.to_owned(),
        source,
        condition,
        object_id: test.object_id.clone(),
        truth,
        intervals,
    };
    Ok((result, summaries))
}

/// The figures of the target at `index`, from the galaxies whose truth is known.
fn target_posterior(
    (index, target): (usize, Target),
    known: &[(f64, Interval)],
    log_prob: &[LogProb],
    scores: &[&Score],
) -> TargetPosterior {
    let parts: Vec<f64> = log_prob
        .iter()
        .map(|flow| -flow.by_dimension.column(index).mean().unwrap_or(f64::NAN))
        .collect();
    let mean_of = |of: fn(f64, Interval) -> f64| {
        known
            .iter()
            .map(|&(truth, interval)| of(truth, interval))
            .sum::<f64>()
            / known.len() as f64
    };
    TargetPosterior {
        target,
        nll_part: MeanAndDeviation::of(&parts),
        rmse: mean_of(|truth, interval| (interval.median - truth).powi(2)).sqrt(),
        half_width68: mean_of(|_, Interval { inner, .. }| (inner[1] - inner[0]) / 2.0),
        coverage68: mean_of(|truth, interval| inside(interval.inner, truth)),
        coverage95: mean_of(|truth, interval| inside(interval.outer, truth)),
        ranks: RankHistogram::new(&fractions(scores, |score| score.ranks[index])),
        tarp: Tarp::new(&fractions(scores, |score| score.credibilities[index])),
    }
}

fn example_of(test: &Galaxies, row: usize, samples: Option<&Array2<f64>>) -> Example {
    let by_target = |samples: &Array2<f64>| -> Vec<Vec<f64>> {
        let columns = samples.columns().into_iter();
        columns.map(|column| column.to_vec()).collect()
    };
    Example {
        object_id: test.object_id[row],
        truth: test.truth.row(row).to_vec(),
        samples: samples.map_or_else(Vec::new, by_target),
    }
}

fn examine(
    posterior: PosteriorSamples,
    test: &Galaxies,
    cube: &UnitCube,
    keep: bool,
    seed: u64,
) -> Assessed {
    let PosteriorSamples { row, values } = posterior;
    let truth = test.truth.row(row);
    let samples = values.nrows();
    let score = truth.iter().all(|value| value.is_finite()).then(|| {
        let mut rng = generator(seed, Purpose::Calibration, test.object_id[row].bits());
        let reference: Vec<f64> = truth.iter().map(|_| rng.random()).collect();
        // The truth takes a random rank among as many samples + 1: exactly uniform, without ties.
        let mut fraction =
            |below: usize| (below as f64 + rng.random::<f64>()) / (samples + 1) as f64;
        Score {
            joint: fraction(cube.nearer(values.view(), truth, &reference)),
            ranks: (values.columns().into_iter().zip(&truth))
                .map(|(samples, truth)| fraction(samples.iter().filter(|&s| s < truth).count()))
                .collect(),
            credibilities: (0..truth.len())
                .map(|index| {
                    let one = |axis| ndarray::Slice::from(axis..axis + 1);
                    let samples = values.slice_axis(Axis(1), one(index));
                    let truth = truth.slice_axis(Axis(0), one(index));
                    fraction(
                        cube.axis(index)
                            .nearer(samples, truth, &reference[index..=index]),
                    )
                })
                .collect(),
        }
    });
    let intervals = values
        .columns()
        .into_iter()
        .map(|column| Interval::of(&mut column.to_vec()))
        .collect();
    Assessed {
        intervals,
        score,
        samples: keep.then_some(values),
    }
}

/// A galaxy with a truth, drawn by seed and identifier: whatever the source, the same if it knows it.
fn example_row(test: &Galaxies, seed: u64) -> usize {
    let lot = |row: &usize| {
        generator(!seed, Purpose::Calibration, test.object_id[*row].bits()).random::<u64>()
    };
    test.complete()
        .into_iter()
        .min_by_key(lot)
        .expect("some test galaxies have a truth")
}

fn fractions(scores: &[&Score], of: impl Fn(&Score) -> f64) -> Vec<f64> {
    scores.iter().map(|score| of(score)).collect()
}

fn inside([low, high]: [f64; 2], truth: f64) -> f64 {
    f64::from(u8::from(low <= truth && truth <= high))
}
