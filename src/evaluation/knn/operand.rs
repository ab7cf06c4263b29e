//! Vectors made ready for approximate products, with a bound on the error.

use ndarray::{Array2, ArrayView1, ArrayView2, Zip};

/// Vectors ready for the blocked products.
pub(super) struct Operand {
    pub(super) values: Array2<f32>,
    pub(super) square_norm: Vec<f32>,
}

impl Operand {
    pub(super) fn new(values: Array2<f32>) -> Self {
        let square_norm = values
            .rows()
            .into_iter()
            .map(|row| row.fold(0.0, |sum, &value| sum + f64::from(value).powi(2)) as f32)
            .collect();
        Self {
            values,
            square_norm,
        }
    }

    /// Bound on the error of an approximate |x|² + |y|² − 2x·y, relative to |x|² + |y|²; for vectors of
    /// norm 1 that is also the bound on the error of x·y.
    ///
    /// A sum of D products in any order is within D·u·|x||y| (Higham 2002, section 3.1), u being
    /// half of EPSILON, and 2|x||y| ≤ |x|² + |y|². The rest of the doubled bound is for the rounding
    /// of the vectors, of the norms and of the sums.
    pub(super) fn relative_error(&self) -> f32 {
        (self.values.ncols() + 16) as f32 * f32::EPSILON
    }
}

/// Vectors of norm 1 beside the originals, for cosines.
pub(super) struct UnitVectors<'a> {
    original: ArrayView2<'a, f32>,
    norm: Vec<f64>,
    pub(super) operand: Operand,
}

impl<'a> UnitVectors<'a> {
    pub(super) fn new(original: ArrayView2<'a, f32>) -> Self {
        let norm: Vec<f64> = original
            .rows()
            .into_iter()
            .map(|row| dot(row, row).sqrt())
            .collect();
        let mut unit = original.to_owned();
        for (mut row, &norm) in unit.rows_mut().into_iter().zip(&norm) {
            if norm > 0.0 {
                row.mapv_inplace(|value| (f64::from(value) / norm) as f32);
            }
        }
        // 1 for vectors of zeros too: distances then order as cosines do.
        let square_norm = vec![1.0; unit.nrows()];
        Self {
            original,
            norm,
            operand: Operand {
                values: unit,
                square_norm,
            },
        }
    }

    pub(super) fn cosine(&self, row: usize, other: &UnitVectors<'_>, other_row: usize) -> f64 {
        let norms = self.norm[row] * other.norm[other_row];
        if norms == 0.0 {
            return 0.0;
        }
        dot(self.original.row(row), other.original.row(other_row)) / norms
    }
}

/// Product of two vectors in double precision, summed in order.
pub(super) fn dot(a: ArrayView1<'_, f32>, b: ArrayView1<'_, f32>) -> f64 {
    Zip::from(a)
        .and(b)
        .fold(0.0, |sum, &a, &b| sum + f64::from(a) * f64::from(b))
}
