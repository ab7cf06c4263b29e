//! Fits an ensemble of flows to some galaxies and measures its posteriors of others.

use std::sync::Mutex;
use std::time::Instant;

use ndarray::{Array2, ArrayView1, ArrayView2, s};
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
    calibration::{Credibilities, Lots, RankHistogram, ReferenceCoverage, Tarp, UnitCube},
    flow::{FlowEnsemble, LogProb, PosteriorSamples},
    source::{Condition, Source},
};
use crate::survey::Target;

/// What is kept of one galaxy's samples.
struct Assessed {
    /// By target.
    intervals: Vec<Interval>,
    /// Rank of the truth among the samples, by target, as a fraction between 0 and 1 that is uniform for calibrated
    /// posteriors; where the truth is known.
    ranks: Option<Vec<f64>>,
    samples: Option<Array2<f64>>,
}

/// How the truths of all galaxies lie among the samples.
struct Coverage {
    cube: UnitCube,
    /// Of all targets together.
    joint: Mutex<ReferenceCoverage>,
    by_target: Vec<Mutex<ReferenceCoverage>>,
}

impl Coverage {
    /// Of galaxies with these truths (N, D), none of which is counted yet.
    fn of(truth: ArrayView2<'_, f64>) -> Self {
        let none = || Mutex::new(ReferenceCoverage::none());
        Self {
            cube: UnitCube::of(truth),
            joint: none(),
            by_target: (0..truth.ncols()).map(|_| none()).collect(),
        }
    }

    /// Counts a galaxy with these samples (S, D) and truth (D).
    fn add(&self, samples: ArrayView2<'_, f64>, truth: ArrayView1<'_, f64>, lots: &Lots) {
        let count = |into: &Mutex<ReferenceCoverage>, galaxy: &Credibilities| {
            into.lock().expect("no panic").add(galaxy);
        };
        let together = Credibilities::new(&self.cube, samples, truth, lots, None);
        count(&self.joint, &together);
        for (target, into) in self.by_target.iter().enumerate() {
            let one = s![target..=target];
            let cube = self.cube.axis(target);
            let samples = samples.slice(s![.., target..=target]);
            let alone = Credibilities::new(&cube, samples, truth.slice(one), lots, Some(target));
            count(into, &alone);
        }
    }
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
    let log_prob = ensemble.log_prob(scored.features.view(), scored.truth.view())?;
    let coverage = Coverage::of(scored.truth.view());
    let example = example_row(test, options.flow.seed);
    let keys: Vec<u64> = test.object_id.iter().map(|id| id.bits()).collect();
    let assessed = ensemble.posteriors(
        test.features.view(),
        &keys,
        options.samples,
        &format!("posteriors from {from}"),
        |posterior| {
            let keep = posterior.row == example;
            examine(posterior, test, &coverage, keep, options.flow.seed)
        },
    )?;
    let ranks: Vec<&Vec<f64>> = assessed
        .iter()
        .filter_map(|galaxy| galaxy.ranks.as_ref())
        .collect();
    let curve = |coverage: &Mutex<ReferenceCoverage>| coverage.lock().expect("no panic").tarp();
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
        let of_target: Vec<f64> = ranks.iter().map(|ranks| ranks[index]).collect();
        let calibration = (
            RankHistogram::new(&of_target),
            curve(&coverage.by_target[index]),
        );
        target_posterior((index, target), &known, &log_prob, calibration)
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
        tarp: curve(&coverage.joint),
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
    (ranks, tarp): (RankHistogram, Tarp),
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
        ranks,
        tarp,
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
    coverage: &Coverage,
    keep: bool,
    seed: u64,
) -> Assessed {
    let PosteriorSamples { row, values } = posterior;
    let truth = test.truth.row(row);
    let samples = values.nrows();
    let ranks = truth.iter().all(|value| value.is_finite()).then(|| {
        let mut rng = generator(seed, Purpose::Calibration, test.object_id[row].bits());
        let lots = Lots::draw(truth.len(), samples, &mut rng);
        coverage.add(values.view(), truth, &lots);
        // The truth takes a random rank among as many samples + 1: exactly uniform, without ties.
        let mut fraction =
            |below: usize| (below as f64 + rng.random::<f64>()) / (samples + 1) as f64;
        (values.columns().into_iter().zip(&truth))
            .map(|(samples, truth)| fraction(samples.iter().filter(|&s| s < truth).count()))
            .collect()
    });
    let intervals = values
        .columns()
        .into_iter()
        .map(|column| Interval::of(&mut column.to_vec()))
        .collect();
    Assessed {
        intervals,
        ranks,
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

fn inside([low, high]: [f64; 2], truth: f64) -> f64 {
    f64::from(u8::from(low <= truth && truth <= high))
}
