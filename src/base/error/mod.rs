//! One error type, split by who has to act: the user (exit code 2) or the run itself (exit code 1); and one grammar
//! for settings that are refused.

mod check;
mod space;

pub use check::{ABOVE_0, ABOVE_0_TO_1, BETWEEN_0_AND_1, Check};
pub(crate) use space::{free_space, in_bytes};

use std::path::{Path, PathBuf};
use std::{fmt, io};

/// Result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Who can mend an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Something the user gave is wrong: a file, a key, a value. Exit code 2.
    Input,
    /// The run failed although its input was right: disk full, non-finite loss. Exit code 1.
    Run,
    /// A signal asked for the end, and what was done is kept: the same command goes on. Exit code 75, which `sysexits.h`
    /// calls EX_TEMPFAIL: "requeue me".
    Interrupted,
    /// The reader of our output went away (`astroclip search … | head`). Ends the program quietly.
    ClosedPipe,
}

/// Free bytes with which a disk is full for who writes a file.
const NEXT_TO_NOTHING: u64 = 1 << 16;

/// What went wrong, and who can mend it.
///
/// A message names the dataset, row or key, says what was expected, and what to do next.
#[derive(Debug, thiserror::Error)]
#[error("{}{message}", self.place())]
pub struct Error {
    kind: Kind,
    /// The file that it is about, printed before the message.
    file: Option<PathBuf>,
    message: String,
    /// What another library said; the message quotes it already.
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Kind {
    /// The program's exit code.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Input => 2,
            Self::Run => 1,
            Self::Interrupted => 75,
            Self::ClosedPipe => 0,
        }
    }
}

impl Error {
    fn new(kind: Kind, message: impl fmt::Display) -> Self {
        Self {
            kind,
            file: None,
            message: message.to_string(),
            source: None,
        }
    }

    /// An error of [`Kind::Input`] from anything that prints.
    pub fn input(message: impl fmt::Display) -> Self {
        Self::new(Kind::Input, message)
    }

    /// An error of [`Kind::Run`] from anything that prints.
    pub fn run(message: impl fmt::Display) -> Self {
        Self::new(Kind::Run, message)
    }

    /// An error of [`Kind::Interrupted`] from anything that prints.
    pub fn interrupted(message: impl fmt::Display) -> Self {
        Self::new(Kind::Interrupted, message)
    }

    /// A file that the user named could not be opened or read.
    pub fn reading(path: &Path, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::NotFound => Self::input("no such file; check the path"),
            _ => Self::input(format!("cannot be read: {source}")),
        }
        .caused_by(source)
        .in_file(path)
    }

    /// A file of ours could not be written: says what the disk lacks, and what to do.
    pub fn writing(path: &Path, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        let what = match Refusal::of(&source, path) {
            Some(refusal) => format!("cannot be written: {}", refusal.in_words(path)),
            None => format!("cannot be written: {source}"),
        };
        Self::run(what).caused_by(source).in_file(path)
    }

    /// The same error, about this file (or preset); one that it names already stays in the message.
    pub fn in_file(self, file: impl AsRef<Path>) -> Self {
        Self {
            message: self.to_string(),
            file: Some(file.as_ref().to_owned()),
            ..self
        }
    }

    /// The same error, about this part of the work.
    pub fn about(self, part: impl fmt::Display) -> Self {
        Self {
            message: format!("{part}: {self}"),
            file: None,
            ..self
        }
    }

    /// The same error with more words: a remedy, what else would have done.
    pub fn and(mut self, words: impl fmt::Display) -> Self {
        self.message += &words.to_string();
        self
    }

    /// The same error with what another library said.
    pub fn caused_by(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }

    /// Who can mend it.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether something the user gave is wrong.
    pub fn is_input(&self) -> bool {
        self.kind == Kind::Input
    }

    /// What went wrong, for a reader who knows that `file` is meant.
    pub fn message_in(&self, file: &Path) -> String {
        match self.file.as_deref() == Some(file) {
            true => self.message.clone(),
            false => self.to_string(),
        }
    }

    /// The process exit code: 2 for bad input, 1 for a failed run, 75 for one to be resumed, 0 for a closed pipe.
    pub fn exit_code(&self) -> u8 {
        self.kind.exit_code()
    }

    fn place(&self) -> String {
        match &self.file {
            Some(file) => format!("{}: ", file.display()),
            None => String::new(),
        }
    }
}

/// Why a disk takes no more, where it is one of the usual reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    Full,
    Quota,
    ReadOnly,
    Forbidden,
    FolderGone,
    TooLarge,
}

