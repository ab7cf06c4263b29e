//! From predictions to figures of merit, with their errors.

use std::collections::HashMap;

use super::{
    bootstrap::{Figures, Uncertainty, mean, over_seeds},
    metrics::{Metrics, Scored},
    results::{Bin, BinnedBy, Gain, Method, Predictions, RegressionOptions, RegressionResult},
    source::Source,
};
use crate::survey::{ObjectId, Target};

/// Edges of bins, and where each test galaxy of the sample lies.
pub(super) struct Binning {
    pub(super) by: BinnedBy,
    /// One more than there are bins, ascending.
    pub(super) edges: Vec<f64>,
    value: HashMap<ObjectId, f64>,
}

impl Binning {
    /// Bins with equal numbers of galaxies; `None` where too few are known.
    pub(super) fn new(
        by: BinnedBy,
        bins: usize,
        values: impl Iterator<Item = (ObjectId, f64)>,
    ) -> Option<Self> {
        let value: HashMap<ObjectId, f64> = values.filter(|(_, value)| value.is_finite()).collect();
        let mut sorted: Vec<f64> = value.values().copied().collect();
        sorted.sort_unstable_by(f64::total_cmp);
        if sorted.is_empty() {
            return None;
        }
        let mut edges: Vec<f64> = (0..=bins)
            .map(|edge| sorted[(edge * sorted.len() / bins).min(sorted.len() - 1)])
            .collect();
        edges.dedup();
        (edges.len() > 1).then_some(Self { by, edges, value })
    }

    /// The bin of a galaxy.
    pub(super) fn of(&self, id: ObjectId) -> Option<usize> {
        let value = *self.value.get(&id)?;
        let last = self.edges.len() - 2;
        let above = self.edges.partition_point(|&edge| edge <= value);
        (above > 0).then(|| (above - 1).min(last))
    }
}

impl Predictions {
    /// The figures of merit; `n_train` galaxies were fitted to.
    pub(super) fn score(
        &self,
        n_train: usize,
        options: &RegressionOptions,
        binnings: &[Binning],
    ) -> RegressionResult {
        let all: Vec<usize> = (0..self.truth.len()).collect();
        let (metrics, over_seeds, uncertainty) = self.figures(&all, options);
        let bins = binnings.iter().flat_map(|binning| {
            let bin_of: Vec<Option<usize>> =
                self.object_id.iter().map(|&id| binning.of(id)).collect();
            binning
                .edges
                .windows(2)
                .enumerate()
                .map(move |(bin, edges)| {
                    let rows: Vec<usize> = (0..bin_of.len())
                        .filter(|&row| bin_of[row] == Some(bin))
                        .collect();
                    let figures = (rows.len() > 1).then(|| self.figures(&rows, options));
                    Bin {
                        by: binning.by,
                        low: edges[0],
                        high: edges[1],
                        n_test: rows.len(),
                        metrics: figures.as_ref().map(|figures| figures.0),
                        uncertainty: figures.and_then(|figures| figures.2),
                    }
                })
        });
        RegressionResult {
            model: self.model.clone(),
            source: self.source,
            method: self.method,
            target: self.target,
            metrics,
            over_seeds,
            uncertainty,
            over_photometry: None,
            n_train,
            n_test: self.truth.len(),
            bins: bins.collect(),
        }
    }

    /// Mean over seeds, standard deviation over seeds, bootstrap.
    fn figures(
        &self,
        rows: &[usize],
        options: &RegressionOptions,
    ) -> (Metrics, Option<Metrics>, Option<Uncertainty<Metrics>>) {
        let scored = self.scored(rows);
        let once = vec![1; rows.len()];
        let of_seed: Vec<Metrics> = scored.iter().map(|seed| seed.metrics(&once)).collect();
        let (metrics, spread) = over_seeds(&of_seed);
        let resamples = options.bootstrap.map(rows.len(), |counts| {
            let of_seed: Vec<Metrics> = scored.iter().map(|seed| seed.metrics(counts)).collect();
            Metrics::summarise(&of_seed, |values| mean(values))
        });
        (metrics, spread, Uncertainty::of(&resamples))
    }

    /// Each seed's predictions for these rows.
    fn scored(&self, rows: &[usize]) -> Vec<Scored> {
        let chosen = |values: &[f64]| -> Vec<f64> { rows.iter().map(|&row| values[row]).collect() };
        let truth = chosen(&self.truth);
        std::iter::once(&self.predicted)
            .chain(&self.further_seeds)
            .map(|predicted| {
                Scored::new(&truth, &chosen(predicted), self.target == Target::Redshift)
            })
            .collect()
    }
}

/// How much better `predictions` are than those from magnitudes among `all`.
pub(super) fn gain_over_photometry(
    predictions: &Predictions,
    all: &[Predictions],
    options: &RegressionOptions,
) -> Option<Gain> {
    if predictions.source == Source::Photometry {
        return None;
    }
    let method = match predictions.method {
        Method::ZeroShot => Method::ZeroShot,
        Method::FewShot | Method::Supervised => Method::FewShot,
    };
    let baseline = all.iter().find(|other| {
        (other.source, other.target, other.method)
            == (Source::Photometry, predictions.target, method)
    })?;
    let row_of: HashMap<ObjectId, usize> = baseline.object_id.iter().copied().zip(0..).collect();
    let (rows, baseline_rows): (Vec<usize>, Vec<usize>) = predictions
        .object_id
        .iter()
        .enumerate()
        .filter_map(|(row, id)| Some((row, *row_of.get(id)?)))
        .unzip();
    if rows.len() < 2 {
        return None;
    }
    let (ours, theirs) = (predictions.scored(&rows), baseline.scored(&baseline_rows));
    let r2 = |scored: &[Scored], counts: &[u32]| {
        let of_seed: Vec<f64> = scored.iter().map(|seed| seed.r2(counts)).collect();
        mean(&of_seed)
    };
    let difference = |counts: &[u32]| r2(&ours, counts) - r2(&theirs, counts);
    let resamples = options.bootstrap.map(rows.len(), difference);
    Some(Gain {
        r2: difference(&vec![1; rows.len()]),
        uncertainty: Uncertainty::of(&resamples),
        galaxies: rows.len(),
    })
}
