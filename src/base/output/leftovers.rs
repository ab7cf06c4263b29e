//! What killed programs leave half written: who holds a lock is alive.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::time::Duration;

use super::PARTIAL_PREFIX;
use crate::base::error::{Error, Result};

/// How the names of files begin that the safetensors library makes meanwhile.
const LIBRARY_PREFIX: &str = ".tmp";
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
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let is_ours = name
            .as_encoded_bytes()
            .starts_with(PARTIAL_PREFIX.as_bytes());
        let path = entry.path();
        if is_ours && path.is_dir() && is_dead(&path) && fs::remove_dir_all(&path).is_ok() {
            tracing::debug!("{}: left by a killed program, removed", path.display());
        }
    }
}

/// Whether the program that made a folder is no more.
fn is_dead(folder: &Path) -> bool {
    match File::open(folder.join(LOCK)) {
        Ok(lock) => lock.try_lock().is_ok(),
        Err(_) => fs::metadata(folder)
            .and_then(|known| known.modified())
            .is_ok_and(|made| made.elapsed().is_ok_and(|age| age > LONG_AGO)),
    }
}

/// Removes what a killed program left half written in a folder that nobody else writes.
///
/// # Errors
///
/// [`Error::run`] where the disk refuses.
pub fn remove_leftovers(folder: &Path) -> Result<()> {
    let failed = |source: io::Error| Error::writing(folder, source);
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if [PARTIAL_PREFIX, LIBRARY_PREFIX]
            .iter()
            .any(|start| name.starts_with(start))
        {
            match entry.path().is_dir() {
                true => fs::remove_dir_all(entry.path()).map_err(failed)?,
                false => fs::remove_file(entry.path()).map_err(failed)?,
            }
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
        fs::write(living.path(), "whole").unwrap();
        living.finish().unwrap();
        remove_leftovers(folder.path()).unwrap();
        assert_eq!(names(), [".partiality", "living", "new"]);
    }
}
