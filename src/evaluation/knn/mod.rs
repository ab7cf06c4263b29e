//! Exact k-nearest-neighbour search and regression.
//!
//! Blocked single-precision matrix products find the candidates: every approximate distance comes
//! with a bound on its rounding error, and a row is passed over only where the bound proves that it
//! cannot be among the k nearest. The candidates are then ranked in double precision, so the result
//! is that of a double-precision brute-force search, ties going to the lower row.

mod candidates;
mod clusters;
mod codes;
mod gallery;
mod inverted;
mod operand;
mod products;

use std::cmp::Ordering;

use ndarray::{Array2, ArrayView1, ArrayView2, Axis, Zip};
use serde::{Deserialize, Serialize};

pub use clusters::Clusters;
pub use gallery::Gallery;
pub use inverted::{Admits, InvertedFile, Reach, coded};

use crate::base::error::{Error, Result};
use candidates::{Candidates, Norms};
use operand::{Operand, UnitVectors, dot};
use products::query_blocks;

/// Whether a vector points anywhere: it is finite, and not zero throughout.
pub(crate) fn has_direction(vector: ArrayView1<'_, f32>) -> bool {
    vector.iter().all(|value| value.is_finite()) && vector.iter().any(|&value| value != 0.0)
}

/// The Euclidean norm of a vector, in double precision.
pub(crate) fn length(vector: ArrayView1<'_, f32>) -> f64 {
    dot(vector, vector).sqrt()
}

/// The cosine of a query of a norm and a vector, in double precision.
pub(crate) fn cosine_of(
    query: ArrayView1<'_, f32>,
    query_norm: f64,
    vector: ArrayView1<'_, f32>,
) -> f64 {
    dot(query, vector) / (query_norm * length(vector))
}

/// The unit vector of a query.
///
/// # Errors
/// [`Error::input`] where the query has another width, or no direction.
pub(crate) fn unit_query(query: ArrayView1<'_, f32>, width: usize) -> Result<Vec<f64>> {
    if query.len() != width {
        return Err(Error::input(format!(
            "the query has {} numbers; expected {width}, as the embeddings have",
            query.len()
        )));
    }
    if !has_direction(query) {
        return Err(Error::input(
            "the query is zero throughout or not finite; it cannot be searched for",
        ));
    }
    let norm = length(query);
    Ok(query.iter().map(|&value| f64::from(value) / norm).collect())
}

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
/// [`Error::input`] where `k` is 0 or above N, the widths differ, or a value is not finite.
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

/// The `k` nearest rows of `gallery` to queries that are its `rows`, without these.
///
/// # Errors
/// As [`euclidean`], for one neighbour more.
pub fn others(
    gallery: ArrayView2<'_, f32>,
    queries: ArrayView2<'_, f32>,
    rows: &[usize],
    k: usize,
) -> Result<Neighbours> {
    let with_own = euclidean(gallery, queries, k + 1)?;
    let shape = (rows.len(), k);
    let mut without = Neighbours {
        index: Array2::zeros(shape),
        score: Array2::zeros(shape),
    };
    for (query, row) in rows.iter().enumerate() {
        let found = with_own.index.row(query);
        // Where more galaxies than fit are at one place, its own may be none of them: then the last goes.
        let own = found.iter().position(|found| found == row).unwrap_or(k);
        for nth in 0..k {
            let place = [query, nth + usize::from(nth >= own)];
            without.index[[query, nth]] = with_own.index[place];
            without.score[[query, nth]] = with_own.score[place];
        }
    }
    Ok(without)
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
/// [`Error::input`] where the shapes differ or a value is not finite.
pub fn counterpart_ranks(
    gallery: ArrayView2<'_, f32>,
    queries: ArrayView2<'_, f32>,
) -> Result<Vec<f64>> {
    check(&gallery, &queries, 1)?;
    if gallery.nrows() != queries.nrows() {
        return Err(Error::input(format!(
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
        return Err(Error::input(format!(
            "neighbours of vectors of width {query_width} among vectors of width {width}; expected \
             the same width: do they come from one model?"
        )));
    }
    if k == 0 || k > rows {
        return Err(Error::input(format!(
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
            return Err(Error::input(format!(
                "nearest neighbours: row {row} of the {name} has a value that is not finite or is \
                 too large; drop or rescale it"
            )));
        }
    }
    Ok(())
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
            let norms = Norms {
                own: queries.square_norm[start + query],
                gallery: &gallery.square_norm[first_row..first_row + products.len()],
                error,
            };
            candidates[query].look_at(first_row, products, norms);
        });
        Iterator::zip(start.., candidates)
            .map(|(query, candidates)| {
                let mut ranked: Vec<(f64, usize)> = candidates
                    .rows()
                    .map(|row| (exact(query, row), row))
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
