//! Exact k-nearest-neighbour search and regression.
//!
//! Blocked single-precision matrix products find the candidates: every approximate distance comes
//! with a bound on its rounding error, and a row is passed over only where the bound proves that it
//! cannot be among the k nearest. The candidates are then ranked in double precision, so the result
//! is that of a double-precision brute-force search, ties going to the lower row.

use std::cmp::Ordering;

use ndarray::{Array2, ArrayView1, ArrayView2, Axis, Zip, parallel::prelude::*};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Queries per matrix product, the unit of work of one thread.
const QUERY_BLOCK: usize = 128;
/// Gallery rows per matrix product; the scores of a block (1 MiB) stay in the cache.
const GALLERY_BLOCK: usize = 2048;

/// The k nearest gallery rows of each query, nearest first.
#[derive(Debug, Clone, PartialEq)]
pub struct Neighbours {
    /// Gallery rows (queries, k).
    pub index: Array2<usize>,
    /// What `index` is ordered by (queries, k): Euclidean distance, ascending, or cosine similarity,
    /// descending.
    pub score: Array2<f64>,
}

/// How much each neighbour counts in a regression, as scikit-learn's `weights`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Weights {
    /// All the same.
    Uniform,
    /// The inverse of its distance; neighbours at distance zero outweigh all others.
    #[default]
    Distance,
}

/// The `k` nearest rows of `gallery` (N, D) to each of `queries` (Q, D), by Euclidean distance.
///
/// # Errors
/// [`Error::Input`] where `k` is 0 or above N, the widths differ, or a value is not finite.
pub fn euclidean(
    gallery: ArrayView2<'_, f32>,
    queries: ArrayView2<'_, f32>,
    k: usize,
) -> Result<Neighbours> {
    check(&gallery, &queries, k)?;
    // Distances do not change, and the rounding error of the products shrinks with the norms.
    let centre = gallery
        .map(|&value| f64::from(value))
        .mean_axis(Axis(0))
        .unwrap_or_default();
    let centred = |vectors: &ArrayView2<'_, f32>| {
        let mut centred = vectors.to_owned();
        for mut row in centred.rows_mut() {
            Zip::from(&mut row)
                .and(&centre)
                .for_each(|value, &centre| *value = (f64::from(*value) - centre) as f32);
        }
        Operand::new(centred)
    };
    let mut neighbours = nearest(&centred(&gallery), &centred(&queries), k, |query, row| {
        Zip::from(queries.row(query))
            .and(gallery.row(row))
            .fold(0.0, |sum, &a, &b| {
                sum + (f64::from(a) - f64::from(b)).powi(2)
            })
    });
    neighbours.score.mapv_inplace(f64::sqrt);
    Ok(neighbours)
}

/// The `k` rows of `gallery` (N, D) most similar to each of `queries` (Q, D), by cosine. A vector of
/// zeros has similarity 0 to all.
///
/// # Errors
/// As [`euclidean`].
pub fn cosine(
    gallery: ArrayView2<'_, f32>,
    queries: ArrayView2<'_, f32>,
    k: usize,
) -> Result<Neighbours> {
    check(&gallery, &queries, k)?;
    let (gallery_unit, query_unit) = (UnitVectors::new(gallery), UnitVectors::new(queries));
    let mut neighbours = nearest(
        &gallery_unit.operand,
        &query_unit.operand,
        k,
        |query, row| -query_unit.cosine(query, &gallery_unit, row),
    );
    neighbours.score.mapv_inplace(|score| -score);
    Ok(neighbours)
}

