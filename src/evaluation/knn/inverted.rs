//! An inverted file: vectors in lists, each around a centre, of which a search looks into those that are likely to hold the
//! nearest (Jégou, Douze & Schmid 2011), as eight bits per number of the difference from the centre.

use ndarray::{ArrayView1, ArrayView2};
use rayon::prelude::*;

use super::codes::{CodedQuery, by_codes, encode, threshold};
use crate::base::numeric::{sum_of, vectorized};

/// Centres that a thread compares with a query at once.
const FEW: usize = 512;
/// Rows that are handed on at most, for each that is wanted and besides, where not all that might be nearest are.
const MOST_PER_WANTED: usize = 4;
const MOST_BESIDES: usize = 64;

/// Lists of coded vectors.
#[derive(Clone, Copy)]
pub struct InvertedFile<'a> {
    /// Centres of the lists (L, D).
    pub centres: ArrayView2<'a, f32>,
    /// −|c|²/2 of each centre.
    pub bias: &'a [f32],
    /// Where the lists begin, and where the last ends.
    pub starts: &'a [u64],
    /// The row of each vector, in the order of the lists, as all that follows.
    pub rows: &'a [u32],
    /// Unit of each vector's codes.
    pub step: &'a [f32],
    /// Norm of what each vector's codes leave out.
    pub error: &'a [f32],
    /// Codes of each unit vector's difference from its list's centre (N, D).
    pub codes: &'a [i8],
}

/// How far a search goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Lists are looked into until this many vectors were looked at, of those that are let in.
    Vectors(usize),
    /// All lists, and all vectors that the codes do not prove to be too far.
    All,
}

/// Which rows may be found; all where there is none.
pub type Admits<'a> = Option<&'a (dyn Fn(usize) -> bool + Sync)>;

/// A row, and what its similarity lies between.
#[derive(Clone, Copy)]
struct Seen {
    lower: f32,
    upper: f32,
    row: usize,
}

/// What a list told of a query.
struct Scanned {
    looked_at: usize,
    seen: Vec<Seen>,
}

impl InvertedFile<'_> {
    /// The lists in the order in which a search for a unit vector looks into them: the nearest centre first.
    pub fn order(&self, unit: &[f64]) -> Vec<usize> {
        let unit: Vec<f32> = unit.iter().map(|&value| value as f32).collect();
        let centres = self.centres.to_slice().expect("standard layout");
        let mut scores = vec![0.0; self.bias.len()];
        (scores.par_chunks_mut(FEW))
            .zip(centres.par_chunks(FEW * unit.len()))
            .for_each(|(scores, centres)| by_centres(&unit, centres, scores));
        let mut order: Vec<usize> = (0..scores.len()).collect();
        for (score, bias) in scores.iter_mut().zip(self.bias) {
            *score += bias;
        }
        order.sort_unstable_by(|&a, &b| scores[b].total_cmp(&scores[a]).then(a.cmp(&b)));
        order
    }

    /// Vectors in a list.
    pub fn list_len(&self, list: usize) -> usize {
        (self.starts[list + 1] - self.starts[list]) as usize
    }

    /// Rows that may be among the `k` most similar to a unit vector, as far as the search goes. Of the lists that it looks
    /// into no row is missing that is among the `k` most similar there, but for those far down where there are very many
    /// that the codes do not tell apart.
    pub fn candidates(
        &self,
        unit: &[f64],
        k: usize,
        reach: Reach,
        admits: Admits<'_>,
    ) -> Vec<usize> {
        let query = CodedQuery::new(unit);
        let wanted = match reach {
            Reach::Vectors(vectors) => vectors.max(1),
            Reach::All => usize::MAX,
        };
        let order = self.order(unit);
        let (mut at, mut looked_at) = (0, 0);
        let mut seen = Vec::new();
        while at < order.len() && looked_at < wanted {
            let mut end = at;
            let mut ahead = 0;
            while end < order.len() && ahead < wanted - looked_at {
                ahead += self.list_len(order[end]);
                end += 1;
            }
            // Where few are let in, soon enough.
            let end = end.max((2 * at).min(order.len()));
            let scanned: Vec<Scanned> = (order[at..end].par_iter())
                .map(|&list| self.scan(list, unit, &query, k, admits))
                .collect();
            for list in scanned {
                looked_at += list.looked_at;
                seen.extend(list.seen);
            }
            prune(&mut seen, k);
            at = end;
        }
        let most = MOST_PER_WANTED * k + MOST_BESIDES;
        if reach != Reach::All && seen.len() > most {
            let middle = |one: &Seen| one.lower + one.upper;
            seen.select_nth_unstable_by(most - 1, |a, b| middle(b).total_cmp(&middle(a)));
            seen.truncate(most);
        }
        seen.into_iter().map(|one| one.row).collect()
    }

    /// The vectors of a list that may be among the `k` most similar in it.
    fn scan(
        &self,
        list: usize,
        unit: &[f64],
        query: &CodedQuery,
        k: usize,
        admits: Admits<'_>,
    ) -> Scanned {
        let width = unit.len();
        let places = self.starts[list] as usize..self.starts[list + 1] as usize;
        let centre = unit.iter().zip(self.centres.row(list));
        let base: f64 = centre.map(|(&a, &b)| a * f64::from(b)).sum();
        // A difference from the centre is at most 2 long, and what its codes tell at most twice that. The rest is for the
        // three operations in single precision.
        let rounding = 4.0 * query.error + 8.0 * f32::EPSILON;
        let mut scores = vec![0.0_f32; places.len()];
        let mut let_in: Vec<usize> = Vec::new();
        match admits {
            None => {
                let codes = &self.codes[places.start * width..places.end * width];
                by_codes(&query.codes, codes, &mut scores);
                let_in.extend(places);
            }
            Some(admits) => {
                let_in.extend(places.filter(|&place| admits(self.rows[place] as usize)));
                let mut rest = &mut scores[..];
                for run in let_in.chunk_by(|one, next| one + 1 == *next) {
                    let (scores, others) = rest.split_at_mut(run.len());
                    let codes = &self.codes[run[0] * width..(run[0] + run.len()) * width];
                    by_codes(&query.codes, codes, scores);
                    rest = others;
                }
            }
        }
        let seen = let_in.iter().zip(scores).map(|(&place, score)| {
            let score = base as f32 + self.step[place] * query.step * score;
            let error = self.error[place] + rounding;
            Seen {
                lower: score - error,
                upper: score + error,
                row: self.rows[place] as usize,
            }
        });
        let mut seen: Vec<Seen> = seen.collect();
        prune(&mut seen, k);
        Scanned {
            looked_at: let_in.len(),
            seen,
        }
    }
}

/// Drops those that cannot be among the `k` highest.
fn prune(seen: &mut Vec<Seen>, k: usize) {
    let lower = seen.iter().map(|one| one.lower).collect();
    let threshold = threshold(lower, k);
    seen.retain(|one| one.upper >= threshold);
}

vectorized! {
    /// Products of a unit vector with centres.
    fn by_centres<'a>(unit: &'a [f32], centres: &'a [f32], scores: &'a mut [f32]) {
        for (centre, score) in centres.chunks_exact(unit.len()).zip(scores) {
            *score = sum_of(unit, centre, |a, b| a * b);
        }
    }
}

/// Codes of a vector of some norm for the list of a centre: their unit, and the norm of what they leave out.
pub fn coded(
    vector: ArrayView1<'_, f32>,
    norm: f64,
    centre: &[f32],
    codes: &mut [i8],
) -> (f32, f32) {
    encode(vector, norm, centre, codes)
}
