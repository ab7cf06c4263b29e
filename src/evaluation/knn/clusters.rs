//! Vectors by the nearest of many centres, which k-means finds.

use ndarray::{Array2, ArrayView2, Axis, parallel::prelude::*, s};

use crate::base::numeric::{Product, largest, matrix_mut, vectorized};

/// Vectors that a thread compares at once.
const ROWS: usize = 512;
/// Centres that they are compared with at once; the products (2 MiB) stay in the cache.
const CENTRES: usize = 1024;
/// Rounds of k-means; later ones move little.
const ROUNDS: usize = 10;

/// Centres of clusters.
pub struct Clusters {
    /// Means of the vectors around them (C, D).
    centres: Array2<f32>,
    /// −|c|²/2 of each: a vector is nearest to the centre of the largest product with this added.
    bias: Vec<f32>,
}

impl Clusters {
    /// `count` clusters of some vectors (N, D), which are in random order; `after(rounds)` is told how many of
    /// [`rounds`](Self::rounds) are behind us. The result does not depend on the number of threads.
    ///
    /// # Panics
    /// Where there are fewer vectors than clusters.
    pub fn of(vectors: ArrayView2<'_, f32>, count: usize, mut after: impl FnMut(usize)) -> Self {
        let mut clusters = Self::new(vectors.slice(s![..count, ..]).to_owned());
        for round in 0..ROUNDS {
            let nearest = clusters.nearest(vectors);
            clusters = Self::new(means(vectors, &nearest, count));
            after(round + 1);
        }
        clusters
    }

    /// Rounds that k-means takes.
    pub fn rounds() -> usize {
        ROUNDS
    }

    fn new(centres: Array2<f32>) -> Self {
        let square = |centre: ndarray::ArrayView1<'_, f32>| {
            centre.fold(0.0, |sum, &value| sum + f64::from(value).powi(2))
        };
        Self {
            bias: (centres.rows().into_iter())
                .map(|centre| (-0.5 * square(centre)) as f32)
                .collect(),
            centres,
        }
    }

    /// The centres (C, D).
    pub fn centres(&self) -> &Array2<f32> {
        &self.centres
    }

    /// −|c|²/2 of each centre.
    pub fn bias(&self) -> &[f32] {
        &self.bias
    }

    /// The nearest cluster of each of some vectors (N, D), as far as single precision tells.
    pub fn nearest(&self, vectors: ArrayView2<'_, f32>) -> Vec<u32> {
        let blocks: Vec<_> = vectors.axis_chunks_iter(Axis(0), ROWS).collect();
        blocks
            .into_par_iter()
            .flat_map_iter(|vectors| self.nearest_of_block(vectors))
            .collect()
    }

    fn nearest_of_block(&self, vectors: ArrayView2<'_, f32>) -> Vec<u32> {
        let mut best = vec![(f32::NEG_INFINITY, 0); vectors.nrows()];
        let mut products = vec![0.0; vectors.nrows() * CENTRES];
        let tiles = self.centres.axis_chunks_iter(Axis(0), CENTRES);
        for (tile, (centres, bias)) in tiles.zip(self.bias.chunks(CENTRES)).enumerate() {
            let columns = bias.len();
            let products = &mut products[..vectors.nrows() * columns];
            Product::of(vectors, centres.t())
                .write_plus(bias, matrix_mut(products, (vectors.nrows(), columns)));
            for (best, scores) in best.iter_mut().zip(products.chunks_exact(columns)) {
                let highest = highest_of(scores);
                if highest > best.0 {
                    let at = scores.iter().position(|&score| score == highest);
                    *best = (highest, (tile * CENTRES + at.unwrap_or(0)) as u32);
                }
            }
        }
        best.into_iter().map(|(_, cluster)| cluster).collect()
    }
}

vectorized! {
    /// The largest of some numbers.
    fn highest_of<'a>(scores: &'a [f32]) -> f32 {
        largest(scores)
    }
}

/// The mean of each cluster's vectors. A cluster without any becomes a part of a large one.
fn means(vectors: ArrayView2<'_, f32>, nearest: &[u32], count: usize) -> Array2<f32> {
    let mut members: Vec<Vec<usize>> = vec![Vec::new(); count];
    for (row, &cluster) in nearest.iter().enumerate() {
        members[cluster as usize].push(row);
    }
    let mut by_size: Vec<usize> = (0..count).collect();
    by_size.sort_by_key(|&cluster| (std::cmp::Reverse(members[cluster].len()), cluster));
    let empty = (by_size.iter().rev()).take_while(|&&cluster| members[cluster].is_empty());
    let split: Vec<(usize, usize)> = empty.copied().zip(by_size.iter().copied()).collect();
    for (empty, large) in split {
        if members[large].len() > 1 {
            let half = members[large].len() / 2;
            members[empty] = members[large].split_off(half);
        }
    }
    let mut centres = Array2::zeros((count, vectors.ncols()));
    let mut rows: Vec<_> = centres.rows_mut().into_iter().collect();
    rows.par_iter_mut()
        .zip(&members)
        .for_each(|(centre, members)| {
            let mut sum = vec![0.0_f64; vectors.ncols()];
            for &row in members {
                for (sum, &value) in sum.iter_mut().zip(vectors.row(row)) {
                    *sum += f64::from(value);
                }
            }
            let number = members.len().max(1) as f64;
            for (centre, sum) in centre.iter_mut().zip(sum) {
                *centre = (sum / number) as f32;
            }
        });
    centres
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;
    use crate::base::random::{Purpose, generator};

    #[test]
    fn clusters_are_found_again_and_hardly_any_is_empty() {
        let mut rng = generator(1, Purpose::Clusters, 0);
        // Eight corners of a cube, and noise around them.
        let vectors = Array2::from_shape_fn((400, 3), |(row, axis)| {
            let corner = if ((row % 8) >> axis) & 1 == 1 {
                1.0
            } else {
                -1.0
            };
            corner + 0.1 * (rng.random::<f32>() - 0.5)
        });
        let mut rounds = 0;
        let clusters = Clusters::of(vectors.view(), 16, |behind| rounds = behind);
        assert_eq!(rounds, Clusters::rounds());
        let nearest = clusters.nearest(vectors.view());
        let mut seen = [false; 16];
        for (row, &cluster) in nearest.iter().enumerate() {
            seen[cluster as usize] = true;
            let difference = &vectors.row(row) - &clusters.centres().row(cluster as usize);
            assert!(difference.dot(&difference) < 0.02, "row {row}");
        }
        assert!(seen.iter().filter(|seen| **seen).count() > 12, "{seen:?}");
        let same = vec![[0.5_f32, 0.5]; 20];
        let same = Array2::from(same);
        assert_eq!(
            Clusters::of(same.view(), 4, |_| {}).nearest(same.view()),
            [0; 20]
        );
    }
}
