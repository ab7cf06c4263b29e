//! Matrix products of views with any strides, at twice the speed of ndarray's own; of factors in bf16 at twice that, where
//! the processor can.

use half::bf16;
use ndarray::parallel::prelude::*;
use ndarray::{Array2, ArrayView1, ArrayView2, ArrayViewMut2, Axis, CowArray, Ix2, ShapeBuilder};

/// What a view that does not fit its slice is told.
const TOO_SHORT: &str = "a matrix within its slice, whose rows do not overlap";
/// Rows and columns of a task at most and at least: more make up for putting its part of the factors in order, fewer give
/// all threads some.
const TILES: [[usize; 2]; 4] = [[1024, 512], [512, 512], [512, 256], [256, 256]];
/// As many tasks as are worth smaller ones.
const TASKS: usize = 16;
/// What rows and columns of a task are multiples of.
const TILE_UNIT: [usize; 2] = [24, 64];

/// A matrix `(rows, columns)` that is all of `values`, row by row.
pub fn matrix<T>(values: &[T], shape: (usize, usize)) -> ArrayView2<'_, T> {
    strided(values, shape, shape.1)
}

/// [`matrix`], to be written.
pub fn matrix_mut(values: &mut [f32], shape: (usize, usize)) -> ArrayViewMut2<'_, f32> {
    strided_mut(values, shape, shape.1)
}

/// A matrix `(rows, columns)` whose rows begin every `stride` numbers of `values`.
pub fn strided<T>(values: &[T], shape: (usize, usize), stride: usize) -> ArrayView2<'_, T> {
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

/// The numbers that a product multiplies; it sums in `f32` in any case.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Factors {
    /// Those that are given.
    #[default]
    AsGiven,
    /// Rounded to bf16, 8 bits, where the processor multiplies those ([`multiplies_bf16`]); else those that are given.
    Bf16,
}

/// Whether the processor multiplies numbers in bf16: an x86-64 with AVX512-BF16.
pub fn multiplies_bf16() -> bool {
    #[cfg(target_arch = "x86_64")]
    return super::bf16::available();
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// A matrix that is multiplied.
#[derive(Debug, Clone, Copy)]
pub(super) enum Factor<'a> {
    F32(ArrayView2<'a, f32>),
    Bf16(ArrayView2<'a, bf16>),
}

impl Factor<'_> {
    fn dim(&self) -> (usize, usize) {
        match self {
            Self::F32(view) => view.dim(),
            Self::Bf16(view) => view.dim(),
        }
    }
}

/// What is added to a product.
#[derive(Debug, Clone, Copy)]
pub(super) enum Base<'a> {
    Nothing,
    /// What is in the output.
    Output,
    /// To every row the same.
    Row(&'a [f32]),
}

/// A product of two matrices that is still to be computed.
#[derive(Debug, Clone, Copy)]
pub struct Product<'a> {
    left: ArrayView2<'a, f32>,
    right: Factor<'a>,
    factors: Factors,
    scale: f32,
    is_parallel: bool,
}

impl<'a> Product<'a> {
    /// `left` `(rows, inner)` times `right` `(inner, columns)`, on the calling thread.
    pub fn of(left: ArrayView2<'a, f32>, right: ArrayView2<'a, f32>) -> Self {
        Self::new(left, Factor::F32(right), Factors::AsGiven)
    }

    /// [`Product::of`] with a right factor in bf16, and the left one rounded to it.
    pub fn of_bf16(left: ArrayView2<'a, f32>, right: ArrayView2<'a, bf16>) -> Self {
        Self::new(left, Factor::Bf16(right), Factors::Bf16)
    }

    fn new(left: ArrayView2<'a, f32>, right: Factor<'a>, factors: Factors) -> Self {
        Self {
            left,
            right,
            factors,
            scale: 1.0,
            is_parallel: false,
        }
    }

    /// With such factors.
    pub fn with(self, factors: Factors) -> Self {
        Self { factors, ..self }
    }

    /// Times a number.
    pub fn times(self, scale: f32) -> Self {
        Self { scale, ..self }
    }

