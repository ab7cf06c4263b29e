//! One error type, split by who has to act: the user (exit code 2) or the run itself (exit code 1); and one grammar
//! for settings that are refused.

mod check;

pub use check::{ABOVE_0, ABOVE_0_TO_1, BETWEEN_0_AND_1, Check};

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

    /// A file of ours could not be written.
    pub fn writing(path: &Path, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::run(format!("cannot be written: {source}"))
            .caused_by(source)
            .in_file(path)
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
        match self.kind {
            Kind::Input => 2,
            Kind::Run => 1,
            Kind::Interrupted => 75,
            Kind::ClosedPipe => 0,
        }
    }

    fn place(&self) -> String {
        match &self.file {
            Some(file) => format!("{}: ", file.display()),
            None => String::new(),
        }
    }
}

/// Errors while printing to standard output.
impl From<io::Error> for Error {
    fn from(source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::BrokenPipe => Self::new(Kind::ClosedPipe, "output closed"),
            _ => Self::run(format!("input or output failed: {source}")),
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
    fn a_missing_file_is_input_and_a_closed_pipe_is_quiet() {
        let missing = Error::reading(Path::new("a.h5"), io::ErrorKind::NotFound.into());
        assert!(missing.is_input());
        assert_eq!(missing.to_string(), "a.h5: no such file; check the path");
        let closed = Error::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!((closed.kind(), closed.exit_code()), (Kind::ClosedPipe, 0));
    }
}
