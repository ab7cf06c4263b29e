//! Rows made orthonormal.

use ndarray::{ArrayBase, Axis, DataMut, Ix2};

/// Makes rows orthonormal, from the first on; one that lies within those before it becomes zeros.
pub(super) fn orthonormalize<S: DataMut<Elem = f32>>(rows: &mut ArrayBase<S, Ix2>) {
    let mut exact = rows.mapv(f64::from);
    for row in 0..exact.nrows() {
        let before = exact.row(row).dot(&exact.row(row)).sqrt();
        // Twice is enough (Giraud et al. 2005).
        for _ in 0..2 {
            let (known, mut rest) = exact.view_mut().split_at(Axis(0), row);
            let mut own = rest.row_mut(0);
            let along = known.dot(&own);
            own -= &along.dot(&known);
        }
        let norm = exact.row(row).dot(&exact.row(row)).sqrt();
        let scale = match norm > 1e-6 * before {
            true => norm.recip(),
            false => 0.0,
        };
        exact.row_mut(row).mapv_inplace(|value| value * scale);
    }
    rows.zip_mut_with(&exact, |row, &exact| *row = exact as f32);
}
