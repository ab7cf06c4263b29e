//! Which files are being read at this moment, so that a run that waits can say for which.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A file that is being read by one thread.
struct Entry {
    number: u64,
    path: PathBuf,
    since: Instant,
}

static ENTRIES: Mutex<(u64, Vec<Entry>)> = Mutex::new((0, Vec::new()));

fn entries() -> MutexGuard<'static, (u64, Vec<Entry>)> {
    ENTRIES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// While it lives, its file is being read.
#[derive(Debug)]
pub struct Reading(u64);

impl Reading {
    /// A thread begins to read a file.
    pub fn of(path: &Path) -> Self {
        let mut entries = entries();
        let (last, list) = &mut *entries;
        *last += 1;
        list.push(Entry {
            number: *last,
            path: path.to_owned(),
            since: Instant::now(),
        });
        Self(*last)
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        entries().1.retain(|entry| entry.number != self.0);
    }
}

/// The file that is being read for the longest time, and for how long; none where none is.
pub fn longest() -> Option<(PathBuf, Duration)> {
    let entries = entries();
    let oldest = entries.1.iter().min_by_key(|entry| entry.since)?;
    Some((oldest.path.clone(), oldest.since.elapsed()))
}
