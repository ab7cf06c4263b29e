//! Estimates by an ensemble of small perceptrons.

use ndarray::{Array2, ArrayView2, Axis, parallel::prelude::*};
use rand::seq::SliceRandom;

use super::interval::Calibration;
use super::part::Rough;
use crate::base::error::Result;
use crate::base::random::{Purpose, generator};
use crate::evaluation::eval::{Mlp, MlpConfig};

/// Perceptrons that differ in their seed, as `eval`'s few-shot of so many seeds, and the mean of what they say.
#[derive(Debug, Clone)]
pub(super) struct Perceptrons {
    pub members: Vec<Mlp>,
    /// Of each output.
    pub calibrations: Vec<Calibration>,
}

/// Fits one perceptron to features (N, D) and targets (N, T).
pub(super) type Fit = fn(ArrayView2<'_, f32>, ArrayView2<'_, f64>, &MlpConfig) -> Result<Mlp>;

/// What tells how sure an ensemble is.
pub(super) type Doubt = fn(&[Array2<f64>], &Array2<f64>) -> Array2<f64>;

/// How an ensemble is fitted.
#[derive(Clone, Copy)]
pub(super) struct Recipe<'a> {
    pub config: &'a MlpConfig,
    pub members: usize,
    /// Members of the ensembles that only calibrate.
    pub calibrating: usize,
    pub fit: Fit,
    pub doubt: Doubt,
}

impl Recipe<'_> {
    /// Galaxies from which on they are split in two for calibration, and not in [`FOLDS`](Self::FOLDS).
    const MANY: usize = 10_000;
    const FOLDS: usize = 5;

    fn folds(rows: usize) -> usize {
        if rows < Self::MANY { Self::FOLDS } else { 2 }
    }

    /// Perceptrons that [`Perceptrons::fit`] fits to so many galaxies.
    pub fn fits(&self, rows: usize) -> usize {
        self.members + Self::folds(rows) * self.calibrating
    }
}

impl Perceptrons {
    /// Fits an ensemble to all galaxies (N, D) with targets (N, T); `one_more` hears of each perceptron. How far the truth may lie from its estimates is
    /// learnt from ensembles that are fitted to a part of the galaxies and estimate the others.
    pub fn fit(
        features: ArrayView2<'_, f32>,
        targets: ArrayView2<'_, f64>,
        recipe: Recipe<'_>,
        one_more: &(dyn Fn() + Sync),
    ) -> Result<Self> {
        let rows = features.nrows();
        let mut order: Vec<usize> = (0..rows).collect();
        let seed = recipe.config.seed;
        order.shuffle(&mut generator(seed, Purpose::Validation, rows as u64));
        let folds = Recipe::folds(rows).min(rows / 2);
        let held_out: Vec<Vec<usize>> = (0..folds)
            .map(|fold| order.iter().copied().skip(fold).step_by(folds).collect())
            .collect();
        let members = ensemble(features, targets, (recipe, recipe.members), one_more)?;
        let mut errors = vec![Vec::with_capacity(rows); targets.ncols()];
        let mut variances = errors.clone();
        for fold in &held_out {
            let is_held_out: Vec<bool> = {
                let mut flags = vec![false; rows];
                fold.iter().for_each(|&row| flags[row] = true);
                flags
            };
            let rest: Vec<usize> = (0..rows).filter(|&row| !is_held_out[row]).collect();
            let some = ensemble(
                features.select(Axis(0), &rest).view(),
                targets.select(Axis(0), &rest).view(),
                (recipe, recipe.calibrating),
                one_more,
            )?;
            let rough = estimate(&some, features.select(Axis(0), fold).view(), recipe.doubt);
            let error = targets.select(Axis(0), fold) - &rough.point;
            for target in 0..targets.ncols() {
                errors[target].extend(error.column(target));
                variances[target].extend(rough.variance.column(target));
            }
        }
        let columns = errors.iter().zip(&variances);
        Ok(Self {
            members,
            calibrations: columns
                .map(|(errors, variances)| Calibration::fit(errors, variances))
                .collect(),
        })
    }

    /// Estimates for features (Q, D).
    pub fn estimate(&self, features: ArrayView2<'_, f32>, doubt: Doubt) -> Rough {
        estimate(&self.members, features, doubt)
    }
}

fn ensemble(
    features: ArrayView2<'_, f32>,
    targets: ArrayView2<'_, f64>,
    (recipe, members): (Recipe<'_>, usize),
    one_more: &(dyn Fn() + Sync),
) -> Result<Vec<Mlp>> {
    (0..members as u64)
        .into_par_iter()
        .map(|member| {
            let config = MlpConfig {
                seed: recipe.config.seed + member,
                ..recipe.config.clone()
            };
            let fitted = (recipe.fit)(features, targets, &config)?;
            one_more();
            Ok(fitted)
        })
        .collect()
}

fn estimate(members: &[Mlp], features: ArrayView2<'_, f32>, doubt: Doubt) -> Rough {
    let said: Vec<Array2<f64>> = members.iter().map(|one| one.predict(features)).collect();
    let mut point = Array2::zeros(said[0].dim());
    for one in &said {
        point += one;
    }
    point /= said.len() as f64;
    Rough {
        variance: doubt(&said, &point),
        point,
    }
}

/// The variance among the members, which is large where they had little to learn from.
pub(super) fn disagreement(said: &[Array2<f64>], mean: &Array2<f64>) -> Array2<f64> {
    let mut variance = Array2::zeros(mean.dim());
    for one in said {
        variance += &(one - mean).mapv(|difference| difference * difference);
    }
    variance / said.len().saturating_sub(1).max(1) as f64
}

/// The variance of a fraction among few who are asked, which is small near 0 and 1.
pub(super) fn of_fractions(_said: &[Array2<f64>], mean: &Array2<f64>) -> Array2<f64> {
    mean.mapv(|fraction| (fraction * (1.0 - fraction)).max(0.0))
}
