//! Output files that appear whole or not at all: written beside their place, synced, renamed.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile};

use crate::base::error::{Error, Result};

/// How the names of files in the making begin.
const PARTIAL_PREFIX: &str = ".partial-";
/// And of those that the safetensors library makes meanwhile.
const LIBRARY_PREFIX: &str = ".tmp";

/// A file in the making. Dropped before [`finish`](Self::finish), it leaves nothing behind.
#[derive(Debug)]
pub struct PartialFile {
    file: NamedTempFile,
    permissions: Permissions,
    target: PathBuf,
}

impl PartialFile {
    /// Starts a file that will be `target`, in the same folder.
    ///
    /// # Errors
    ///
    /// [`Error::input`] where the folder does not exist, [`Error::run`] where it cannot be written.
    pub fn beside(target: &Path) -> Result<Self> {
        let folder = match target.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        if !folder.is_dir() {
            return Err(Error::input(format!(
                "the folder {} does not exist; create it first",
                folder.display()
            ))
            .in_file(target));
        }
        let mut builder = Builder::new();
        builder.prefix(PARTIAL_PREFIX);
        // As any file of the user's, not private as temporary files are by default.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let file = builder
            .tempfile_in(folder)
            .map_err(|source| Error::writing(target, source))?;
        let metadata = file.as_file().metadata();
        Ok(Self {
            permissions: metadata
                .map_err(|source| Error::writing(target, source))?
                .permissions(),
            file,
            target: target.to_owned(),
        })
    }

    /// Where to write, for libraries that want a path.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Syncs the file and gives it its name, replacing an older one.
    ///
    /// # Errors
    ///
    /// [`Error::run`] where the disk refuses; nothing is left then.
    pub fn finish(self) -> Result<()> {
        let Self {
            file,
            permissions,
            target,
        } = self;
        // By its path: a library may have put a file of its own there.
        fs::set_permissions(file.path(), permissions)
            .and_then(|()| File::open(file.path())?.sync_all())
            .and_then(|()| file.persist(&target).map_err(|failed| failed.error))
            .map(|_| ())
            .map_err(|source| Error::writing(&target, source))
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
            fs::remove_file(entry.path()).map_err(failed)?;
        }
    }
    Ok(())
}

/// Writes `contents` to `path`, whole or not at all.
///
/// # Errors
///
/// As [`PartialFile`].
pub fn write_whole(path: &Path, contents: &[u8]) -> Result<()> {
    let mut partial = PartialFile::beside(path)?;
    partial
        .file
        .write_all(contents)
        .map_err(|source| Error::writing(path, source))?;
    partial.finish()
}