impl Refusal {
    /// The reason in an error of any library. libhdf5 tells the system's only in words, and not always.
    fn of(source: &(dyn std::error::Error + 'static), path: &Path) -> Option<Self> {
        let mut causes = std::iter::successors(Some(source), |error| error.source());
        let kind = causes.find_map(|error| Some(error.downcast_ref::<io::Error>()?.kind()));
        let said = source.to_string();
        let says = |words: &str| said.contains(words);
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        match kind {
            Some(io::ErrorKind::StorageFull) => Some(Self::Full),
            Some(io::ErrorKind::QuotaExceeded) => Some(Self::Quota),
            Some(io::ErrorKind::ReadOnlyFilesystem) => Some(Self::ReadOnly),
            Some(io::ErrorKind::PermissionDenied) => Some(Self::Forbidden),
            Some(io::ErrorKind::FileTooLarge) => Some(Self::TooLarge),
            Some(io::ErrorKind::NotFound) | None if folder.is_some_and(|at| !at.exists()) => {
                Some(Self::FolderGone)
            }
            Some(_) => None,
            None if says("No space left on device") => Some(Self::Full),
            None if says("Disk quota exceeded") => Some(Self::Quota),
            None if says("Read-only file system") => Some(Self::ReadOnly),
            None if says("File too large") => Some(Self::TooLarge),
            None if free_space(path).is_some_and(|free| free < NEXT_TO_NOTHING) => Some(Self::Full),
            None => None,
        }
    }

    fn in_words(self, path: &Path) -> String {
        let free = free_space(path)
            .map_or_else(String::new, |free| format!(", {} are free", in_bytes(free)));
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.display(),
            _ => Path::new(".").display(),
        };
        match self {
            Self::Full => {
                format!("the disk of {folder} is full{free}; make room, or write to another disk")
            }
            Self::Quota => format!(
                "your quota on the disk of {folder} is used up; make room, or write to another disk"
            ),
            Self::ReadOnly => format!("the disk of {folder} is read-only; write to another"),
            Self::Forbidden => format!(
                "permission denied; write to another folder than {folder}, or have its owner let you"
            ),
            Self::FolderGone => format!("the folder {folder} is gone"),
            Self::TooLarge => {
                "it would be larger than a file may be here (see `ulimit -f`)".to_owned()
            }
        }
    }
}

/// Errors while printing to standard output.
impl From<io::Error> for Error {
    fn from(source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::BrokenPipe => Self::new(Kind::ClosedPipe, "output closed"),
            _ => Self::run(format!("standard output cannot be written: {source}")),
        }
        .caused_by(source)
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    #[test]
    fn a_file_is_added_and_neither_kind_nor_cause_changes() {
        let path = Path::new("run/model.safetensors");
        let error = Error::writing(path, io::Error::other("disk full"));
        assert_eq!(error.message_in(path), "cannot be written: disk full");
        let source = error.source().expect("the cause is kept").to_string();
        assert_eq!(source, "disk full");
        let error = error.in_file("preset tiny-vit");
        assert_eq!(
            (error.kind(), error.exit_code(), error.to_string().as_str()),
            (
                Kind::Run,
                1,
                "preset tiny-vit: run/model.safetensors: cannot be written: disk full"
            )
        );
        assert_eq!(error.message_in(path), error.to_string());
        assert!(error.source().is_some());
    }

    #[test]
    fn a_disk_that_refuses_is_told_in_words_with_what_is_free() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("emb.h5");
        let of = |number: i32| {
            Error::writing(&path, io::Error::from_raw_os_error(number)).message_in(&path)
        };
        let full = of(28);
        let place = folder.path().display();
        assert!(full.starts_with(&format!("cannot be written: the disk of {place} is full, ")));
        assert!(full.contains(" are free; make room"), "{full}");
        assert!(of(30).contains("is read-only; write to another"));
        assert!(of(13).contains("permission denied; write to another folder"));
        // libhdf5 has no error of the system's, only its words.
        let words = "unable to write: errno = 28, error message = 'No space left on device'";
        let hdf5 = Error::writing(&path, hdf5::Error::from(words)).to_string();
        assert!(hdf5.contains("is full"), "{hdf5}");
        let gone =
            Error::writing(&path.join("x"), io::Error::from(io::ErrorKind::NotFound)).to_string();
        assert!(gone.contains("is gone"), "{gone}");
    }

    #[test]
    fn a_missing_file_is_input_and_a_closed_pipe_is_quiet() {
        let missing = Error::reading(Path::new("a.h5"), io::ErrorKind::NotFound.into());
        assert!(missing.is_input());
        assert_eq!(missing.to_string(), "a.h5: no such file; check the path");
        let closed = Error::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!((closed.kind(), closed.exit_code()), (Kind::ClosedPipe, 0));
    }
}
