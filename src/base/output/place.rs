//! Where an output is to lie, and whether it can lie there at all.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::PartialFile;
use crate::base::error::{Error, Result, free_space, in_bytes};

/// Links that lead to links; more are a circle.
const MOST_LINKS: usize = 40;

/// A place that can take a file.
#[derive(Debug)]
pub(super) struct Place {
    /// As the user says it.
    pub named: PathBuf,
    /// What a link of that name leads to, or the same.
    pub file: PathBuf,
}

/// Finds out whether a file can be written to `path`, by starting one.
///
/// # Errors
///
/// [`Error::input`] where `path` names a folder, a device or a pipe, a file that is protected, or nothing that can be a
/// file's name; where its folder does not exist or takes no files. A link counts as what it leads to.
pub fn check_file(path: &Path) -> Result<()> {
    PartialFile::beside(path).map(drop)
}

/// Where a file that is written to `path` will lie: what a link leads to, or `path` itself.
///
/// # Errors
///
/// As [`check_file`].
pub fn place_of(path: &Path) -> Result<PathBuf> {
    Place::of(path).map(|place| place.file)
}

/// Asks for so many bytes before they are written to `path` or beside it.
///
/// # Errors
///
/// [`Error::run`] where the file system has less, and says how much.
pub fn check_room(path: &Path, bytes: u64) -> Result<()> {
    Place::of(path)?.check_room(bytes)
}

/// Finds out whether `path` is a folder that takes files, or can become one.
///
/// # Errors
///
/// As [`check_file`]; where `path` is a file.
pub fn check_folder(path: &Path) -> Result<()> {
    if path.as_os_str().is_empty() {
        return Err(unnamed("folder"));
    }
    match fs::metadata(path) {
        Ok(known) if known.is_dir() => {
            let file = path.join("file");
            check_file(&file).map_err(|error| match error.is_input() {
                true => Error::input(error.message_in(&file)).in_file(path),
                false => error,
            })
        }
        Ok(_) => Err(Error::input("is a file; name a folder, or one to be made").in_file(path)),
        Err(source) if source.kind() == ErrorKind::NotFound => {
            if fs::symlink_metadata(path).is_ok() {
                return Err(Error::input("is a link that leads nowhere; remove it").in_file(path));
            }
            // Made with it: the first folder above that is there has to take them.
            let mut above = path.ancestors().skip(1);
            let there = above.find(|folder| folder.as_os_str().is_empty() || folder.exists());
            match there.filter(|folder| !folder.as_os_str().is_empty()) {
                Some(folder) => check_folder(folder),
                None => check_folder(Path::new(".")),
            }
        }
        Err(source) => Err(no_name(path, source)),
    }
}

fn unnamed(what: &str) -> Error {
    Error::input(format!("an output without a name; name a {what}"))
}

/// Why the system does not even look for `path`.
fn no_name(path: &Path, source: io::Error) -> Error {
    let why = match source.kind() {
        ErrorKind::InvalidFilename => {
            "the name is too long for the file system; choose a shorter one".to_owned()
        }
        ErrorKind::NotADirectory => {
            "a part of the path is a file, not a folder; check the path".to_owned()
        }
        _ => format!("cannot be written: {source}; choose another place"),
    };
    Error::input(why).caused_by(source).in_file(path)
}

