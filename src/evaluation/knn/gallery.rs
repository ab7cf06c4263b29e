//! A gallery made ready for many searches, one query at a time: eight bits of each number rule out most rows, single
//! precision most of the others, and what is left is ranked in double precision.

use std::ops::RangeInclusive;

use ndarray::{Array2, ArrayView1};
use rayon::prelude::*;

use super::codes::{CodedQuery, by_codes, encode, highest, threshold};
use super::operand::dot;
use super::{has_direction, length, unit_query};
use crate::base::error::Result;
use crate::base::numeric::{sum_of, vectorized};

/// Rows that a thread scores at once by their codes.
const BLOCK: usize = 2048;
/// Rows that a thread scores at once by their vectors.
const FEW: usize = 256;

/// Vectors among which the nearest by cosine are found: the same as [`cosine`](super::cosine) finds, to the last bit.
///
/// The unit vector of a row is the mean of all plus a difference, of which 8 bits per number are kept. By Cauchy and
/// Schwarz the product with a query of norm 1 is off by no more than the norm of what was rounded away, which is stored
/// with the row: a row is passed over only where that proves that it cannot be among the nearest.
pub struct Gallery {
    vectors: Array2<f32>,
    /// Euclidean norm of each row; 0 for one without a direction, which is never found.
    norm: Vec<f64>,
    /// Mean of the unit vectors.
    centre: Vec<f32>,
    /// Of each row's difference from the centre in units of its `step` (N, D).
    codes: Vec<i8>,
    step: Vec<f32>,
    /// Norm of what the codes leave out of each row.
    error: Vec<f32>,
    /// Whether single precision holds the products of all rows without loss at its ends.
    is_ordinary: bool,
}

/// Norms of which products in single precision neither overflow nor vanish.
const ORDINARY: RangeInclusive<f64> = 1e-10..=1e10;

impl Gallery {
    /// Prepares vectors `(N, D)`. Those that are not finite or zero throughout have no direction.
    pub fn new(vectors: Array2<f32>) -> Self {
        let vectors = match vectors.is_standard_layout() {
            true => vectors,
            false => vectors.as_standard_layout().into_owned(),
        };
        let width = vectors.ncols();
        let norm: Vec<f64> = (0..vectors.nrows())
            .into_par_iter()
            .map(|row| match vectors.row(row) {
                row if has_direction(row) => length(row),
                _ => 0.0,
            })
            .collect();
        let centre = mean_direction(&vectors, &norm);
        let mut codes = vec![0_i8; vectors.len()];
        let kept: Vec<(f32, f32)> = codes
            .par_chunks_mut(width.max(1))
            .zip(&norm)
            .enumerate()
            .map(|(row, (codes, &norm))| match norm > 0.0 {
                true => encode(vectors.row(row), norm, &centre, codes),
                false => (0.0, 0.0),
            })
            .collect();
        let (step, error) = kept.into_iter().unzip();
        let mut norms = norm.iter();
        Self {
            is_ordinary: norms.all(|norm| *norm == 0.0 || ORDINARY.contains(norm)),
            vectors,
            norm,
            centre,
            codes,
            step,
            error,
        }
    }

    /// Number of rows that have a direction.
    pub fn directed(&self) -> usize {
        self.norm.iter().filter(|norm| **norm > 0.0).count()
    }

    /// Numbers per row.
    pub fn width(&self) -> usize {
        self.vectors.ncols()
    }

    /// The vectors (N, D) as they were given.
    pub fn vectors(&self) -> &Array2<f32> {
        &self.vectors
    }

    /// Whether a row points anywhere, so that it can be found.
    pub fn has_direction(&self, row: usize) -> bool {
        self.norm[row] > 0.0
    }

    /// The unit vector of a row; `None` where it has no direction.
    pub fn direction(&self, row: usize) -> Option<Vec<f64>> {
        let norm = self.norm[row];
        let unit = |&value: &f32| f64::from(value) / norm;
        (norm > 0.0).then(|| self.vectors.row(row).iter().map(unit).collect())
    }

