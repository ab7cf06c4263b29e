//! Wide embeddings in few numbers, linear ones, so that flows fitted to some thousand galaxies do not get lost in them.

use ndarray::{Array1, Array2, ArrayView2, Axis, linalg::general_mat_mul, s};
use rand::{RngExt, seq::SliceRandom};
use rayon::prelude::*;

use crate::base::numeric::{Standardizer, solve};
use crate::base::random::{Purpose, generator};

/// Parts of the galaxies; each is predicted by a regression on the others.
const FOLDS: usize = 10;
/// Penalties of the regression that are tried, per galaxy; the best for galaxies held out is taken, target by target.
const PENALTIES: [f64; 8] = [1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.3, 3.0];
/// Passes of the orthogonal iteration.
const PASSES: usize = 30;
/// Galaxies whose products are summed up together.
const CHUNK: usize = 1024;

/// What a ridge regression predicts of every target, numbers that are kept as they are, and the leading principal components
/// of the others, all scaled alike, so that those that vary little weigh little.
pub(super) struct Reduction {
    /// From standardised embeddings (C) to the reduced ones (K): (K, C).
    pub map: Array2<f32>,
    /// The training galaxies (N, K). A regression predicts its own galaxies too well: here each is predicted by one on
    /// other galaxies.
    pub training: Array2<f32>,
}

/// Sums over galaxies of the products of standardised embeddings with themselves and with the targets.
struct Moments {
    /// (C, C)
    square: Array2<f64>,
    /// (C, D)
    with_targets: Array2<f64>,
    galaxies: usize,
}

impl Reduction {
    /// Of embeddings (N, C) with these units and standardised targets (D, N), to D + `kept` + `components` numbers: the last
    /// `kept` of an embedding are kept.
    pub fn new(
        embeddings: ArrayView2<'_, f32>,
        units: &Standardizer,
        targets: ArrayView2<'_, f32>,
        (kept, components): (usize, usize),
        seed: u64,
    ) -> Self {
        let galaxies = embeddings.nrows();
        let mut order: Vec<usize> = (0..galaxies).collect();
        order.shuffle(&mut generator(seed, Purpose::Validation, u64::MAX));
        let folds: Vec<&[usize]> = order.chunks(galaxies.div_ceil(FOLDS)).collect();
        let gather = |rows: &[usize]| {
            let mut values = Array2::zeros((rows.len(), embeddings.ncols()));
            units.gather(embeddings, rows, values.view_mut());
            values
        };
        let of_folds: Vec<Moments> = folds
            .par_iter()
            .map(|rows| Moments::new(rows, gather, targets))
            .collect();
        let mut whole = Moments {
            square: Array2::zeros(of_folds[0].square.dim()),
            with_targets: Array2::zeros(of_folds[0].with_targets.dim()),
            galaxies,
        };
        for fold in &of_folds {
            whole.square += &fold.square;
            whole.with_targets += &fold.with_targets;
        }
        let (penalties, by_fold) = regress(&whole, &of_folds);
        let dimensions = targets.nrows();
        let width = embeddings.ncols();
        let others = width - kept;
        let components = components.min(others);
        let mut map = Array2::zeros((dimensions + kept + components, width));
        for (target, &penalty) in penalties.iter().enumerate() {
            let solution = whole.solve(None, penalty);
            map.row_mut(target).assign(&solution.column(target));
        }
        map.slice_mut(s![dimensions..dimensions + kept, others..])
            .diag_mut()
            .fill(1.0);
        let square = whole.square.slice(s![..others, ..others]);
        map.slice_mut(s![dimensions + kept.., ..others])
            .assign(&principal_components(square, galaxies, components, seed));
        let single = |values: &Array2<f64>| values.mapv(|value| value as f32);
        let map = single(&map);
        let mut training = Array2::zeros((galaxies, map.nrows()));
        for (rows, own) in folds.iter().zip(&by_fold) {
            let mut of_fold = map.clone();
            of_fold
                .slice_mut(s![..dimensions, ..])
                .assign(&single(own).t());
            for rows in rows.chunks(CHUNK) {
                let reduced = gather(rows).dot(&of_fold.t());
                for (&row, reduced) in rows.iter().zip(reduced.rows()) {
                    training.row_mut(row).assign(&reduced);
                }
            }
        }
        Self { map, training }
    }
}

