//! Matrices as cuBLAS takes them, by columns, of tensors, which lie by rows: a matrix that lies by rows is, by columns, its
//! own transpose. So for `D = L R` cuBLAS is asked for `Dᵀ = Rᵀ Lᵀ`, with `R` as its first factor.

/// Matrices in memory, one for each sample of a batch, for a column-major reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Matrices {
    /// Numbers that lie beside each other.
    pub rows: usize,
    pub columns: usize,
    /// Numbers from a column to the next.
    pub leading: usize,
    /// Whether the reader has to turn them, to have the transpose of the tensor's matrices.
    pub turned: bool,
    /// How many.
    pub batch: usize,
    /// Numbers from a matrix to the next.
    pub stride: usize,
}

impl Matrices {
    /// Of a tensor with these `shape` and `strides`, which may be a view; `None` if it is one that takes a copy.
    pub fn of(shape: &[usize], strides: &[usize]) -> Option<Self> {
        let axes = shape.len();
        let [rows, columns] = [shape[axes - 2], shape[axes - 1]];
        let [down, along] = [strides[axes - 2], strides[axes - 1]];
        let (batch, stride) = batch(&shape[..axes - 2], &strides[..axes - 2])?;
        // The stride of an axis of one says nothing.
        let by_rows = (along == 1 || columns == 1) && (down >= columns || rows == 1);
        let by_columns = (down == 1 || rows == 1) && (along >= rows || columns == 1);
        let (turned, [rows, columns], step) = match (by_rows, by_columns) {
            (true, _) => (false, [columns, rows], down),
            (false, true) => (true, [rows, columns], along),
            (false, false) => return None,
        };
        Some(Self {
            rows,
            columns,
            leading: if columns == 1 { rows } else { step },
            turned,
            batch,
            stride,
        })
    }
}

/// How many matrices there are, and the numbers from one to the next, if they are the same between all.
fn batch(shape: &[usize], strides: &[usize]) -> Option<(usize, usize)> {
    let mut axes = shape
        .iter()
        .zip(strides)
        .rev()
        .filter(|(size, _)| **size != 1);
    let Some((&first, &stride)) = axes.next() else {
        return Some((1, 0));
    };
    let mut count = first;
    for (&size, &own) in axes {
        if own != count * stride {
            return None;
        }
        count *= size;
    }
    Some((count, stride))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tensor's matrix as a reader by columns gets it, turned if that is asked for: the transpose of the tensor's.
    fn read(memory: &[usize], matrices: Matrices, index: usize) -> Vec<Vec<usize>> {
        let at = |row: usize, column: usize| {
            memory[index * matrices.stride + column * matrices.leading + row]
        };
        let (rows, columns) = (matrices.rows, matrices.columns);
        match matrices.turned {
            false => (0..rows)
                .map(|row| (0..columns).map(|column| at(row, column)).collect())
                .collect(),
            true => (0..columns)
                .map(|column| (0..rows).map(|row| at(row, column)).collect())
                .collect(),
        }
    }

    /// The transpose of the matrix of a tensor.
    fn transposed(
        memory: &[usize],
        shape: [usize; 2],
        strides: [usize; 2],
        start: usize,
    ) -> Vec<Vec<usize>> {
        (0..shape[1])
            .map(|column| {
                (0..shape[0])
                    .map(|row| memory[start + row * strides[0] + column * strides[1]])
                    .collect()
            })
            .collect()
    }

    #[test]
    fn every_view_is_read_as_its_transpose() {
        let memory: Vec<usize> = (0..4000).collect();
        for (rows, columns) in [(1, 1), (1, 7), (7, 1), (3, 5), (8, 8), (5, 1), (1, 2)] {
            // By rows, by rows of a wider matrix, and the transposes of both.
            let views = [[columns, 1], [columns + 4, 1], [1, rows], [1, rows + 3]];
            for [down, along] in views {
                for batch in [1, 3] {
                    let step = 211;
                    let found = Matrices::of(&[batch, rows, columns], &[step, down, along])
                        .expect("no copy is needed");
                    assert_eq!(found.batch, batch);
                    for index in 0..batch {
                        assert_eq!(
                            read(&memory, found, index),
                            transposed(&memory, [rows, columns], [down, along], index * step),
                            "{rows} x {columns}, strides {down}, {along}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn axes_of_a_batch_are_joined_where_they_can_be() {
        let joined = Matrices::of(&[2, 3, 4, 5], &[60, 20, 5, 1]).expect("contiguous");
        assert_eq!((joined.batch, joined.stride), (6, 20));
        // Heads beside each other in rows: no one stride leads from each matrix to the next.
        assert_eq!(Matrices::of(&[2, 3, 4, 5], &[60, 5, 15, 1]), None);
        // Every second number.
        assert_eq!(Matrices::of(&[4, 5], &[10, 2]), None);
        // One row for all.
        assert_eq!(Matrices::of(&[4, 5], &[0, 1]), None);
    }
}
