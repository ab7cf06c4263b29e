//! What killed programs leave half written: who holds a lock is alive.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::time::Duration;

use super::PARTIAL_PREFIX;
use crate::base::error::{Error, Result};

/// The file in the folder of a file in the making that is locked as long as its program lives.
const LOCK: &str = "lock";
/// The same before it is locked.
const UNLOCKED: &str = "unlocked";
/// A program killed before it had a lock is taken for dead after this long.
const LONG_AGO: Duration = Duration::from_secs(3600);

/// Marks a folder of ours as that of a living program. Who sees the lock sees it locked.
pub(super) fn hold(folder: &Path) -> io::Result<File> {
    let path = folder.join(UNLOCKED);
    let file = File::create_new(&path)?;
    match file.try_lock() {
        // A file system without locks: then nobody can take this one for dead either.
        Ok(()) | Err(fs::TryLockError::Error(_)) => fs::rename(&path, folder.join(LOCK))?,
        Err(fs::TryLockError::WouldBlock) => {}
    }
    Ok(file)
}

/// Removes what dead programs have left half written in a folder, as far as it may be removed.
pub(super) fn sweep(folder: &Path) {
    sweep_of(folder, LONG_AGO);
}

/// The same in a folder whose lock this process holds: what was not yet locked is of a killed process that had it. Of
/// others, which may write there too, nothing is removed.
pub fn sweep_own(folder: &Path) {
    sweep_of(folder, Duration::ZERO);
}

fn sweep_of(folder: &Path, unlocked: Duration) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if is_partial(&entry) && is_dead(&path, unlocked) && fs::remove_dir_all(&path).is_ok() {
            tracing::debug!("{}: left by a killed program, removed", path.display());
        }
    }
}

/// Whether an entry is a folder in which a file is made.
fn is_partial(entry: &fs::DirEntry) -> bool {
    let name = entry.file_name();
    let is_named = name
        .as_encoded_bytes()
        .starts_with(PARTIAL_PREFIX.as_bytes());
    is_named && entry.file_type().is_ok_and(|kind| kind.is_dir())
}

/// Whether the program that made a folder is no more; without a lock in it, it is after the time `unlocked`.
fn is_dead(folder: &Path, unlocked: Duration) -> bool {
    match File::open(folder.join(LOCK)) {
        Ok(lock) => lock.try_lock().is_ok(),
        Err(_) => fs::metadata(folder)
            .and_then(|known| known.modified())
            .is_ok_and(|made| made.elapsed().is_ok_and(|age| age >= unlocked)),
    }
}

/// Removes what a killed program left half written in a folder of ours that nobody else writes, locked or not: there are
/// file systems without locks.
///
/// # Errors
///
/// [`Error::run`] where the disk refuses.
pub fn remove_leftovers(folder: &Path) -> Result<()> {
    let failed = |source: io::Error| Error::writing(folder, source);
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if is_partial(&entry) {
            fs::remove_dir_all(entry.path()).map_err(failed)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::output::{PartialFile, write_whole};

    #[test]
    fn the_next_writer_sweeps_what_the_dead_left_and_nothing_of_the_living() {
        let folder = tempfile::tempdir().unwrap();
        let names = || {
            let entries = fs::read_dir(folder.path()).unwrap();
            let mut names: Vec<String> = entries
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            names.sort();
            names
        };
        let make = |name: &str| {
            let path = folder.path().join(name);
            fs::create_dir(&path).unwrap();
            fs::write(path.join("content"), "half").unwrap();
            path
        };
        // A kill closes the file and thereby the lock.
        drop(hold(&make(".partial-dead")).unwrap());
        // Not yet locked, and somebody else's.
        make(".partial-begun");
        make(".partiality");
        let living = PartialFile::beside(&folder.path().join("living")).unwrap();
        let of_living = living.path().parent().unwrap().file_name().unwrap();
        let of_living = of_living.to_str().unwrap().to_owned();
        write_whole(&folder.path().join("new"), b"whole").unwrap();
        let mut expected = vec![".partial-begun", ".partiality", &of_living, "new"];
        expected.sort_unstable();
        assert_eq!(names(), expected);
        // Nor does who has the folder's lock remove what is made there, or what only sounds like ours.
        fs::write(folder.path().join(".tmp-of-others"), "").unwrap();
        sweep_own(folder.path());
        let mut expected = vec![".partiality", ".tmp-of-others", &of_living, "new"];
        expected.sort_unstable();
        assert_eq!(names(), expected);
        fs::write(living.path(), "whole").unwrap();
        living.finish().unwrap();
        remove_leftovers(folder.path()).unwrap();
        assert_eq!(names(), [".partiality", ".tmp-of-others", "living", "new"]);
    }
}