impl Moments {
    fn new(
        rows: &[usize],
        gather: impl Fn(&[usize]) -> Array2<f32>,
        targets: ArrayView2<'_, f32>,
    ) -> Self {
        let mut square: Option<Array2<f64>> = None;
        let mut with_targets: Option<Array2<f64>> = None;
        for rows in rows.chunks(CHUNK) {
            let values = gather(rows).mapv(f64::from);
            let targets = targets.select(Axis(1), rows).mapv(f64::from);
            let width = values.ncols();
            let square = square.get_or_insert_with(|| Array2::zeros((width, width)));
            general_mat_mul(1.0, &values.t(), &values, 1.0, square);
            let shape = (width, targets.nrows());
            let with_targets = with_targets.get_or_insert_with(|| Array2::zeros(shape));
            general_mat_mul(1.0, &values.t(), &targets.t(), 1.0, with_targets);
        }
        Self {
            square: square.expect("a fold has galaxies"),
            with_targets: with_targets.expect("a fold has galaxies"),
            galaxies: rows.len(),
        }
    }

    /// Coefficients (C, D) of the ridge regression on these galaxies without the `others`.
    fn solve(&self, others: Option<&Self>, penalty: f64) -> Array2<f64> {
        let mut square = self.square.clone();
        let mut solution = self.with_targets.clone();
        let mut galaxies = self.galaxies;
        if let Some(others) = others {
            square -= &others.square;
            solution -= &others.with_targets;
            galaxies -= others.galaxies;
        }
        square
            .diag_mut()
            .mapv_inplace(|value| value + penalty * galaxies as f64);
        solve(square, &mut solution);
        solution
    }
}

/// The best penalty for each target, and with it the coefficients (C, D) for the galaxies of each fold, from all others.
fn regress(whole: &Moments, folds: &[Moments]) -> (Vec<f64>, Vec<Array2<f64>>) {
    let dimensions = whole.with_targets.ncols();
    let mut best = vec![(f64::INFINITY, 0.0); dimensions];
    let mut chosen: Vec<Array2<f64>> = vec![Array2::zeros(whole.with_targets.dim()); folds.len()];
    for penalty in PENALTIES {
        let solutions: Vec<(Array2<f64>, Array1<f64>)> = folds
            .par_iter()
            .map(|fold| {
                let solution = whole.solve(Some(fold), penalty);
                // The sum of squared errors, but for that of the targets themselves, which is always the same.
                let error = (&solution * &fold.square.dot(&solution)).sum_axis(Axis(0))
                    - 2.0 * (&solution * &fold.with_targets).sum_axis(Axis(0));
                (solution, error)
            })
            .collect();
        for (target, best) in best.iter_mut().enumerate() {
            let error = solutions.iter().map(|(_, error)| error[target]).sum();
            if error < best.0 {
                *best = (error, penalty);
                for (chosen, (solution, _)) in chosen.iter_mut().zip(&solutions) {
                    chosen.column_mut(target).assign(&solution.column(target));
                }
            }
        }
    }
    (
        best.into_iter().map(|(_, penalty)| penalty).collect(),
        chosen,
    )
}

