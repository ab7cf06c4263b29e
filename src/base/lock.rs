//! Folders that one process at a time may write.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::base::error::{Error, Result};
use crate::base::input;

/// Name of the file that is locked; what it says is for people.
const LOCK_FILE: &str = ".lock";
/// Time for which a lock is waited for: whoever only asks [`holder`] has it for an instant.
const PATIENCE: Duration = Duration::from_millis(500);

/// A folder that no other process writes meanwhile. The operating system ends the lock with the process, however that ends;
/// the file stays.
#[derive(Debug)]
pub struct FolderLock {
    _file: Option<File>,
}

impl FolderLock {
    /// Locks an existing folder.
    ///
    /// # Errors
    ///
    /// [`Error::input`] where another process has it, [`Error::run`] where the folder cannot be written.
    pub fn take(folder: &Path) -> Result<Self> {
        let path = folder.join(LOCK_FILE);
        if path.exists() {
            input::metadata(&path)?;
        }
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|source| Error::writing(&path, source))?;
        let asked = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if asked.elapsed() < PATIENCE => {
                    std::thread::sleep(PATIENCE / 20);
                }
                Err(TryLockError::WouldBlock) => {
                    let who = said_by(&mut file).unwrap_or_else(|| "another process".to_owned());
                    return Err(Error::input(format!(
                        "is being written by {who}; wait for its end, or choose another folder with --out"
                    ))
                    .in_file(folder));
                }
                Err(TryLockError::Error(source)) => {
                    tracing::warn!(
                        "{}: this file system has no locks ({source}); see to it that no two runs write this folder",
                        folder.display()
                    );
                    return Ok(Self { _file: None });
                }
            }
        }
        let text = format!("process {} on {}\n", std::process::id(), host());
        // For people alone: that a disk is full, what is written next says.
        let _ = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(text.as_bytes()));
        Ok(Self { _file: Some(file) })
    }
}

/// Who writes a folder at this moment, in words; none where no one does, or where that cannot be told.
pub fn holder(folder: &Path) -> Option<String> {
    let mut file = input::open(&folder.join(LOCK_FILE)).ok()?;
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => {
            Some(said_by(&mut file).unwrap_or_else(|| "another process".to_owned()))
        }
        _ => None,
    }
}

fn said_by(file: &mut File) -> Option<String> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// Name of this machine; "this machine" where it has none.
pub fn host() -> String {
    let uname = rustix::system::uname();
    match uname.nodename().to_str() {
        Ok(name) if !name.is_empty() => name.to_owned(),
        _ => "this machine".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_writer_until_that_ends() {
        let folder = tempfile::TempDir::new().expect("a folder");
        assert_eq!(holder(folder.path()), None);
        let lock = FolderLock::take(folder.path()).expect("free");
        let me = format!("process {} on {}", std::process::id(), host());
        assert_eq!(holder(folder.path()), Some(me.clone()));
        let error = FolderLock::take(folder.path()).expect_err("taken");
        assert!(
            error.is_input() && error.to_string().contains(&me),
            "{error}"
        );
        drop(lock);
        assert_eq!(holder(folder.path()), None);
        FolderLock::take(folder.path()).expect("free again");
    }
}
