//! Output files that appear whole or not at all: written beside their place, synced, renamed.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile};

use crate::error::{Error, Result};

/// A file in the making. Dropped before [`finish`](Self::finish), it leaves nothing behind.
#[derive(Debug)]
pub struct PartialFile {
    file: NamedTempFile,
    target: PathBuf,
}

impl PartialFile {
    /// Starts a file that will be `target`, in the same folder.
    ///
    /// # Errors
    ///
    /// [`Error::Input`] where the folder does not exist, [`Error::Run`] where it cannot be written.
    pub fn beside(target: &Path) -> Result<Self> {
        let folder = match target.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        if !folder.is_dir() {
            return Err(Error::input(format!(
                "{}: the folder {} does not exist; create it first",
                target.display(),
                folder.display()
            )));
        }
        let mut builder = Builder::new();
        builder.prefix(".partial-");
        // As any file of the user's, not private as temporary files are by default.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let file = builder
            .tempfile_in(folder)
            .map_err(|source| Error::writing(target, &source))?;
        Ok(Self {
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
    /// [`Error::Run`] where the disk refuses; nothing is left then.
    pub fn finish(self) -> Result<()> {
        let Self { file, target } = self;
        // Reopened: a library may have written through a handle of its own.
        File::open(file.path())
            .and_then(|written| written.sync_all())
            .and_then(|()| file.persist(&target).map_err(|failed| failed.error))
            .map(|_| ())
            .map_err(|source| Error::writing(&target, &source))
    }
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
        .map_err(|source| Error::writing(path, &source))?;
    partial.finish()
}
