//! What finds the vectors nearest to a query: all of them in memory, or an index that looks at a part of them.

mod index;
#[cfg(feature = "qdrant")]
mod qdrant;

use ndarray::{Array2, ArrayView1};
use rayon::prelude::*;

use crate::base::error::Result;
use crate::evaluation::knn::{Admits, Gallery, cosine_of, has_direction, length};
use crate::files::embeddings::VectorLookup;
use crate::survey::Modality;

pub use index::{
    BuildOptions, Galleries, GalleryHead, Head, Index, Measured, build, is_index, read_head,
};

/// Embeddings of one kind that can be searched; row i is the galaxy of row i of an embedding file.
pub trait Searchable: Send + Sync {
    /// Number of rows.
    fn len(&self) -> usize;

    /// Numbers per row.
    fn width(&self) -> usize;

    /// Rows that have a direction, so that they can be found.
    fn directed(&self) -> usize;

    /// Whether a row has a direction.
    fn has_direction(&self, row: usize) -> bool;

    /// The embedding of a row, as the embedding file has it.
    ///
    /// # Errors
    /// Where it cannot be read.
    fn vector(&self, row: usize) -> Result<Vec<f32>>;

    /// The `k` rows most similar by cosine to an embedding of the kind `from`, where that is known, among those that
    /// `admits` lets in, and their similarities, best first, ties going to the lower row; fewer where fewer are let in.
    ///
    /// # Errors
    /// Where the query has another width than the rows, or no direction; where vectors cannot be read.
    fn nearest(
        &self,
        query: ArrayView1<'_, f32>,
        from: Option<Modality>,
        k: usize,
        admits: Admits<'_>,
    ) -> Result<Vec<(usize, f64)>>;

    /// Whether some of the nearest may be missing from an answer.
    fn is_approximate(&self) -> bool {
        false
    }

    /// Whether there are no rows.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The unit vector of a row; `None` where it has no direction.
    ///
    /// # Errors
    /// Where it cannot be read.
    fn direction(&self, row: usize) -> Result<Option<Vec<f64>>> {
        let vector = self.vector(row)?;
        let vector = ArrayView1::from(&vector);
        let norm = length(vector);
        let unit = |&value: &f32| f64::from(value) / norm;
        Ok(has_direction(vector).then(|| vector.iter().map(unit).collect()))
    }
}

impl Searchable for Gallery {
    fn len(&self) -> usize {
        self.vectors().nrows()
    }

    fn width(&self) -> usize {
        self.vectors().ncols()
    }

    fn directed(&self) -> usize {
        Self::directed(self)
    }

    fn has_direction(&self, row: usize) -> bool {
        Self::has_direction(self, row)
    }

    fn vector(&self, row: usize) -> Result<Vec<f32>> {
        Ok(self.vectors().row(row).to_vec())
    }

    fn direction(&self, row: usize) -> Result<Option<Vec<f64>>> {
        Ok(Self::direction(self, row))
    }

    fn nearest(
        &self,
        query: ArrayView1<'_, f32>,
        _from: Option<Modality>,
        k: usize,
        admits: Admits<'_>,
    ) -> Result<Vec<(usize, f64)>> {
        match admits {
            None => Self::nearest(self, query, k, |_| true),
            Some(admits) => Self::nearest(self, query, k, admits),
        }
    }
}

/// Some rows by their cosines with a query in double precision, the `k` best first.
fn ranked(
    query: ArrayView1<'_, f32>,
    rows: Vec<usize>,
    k: usize,
    vectors: &VectorLookup,
) -> Result<Vec<(usize, f64)>> {
    let norm = length(query);
    let cosine = |row: usize| {
        let vector = vectors.read(row)?;
        Ok((row, cosine_of(query, norm, ArrayView1::from(&vector))))
    };
    let ranked: Result<Vec<(usize, f64)>> = rows.into_par_iter().map(cosine).collect();
    let mut ranked = ranked?;
    ranked.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    ranked.truncate(k);
    Ok(ranked)
}

/// Unit vectors of some rows (rows, D), zeros where a row has no direction.
///
/// # Errors
/// Where they cannot be read.
pub fn unit_vectors(within: &dyn Searchable, rows: &[usize]) -> Result<Array2<f32>> {
    let mut vectors = Array2::zeros((rows.len(), within.width()));
    for (mut vector, &row) in vectors.outer_iter_mut().zip(rows) {
        for (value, unit) in vector
            .iter_mut()
            .zip(within.direction(row)?.into_iter().flatten())
        {
            *value = unit as f32;
        }
    }
    Ok(vectors)
}
