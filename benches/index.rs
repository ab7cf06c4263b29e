//! Recall and time of searches in an index: `cargo bench --bench index -- galaxies.index [QUERIES]`.
//!
//! Galaxies of the index are searched for among all others, in all directions; what is found is compared with a search that
//! looks at all. Latencies are those of 1, 10 and 50 that ask at once, one query after the other.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::scope;
use std::time::Instant;

use astroclip::evaluation::engine::{Index, Searchable};
use astroclip::survey::Modality;
use ndarray::ArrayView1;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Nearest galaxies that are asked for, the galaxy itself among them.
const K: usize = 11;
/// How many ask at once.
const ASKERS: [usize; 3] = [1, 10, 50];

fn main() {
    // Cargo adds `--bench`.
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with("--"))
        .collect();
    let (path, queries) = match &arguments[..] {
        [] => return println!("expected an index, such as `astroclip index` writes"),
        [path] => (path, 1000),
        [path, queries, ..] => (path, queries.parse().expect("a number of queries")),
    };
    let start = Instant::now();
    let index = Index::open(Path::new(path), false).expect("an index");
    println!("opened in {:.2} s", start.elapsed().as_secs_f64());
    let all = Index::open(Path::new(path), true).expect("an index");
    for from in Modality::ALL {
        for to in Modality::ALL {
            if let (Ok(asked), Ok(among)) = (index.gallery(from), index.gallery(to)) {
                measure(
                    (from, asked),
                    (to, among, all.gallery(to).expect("the same")),
                    queries,
                );
            }
        }
    }
}

fn measure(
    (from, asked): (Modality, &dyn Searchable),
    (to, among, all): (Modality, &dyn Searchable, &dyn Searchable),
    queries: usize,
) {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let rows: Vec<usize> = (0..queries)
        .map(|_| rng.random_range(0..asked.len()))
        .collect();
    let vectors: Vec<Vec<f32>> = rows
        .iter()
        .map(|&row| asked.vector(row).expect("a vector"))
        .collect();
    let find = |within: &dyn Searchable, vector: &[f32]| {
        within
            .nearest(ArrayView1::from(vector), Some(from), K, None)
            .expect("neighbours")
    };
    // Pages that no query has touched yet are read now.
    let found: Vec<_> = vectors.iter().map(|vector| find(among, vector)).collect();
    let compared = queries.min(200);
    let start = Instant::now();
    let mut right = 0;
    for (found, vector) in found.iter().zip(&vectors).take(compared) {
        let expected = find(all, vector);
        right += expected.iter().filter(|one| found.contains(one)).count();
    }
    let exact = 1e3 * start.elapsed().as_secs_f64() / compared as f64;
    let recall = right as f64 / (compared * K) as f64;
    println!(
        "{from} → {to}: recall@{K} {recall:.3}; {exact:.1} ms a query where all are looked at"
    );
    for askers in ASKERS {
        let next = AtomicUsize::new(0);
        let start = Instant::now();
        let mut times: Vec<f64> = scope(|scope| {
            let ask = || {
                let mut times = Vec::new();
                while let Some(vector) = vectors.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let start = Instant::now();
                    find(among, vector);
                    times.push(1e3 * start.elapsed().as_secs_f64());
                }
                times
            };
            let threads: Vec<_> = (0..askers).map(|_| scope.spawn(ask)).collect();
            threads
                .into_iter()
                .flat_map(|thread| thread.join().expect("an end"))
                .collect()
        });
        let rate = queries as f64 / start.elapsed().as_secs_f64();
        times.sort_unstable_by(f64::total_cmp);
        let at = |share: f64| times[((share * times.len() as f64) as usize).min(times.len() - 1)];
        println!(
            "  {askers} at once: {:.2} ms (median), {:.2} ms (95 of 100), {rate:.0} queries/s",
            at(0.5),
            at(0.95)
        );
    }
}
