//! Time of the exact k-NN search: `cargo bench --bench knn`.
//!
//! With arguments `GALLERY QUERIES WIDTH K FOUND` it searches the vectors of two files (f32, native byte order, row
//! after row), writes the rows found (u64) to a third, and prints the seconds; `scripts/compare_knn` calls it so.

use std::path::Path;
use std::time::Instant;

use astroclip::evaluation::knn;
use ndarray::Array2;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Sizes where no files are given: queries, gallery, width, neighbours.
const DEFAULT: (usize, usize, usize, usize) = (2_000, 50_000, 512, 16);

fn main() {
    // Cargo adds `--bench`.
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with("--"))
        .collect();
    match &arguments[..] {
        [gallery, queries, width, k, found] => {
            let (width, k) = (
                width.parse().expect("a width"),
                k.parse().expect("a number"),
            );
            let (gallery, queries) = (read(gallery.as_ref(), width), read(queries.as_ref(), width));
            let (seconds, index) = search(&gallery, &queries, k);
            let bytes = index.iter().flat_map(|&row| (row as u64).to_ne_bytes());
            std::fs::write(found, bytes.collect::<Vec<u8>>()).expect("the rows are written");
            println!("{seconds}");
        }
        [] => {
            let (queries, rows, width, k) = DEFAULT;
            let mut rng = ChaCha8Rng::seed_from_u64(1);
            let mut draw =
                |rows| Array2::from_shape_simple_fn((rows, width), || rng.random::<f32>() - 0.5);
            let (seconds, _) = search(&draw(rows), &draw(queries), k);
            println!("{queries} queries against {rows} x {width}, k = {k}: {seconds:.2} s");
        }
        _ => panic!("expected GALLERY QUERIES WIDTH K FOUND, or nothing"),
    }
}

fn search(gallery: &Array2<f32>, queries: &Array2<f32>, k: usize) -> (f64, Array2<usize>) {
    let start = Instant::now();
    let found = knn::euclidean(gallery.view(), queries.view(), k).expect("finite vectors");
    (start.elapsed().as_secs_f64(), found.index)
}

fn read(path: &Path, width: usize) -> Array2<f32> {
    let bytes = std::fs::read(path).expect("a file of vectors");
    let (numbers, _) = bytes.as_chunks::<4>();
    let values: Vec<f32> = numbers
        .iter()
        .map(|&bytes| f32::from_ne_bytes(bytes))
        .collect();
    Array2::from_shape_vec((values.len() / width, width), values).expect("whole rows")
}
