//! Where the training galaxies lie among embeddings, and how far from them another lies.

use ndarray::{Array2, ArrayView2, Axis};

use crate::base::error::Result;
use crate::evaluation::eval::Source;
use crate::evaluation::knn;

/// The training galaxies' vectors from one source.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Space {
    pub source: Source,
    /// (N, D)
    pub vectors: Array2<f32>,
    /// Which neighbour's distance counts.
    pub k: usize,
    /// The distance to the k-th neighbour that [`USUAL`](Self::USUAL) of the training galaxies stay below.
    pub limit: f64,
}

impl Space {
    /// Share of the training galaxies that are not called unlike the others.
    pub const USUAL: f64 = 0.99;

    /// Of vectors (N, D), N > k.
    pub fn fit(source: Source, vectors: Array2<f32>, k: usize) -> Result<Self> {
        /// Galaxies whose distances the limit is taken of.
        const MOST: usize = 20_000;
        let step = vectors.nrows().div_ceil(MOST);
        let rows: Vec<usize> = (0..vectors.nrows()).step_by(step).collect();
        let queries = vectors.select(Axis(0), &rows);
        let neighbours = knn::others(vectors.view(), queries.view(), &rows, k)?;
        let mut distances = neighbours.score.column(k - 1).to_vec();
        distances.sort_unstable_by(f64::total_cmp);
        let place = (Self::USUAL * (distances.len() - 1) as f64).round() as usize;
        Ok(Self {
            source,
            limit: distances[place],
            vectors,
            k,
        })
    }

    /// The nearest training galaxies of vectors (Q, D).
    pub fn nearest(&self, vectors: ArrayView2<'_, f32>) -> Result<Nearby<'_>> {
        Ok(Nearby {
            space: self,
            found: knn::euclidean(self.vectors.view(), vectors, self.k)?,
        })
    }
}

/// The training galaxies that are nearest to others.
#[derive(Debug)]
pub(super) struct Nearby<'a> {
    pub space: &'a Space,
    pub found: knn::Neighbours,
}

impl Nearby<'_> {
    /// Those of some of the galaxies.
    pub fn select(&self, rows: &[usize]) -> Self {
        Self {
            space: self.space,
            found: knn::Neighbours {
                index: self.found.index.select(Axis(0), rows),
                score: self.found.score.select(Axis(0), rows),
            },
        }
    }

    /// Distance to the k-th of them over the limit: above 1 a galaxy is unlike the training galaxies.
    pub fn novelty(&self) -> Vec<f32> {
        let Space { k, limit, .. } = *self.space;
        let distances = self.found.score.column(k - 1);
        distances
            .iter()
            .map(|distance| match limit > 0.0 {
                true => (distance / limit) as f32,
                // All training galaxies are at one place.
                false if *distance == 0.0 => 0.0,
                false => f32::MAX,
            })
            .collect()
    }
}