    /// The `k` rows most similar to the query by cosine among those that `admits` lets in, and their similarities, best
    /// first, ties going to the lower row; fewer where fewer are let in.
    ///
    /// # Errors
    /// [`Error::input`] where the query has another width than the rows, or no direction.
    pub fn nearest(
        &self,
        query: ArrayView1<'_, f32>,
        k: usize,
        admits: impl Fn(usize) -> bool + Sync,
    ) -> Result<Vec<(usize, f64)>> {
        let unit = unit_query(query, self.width())?;
        let query_norm = length(query);
        let admits = |row: usize| self.has_direction(row) && admits(row);
        if k == 0 {
            return Ok(Vec::new());
        }
        let candidates = self.candidates(&unit, k, admits);
        let unit: Vec<f32> = unit.into_iter().map(|value| value as f32).collect();
        let candidates = self.refined(&unit, candidates, k);
        let mut ranked: Vec<(usize, f64)> = candidates
            .into_par_iter()
            .map(|row| {
                let norms = query_norm * self.norm[row];
                (row, dot(query, self.vectors.row(row)) / norms)
            })
            .collect();
        ranked.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        ranked.truncate(k);
        Ok(ranked)
    }

    /// Rows that may be among the `k` nearest to a unit vector, by their codes: all whose similarity may be as high as the
    /// `k`-th highest of those that similarities cannot be below.
    fn candidates(
        &self,
        unit: &[f64],
        k: usize,
        admits: impl Fn(usize) -> bool + Sync,
    ) -> Vec<usize> {
        let width = self.width();
        let centre = unit.iter().zip(&self.centre);
        let base: f64 = centre.map(|(&a, &b)| a * f64::from(b)).sum();
        let query = CodedQuery::new(unit);
        // A difference from the centre is at most 2 long, and what its codes tell at most twice that. The rest is for the
        // three operations in single precision.
        let rounding = 4.0 * query.error + 8.0 * f32::EPSILON;
        let mut scores = vec![0.0_f32; self.norm.len()];
        let lower: Vec<f32> = scores
            .par_chunks_mut(BLOCK)
            .enumerate()
            .flat_map_iter(|(block, scores)| {
                let first = block * BLOCK;
                let rows = first..first + scores.len();
                let codes = &self.codes[rows.start * width..rows.end * width];
                by_codes(&query.codes, codes, scores);
                for (score, &step) in scores.iter_mut().zip(&self.step[rows.clone()]) {
                    *score = base as f32 + step * query.step * *score;
                }
                let mut lower: Vec<f32> = Vec::with_capacity(scores.len());
                for (row, score) in rows.zip(scores) {
                    match admits(row) {
                        true => lower.push(*score - self.error[row] - rounding),
                        false => *score = f32::NEG_INFINITY,
                    }
                }
                highest(&mut lower, k);
                lower
            })
            .collect();
        let threshold = threshold(lower, k);
        scores
            .par_chunks(BLOCK)
            .enumerate()
            .flat_map_iter(|(block, scores)| {
                let rows = (block * BLOCK..).zip(scores);
                rows.filter(move |&(row, score)| score + self.error[row] + rounding >= threshold)
                    .map(|(row, _)| row)
            })
            .collect()
    }

    /// Those of some rows that may still be among the `k` nearest, by products in single precision.
    fn refined(&self, unit: &[f32], rows: Vec<usize>, k: usize) -> Vec<usize> {
        if rows.len() <= k || !self.is_ordinary {
            return rows;
        }
        let vectors = self.vectors.as_slice().expect("standard layout");
        let scores: Vec<f32> = rows
            .par_chunks(FEW)
            .flat_map_iter(|rows| {
                let mut scores = vec![0.0; rows.len()];
                by_vectors(unit, vectors, rows, &mut scores);
                let norms = rows.iter().map(|&row| self.norm[row] as f32);
                scores
                    .into_iter()
                    .zip(norms)
                    .map(|(product, norm)| product / norm)
            })
            .collect();
        let rounding = self.rounding();
        let threshold = threshold(scores.iter().map(|score| score - rounding).collect(), k);
        let both = rows.into_iter().zip(scores);
        both.filter(|(_, score)| score + rounding >= threshold)
            .map(|(row, _)| row)
            .collect()
    }

