//! Files that the user names, opened where they are regular files: a pipe would be waited for without end, and a device
//! has no length.

use std::fs::{File, FileType, Metadata};
use std::io::Read;
use std::path::Path;

use memmap2::Mmap;

use crate::base::error::{Error, Result};

/// The largest text that is read as a whole: settings and properties, which people write.
const LONGEST_TEXT: u64 = 16 << 20;

/// Opens a regular file for reading.
///
/// # Errors
/// Where it is not there, may not be read, or is a folder, a pipe, a socket or a device.
pub fn open(path: &Path) -> Result<File> {
    metadata(path)?;
    File::open(path).map_err(|source| Error::reading(path, source))
}

/// What the system knows of a regular file.
///
/// # Errors
/// As [`open`], but for permission to read.
pub fn metadata(path: &Path) -> Result<Metadata> {
    let metadata = std::fs::metadata(path).map_err(|source| Error::reading(path, source))?;
    match metadata.is_file() {
        true => Ok(metadata),
        false => Err(Error::input(format!(
            "is {}, not a file; name the file itself",
            what(metadata.file_type())
        ))
        .in_file(path)),
    }
}

/// All of a file that programs write, such as a log.
///
/// # Errors
/// As [`open`].
pub fn bytes(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?
        .read_to_end(&mut bytes)
        .map_err(|source| Error::reading(path, source))?;
    Ok(bytes)
}

/// All of a text that people write, such as a run file.
///
/// # Errors
/// As [`open`], and where it is not in UTF-8 or far too long to be one.
pub fn text(path: &Path) -> Result<String> {
    let mut bytes = Vec::new();
    open(path)?
        .take(LONGEST_TEXT + 1)
        .read_to_end(&mut bytes)
        .map_err(|source| Error::reading(path, source))?;
    if bytes.len() as u64 > LONGEST_TEXT {
        return Err(Error::input(format!(
            "has more than {LONGEST_TEXT} bytes, too many for a text of settings"
        ))
        .in_file(path));
    }
    String::from_utf8(bytes).map_err(|source| {
        let valid = &source.as_bytes()[..source.utf8_error().valid_up_to()];
        let line = 1 + valid.iter().filter(|&&byte| byte == b'\n').count();
        Error::input(format!(
            "line {line} is not text in UTF-8; save it as UTF-8"
        ))
        .caused_by(source)
        .in_file(path)
    })
}

/// A file whose bytes the system brings into memory when they are looked at, and may let go again. It must not be written
/// meanwhile: files of ours are replaced as a whole.
///
/// # Errors
/// As [`open`], and where the system refuses.
#[allow(unsafe_code)]
pub fn mapped(path: &Path) -> Result<Mmap> {
    let file = open(path)?;
    // SAFETY: nobody writes into a file of ours once it has its name.
    let mapped = unsafe { Mmap::map(&file) };
    mapped.map_err(|source| Error::reading(path, source))
}

#[cfg(unix)]
fn what(kind: FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    match kind {
        kind if kind.is_dir() => "a folder",
        kind if kind.is_fifo() => "a pipe",
        kind if kind.is_socket() => "a socket",
        _ => "a device",
    }
}

#[cfg(not(unix))]
fn what(kind: FileType) -> &'static str {
    match kind.is_dir() {
        true => "a folder",
        false => "a device",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_are_opened_and_others_are_called_what_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let _socket = std::os::unix::net::UnixListener::bind(path("socket")).unwrap();
        let made = std::process::Command::new("mkfifo")
            .arg(path("pipe"))
            .status();
        assert!(made.unwrap().success());
        std::os::unix::fs::symlink(path("loop"), path("loop")).unwrap();
        let refused = |path: &Path, said: &str| {
            for message in [open(path).unwrap_err(), text(path).unwrap_err()] {
                assert!(
                    message.is_input() && message.to_string().contains(said),
                    "{message}"
                );
                assert!(
                    message.to_string().contains(&path.display().to_string()),
                    "{message}"
                );
            }
        };
        refused(folder.path(), "is a folder, not a file");
        refused(&path("pipe"), "is a pipe, not a file");
        refused(&path("socket"), "is a socket, not a file");
        refused(Path::new("/dev/zero"), "is a device, not a file");
        refused(
            &path("loop"),
            "cannot be read: Too many levels of symbolic links",
        );
        refused(&path("none"), "no such file");
        std::fs::write(path("latin"), b"seed = 1\nname = \"\xe9\"\n").unwrap();
        let message = text(&path("latin")).unwrap_err().to_string();
        assert!(message.contains("line 2 is not text in UTF-8"), "{message}");
        std::fs::write(path("good"), "é").unwrap();
        assert_eq!(text(&path("good")).unwrap(), "é");
    }
}
