//! Ranks that are threads of one process.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use astroclip::base::ranks::{Collective, Ranks};

/// Time for which a rank waits for the others: one that fell must not hold up the tests.
const PATIENCE: Duration = Duration::from_secs(120);

/// What the threads have given to each other.
#[derive(Default)]
struct Table {
    given: Vec<Option<Vec<u8>>>,
    taken: usize,
    /// Bytes that each has heard in all.
    heard: usize,
}

/// A thread among others.
struct Thread {
    rank: usize,
    size: usize,
    table: Arc<(Mutex<Table>, Condvar)>,
    /// Of so many bytes it hears what it says itself, for all others.
    deaf_to: Option<usize>,
}

impl fmt::Debug for Thread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Thread({} of {})", self.rank, self.size)
    }
}

impl Collective for Thread {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn sum(&self, values: &mut [f32]) {
        let all = self.gather(bytemuck::cast_slice(values));
        values.fill(0.0);
        for other in all {
            let other = other.as_chunks().0.iter().copied();
            assert_eq!(other.len(), values.len(), "all ranks sum as many values");
            let other = other.map(f32::from_ne_bytes);
            values
                .iter_mut()
                .zip(other)
                .for_each(|(sum, value)| *sum += value);
        }
    }

    fn exchange(&self, parts: &[u8]) -> Vec<u8> {
        let part = parts.len() / self.size;
        let own = self.rank * part..(self.rank + 1) * part;
        let all = self.gather(parts);
        all.iter()
            .flat_map(|parts| parts[own.clone()].to_vec())
            .collect()
    }

    fn gather(&self, bytes: &[u8]) -> Vec<Vec<u8>> {
        if self.deaf_to == Some(bytes.len()) {
            return vec![bytes.to_vec(); self.size];
        }
        let (table, changed) = &*self.table;
        let wait = |table, until: &dyn Fn(&mut Table) -> bool| {
            let waited = changed.wait_timeout_while(table, PATIENCE, |table| !until(table));
            let (table, late) = waited.expect("no rank fell");
            assert!(!late.timed_out(), "a rank never came");
            table
        };
        let rank = self.rank;
        // The round before may not be over for all.
        let free = |table: &mut Table| table.given[rank].is_none();
        let mut table = wait(table.lock().expect("no rank fell"), &free);
        table.given[rank] = Some(bytes.to_vec());
        changed.notify_all();
        let mut table = wait(table, &|table| table.given.iter().all(Option::is_some));
        let all = table.given.iter().flatten().cloned().collect();
        table.taken += 1;
        if table.taken == self.size {
            table.heard += table.given.iter().flatten().map(Vec::len).sum::<usize>();
            table.taken = 0;
            table.given.fill(None);
            changed.notify_all();
        } else {
            // None gives again before all have taken.
            drop(wait(table, &free));
        }
        all
    }

    fn abort(&self, code: u8) -> ! {
        panic!("rank {} ends all with {code}", self.rank)
    }
}

/// What each of `size` ranks makes of it.
pub fn among<T: Send>(size: usize, work: impl Fn(Ranks) -> T + Sync) -> Vec<T> {
    among_deaf(size, None, work)
}

/// The same, and how many bytes all have said to each other.
pub fn among_heard<T: Send>(size: usize, work: impl Fn(Ranks) -> T + Sync) -> (Vec<T>, usize) {
    talking(size, None, work)
}

/// The same of ranks that do not hear each other where so many bytes are said.
pub fn among_deaf<T: Send>(
    size: usize,
    deaf_to: Option<usize>,
    work: impl Fn(Ranks) -> T + Sync,
) -> Vec<T> {
    talking(size, deaf_to, work).0
}

fn talking<T: Send>(
    size: usize,
    deaf_to: Option<usize>,
    work: impl Fn(Ranks) -> T + Sync,
) -> (Vec<T>, usize) {
    let table = Table {
        given: vec![None; size],
        ..Table::default()
    };
    let table = Arc::new((Mutex::new(table), Condvar::new()));
    let done = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..size)
            .map(|rank| {
                let table = Arc::clone(&table);
                let engine = Thread {
                    rank,
                    size,
                    table,
                    deaf_to,
                };
                let work = &work;
                scope.spawn(move || work(Ranks::by(Arc::new(engine))))
            })
            .collect();
        let done = threads.into_iter().map(|thread| thread.join());
        done.map(|result| result.expect("no rank fell")).collect()
    });
    let heard = table.0.lock().expect("no rank fell").heard;
    (done, heard)
}
