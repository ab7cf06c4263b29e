//! The rows that may be among a query's nearest, given what has been seen.

/// Products looked at together: where none of them can matter, which is nearly always, that takes a few vector
/// operations.
const LANES: usize = 16;

/// The rows that may be among a query's k nearest, given what has been seen.
pub(super) struct Candidates {
    k: usize,
    /// The k-th smallest upper bound seen at the last pruning: no row with a larger lower bound can be
    /// among the k nearest.
    threshold: f32,
    list: Vec<Candidate>,
    prune_at: usize,
}

/// A row and what its squared distance lies between.
struct Candidate {
    lower: f32,
    upper: f32,
    row: usize,
}

/// Squared norms |x|² of the query and |y|² of gallery rows, and the bound on the error of
/// |x|² + |y|² − 2x·y relative to |x|² + |y|².
#[derive(Clone, Copy)]
pub(super) struct Norms<'a> {
    pub(super) own: f32,
    pub(super) gallery: &'a [f32],
    pub(super) error: f32,
}

impl Candidates {
    pub(super) fn new(k: usize) -> Self {
        Self {
            k,
            threshold: f32::INFINITY,
            list: Vec::new(),
            prune_at: 4 * k + 64,
        }
    }

    /// Looks at the rows from `first_row` on, whose products with the query are `products`; the norms of the
    /// gallery are those of the same rows.
    pub(super) fn look_at(&mut self, first_row: usize, products: &[f32], norms: Norms<'_>) {
        let (lower_factor, upper_factor) = (1.0 - norms.error, 1.0 + norms.error);
        let mut start = 0;
        let chunks = products.chunks(LANES).zip(norms.gallery.chunks(LANES));
        for (products, squares) in chunks {
            let mut near = false;
            for (&product, &square) in products.iter().zip(squares) {
                near |= (norms.own + square) * lower_factor - 2.0 * product <= self.threshold;
            }
            if near {
                for (offset, (&product, &square)) in products.iter().zip(squares).enumerate() {
                    let sum = norms.own + square;
                    let lower = sum * lower_factor - 2.0 * product;
                    if lower <= self.threshold {
                        self.push(Candidate {
                            lower,
                            upper: sum * upper_factor - 2.0 * product,
                            row: first_row + start + offset,
                        });
                    }
                }
            }
            start += LANES;
        }
    }

    /// The rows that are left, in no order.
    pub(super) fn rows(mut self) -> impl Iterator<Item = usize> {
        self.prune();
        self.list.into_iter().map(|candidate| candidate.row)
    }

    fn push(&mut self, candidate: Candidate) {
        self.list.push(candidate);
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
