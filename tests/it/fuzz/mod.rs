//! Parsers on random input: sound files with something wrong. They may refuse it and may read it, but neither panic nor
//! hang nor take memory without end.
//!
//! Each target runs for about a second with a fixed seed. `scripts/fuzz SECONDS` runs them for longer, with another seed
//! each time, and prints how often.

mod mutate;
mod surveys;
mod tables;
mod texts;
mod weights;

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use mutate::mutate;

/// How long a target runs, s, and what it draws from; else [`BRIEFLY`] with seed 0.
const SECONDS: &str = "ASTROCLIP_FUZZ_SECONDS";
const SEED: &str = "ASTROCLIP_FUZZ_SEED";
const BRIEFLY: Duration = Duration::from_secs(1);
/// One input.
const PATIENCE: Duration = Duration::from_secs(10);

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Hands `read` files called `name` that are `seeds` with something wrong.
///
/// The file lies in `target/fuzz`, where it is found after a crash; what panics or takes long is kept there.
#[track_caller]
pub fn fuzz(name: &str, seeds: &[Vec<u8>], read: impl Fn(&Path)) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("fuzz")
        .join(name.replace('.', "-"));
    fs::create_dir_all(&folder).expect("a folder");
    let path = folder.join(name);
    let mut random = ChaCha8Rng::seed_from_u64(number(SEED).unwrap_or(0));
    let time = number(SECONDS).map_or(BRIEFLY, Duration::from_secs);
    let (start, mut runs, mut findings) = (Instant::now(), 0_u64, Vec::new());
    let mut longest = Duration::ZERO;
    // What is not changed must be read.
    for seed in seeds {
        put(&path, seed);
        read(&path);
    }
    while start.elapsed() < time {
        let seed = &seeds[random.random_range(0..seeds.len())];
        let other = &seeds[random.random_range(0..seeds.len())];
        let input = mutate(seed, other, &mut random);
        put(&path, &input);
        let begin = Instant::now();
        let ended = catch_unwind(AssertUnwindSafe(|| read(&path)));
        runs += 1;
        let took = begin.elapsed();
        longest = longest.max(took);
        let what = match ended {
            Err(_) => "panics",
            Ok(()) if took > PATIENCE => "takes long",
            Ok(()) => continue,
        };
        findings.push((what, keep(&folder, &input)));
        if findings.len() == 10 {
            break;
        }
    }
    eprintln!(
        "fuzz {name}: {runs} runs in {:.0} s, the longest {:.2} s, {} findings",
        start.elapsed().as_secs_f64(),
        longest.as_secs_f64(),
        findings.len()
    );
    assert!(findings.is_empty(), "{name}: {findings:?}");
}

/// Writes a file anew: file systems write one to the disk at once that is cut to nothing and filled again.
fn put(path: &Path, input: &[u8]) {
    let _ = fs::remove_file(path);
    fs::write(path, input).expect("a file");
}

fn keep(folder: &Path, input: &[u8]) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    input.hash(&mut hasher);
    let path = folder.join(format!("finding-{:016x}", hasher.finish()));
    fs::write(&path, input).expect("a file");
    path
}

/// The bytes of a file that `write` makes.
fn written(write: impl FnOnce(&Path)) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("seed");
    write(&path);
    fs::read(&path).expect("the file")
}

/// Whether an error is one of bad input, in plain words.
#[track_caller]
fn check<T>(result: astroclip::base::error::Result<T>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(error) => {
            assert_eq!(error.exit_code(), 2, "{error}");
            None
        }
    }
}
