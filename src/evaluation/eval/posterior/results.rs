//! Settings and results of an evaluation of posteriors.

use serde::{Deserialize, Serialize};

use crate::evaluation::eval::{
    bootstrap::{deviation, mean},
    calibration::{RankHistogram, Tarp},
    flow::{FlowConfig, FlowSummary},
    left_out::LeftOut,
    source::{Condition, Source},
};
use crate::survey::{ObjectId, Target};

/// Settings of posteriors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PosteriorOptions {
    /// What the posterior is of, jointly; empty for all that are known.
    pub targets: Vec<Target>,
    /// What it is conditioned on, one after the other; empty for all that there are.
    pub sources: Vec<Source>,
    /// The ensemble of flows.
    pub flow: FlowConfig,
    /// Samples of each galaxy's posterior.
    pub samples: usize,
}

impl Default for PosteriorOptions {
    fn default() -> Self {
        Self {
            targets: Vec::new(),
            sources: Vec::new(),
            flow: FlowConfig::default(),
            samples: 1000,
        }
    }
}

/// All results of an evaluation of posteriors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PosteriorReport {
    /// The settings used.
    pub options: PosteriorOptions,
    /// The targets, in the order of every list by target.
    pub targets: Vec<Target>,
    /// One per model and source.
    pub results: Vec<PosteriorResult>,
    /// Sources that left out galaxies.
    pub left_out: Vec<LeftOut>,
    /// What else the reader of the results must know.
    pub notes: Vec<String>,
    /// Summaries of every test galaxy's posterior, by source; not part of the JSON.
    #[serde(skip)]
    pub summaries: Vec<PosteriorSummaries>,
}

/// Posteriors from one source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PosteriorResult {
    /// Name of the model whose embeddings or predictions they are conditioned on; `magnitudes` for those.
    pub model: String,
    /// What they are conditioned on.
    pub source: Source,
    /// What numbers those are.
    pub condition: Condition,
    /// Galaxies fitted to, of which each flow set some aside to decide when to stop.
    pub n_train: usize,
    /// Test galaxies with known targets: all figures are of them.
    pub n_test: usize,
    /// Test galaxies with a posterior.
    pub n_posteriors: usize,
    /// Mean −ln p(truth) of all targets together, nats, in their own units: over the flows.
    pub nll: MeanAndDeviation,
    /// The same of the ensemble's mixture.
    pub nll_of_mixture: f64,
    /// The same per dimension and in units of the training galaxies' standard deviations, as in the
    /// paper's Table 3: over the flows.
    pub nll_per_dimension: MeanAndDeviation,
    /// The flows of the ensemble.
    pub flows: Vec<FlowResult>,
    /// By target.
    pub targets: Vec<TargetPosterior>,
    /// Expected coverage over all targets together.
    pub tarp: Tarp,
    /// One test galaxy, the same for all sources that know it.
    pub example: Example,
    /// Time that the fit of all flows took, seconds.
    pub fit_seconds: f64,
}

/// Mean and standard deviation over the flows of an ensemble.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MeanAndDeviation {
    /// The mean.
    pub mean: f64,
    /// The standard deviation (of the sample, n − 1); 0 for one flow.
    pub deviation: f64,
}

impl MeanAndDeviation {
    /// Of at least one value.
    pub(super) fn of(values: &[f64]) -> Self {
        Self {
            mean: mean(values),
            deviation: deviation(values),
        }
    }
}

/// One flow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FlowResult {
    /// Size, and how its training went.
    #[serde(flatten)]
    pub summary: FlowSummary,
    /// Mean −ln p(truth) of the test galaxies, nats, in the targets' own units.
    pub nll: f64,
}

/// How the posteriors of one target are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TargetPosterior {
    /// The target.
    pub target: Target,
    /// What it contributes to the joint −ln p, nats, in its own unit: over the flows. The parts of all
    /// targets add up to the joint. With one target it is the whole; else it hangs on the order of the
    /// flows' layers, and only the sum is a likelihood.
    pub nll_part: MeanAndDeviation,
    /// Root mean square of median − truth.
    pub rmse: f64,
    /// Mean half width of the 68 % interval.
    pub half_width68: f64,
    /// Fraction of the galaxies whose truth lies in the 68 % interval.
    pub coverage68: f64,
    /// Fraction of the galaxies whose truth lies in the 95 % interval.
    pub coverage95: f64,
    /// Ranks of the truth among the samples.
    pub ranks: RankHistogram,
    /// Expected coverage of this target alone.
    pub tarp: Tarp,
}

/// The posterior of one galaxy, for a corner plot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Example {
    /// The galaxy.
    pub object_id: ObjectId,
    /// True values, by target.
    pub truth: Vec<f64>,
    /// Samples, by target.
    pub samples: Vec<Vec<f64>>,
}

/// Summaries of the posteriors from one source.
#[derive(Debug, Clone, PartialEq)]
pub struct PosteriorSummaries {
    /// Name of the model whose embeddings or predictions they are conditioned on; `magnitudes` for those.
    pub model: String,
    /// What they are conditioned on.
    pub source: Source,
    /// What numbers those are.
    pub condition: Condition,
    /// Galaxy of each row.
    pub object_id: Vec<ObjectId>,
    /// By target, then galaxy: the true value, NaN where unknown.
    pub truth: Vec<Vec<f64>>,
    /// By target, then galaxy.
    pub intervals: Vec<Vec<Interval>>,
}

/// A distribution in short: quantiles of its samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// Median.
    pub median: f64,
    /// 16 % and 84 %.
    pub inner: [f64; 2],
    /// 2.5 % and 97.5 %.
    pub outer: [f64; 2],
}

impl Interval {
    /// Of at least one sample; the samples are sorted.
    pub(in crate::evaluation) fn of(samples: &mut [f64]) -> Self {
        samples.sort_unstable_by(f64::total_cmp);
        // Linear between samples, as numpy's default.
        let quantile = |level: f64| {
            let rank = level * (samples.len() - 1) as f64;
            let (below, rest) = (rank as usize, rank.fract());
            let above = (below + 1).min(samples.len() - 1);
            samples[below] + rest * (samples[above] - samples[below])
        };
        Self {
            median: quantile(0.5),
            inner: [quantile(0.16), quantile(0.84)],
            outer: [quantile(0.025), quantile(0.975)],
        }
    }
}