    /// On all of rayon's threads.
    pub fn on_all_threads(self) -> Self {
        Self {
            is_parallel: true,
            ..self
        }
    }

    /// Writes it to `output` `(rows, columns)`.
    pub fn write_to(self, output: ArrayViewMut2<'_, f32>) {
        self.compute(output, Base::Nothing);
    }

    /// Adds it to `output` `(rows, columns)`.
    pub fn add_to(self, output: ArrayViewMut2<'_, f32>) {
        self.compute(output, Base::Output);
    }

    /// Writes it to `output` `(rows, columns)` with `row` `(columns,)` added to every row.
    pub fn write_plus(self, row: &[f32], output: ArrayViewMut2<'_, f32>) {
        self.compute(output, Base::Row(row));
    }

    fn compute(self, output: ArrayViewMut2<'_, f32>, base: Base<'_>) {
        assert_eq!(self.left.dim(), (output.nrows(), self.right.dim().0));
        assert_eq!(self.right.dim().1, output.ncols());
        if self.factors == Factors::Bf16 && multiplies_bf16() {
            return self.compute_in_bf16(output, base);
        }
        let right = match self.right {
            Factor::F32(right) => CowArray::from(right),
            Factor::Bf16(right) => CowArray::from(right.map(|number| number.to_f32())),
        };
        match self.is_parallel {
            true => self.compute_in_tiles(right.view(), output, base),
            false => self.compute_as_given(right.view(), output, base),
        }
    }

    /// Computes tiles on all threads. They depend on the shapes alone, and so do the bits of the result.
    fn compute_in_tiles(
        self,
        right: ArrayView2<'_, f32>,
        mut output: ArrayViewMut2<'_, f32>,
        base: Base<'_>,
    ) {
        let (rows, columns) = output.dim();
        if rows == 0 || columns == 0 {
            return;
        }
        let [rows, columns] = tile([rows, columns]);
        let bands = output
            .axis_chunks_iter_mut(Axis(0), rows)
            .into_par_iter()
            .zip(self.left.axis_chunks_iter(Axis(0), rows));
        bands.for_each(|(mut band, left)| {
            let tiles = band
                .axis_chunks_iter_mut(Axis(1), columns)
                .into_par_iter()
                .zip(right.axis_chunks_iter(Axis(1), columns))
                .enumerate();
            tiles.for_each(|(index, (tile, right))| {
                let base = match base {
                    Base::Row(row) => Base::Row(&row[index * columns..][..tile.ncols()]),
                    base => base,
                };
                Product::of(left, right)
                    .times(self.scale)
                    .compute(tile, base);
            });
        });
    }

    #[cfg(target_arch = "x86_64")]
    fn compute_in_bf16(self, mut output: ArrayViewMut2<'_, f32>, base: Base<'_>) {
        let ((rows, columns), strides) = (output.dim(), output.strides());
        if rows == 0 || columns == 0 {
            return;
        }
        if columns > 1 && strides[1] != 1 || rows > 1 && strides[0] < columns as isize {
            let mut result = Array2::zeros(output.dim());
            result.assign(&output);
            self.compute_in_bf16(result.view_mut(), base);
            return output.assign(&result);
        }
        let left = in_lines(self.left);
        let multiply = |right: Factor<'_>| {
            let factors = (left.view(), right);
            super::bf16::multiply(factors, self.scale, base, output, self.is_parallel);
        };
        match self.right {
            Factor::F32(right) => multiply(Factor::F32(in_lines(right).view())),
            Factor::Bf16(right) => multiply(Factor::Bf16(in_lines(right).view())),
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn compute_in_bf16(self, _: ArrayViewMut2<'_, f32>, _: Base<'_>) {
        unreachable!("no such processor multiplies numbers in bf16");
    }

    #[allow(unsafe_code)]
    fn compute_as_given(
        self,
        right: ArrayView2<'_, f32>,
        mut output: ArrayViewMut2<'_, f32>,
        base: Base<'_>,
    ) {
        if let Base::Row(row) = base {
            write_to_rows(row, output.view_mut());
        }
        let left = self.left;
        let (rows, columns) = output.dim();
        assert_eq!(
            (left.dim(), right.dim()),
            ((rows, left.ncols()), (left.ncols(), columns))
        );
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
                !matches!(base, Base::Nothing),
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
                gemm::Parallelism::None,
            );
        }
    }
}