    /// Bound on the error of a product of two unit vectors in single precision: of D products in any order (Higham 2002,
    /// section 3.1), and of the rounding of the vectors, the norm and the sum.
    fn rounding(&self) -> f32 {
        (self.width() + 16) as f32 * f32::EPSILON
    }
}

/// Mean of the unit vectors of the rows that have a direction.
fn mean_direction(vectors: &Array2<f32>, norm: &[f64]) -> Vec<f32> {
    let mut sum = vec![0.0_f64; vectors.ncols()];
    let mut count = 0_usize;
    for (row, &norm) in vectors.rows().into_iter().zip(norm) {
        if norm > 0.0 {
            count += 1;
            for (sum, &value) in sum.iter_mut().zip(row) {
                *sum += f64::from(value) / norm;
            }
        }
    }
    let count = count.max(1) as f64;
    sum.into_iter().map(|sum| (sum / count) as f32).collect()
}

vectorized! {
    /// Products of a unit vector with some rows of vectors.
    fn by_vectors<'a>(unit: &'a [f32], vectors: &'a [f32], rows: &'a [usize], scores: &'a mut [f32]) {
        let width = unit.len();
        for (&row, score) in rows.iter().zip(scores) {
            let vector = &vectors[row * width..(row + 1) * width];
            *score = sum_of(unit, vector, |a, b| a * b);
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Axis;
    use rand::RngExt;

    use super::*;
    use crate::base::random::{Purpose, generator};
    use crate::evaluation::knn::cosine;

    /// Vectors around a common one, as embeddings are, some of them twice.
    fn vectors(rows: usize, width: usize, spread: f32) -> Array2<f32> {
        let mut rng = generator(3, Purpose::Replacement, 0);
        let mut vectors = Array2::from_shape_fn((rows, width), |(_, column)| {
            (column as f32).cos() + spread * (rng.random::<f32>() - 0.5)
        });
        let (mut first, last) = vectors.view_mut().split_at(Axis(0), rows / 2);
        first.row_mut(3).assign(&last.row(5));
        vectors
    }

    #[test]
    fn what_is_found_is_that_of_the_search_in_double_precision_to_the_last_bit() {
        for (rows, width, spread, scale) in [
            (5000, 40, 2.0, 1.0),
            (300, 7, 1e-4, 1.0),
            (40, 3, 0.0, 1.0),
            (300, 7, 1e-4, 1e-41),
        ] {
            let vectors = scale * vectors(rows, width, spread);
            let gallery = Gallery::new(vectors.clone());
            for (query, k) in [(0, 1), (3, 10), (rows - 1, 33), (7, rows)] {
                let query = vectors.row(query);
                let expected = cosine(vectors.view(), query.insert_axis(Axis(0)), k).unwrap();
                let found = gallery.nearest(query, k, |_| true).unwrap();
                let expected = expected.index.iter().zip(&expected.score);
                let expected: Vec<(usize, f64)> = expected.map(|(&a, &b)| (a, b)).collect();
                assert_eq!(found, expected, "{rows} rows, {k} wanted");
            }
        }
    }

    #[test]
    fn rows_without_a_direction_and_those_not_let_in_are_not_found() {
        let mut vectors = vectors(60, 5, 1.0);
        vectors[[2, 3]] = f32::NAN;
        vectors.row_mut(4).fill(0.0);
        let gallery = Gallery::new(vectors);
        let query = gallery.vectors().row(0);
        let found = gallery.nearest(query, 100, |row| row % 2 == 0).unwrap();
        assert_eq!(found.len(), 28);
        assert!(
            found
                .iter()
                .all(|&(row, _)| row % 2 == 0 && row != 2 && row != 4)
        );
        assert!(gallery.direction(2).is_none() && gallery.direction(4).is_none());
        assert!(
            gallery
                .nearest(gallery.vectors().row(2), 1, |_| true)
                .is_err()
        );
        let narrow = gallery.vectors().row(0);
        let message = gallery.nearest(narrow.slice(ndarray::s![..4]), 1, |_| true);
        assert!(message.unwrap_err().to_string().contains("expected 5"));
    }
}