/// The leading principal components (`components`, C), divided by the standard deviation of the first, of so many galaxies
/// whose products are summed up in `square` (C, C).
fn principal_components(
    square: ArrayView2<'_, f64>,
    galaxies: usize,
    components: usize,
    seed: u64,
) -> Array2<f64> {
    let mut rng = generator(seed, Purpose::FlowTraining, u64::MAX);
    let width = square.nrows();
    let mut axes =
        Array2::from_shape_simple_fn((components, width), || rng.random_range(-1.0..1.0));
    for _ in 0..PASSES {
        axes = axes.dot(&square);
        for row in 0..components {
            let (known, mut rest) = axes.view_mut().split_at(Axis(0), row);
            let mut axis = rest.row_mut(0);
            let along = known.dot(&axis);
            axis -= &along.dot(&known);
            let norm = axis.dot(&axis).sqrt();
            axis /= norm.max(f64::MIN_POSITIVE);
        }
    }
    let variance = |axis: ndarray::ArrayView1<'_, f64>| axis.dot(&square.dot(&axis));
    let most = axes.rows().into_iter().map(variance).fold(0.0, f64::max);
    let deviation = (most / galaxies as f64).sqrt();
    axes / deviation.max(f64::MIN_POSITIVE)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution, StandardNormal};

    use super::*;

    /// Embeddings of which three directions vary much and the last one, with little, says what the target is.
    fn problem(galaxies: usize, noise: f32) -> (Array2<f32>, Array2<f32>) {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let mut normal = || -> f32 { StandardNormal.sample(&mut rng) };
        let mut embeddings = Array2::zeros((galaxies, 60));
        let mut targets = Array2::zeros((1, galaxies));
        for (galaxy, mut row) in embeddings.rows_mut().into_iter().enumerate() {
            let hidden = [normal(), normal(), normal()];
            let small = normal();
            for (column, value) in row.iter_mut().enumerate() {
                let sign = if column / 6 % 2 == 0 { 1.0 } else { -1.0 };
                *value =
                    hidden[[0, 0, 0, 1, 1, 2][column % 6]] + 0.2 * sign * small + 0.1 * normal();
            }
            targets[[0, galaxy]] = small + noise * normal();
        }
        (embeddings, targets)
    }

    fn r2(predicted: ndarray::ArrayView1<'_, f32>, truth: ndarray::ArrayView1<'_, f32>) -> f32 {
        let error = (&predicted - &truth).mapv(|v| v * v).sum();
        1.0 - error / truth.mapv(|v| v * v).sum()
    }

    #[test]
    fn what_varies_little_but_tells_much_is_kept() {
        let (embeddings, targets) = problem(600, 0.1);
        let units = Standardizer::fit(embeddings.view());
        let reduced = Reduction::new(embeddings.view(), &units, targets.view(), (0, 3), 0);
        assert_eq!(reduced.training.dim(), (600, 4));
        assert!(r2(reduced.training.column(0), targets.row(0)) > 0.9);
        // The components: orthogonal, the first of deviation 1, together nearly all of the variance.
        let mut standard = Array2::zeros(embeddings.dim());
        let all: Vec<usize> = (0..600).collect();
        units.gather(embeddings.view(), &all, standard.view_mut());
        let scores = standard.dot(&reduced.map.t());
        assert!(
            (&scores.slice(s![.., 1..]) - &reduced.training.slice(s![.., 1..]))
                .iter()
                .all(|d| d.abs() < 1e-4)
        );
        let covariance = scores.t().dot(&scores) / 600.0;
        assert!((covariance[[1, 1]] - 1.0).abs() < 0.01, "{covariance}");
        assert!(covariance[[1, 2]].abs() < 0.01 && covariance[[2, 3]].abs() < 0.01);
        let scale = reduced.map.row(1).dot(&reduced.map.row(1));
        let share = (1..4).map(|k| covariance[[k, k]]).sum::<f32>() / scale / 60.0;
        assert!(share > 0.9, "{share}");
    }

    #[test]
    fn no_training_galaxy_is_predicted_from_its_own_target() {
        let (embeddings, mut targets) = problem(600, 1.0);
        let units = Standardizer::fit(embeddings.view());
        let reduce = |targets: &Array2<f32>| {
            Reduction::new(embeddings.view(), &units, targets.view(), (4, 2), 0)
        };
        let before = reduce(&targets);
        targets[[0, 7]] += 1.0;
        let after = reduce(&targets);
        let change = (&after.training.column(0) - &before.training.column(0)).mapv(f32::abs);
        assert_eq!(change[7], 0.0);
        // Nor are those of its fold; all others are, and new galaxies.
        let unchanged = change.iter().filter(|&&change| change == 0.0).count();
        assert_eq!(unchanged, 60);
        assert_ne!(after.map.row(0), before.map.row(0));
        // The last four numbers are kept, and no part of the components.
        let kept = units.apply_single(embeddings.slice(s![.., ..]));
        let difference = &after.training.slice(s![.., 1..5]) - &kept.slice(s![.., 56..]);
        assert!(difference.iter().all(|difference| difference.abs() < 1e-5));
        assert!(
            after
                .map
                .slice(s![5.., 56..])
                .iter()
                .all(|&weight| weight == 0.0)
        );
    }
}
