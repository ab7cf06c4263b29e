//! Progress of fits that several threads make.

use std::sync::Mutex;

use crate::base::progress::Progress;

/// How many fits are done.
pub(in crate::evaluation) struct FitProgress {
    progress: Mutex<(Progress, u64)>,
}

impl FitProgress {
    pub(in crate::evaluation) fn new(task: &str, total: usize) -> Self {
        let progress = Progress::new(task, "fits", 0, total as u64);
        Self {
            progress: Mutex::new((progress, 0)),
        }
    }

    /// A fit is done.
    pub(in crate::evaluation) fn one_more(&self) {
        // A thread that panicked has spoiled no count.
        let mut guard = self.progress.lock().unwrap_or_else(|e| e.into_inner());
        let (progress, done) = &mut *guard;
        *done += 1;
        progress.set(*done, "");
    }

    pub(in crate::evaluation) fn finish(self) {
        let (progress, _) = self
            .progress
            .into_inner()
            .unwrap_or_else(|e| e.into_inner());
        progress.finish("");
    }
}
