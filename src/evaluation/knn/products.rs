//! Products of blocks of queries with blocks of the gallery: nearly all the work of a search.

use ndarray::{Array2, ArrayView2, Axis, parallel::prelude::*};

use super::operand::Operand;
use crate::base::numeric::{Product, matrix_mut};

/// Queries per matrix product, the unit of work of one thread: the more, the rarer a block of the gallery is
/// packed for the matrix kernel.
const QUERY_BLOCK: usize = 768;
/// Gallery rows per matrix product; the scores of a block (3 MiB) stay in the cache.
const GALLERY_BLOCK: usize = 1024;

/// Calls `work(first query, block)` for every block of queries, in parallel, and joins the results in
/// order.
pub(super) fn query_blocks<T: Send>(
    gallery: &Operand,
    queries: &Operand,
    work: impl Fn(usize, &QueryBlock<'_>) -> Vec<T> + Sync,
) -> Vec<T> {
    // Few queries are shared out evenly.
    let threads = rayon::current_num_threads();
    let rows = queries
        .values
        .nrows()
        .div_ceil(threads)
        .clamp(1, QUERY_BLOCK);
    let blocks: Vec<_> = queries.values.axis_chunks_iter(Axis(0), rows).collect();
    blocks
        .into_par_iter()
        .enumerate()
        .flat_map_iter(|(block, queries)| {
            let gallery = &gallery.values;
            work(block * rows, &QueryBlock { queries, gallery })
        })
        .collect()
}

/// Some queries and the whole gallery.
pub(super) struct QueryBlock<'a> {
    queries: ArrayView2<'a, f32>,
    gallery: &'a Array2<f32>,
}

impl QueryBlock<'_> {
    /// Number of queries.
    pub(super) fn len(&self) -> usize {
        self.queries.nrows()
    }

    /// Calls `visit(query, first gallery row, products with that row and the following)`.
    pub(super) fn for_each_product(&self, mut visit: impl FnMut(usize, usize, &[f32])) {
        let mut products = vec![0.0; self.len() * GALLERY_BLOCK];
        for (block, rows) in self
            .gallery
            .axis_chunks_iter(Axis(0), GALLERY_BLOCK)
            .enumerate()
        {
            let columns = rows.nrows();
            let products = &mut products[..self.len() * columns];
            Product::of(self.queries, rows.t())
                .write_to(matrix_mut(products, (self.len(), columns)));
            for (query, products) in products.chunks_exact(columns).enumerate() {
                visit(query, block * GALLERY_BLOCK, products);
            }
        }
    }
}