/// For each row of `queries` (N, D): the rank, from 1, of the same row of `gallery` (N, D) by cosine
/// similarity. Rows of exactly equal similarity share the mean of their ranks, so that a model that
/// maps all galaxies to one vector ranks by chance.
///
/// # Errors
/// [`Error::Input`] where the shapes differ or a value is not finite.
pub fn counterpart_ranks(
    gallery: ArrayView2<'_, f32>,
    queries: ArrayView2<'_, f32>,
) -> Result<Vec<f64>> {
    check(&gallery, &queries, 1)?;
    if gallery.nrows() != queries.nrows() {
        return Err(Error::Input(format!(
            "retrieval needs pairs, but there are {} queries and {} counterparts",
            queries.nrows(),
            gallery.nrows()
        )));
    }
    let (gallery, queries) = (UnitVectors::new(gallery), UnitVectors::new(queries));
    let slack = f64::from(queries.operand.relative_error());
    let ranks = query_blocks(&gallery.operand, &queries.operand, |start, block| {
        let own: Vec<f64> = (start..start + block.len())
            .map(|row| queries.cosine(row, &gallery, row))
            .collect();
        let mut above = vec![0_usize; block.len()];
        let mut equal = vec![0_usize; block.len()];
        block.for_each_product(|query, first_row, products| {
            let (low, high) = ((own[query] - slack) as f32, (own[query] + slack) as f32);
            for (offset, &product) in products.iter().enumerate() {
                if product > high {
                    above[query] += 1;
                } else if product >= low {
                    let exact = queries.cosine(start + query, &gallery, first_row + offset);
                    match exact.total_cmp(&own[query]) {
                        Ordering::Greater => above[query] += 1,
                        Ordering::Equal => equal[query] += 1,
                        Ordering::Less => {}
                    }
                }
            }
        });
        // The counterpart is among the equal ones itself.
        Iterator::zip(above.into_iter(), equal)
            .map(|(above, equal)| above as f64 + (equal as f64 + 1.0) / 2.0)
            .collect()
    });
    Ok(ranks)
}

/// Predicts `targets` (N, T) of the gallery for each query (Q, T): the weighted mean over its
/// neighbours by Euclidean distance, as scikit-learn's `KNeighborsRegressor`.
pub fn regress(
    neighbours: &Neighbours,
    targets: ArrayView2<'_, f64>,
    weights: Weights,
) -> Array2<f64> {
    let mut predictions = Array2::zeros((neighbours.index.nrows(), targets.ncols()));
    Zip::from(predictions.rows_mut())
        .and(neighbours.index.rows())
        .and(neighbours.score.rows())
        .for_each(|mut prediction, index, distance| {
            let coincident = distance.iter().any(|&distance| distance == 0.0);
            let weight = |distance: f64| match weights {
                Weights::Uniform => 1.0,
                Weights::Distance if coincident => f64::from(u8::from(distance == 0.0)),
                Weights::Distance => distance.recip(),
            };
            let mut total = 0.0;
            for (&row, &distance) in index.iter().zip(distance) {
                let weight = weight(distance);
                prediction.scaled_add(weight, &targets.row(row));
                total += weight;
            }
            prediction /= total;
        });
    predictions
}

fn check(gallery: &ArrayView2<'_, f32>, queries: &ArrayView2<'_, f32>, k: usize) -> Result<()> {
    let ((rows, width), (_, query_width)) = (gallery.dim(), queries.dim());
    if width != query_width {
        return Err(Error::Input(format!(
            "neighbours of vectors of width {query_width} among vectors of width {width}; expected \
             the same width: do they come from one model?"
        )));
    }
    if k == 0 || k > rows {
        return Err(Error::Input(format!(
            "k = {k} nearest neighbours among {rows} galaxies; expected 1 to {rows}"
        )));
    }
    for (name, vectors) in [("gallery", gallery), ("queries", queries)] {
        // Overflows where a product could; NaN and infinity stay what they are.
        let bad = vectors.rows().into_iter().position(|row| {
            !row.fold(0.0_f32, |sum, &value| sum + 4.0 * value * value)
                .is_finite()
        });
        if let Some(row) = bad {
            return Err(Error::Input(format!(
                "nearest neighbours: row {row} of the {name} has a value that is not finite or is \
                 too large; drop or rescale it"
            )));
        }
    }
    Ok(())
}

/// Vectors ready for the blocked products.
struct Operand {
    values: Array2<f32>,
    square_norm: Vec<f32>,
}

impl Operand {
    fn new(values: Array2<f32>) -> Self {
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
    fn relative_error(&self) -> f32 {
        (self.values.ncols() + 16) as f32 * f32::EPSILON
    }
}

/// Vectors of norm 1 beside the originals, for cosines.
struct UnitVectors<'a> {
    original: ArrayView2<'a, f32>,
    norm: Vec<f64>,
    operand: Operand,
}

