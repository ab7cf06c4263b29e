//! Prepares batches in the background while training works on the ones before.

use std::any::Any;
use std::collections::BTreeMap;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::base::error::{Error, Result};
use crate::base::interrupt;

/// Time between two looks for a signal while a batch is waited for.
const SIGNAL_INTERVAL: Duration = Duration::from_millis(200);
/// Time that threads have for their last batch after a signal has asked for an end.
const LAST_READS: Duration = Duration::from_secs(5);
/// Batches that are kept ready.
const DEPTH: usize = 4;

/// What a worker made of a step, or the panic that ended it.
type Outcome<T> = std::thread::Result<Result<T>>;

/// Iterator over `f(step)` for consecutive steps, computed ahead of time by background threads.
///
/// Results come in the order of the steps, errors included. At most `depth` of them are computed or
/// kept at any time. Dropping the iterator ends the threads, each after the step that it works on. A
/// panic in `f` is passed on to the thread that asks for that step. A signal that asks for an end breaks a wait off, with
/// an error; the step can be asked for again.
pub struct Prefetcher<T> {
    shared: Arc<Shared<T>>,
    workers: Vec<JoinHandle<()>>,
}

struct Shared<T> {
    queue: Mutex<Queue<T>>,
    /// A result is there.
    ready: Condvar,
    /// There is room for another result, or an end to the work.
    room: Condvar,
}

struct Queue<T> {
    /// Next step that no worker has begun.
    unclaimed: u64,
    /// Next step to hand out.
    next: u64,
    end: u64,
    depth: u64,
    stopped: bool,
    done: BTreeMap<u64, Outcome<T>>,
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, Queue<T>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next step to work on; waits for room, and returns `None` when there is nothing left.
    fn claim(&self) -> Option<u64> {
        let mut queue = self
            .room
            .wait_while(self.lock(), |queue| {
                !queue.stopped
                    && queue.unclaimed < queue.end
                    && queue.unclaimed - queue.next >= queue.depth
            })
            .unwrap_or_else(PoisonError::into_inner);
        if queue.stopped || queue.unclaimed >= queue.end {
            return None;
        }
        let step = queue.unclaimed;
        queue.unclaimed += 1;
        Some(step)
    }
}

/// Threads that prepare batches while the device works: half of the processor, at most eight.
fn workers() -> usize {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    (threads / 2).clamp(1, 8)
}

impl<T: Send + 'static> Prefetcher<T> {
    /// Starts as many threads as leave room for what is done with the results, a few steps ahead.
    pub fn start<F>(range: Range<u64>, f: F) -> Self
    where
        F: Fn(u64) -> Result<T> + Send + Sync + 'static,
    {
        Self::new(range, DEPTH, workers(), f)
    }

    /// Starts `workers` threads on the steps of `range`, at most `depth` steps ahead; both count as
    /// at least 1.
    pub fn new<F>(range: Range<u64>, depth: usize, workers: usize, f: F) -> Self
    where
        F: Fn(u64) -> Result<T> + Send + Sync + 'static,
    {
        let shared = Arc::new(Shared {
            queue: Mutex::new(Queue {
                unclaimed: range.start,
                next: range.start,
                end: range.end,
                depth: depth.max(1) as u64,
                stopped: false,
                done: BTreeMap::new(),
            }),
            ready: Condvar::new(),
            room: Condvar::new(),
        });
        let f = Arc::new(f);
        let workers = (0..workers.max(1))
            .map(|_| {
                let (shared, f) = (Arc::clone(&shared), Arc::clone(&f));
                std::thread::spawn(move || {
                    while let Some(step) = shared.claim() {
                        let outcome: Result<_, Box<dyn Any + Send>> =
                            catch_unwind(AssertUnwindSafe(|| f(step)));
                        shared.lock().done.insert(step, outcome);
                        shared.ready.notify_one();
                    }
                })
            })
            .collect();
        Self { shared, workers }
    }
}

impl<T> Iterator for Prefetcher<T> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut queue = self.shared.lock();
        while queue.next < queue.end && !queue.done.contains_key(&queue.next) {
            if let Some(signal) = interrupt::requested() {
                return Some(Err(Error::interrupted(format!(
                    "{signal} while data were waited for"
                ))));
            }
            queue = self
                .shared
                .ready
                .wait_timeout(queue, SIGNAL_INTERVAL)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        let step = queue.next;
        let outcome = queue.done.remove(&step)?;
        queue.next += 1;
        drop(queue);
        self.shared.room.notify_all();
        Some(outcome.unwrap_or_else(|panic| resume_unwind(panic)))
    }
}

impl<T> Drop for Prefetcher<T> {
    fn drop(&mut self) {
        self.shared.lock().stopped = true;
        self.shared.room.notify_all();
        // One that hangs in a read of a file system that has gone must not hold up an end that was asked for.
        let asked = Instant::now();
        while interrupt::requested().is_some()
            && asked.elapsed() < LAST_READS
            && !self.workers.iter().all(JoinHandle::is_finished)
        {
            std::thread::sleep(SIGNAL_INTERVAL / 10);
        }
        let must_end = interrupt::requested().is_some();
        for worker in self.workers.drain(..) {
            if must_end && !worker.is_finished() {
                continue;
            }
            // A panic of `f` was caught and handed on, so there is nothing to learn from joining.
            let _ = worker.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use super::Prefetcher;
    use crate::base::error::Error;

    #[test]
    fn results_and_errors_come_in_order_and_not_too_far_ahead() {
        let begun = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&begun);
        let mut batches = Prefetcher::new(5..40, 4, 3, move |step| {
            counter.fetch_add(1, Ordering::SeqCst);
            // Later steps finish first.
            std::thread::sleep(Duration::from_millis(step % 3));
            if step == 9 {
                Err(Error::run("step 9"))
            } else {
                Ok(step)
            }
        });
        for step in 5..20 {
            match batches.next().unwrap() {
                Ok(value) => assert_eq!(value, step),
                Err(error) => assert_eq!((step, error.to_string()), (9, "step 9".to_owned())),
            }
        }
        std::thread::sleep(Duration::from_millis(20));
        assert!(begun.load(Ordering::SeqCst) <= 15 + 4, "bounded");
        assert_eq!(batches.by_ref().count(), 20);
        assert!(batches.next().is_none());
    }

    #[test]
    fn dropping_it_ends_the_threads_early() {
        let begun = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&begun);
        let batches = Prefetcher::new(0..u64::MAX, 2, 2, move |_| {
            counter.fetch_add(1, Ordering::SeqCst);
            Ok(())
        });
        drop(batches);
        assert!(begun.load(Ordering::SeqCst) <= 2);
        assert_eq!(Arc::strong_count(&begun), 1, "the threads have gone");
    }
}
