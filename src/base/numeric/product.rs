//! Matrix products of views with any strides, at twice the speed of ndarray's own.

use ndarray::{ArrayView2, ArrayViewMut2, ShapeBuilder};

/// What a view that does not fit its slice is told.
const TOO_SHORT: &str = "a matrix within its slice, whose rows do not overlap";

/// A matrix `(rows, columns)` that is all of `values`, row by row.
pub fn matrix(values: &[f32], shape: (usize, usize)) -> ArrayView2<'_, f32> {
    strided(values, shape, shape.1)
}

/// [`matrix`], to be written.
pub fn matrix_mut(values: &mut [f32], shape: (usize, usize)) -> ArrayViewMut2<'_, f32> {
    strided_mut(values, shape, shape.1)
}

/// A matrix `(rows, columns)` whose rows begin every `stride` numbers of `values`.
pub fn strided(values: &[f32], shape: (usize, usize), stride: usize) -> ArrayView2<'_, f32> {
    ArrayView2::from_shape(shape.strides((stride, 1)), values).expect(TOO_SHORT)
}

/// [`strided`], to be written.
pub fn strided_mut(
    values: &mut [f32],
    shape: (usize, usize),
    stride: usize,
) -> ArrayViewMut2<'_, f32> {
    ArrayViewMut2::from_shape(shape.strides((stride, 1)), values).expect(TOO_SHORT)
}

/// A product of two matrices that is still to be computed.
#[derive(Debug, Clone, Copy)]
pub struct Product<'a> {
    left: ArrayView2<'a, f32>,
    right: ArrayView2<'a, f32>,
    scale: f32,
    parallelism: gemm::Parallelism,
}

impl<'a> Product<'a> {
    /// `left` `(rows, inner)` times `right` `(inner, columns)`, on the calling thread.
    pub fn of(left: ArrayView2<'a, f32>, right: ArrayView2<'a, f32>) -> Self {
        Self {
            left,
            right,
            scale: 1.0,
            parallelism: gemm::Parallelism::None,
        }
    }

    /// Times a number.
    pub fn times(self, scale: f32) -> Self {
        Self { scale, ..self }
    }

    /// On all of rayon's threads.
    pub fn on_all_threads(self) -> Self {
        Self {
            parallelism: gemm::Parallelism::Rayon(0),
            ..self
        }
    }

    /// Writes it to `output` `(rows, columns)`.
    pub fn write_to(self, output: ArrayViewMut2<'_, f32>) {
        self.compute(output, false);
    }

    /// Adds it to `output` `(rows, columns)`.
    pub fn add_to(self, output: ArrayViewMut2<'_, f32>) {
        self.compute(output, true);
    }

    #[allow(unsafe_code)]
    fn compute(self, mut output: ArrayViewMut2<'_, f32>, adds: bool) {
        let Self { left, right, .. } = self;
        let (rows, columns) = output.dim();
        assert_eq!(left.dim(), (rows, right.nrows()));
        assert_eq!(right.ncols(), columns);
        let strides = |strides: &[isize]| [strides[0], strides[1]];
        let output_strides = strides(output.strides());
        let [left_strides, right_strides] = [&left, &right].map(|view| strides(view.strides()));
        // SAFETY: the pointers and strides are those of three views whose sizes agree, as asserted above, and the output
        // is borrowed exclusively, so that it overlaps neither factor.
        unsafe {
            gemm::gemm(
                rows,
                columns,
                left.ncols(),
                output.as_mut_ptr(),
                output_strides[1],
                output_strides[0],
                adds,
                left.as_ptr(),
                left_strides[1],
                left_strides[0],
                right.as_ptr(),
                right_strides[1],
                right_strides[0],
                1.0,
                self.scale,
                false,
                false,
                false,
                self.parallelism,
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;

    #[test]
    fn views_of_any_strides_multiply_as_ndarray_does() {
        let numbers: Vec<f32> = (0..60).map(|n| (n * 7 % 11) as f32 - 5.0).collect();
        // Rows with a gap after each, and columns as rows; small whole numbers, so that all sums are exact.
        let (left, right) = (strided(&numbers, (4, 3), 5), matrix(&numbers, (6, 3)));
        let product = Product::of(left, right.t()).times(2.0);
        let wanted = left.dot(&right.t()) * 2.0;
        let mut gaps = vec![1.0; 4 * 8];
        product.write_to(strided_mut(&mut gaps, (4, 6), 8));
        assert_eq!(strided(&gaps, (4, 6), 8), wanted);
        assert!(gaps.chunks(8).all(|row| row[6..] == [1.0, 1.0]));
        let mut sum = Array2::ones((6, 4));
        product
            .on_all_threads()
            .add_to(sum.view_mut().reversed_axes());
        assert_eq!(sum.t(), wanted + 1.0);
    }
}