impl<'a> UnitVectors<'a> {
    fn new(original: ArrayView2<'a, f32>) -> Self {
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

    fn cosine(&self, row: usize, other: &UnitVectors<'_>, other_row: usize) -> f64 {
        let norms = self.norm[row] * other.norm[other_row];
        if norms == 0.0 {
            return 0.0;
        }
        dot(self.original.row(row), other.original.row(other_row)) / norms
    }
}

fn dot(a: ArrayView1<'_, f32>, b: ArrayView1<'_, f32>) -> f64 {
    Zip::from(a)
        .and(b)
        .fold(0.0, |sum, &a, &b| sum + f64::from(a) * f64::from(b))
}

/// The `k` gallery rows with the smallest `exact(query, row)`, which must order rows as the squared
/// distance of the operands does but for rounding.
fn nearest(
    gallery: &Operand,
    queries: &Operand,
    k: usize,
    exact: impl Fn(usize, usize) -> f64 + Sync,
) -> Neighbours {
    let error = gallery.relative_error();
    let found: Vec<Vec<(f64, usize)>> = query_blocks(gallery, queries, |start, block| {
        let mut candidates: Vec<Candidates> =
            (0..block.len()).map(|_| Candidates::new(k)).collect();
        block.for_each_product(|query, first_row, products| {
            let candidates = &mut candidates[query];
            let own = queries.square_norm[start + query];
            for (offset, &product) in products.iter().enumerate() {
                let row = first_row + offset;
                let norms = own + gallery.square_norm[row];
                let lower = norms * (1.0 - error) - 2.0 * product;
                if lower <= candidates.threshold {
                    candidates.push(lower, norms * (1.0 + error) - 2.0 * product, row);
                }
            }
        });
        Iterator::zip(start.., candidates)
            .map(|(query, mut candidates)| {
                candidates.prune();
                let mut ranked: Vec<(f64, usize)> = candidates
                    .list
                    .iter()
                    .map(|candidate| (exact(query, candidate.row), candidate.row))
                    .collect();
                ranked.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
                ranked.truncate(k);
                ranked
            })
            .collect()
    });
    let shape = (found.len(), k);
    Neighbours {
        index: Array2::from_shape_fn(shape, |(query, nth)| found[query][nth].1),
        score: Array2::from_shape_fn(shape, |(query, nth)| found[query][nth].0),
    }
}

/// Calls `work(first query, block)` for every block of queries, in parallel, and joins the results in
/// order.
fn query_blocks<T: Send>(
    gallery: &Operand,
    queries: &Operand,
    work: impl Fn(usize, &QueryBlock<'_>) -> Vec<T> + Sync,
) -> Vec<T> {
    let blocks: Vec<_> = queries
        .values
        .axis_chunks_iter(Axis(0), QUERY_BLOCK)
        .collect();
    blocks
        .into_par_iter()
        .enumerate()
        .flat_map_iter(|(block, queries)| {
            let gallery = &gallery.values;
            work(block * QUERY_BLOCK, &QueryBlock { queries, gallery })
        })
        .collect()
}

struct QueryBlock<'a> {
    queries: ArrayView2<'a, f32>,
    gallery: &'a Array2<f32>,
}

impl QueryBlock<'_> {
    fn len(&self) -> usize {
        self.queries.nrows()
    }

    /// Calls `visit(query, first gallery row, products with that row and the following)`.
    fn for_each_product(&self, mut visit: impl FnMut(usize, usize, &[f32])) {
        for (block, rows) in self
            .gallery
            .axis_chunks_iter(Axis(0), GALLERY_BLOCK)
            .enumerate()
        {
            let products = self.queries.dot(&rows.t());
            let products = products.as_standard_layout();
            for (query, products) in products.rows().into_iter().enumerate() {
                let products = products.to_slice().expect("rows in standard layout");
                visit(query, block * GALLERY_BLOCK, products);
            }
        }
    }
}

/// The rows that may be among a query's k nearest, given what has been seen.
struct Candidates {
    k: usize,
    /// The k-th smallest upper bound seen at the last pruning: no row with a larger lower bound can be
    /// among the k nearest.
    threshold: f32,
    list: Vec<Candidate>,
    prune_at: usize,
}

struct Candidate {
    lower: f32,
    upper: f32,
    row: usize,
}

impl Candidates {
    fn new(k: usize) -> Self {
        Self {
            k,
            threshold: f32::INFINITY,
            list: Vec::new(),
            prune_at: 4 * k + 64,
        }
    }

    fn push(&mut self, lower: f32, upper: f32, row: usize) {
        self.list.push(Candidate { lower, upper, row });
        if self.list.len() >= self.prune_at {
            self.prune();
        }
    }

    fn prune(&mut self) {
        let (_, kth, _) = self
            .list
            .select_nth_unstable_by(self.k - 1, |a, b| a.upper.total_cmp(&b.upper));
        self.threshold = kth.upper;
        let threshold = self.threshold;
        self.list.retain(|candidate| candidate.lower <= threshold);
        self.prune_at = self.prune_at.max(2 * self.list.len());
    }
}
