//! What the models of several folds predict together.

use ndarray::Array2;

use crate::survey::Role;

/// What the model of a fold predicts.
pub(super) struct FoldPredictions {
    /// What each galaxy is to it.
    pub roles: Vec<Role>,
    /// Predictions `(galaxies, targets)` for all galaxies.
    pub predicted: Array2<f64>,
}

/// Roles and predictions of all folds: of a galaxy that validated one of them the prediction of that one, which was not
/// fitted to it; of the others the mean.
pub(super) fn join(folds: &[FoldPredictions]) -> (Vec<Role>, Array2<f64>) {
    let mut mean = Array2::zeros(folds[0].predicted.dim());
    for fold in folds {
        mean += &fold.predicted;
    }
    mean /= folds.len() as f64;
    let mut roles = folds[0].roles.clone();
    for fold in folds {
        let rows = mean.rows_mut().into_iter().zip(fold.predicted.rows());
        for ((own, role), (mut row, predicted)) in fold.roles.iter().zip(&mut roles).zip(rows) {
            if *own == Role::Validation {
                *role = Role::Validation;
                row.assign(&predicted);
            }
        }
    }
    (roles, mean)
}

/// The median of some steps, the lower of two in the middle.
pub(super) fn median(steps: impl Iterator<Item = u64>) -> u64 {
    let mut steps: Vec<u64> = steps.collect();
    steps.sort_unstable();
    steps[(steps.len() - 1) / 2]
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::{FoldPredictions, join, median};
    use crate::survey::Role::{Test, Train, Validation};

    #[test]
    fn galaxies_that_validated_a_fold_have_its_prediction_and_others_the_mean() {
        let fold = |roles, predicted| FoldPredictions { roles, predicted };
        let (roles, predicted) = join(&[
            fold(
                vec![Validation, Train, Test, Train],
                array![[1.0], [2.0], [3.0], [7.0]],
            ),
            fold(
                vec![Train, Validation, Test, Train],
                array![[9.0], [4.0], [5.0], [8.0]],
            ),
        ]);
        assert_eq!(roles, [Validation, Validation, Test, Train]);
        assert_eq!(predicted, array![[1.0], [4.0], [4.0], [7.5]]);
        assert_eq!(median([60, 20, 40, 80].into_iter()), 40);
    }
}
