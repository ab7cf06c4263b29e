//! Output files that appear whole or not at all: made beside their place, synced, renamed; and what is kept of long work
//! until then.

mod journal;
mod leftovers;
mod place;

use std::fs::{self, File, Permissions};
use std::path::{Path, PathBuf};

use tempfile::{Builder, TempDir};

use crate::base::error::{Error, Result};
use place::Place;

pub use journal::{Journal, Resumable, unfinished_of};
pub use leftovers::{remove_leftovers, sweep_own};
pub use place::{check_file, check_folder, check_room, place_of};

/// How the names of folders begin in which a file is made.
const PARTIAL_PREFIX: &str = ".partial-";
/// The file in the making, in such a folder. Without an ending, so that nobody takes it for a survey.
const CONTENT: &str = "content";

/// A file in the making. Dropped before [`finish`](Self::finish), it leaves nothing behind; what a killed program leaves
/// is removed by the next that writes into the same folder.
///
/// It has a folder of its own, where a library may keep files of its own too, and where the lock lies that tells the
/// living from the dead: libhdf5 locks the file itself.
#[derive(Debug)]
pub struct PartialFile {
    folder: TempDir,
    content: PathBuf,
    /// Held until the folder is gone.
    _lock: File,
    permissions: Permissions,
    place: Place,
}

impl PartialFile {
    /// Starts a file that will be `target`, or what a link of that name leads to, in the same folder.
    ///
    /// # Errors
    ///
    /// [`Error::input`] where no file can be written there, whatever its content: see [`check_file`].
    pub fn beside(target: &Path) -> Result<Self> {
        let place = Place::of(target)?;
        leftovers::sweep(place.folder());
        let start = || {
            let folder = Builder::new()
                .prefix(PARTIAL_PREFIX)
                .tempdir_in(place.folder())?;
            let lock = leftovers::hold(folder.path())?;
            let file = File::create_new(folder.path().join(CONTENT))?;
            Ok((folder, lock, file.metadata()?.permissions()))
        };
        let (folder, lock, permissions) = start().map_err(|source| place.refuses(source))?;
        Ok(Self {
            content: folder.path().join(CONTENT),
            folder,
            _lock: lock,
            permissions,
            place,
        })
    }

    /// Where to write, for libraries that want a path.
    pub fn path(&self) -> &Path {
        &self.content
    }

    /// Asks for so many bytes before they are written.
    ///
    /// # Errors
    ///
    /// [`Error::run`] where the file system has less, and says how much.
    pub fn make_room(&self, bytes: u64) -> Result<()> {
        self.place.check_room(bytes)
    }

    /// Syncs the file and gives it its name, replacing an older one.
    ///
    /// # Errors
    ///
    /// [`Error::run`] where the disk refuses; nothing is left then.
    pub fn finish(self) -> Result<()> {
        // By its path: a library may have put a file of its own there.
        fs::set_permissions(&self.content, self.permissions)
            .and_then(|()| File::open(&self.content)?.sync_all())
            .and_then(|()| fs::rename(&self.content, &self.place.file))
            .and_then(|()| sync_folder(self.place.folder()))
            .map_err(|source| Error::writing(&self.place.named, source))?;
        // What may be left of the folder is swept by the next.
        let _ = self.folder.close();
        Ok(())
    }
}

/// Makes the names in a folder outlast a power failure, where its file system knows how.
pub(super) fn sync_folder(folder: &Path) -> std::io::Result<()> {
    use std::io::ErrorKind::{InvalidInput, PermissionDenied, Unsupported};
    match File::open(folder).and_then(|folder| folder.sync_all()) {
        Err(error) if [InvalidInput, PermissionDenied, Unsupported].contains(&error.kind()) => {
            Ok(())
        }
        done => done,
    }
}

/// Writes `contents` to `path`, whole or not at all.
///
/// # Errors
///
/// As [`PartialFile`].
pub fn write_whole(path: &Path, contents: &[u8]) -> Result<()> {
    let partial = PartialFile::beside(path)?;
    fs::write(partial.path(), contents).map_err(|source| Error::writing(path, source))?;
    partial.finish()
}
