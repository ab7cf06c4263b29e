//! How far searches must go, measured: by galaxies of the files and their nearest among all others, which are found on the
//! way while the index is built.

use ndarray::{Array2, ArrayView2, Axis};
use rand::seq::index::sample;
use rayon::prelude::*;

use super::format::Measured;
use crate::base::error::Result;
use crate::base::numeric::Product;
use crate::base::random::{Purpose, generator};
use crate::evaluation::knn::{InvertedFile, has_direction};
use crate::files::embeddings::VectorLookup;
use crate::survey::Modality;

/// Galaxies of each kind that are searched by.
const QUERIES: usize = 200;
/// Nearest galaxies that ought to be found.
const NEAREST: usize = 10;

/// Galaxies that are searched by: embeddings of one kind.
pub(super) struct Queries {
    from: Modality,
    rows: Vec<usize>,
    /// Their unit vectors (rows, D).
    unit: Array2<f32>,
}

impl Queries {
    /// Some galaxies that have an embedding of a kind.
    pub fn of(from: Modality, vectors: &VectorLookup) -> Result<Self> {
        let mut rng = generator(0, Purpose::Clusters, 1 + from as u64);
        let count = vectors.rows().min(QUERIES);
        let mut rows = Vec::with_capacity(count);
        let mut unit = Array2::zeros((0, vectors.width()));
        for row in sample(&mut rng, vectors.rows(), count) {
            let vector = ndarray::Array1::from(vectors.read(row)?);
            if has_direction(vector.view()) {
                let norm = vector
                    .fold(0.0, |sum, &value| sum + f64::from(value).powi(2))
                    .sqrt();
                let vector = vector.mapv(|value| (f64::from(value) / norm) as f32);
                unit.push(Axis(0), vector.view()).expect("one width");
                rows.push(row);
            }
        }
        Ok(Self { from, rows, unit })
    }
}

/// The nearest of each query, as far as rows were looked at.
pub(super) struct Nearest<'a> {
    queries: &'a Queries,
    /// Whether they are among embeddings of their own kind: a galaxy does not count as its own neighbour.
    is_within: bool,
    /// Similarities and rows, the highest first.
    found: Vec<Vec<(f32, usize)>>,
}

impl<'a> Nearest<'a> {
    pub fn new(queries: &'a Queries, among: Modality) -> Self {
        Self {
            queries,
            is_within: queries.from == among,
            found: vec![Vec::new(); queries.rows.len()],
        }
    }

    /// Looks at the unit vectors (rows, D) from row `first` on; those without a direction have norm 0.
    pub fn look_at(&mut self, first: usize, unit: ArrayView2<'_, f32>, norms: &[f64]) {
        let mut products = Array2::zeros((self.queries.unit.nrows(), unit.nrows()));
        Product::of(self.queries.unit.view(), unit.t())
            .on_all_threads()
            .write_to(products.view_mut());
        let products: Vec<_> = products.outer_iter().collect();
        let own = self.queries.rows.par_iter();
        (self.found.par_iter_mut())
            .zip(own)
            .zip(products)
            .for_each(|((found, &own), products)| {
                let mut lowest = lowest_of(found);
                for (row, &product) in (first..).zip(products) {
                    let is_other = !self.is_within || row != own;
                    if product > lowest && is_other && norms[row - first] > 0.0 {
                        let place = found.partition_point(|&(other, _)| other >= product);
                        found.insert(place, (product, row));
                        found.truncate(NEAREST);
                        lowest = lowest_of(found);
                    }
                }
            });
    }

    /// How many vectors searches must look at so that they find a share `recall` of these, and what they find then.
    /// `list_of` says in which list a row lies.
    pub fn measured(&self, lists: &InvertedFile<'_>, list_of: &[u32], recall: f64) -> Measured {
        let before: Vec<Vec<usize>> = (self.queries.unit.outer_iter().into_par_iter())
            .zip(&self.found)
            .map(|(unit, found)| {
                let unit: Vec<f64> = unit.iter().map(|&value| f64::from(value)).collect();
                let order = lists.order(&unit);
                let mut before = vec![0; order.len()];
                let mut sum = 0;
                for list in order {
                    before[list] = sum;
                    sum += lists.list_len(list);
                }
                let rows = found.iter().map(|&(_, row)| before[list_of[row] as usize]);
                rows.collect()
            })
            .collect();
        let mut before: Vec<usize> = before.into_iter().flatten().collect();
        before.sort_unstable();
        let last = (recall * before.len() as f64).ceil() as usize;
        // One that has only zeros to be compared with must look somewhere.
        let vectors = before
            .get(last.saturating_sub(1))
            .map_or(1, |before| before + 1);
        let found = before.partition_point(|&before| before < vectors);
        Measured {
            from: self.queries.from,
            vectors,
            recall: found as f64 / before.len().max(1) as f64,
        }
    }
}

/// What a row must be more similar than to be among the nearest.
fn lowest_of(found: &[(f32, usize)]) -> f32 {
    match found.len() == NEAREST {
        true => found[NEAREST - 1].0,
        false => f32::NEG_INFINITY,
    }
}
