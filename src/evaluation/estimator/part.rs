//! What estimates some quantities from one source by one method.

use ndarray::{Array2, Array3, ArrayView2, s};

use super::density::{Grid, density, has_summits};
use super::interval::LEVELS;
use super::neighbours::Nearest;
use super::options::Regressor;
use super::perceptrons::{Perceptrons, disagreement};
use super::space::Nearby;
use crate::base::error::Result;
use crate::evaluation::eval::flow::FlowEnsemble;
use crate::evaluation::eval::{Interval, Source};
use crate::survey::{ObjectId, Target};

/// What estimates some quantities from one source by one method.
#[derive(Debug, Clone)]
pub(super) struct Part {
    /// From what.
    pub source: Source,
    /// Which.
    pub targets: Vec<Target>,
    /// Galaxies fitted to.
    pub n_train: usize,
    /// How.
    pub fitted: Fitted,
}

/// A method, fitted.
#[derive(Debug, Clone)]
pub(super) enum Fitted {
    Knn(Nearest),
    Mlp(Perceptrons),
    Flow(FlowEnsemble),
}

/// Estimates (Q, T) and what tells how sure they are.
#[derive(Debug)]
pub(super) struct Rough {
    /// Estimates.
    pub point: Array2<f64>,
    /// A variance of each, up to a factor.
    pub variance: Array2<f64>,
}

/// What a part says of Q galaxies.
#[derive(Debug)]
pub(super) struct Said {
    /// Estimates (Q, T).
    pub point: Array2<f64>,
    /// Points of their distributions at [`LEVELS`] (Q, T, 5).
    pub levels: Array3<f64>,
    /// Densities of redshifts (Q, grid), where they were asked for and there are posteriors.
    pub density: Option<Array2<f32>>,
    /// Whether the posterior of the redshift has more than one summit.
    pub has_summits: Option<Vec<bool>>,
}

/// What is told.
#[derive(Debug, Clone, Copy)]
pub struct Telling {
    /// Samples of each.
    pub samples: usize,
    /// Where the densities of redshifts are wanted.
    pub grid: Option<Grid>,
    /// Whether the estimates of each source by each method are.
    pub each: bool,
}

impl Part {
    /// By which method.
    pub fn method(&self) -> Regressor {
        match self.fitted {
            Fitted::Knn(_) => Regressor::Knn,
            Fitted::Mlp(_) => Regressor::Mlp,
            Fitted::Flow(_) => Regressor::Flow,
        }
    }

    /// Estimates for galaxies with these features (Q, D).
    pub fn estimate(
        &self,
        ids: &[ObjectId],
        features: ArrayView2<'_, f32>,
        nearby: Option<&Nearby<'_>>,
        telling: Telling,
    ) -> Result<Said> {
        let (rough, calibrations) = match &self.fitted {
            Fitted::Knn(nearest) => {
                let nearby = nearby.expect("the k-NN's space is kept with it");
                let rough = nearest.estimate(nearby, features)?;
                (rough, &nearest.calibrations)
            }
            Fitted::Mlp(perceptrons) => {
                let rough = perceptrons.estimate(features, disagreement);
                (rough, &perceptrons.calibrations)
            }
            Fitted::Flow(flows) => return self.sample(flows, ids, features, telling),
        };
        let shape = (ids.len(), self.targets.len(), LEVELS.len());
        let mut levels = Array3::zeros(shape);
        for ((row, target), point) in rough.point.indexed_iter() {
            let variance = rough.variance[[row, target]];
            let of_one = calibrations[target].levels(*point, variance);
            let of_one = of_one.map(|level| bounded(self.targets[target], level));
            levels
                .slice_mut(s![row, target, ..])
                .assign(&ndarray::aview1(&of_one));
        }
        Ok(Said {
            point: rough.point,
            levels,
            density: None,
            has_summits: None,
        })
    }

    fn sample(
        &self,
        flows: &FlowEnsemble,
        ids: &[ObjectId],
        features: ArrayView2<'_, f32>,
        telling: Telling,
    ) -> Result<Said> {
        let keys: Vec<u64> = ids.iter().map(|id| id.bits()).collect();
        let redshift = self.targets.iter().position(|&t| t == Target::Redshift);
        let told = flows.sampled(features, &keys, telling.samples, |posterior| {
            let columns = posterior.values.columns().into_iter();
            let mut sorted: Vec<Vec<f64>> = columns.map(|column| column.to_vec()).collect();
            let intervals: Vec<Interval> = sorted
                .iter_mut()
                .map(|values| Interval::of(values))
                .collect();
            let redshifts = redshift.map(|index| &sorted[index]);
            (
                intervals,
                redshifts.map(|sorted| has_summits(sorted)),
                redshifts
                    .zip(telling.grid)
                    .map(|(sorted, grid)| density(sorted, grid)),
            )
        })?;
        let shape = (ids.len(), self.targets.len());
        let mut said = Said {
            point: Array2::zeros(shape),
            levels: Array3::zeros((shape.0, shape.1, LEVELS.len())),
            density: (redshift.and(telling.grid)).map(|grid| Array2::zeros((shape.0, grid.points))),
            has_summits: redshift.map(|_| vec![false; shape.0]),
        };
        for (row, (intervals, summits, density)) in told.into_iter().enumerate() {
            for (target, interval) in intervals.iter().enumerate() {
                let ([low, high], [least, most]) = (interval.inner, interval.outer);
                said.point[[row, target]] = interval.median;
                for (place, level) in [least, low, interval.median, high, most]
                    .into_iter()
                    .enumerate()
                {
                    said.levels[[row, target, place]] = bounded(self.targets[target], level);
                }
            }
            if let (Some(all), Some(one)) = (&mut said.has_summits, summits) {
                all[row] = one;
            }
            if let (Some(all), Some(one)) = (&mut said.density, density) {
                all.row_mut(row).assign(&ndarray::aview1(&one));
            }
        }
        Ok(said)
    }
}

/// The end of an interval within what the quantity can be: no redshift of a galaxy is below 0.
fn bounded(target: Target, level: f64) -> f64 {
    match target {
        Target::Redshift | Target::Age => level.max(0.0),
        _ => level,
    }
}
