//! Matrix products of strided views.

/// A matrix in a slice.
#[derive(Debug, Clone, Copy)]
pub struct Matrix<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

/// A matrix in a slice, to be written.
#[derive(Debug)]
pub struct MatrixMut<'a> {
    values: &'a mut [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    adds: bool,
}

/// Who computes a product.
#[derive(Debug, Clone, Copy)]
pub enum Threads {
    /// The calling thread.
    One,
    /// All of rayon's threads.
    All,
}

impl<'a> Matrix<'a> {
    /// Rows one after the other, from the slice's beginning.
    pub fn new(values: &'a [f32], rows: usize, columns: usize) -> Self {
        Self::strided(values, rows, columns, columns)
    }

    /// Rows that begin every `row_stride` numbers.
    pub fn strided(values: &'a [f32], rows: usize, columns: usize, row_stride: usize) -> Self {
        assert_fits(values.len(), rows, columns, row_stride);
        Self {
            values,
            rows,
            columns,
            row_stride,
            column_stride: 1,
        }
    }

    /// Rows as columns.
    pub fn transposed(self) -> Self {
        Self {
            values: self.values,
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
        }
    }

    /// Rows and columns.
    pub fn dims(&self) -> (usize, usize) {
        (self.rows, self.columns)
    }
}

impl<'a> MatrixMut<'a> {
    /// Rows one after the other, from the slice's beginning.
    pub fn new(values: &'a mut [f32], rows: usize, columns: usize) -> Self {
        Self::strided(values, rows, columns, columns)
    }

    /// Rows that begin every `row_stride` numbers.
    pub fn strided(values: &'a mut [f32], rows: usize, columns: usize, row_stride: usize) -> Self {
        assert_fits(values.len(), rows, columns, row_stride);
        Self {
            values,
            rows,
            columns,
            row_stride,
            adds: false,
        }
    }

    /// A product is added to what is there.
    pub fn adding(self) -> Self {
        Self { adds: true, ..self }
    }
}

fn assert_fits(length: usize, rows: usize, columns: usize, row_stride: usize) {
    assert!(columns <= row_stride || rows <= 1, "rows overlap");
    let end = rows.saturating_sub(1) * row_stride + columns;
    assert!(
        end <= length,
        "a matrix of {end} numbers in a slice of {length}"
    );
}

/// `output = scale * left * right`, or added to `output` if that [adds](MatrixMut::adding).
#[allow(unsafe_code)]
pub fn multiply(output: MatrixMut, left: Matrix, right: Matrix, scale: f32, threads: Threads) {
    assert_eq!(
        (left.columns, output.rows, output.columns),
        (right.rows, left.rows, right.columns)
    );
    let parallelism = match threads {
        Threads::One => gemm::Parallelism::None,
        Threads::All => gemm::Parallelism::Rayon(0),
    };
    // SAFETY: the constructors have checked that all elements of the three matrices lie in their
    // slices (a transposed one has the same elements), the inner sizes agree as asserted above, and
    // the output is borrowed exclusively, so that it overlaps neither factor.
    unsafe {
        gemm::gemm(
            output.rows,
            output.columns,
            left.columns,
            output.values.as_mut_ptr(),
            1,
            output.row_stride as isize,
            output.adds,
            left.values.as_ptr(),
            left.column_stride as isize,
            left.row_stride as isize,
            right.values.as_ptr(),
            right.column_stride as isize,
            right.row_stride as isize,
            1.0,
            scale,
            false,
            false,
            false,
            parallelism,
        );
    }
}
