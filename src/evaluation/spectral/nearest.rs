//! Estimates by the nearest training galaxies, none of which is its own neighbour.

use ndarray::{Array2, ArrayView2, Axis};

use crate::base::error::{Error, Result};
use crate::evaluation::knn::{self, Weights};

/// Estimates of targets `(N, T)` for vectors `(N, D)`: the mean over the `k` nearest of the galaxies `train` of which a
/// target is known. A galaxy that is one of these is estimated from the others. NaN where a vector is not known.
///
/// # Errors
/// [`Error::input`] where a target is known of no more than `k` training galaxies.
pub fn leave_one_out(
    vectors: ArrayView2<'_, f32>,
    targets: ArrayView2<'_, f64>,
    train: &[usize],
    (k, weights): (usize, Weights),
) -> Result<Array2<f64>> {
    let is_known: Vec<bool> = vectors
        .rows()
        .into_iter()
        .map(|row| row.iter().all(|value| value.is_finite()))
        .collect();
    let mut estimates = Array2::from_elem(targets.dim(), f64::NAN);
    let mut done: Vec<(Vec<usize>, Vec<usize>)> = Vec::new();
    for (column, values) in targets.columns().into_iter().enumerate() {
        let known = train.iter().copied();
        let fitted: Vec<usize> = known
            .filter(|&row| is_known[row] && values[row].is_finite())
            .collect();
        if fitted.len() <= k {
            return Err(Error::input(format!(
                "{} training galaxies with known target and spectrum; expected more than the {k} neighbours",
                fitted.len()
            )));
        }
        match done.iter_mut().find(|(rows, _)| *rows == fitted) {
            Some((_, columns)) => columns.push(column),
            None => done.push((fitted, vec![column])),
        }
    }
    for (fitted, columns) in done {
        let gallery = vectors.select(Axis(0), &fitted);
        let truth = targets.select(Axis(0), &fitted).select(Axis(1), &columns);
        let mut is_fitted = vec![false; vectors.nrows()];
        fitted.iter().for_each(|&row| is_fitted[row] = true);
        let others = (0..vectors.nrows()).filter(|&row| is_known[row] && !is_fitted[row]);
        let others: Vec<usize> = others.collect();
        let own: Vec<usize> = (0..fitted.len()).collect();
        let queries = vectors.select(Axis(0), &others);
        let of_fitted = knn::others(gallery.view(), gallery.view(), &own, k)?;
        let of_others = knn::euclidean(gallery.view(), queries.view(), k)?;
        for (rows, neighbours) in [(fitted, of_fitted), (others, of_others)] {
            let found = knn::regress(&neighbours, truth.view(), weights);
            for (&row, found) in rows.iter().zip(found.rows()) {
                for (&column, &value) in columns.iter().zip(found) {
                    estimates[[row, column]] = value;
                }
            }
        }
    }
    Ok(estimates)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_galaxy_is_its_own_neighbour_and_targets_have_galaxies_of_their_own() {
        let vectors = ndarray::array![[0.0_f32], [1.0], [10.0], [11.0], [0.4], [f32::NAN]];
        let unknown = f64::NAN;
        let targets = ndarray::array![
            [1.0, 5.0],
            [2.0, unknown],
            [3.0, 7.0],
            [4.0, unknown],
            [9.0, 9.0],
            [9.0, 9.0]
        ];
        let weights = (1, Weights::Distance);
        let found = leave_one_out(vectors.view(), targets.view(), &[0, 1, 2, 3], weights).unwrap();
        assert_eq!(found.column(0).to_vec()[..5], [2.0, 1.0, 4.0, 3.0, 1.0]);
        assert_eq!(found.column(1).to_vec()[..5], [7.0, 5.0, 5.0, 7.0, 5.0]);
        assert!(found.row(5).iter().all(|value| value.is_nan()));
        let refused = leave_one_out(vectors.view(), targets.view(), &[0, 2, 3], (2, weights.1));
        let message = refused.unwrap_err().to_string();
        assert!(message.contains("2 training galaxies"), "{message}");
    }
}