/// Rows and columns of the tasks of a product of so many.
fn tile(shape: [usize; 2]) -> [usize; 2] {
    let parts = |tile: [usize; 2]| [0, 1].map(|axis| shape[axis].div_ceil(tile[axis]));
    let many = TILES
        .iter()
        .find(|tile| parts(**tile).iter().product::<usize>() >= TASKS);
    let parts = parts(*many.unwrap_or(&TILES[TILES.len() - 1]));
    [0, 1].map(|axis| {
        shape[axis]
            .div_ceil(parts[axis])
            .next_multiple_of(TILE_UNIT[axis])
    })
}

/// Writes `row` to every row of `output`.
fn write_to_rows(row: &[f32], mut output: ArrayViewMut2<'_, f32>) {
    for mut line in output.rows_mut() {
        match line.as_slice_mut() {
            // At once; `assign` goes from number to number.
            Some(line) => line.copy_from_slice(row),
            None => line.assign(&ArrayView1::from(row)),
        }
    }
}

/// `matrix`, copied if its numbers lie side by side in neither direction.
#[cfg(target_arch = "x86_64")]
fn in_lines<T: Copy>(matrix: ArrayView2<'_, T>) -> CowArray<'_, T, Ix2> {
    let lies_in_lines = |axis: usize| matrix.shape()[axis] <= 1 || matrix.strides()[axis] == 1;
    match lies_in_lines(0) || lies_in_lines(1) {
        true => CowArray::from(matrix),
        false => CowArray::from(matrix.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_of_any_strides_multiply_as_ndarray_does() {
        let numbers: Vec<f32> = (0..60).map(|n| (n * 7 % 11) as f32 - 5.0).collect();
        // Rows with a gap after each, and columns as rows; small whole numbers, so that all sums are exact, in bf16 too.
        let (left, right) = (strided(&numbers, (4, 3), 5), matrix(&numbers, (6, 3)));
        for factors in [Factors::AsGiven, Factors::Bf16] {
            let product = Product::of(left, right.t()).times(2.0).with(factors);
            let wanted = left.dot(&right.t()) * 2.0;
            let mut gaps = vec![1.0; 4 * 8];
            product.write_to(strided_mut(&mut gaps, (4, 6), 8));
            assert_eq!(strided(&gaps, (4, 6), 8), wanted);
            assert!(gaps.chunks(8).all(|row| row[6..] == [1.0, 1.0]));
            let mut sum = Array2::ones((6, 4));
            product
                .on_all_threads()
                .add_to(sum.view_mut().reversed_axes());
            assert_eq!(sum.t(), wanted.clone() + 1.0);
            let row = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
            product.write_plus(&row, matrix_mut(&mut gaps[..24], (4, 6)));
            assert_eq!(matrix(&gaps[..24], (4, 6)), wanted + ArrayView1::from(&row));
        }
    }

    #[test]
    fn tiles_make_up_the_product() {
        // Whole numbers, so that all sums are exact; sizes that leave rests in both directions.
        let shape = (1301, 37, 777);
        let numbers = |count: usize| (0..count).map(|n| (n * 7 % 11) as f32 - 5.0).collect();
        let [left, right]: [Vec<f32>; 2] = [shape.0 * shape.1, shape.1 * shape.2].map(numbers);
        let row: Vec<f32> = (0..shape.2).map(|column| column as f32).collect();
        let (left, right) = (
            matrix(&left, (shape.0, shape.1)),
            matrix(&right, (shape.2, shape.1)).reversed_axes(),
        );
        let wanted = left.dot(&right);
        let mut output = Array2::ones((shape.0, shape.2));
        let product = Product::of(left, right).on_all_threads();
        product.write_plus(&row, output.view_mut());
        assert_eq!(output, wanted.clone() + ArrayView1::from(&row));
        product.write_to(output.view_mut());
        assert_eq!(output, wanted);
        product.times(2.0).add_to(output.view_mut());
        assert_eq!(output, wanted * 3.0);
    }
}