impl Place {
    /// Looks at a place, and at what is there already.
    ///
    /// # Errors
    ///
    /// As [`check_file`].
    pub fn of(named: &Path) -> Result<Self> {
        let refuse = |what: &str| Err(Error::input(what).in_file(named));
        let text = named.as_os_str().as_encoded_bytes();
        if text.is_empty() {
            return Err(unnamed("file"));
        }
        let is_folder =
            text.ends_with(b"/") || text.ends_with(b"/.") || named.file_name().is_none();
        if is_folder {
            return refuse("names a folder; name a file in it");
        }
        let place = Self {
            file: followed(named)?,
            named: named.to_owned(),
        };
        match fs::metadata(&place.file) {
            Ok(known) if known.is_dir() => return refuse("is a folder; name a file in it"),
            Ok(known) if !known.is_file() => {
                return refuse("is a device or a pipe; name a file");
            }
            Ok(_) => {
                if let Err(source) = OpenOptions::new().append(true).open(&place.file) {
                    return Err(match source.kind() {
                        ErrorKind::PermissionDenied => Error::input(
                            "is there and protected against writing; choose another name",
                        )
                        .caused_by(source)
                        .in_file(named),
                        _ => place.refuses(source),
                    });
                }
            }
            Err(source) if source.kind() == ErrorKind::NotFound => {}
            Err(source) => return Err(no_name(named, source)),
        }
        let folder = place.folder();
        if !folder.is_dir() {
            return Err(Error::input(format!(
                "the folder {} does not exist; create it first",
                folder.display()
            ))
            .in_file(named));
        }
        Ok(place)
    }

    /// The folder of the file.
    pub fn folder(&self) -> &Path {
        match self.file.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        }
    }

    /// Asks for so many bytes before they are written.
    ///
    /// # Errors
    ///
    /// [`Error::run`] where the file system has less, and says how much.
    pub fn check_room(&self, bytes: u64) -> Result<()> {
        match free_space(self.folder()) {
            Some(free) if free < bytes => Err(Error::run(format!(
                "needs {}, and {} are free on the disk of {}; make room, or write to another disk",
                in_bytes(bytes),
                in_bytes(free),
                self.folder().display()
            ))
            .in_file(&self.named)),
            _ => Ok(()),
        }
    }

    /// The error of a folder in which no file can be started.
    pub fn refuses(&self, source: io::Error) -> Error {
        let why = match source.kind() {
            ErrorKind::PermissionDenied => "may not be written",
            ErrorKind::ReadOnlyFilesystem => "is on a disk that is read-only",
            // A file system that only shows something, such as /proc.
            ErrorKind::NotFound | ErrorKind::Unsupported => "takes no files",
            _ => return Error::writing(&self.named, source),
        };
        Error::input(format!(
            "the folder {} {why}; choose another",
            self.folder().display()
        ))
        .caused_by(source)
        .in_file(&self.named)
    }
}

/// What a link leads to, also where nothing is there yet; any other path is itself.
fn followed(path: &Path) -> Result<PathBuf> {
    let mut file = path.to_owned();
    for _ in 0..MOST_LINKS {
        match fs::read_link(&file) {
            Ok(next) => file = file.parent().unwrap_or(Path::new("")).join(next),
            // No link, or nothing at all.
            Err(_) => return Ok(file),
        }
    }
    Err(Error::input("is a link that leads in a circle; remove it").in_file(path))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::base::output::write_whole;

    #[test]
    fn a_file_goes_where_a_link_leads_and_the_link_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir(path("far")).unwrap();
        symlink("far/middle", path("link")).unwrap();
        symlink("end", path("far/middle")).unwrap();
        for text in ["made", "replaced"] {
            write_whole(&path("link"), text.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(path("far/end")).unwrap(), text);
            assert!(
                fs::read_link(path("link")).is_ok() && fs::read_link(path("far/middle")).is_ok()
            );
        }
        symlink("round", path("round")).unwrap();
        let message = check_file(&path("round")).unwrap_err().to_string();
        assert!(message.contains("in a circle"), "{message}");
    }

    #[test]
    fn a_folder_that_takes_files_or_can_be_made_will_do() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("file"), "").unwrap();
        symlink("nowhere", path("link")).unwrap();
        for good in ["", "new", "new/deep/", "."] {
            check_folder(&path(good)).unwrap();
        }
        let long = "x".repeat(300);
        for (bad, why) in [
            ("file", "is a file"),
            ("file/run", "is a file, not a folder"),
            ("link", "leads nowhere"),
            ("/proc/run", "takes no files"),
            (&long, "too long"),
        ] {
            let error = check_folder(&path(bad)).unwrap_err();
            assert!(
                error.is_input() && error.to_string().contains(why),
                "{bad}: {error}"
            );
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
