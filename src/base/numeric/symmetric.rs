//! Symmetric matrices of a few hundred rows: equations and eigenvalues.

use ndarray::{Array1, Array2, s};

/// Turns `right` (n, columns) into the solution of `matrix` · x = `right`; the matrix (n, n) is symmetric and positive
/// definite (Cholesky).
pub fn solve(mut matrix: Array2<f64>, right: &mut Array2<f64>) {
    let n = matrix.nrows();
    for row in 0..n {
        for column in 0..=row {
            let (own, other) = (s![row, ..column], s![column, ..column]);
            let rest = matrix[[row, column]] - matrix.slice(own).dot(&matrix.slice(other));
            matrix[[row, column]] = match row == column {
                true => rest.sqrt(),
                false => rest / matrix[[column, column]],
            };
        }
    }
    for mut right in right.columns_mut() {
        let mut x = right.to_owned();
        for row in 0..n {
            let known = matrix.slice(s![row, ..row]).dot(&x.slice(s![..row]));
            x[row] = (x[row] - known) / matrix[[row, row]];
        }
        for row in (0..n).rev() {
            x[row] /= matrix[[row, row]];
            let value = x[row];
            x.slice_mut(s![..row])
                .scaled_add(-value, &matrix.slice(s![row, ..row]));
        }
        right.assign(&x);
    }
}

/// Eigenvalues of a symmetric matrix (n, n), and its eigenvectors as columns, in no order (Jacobi's rotations).
pub fn eigen(mut matrix: Array2<f64>) -> (Array1<f64>, Array2<f64>) {
    /// Passes over all pairs; some eight are enough.
    const PASSES: usize = 40;
    let n = matrix.nrows();
    let mut vectors = Array2::eye(n);
    for _ in 0..PASSES {
        let mut rotated = false;
        for row in 0..n {
            for column in row + 1..n {
                let value = matrix[[row, column]];
                let (first, second) = (matrix[[row, row]], matrix[[column, column]]);
                if value.abs() <= f64::EPSILON * (first * second).abs().sqrt() {
                    continue;
                }
                rotated = true;
                // The smaller of the two angles that make it zero.
                let ratio = (second - first) / (2.0 * value);
                let tangent = ratio.signum() / (ratio.abs() + ratio.hypot(1.0));
                let cosine = 1.0 / tangent.hypot(1.0);
                let sine = tangent * cosine;
                for k in 0..n {
                    let (left, right) = (matrix[[k, row]], matrix[[k, column]]);
                    matrix[[k, row]] = cosine * left - sine * right;
                    matrix[[k, column]] = sine * left + cosine * right;
                }
                for k in 0..n {
                    let (upper, lower) = (matrix[[row, k]], matrix[[column, k]]);
                    matrix[[row, k]] = cosine * upper - sine * lower;
                    matrix[[column, k]] = sine * upper + cosine * lower;
                    let (left, right) = (vectors[[k, row]], vectors[[k, column]]);
                    vectors[[k, row]] = cosine * left - sine * right;
                    vectors[[k, column]] = sine * left + cosine * right;
                }
            }
        }
        if !rotated {
            break;
        }
    }
    (matrix.diag().to_owned(), vectors)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn square(n: usize) -> Array2<f64> {
        let values =
            Array2::from_shape_fn((n + 5, n), |(i, j)| ((7 * i + 3 * j + i * j) as f64).sin());
        values.t().dot(&values)
    }

    #[test]
    fn equations_are_solved() {
        let matrix = square(30);
        let wanted = Array2::from_shape_fn((30, 2), |(i, j)| (i as f64 - 20.0 * j as f64).sin());
        let mut x = matrix.dot(&wanted);
        solve(matrix, &mut x);
        assert!((&x - &wanted).iter().all(|d| d.abs() < 1e-6));
    }

    #[test]
    fn eigenvectors_are_orthogonal_and_make_the_matrix() {
        let mut matrix = square(30);
        // Not positive definite, and with an eigenvector that is an axis.
        matrix.row_mut(4).fill(0.0);
        matrix.column_mut(4).fill(0.0);
        matrix[[4, 4]] = -3.0;
        let (values, vectors) = eigen(matrix.clone());
        let unit = vectors.t().dot(&vectors) - Array2::<f64>::eye(30);
        assert!(unit.iter().all(|d| d.abs() < 1e-10));
        let made = (&vectors * &values).dot(&vectors.t());
        assert!((&made - &matrix).iter().all(|d| d.abs() < 1e-9));
        assert!(values.iter().any(|value| (value + 3.0).abs() < 1e-12));
    }
}
