//! One error type, split by who has to act: the user (exit code 2) or the run itself (exit code 1).

use std::{fmt, io, path::Path};

/// Result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, and who can mend it.
///
/// A message names the file, dataset, row or key, says what was expected, and what to do next.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something the user gave is wrong: a file, a key, a value. Exit code 2.
    #[error("{0}")]
    Input(String),
    /// The run failed although its input was right: disk full, non-finite loss. Exit code 1.
    #[error("{0}")]
    Run(String),
    /// The reader of our output went away (`astroclip search … | head`). Ends the program quietly.
    #[error("output closed")]
    ClosedPipe,
}

impl Error {
    /// An [`Error::Input`] from anything that prints.
    pub fn input(message: impl fmt::Display) -> Self {
        Self::Input(message.to_string())
    }

    /// An [`Error::Run`] from anything that prints.
    pub fn run(message: impl fmt::Display) -> Self {
        Self::Run(message.to_string())
    }

    /// A file that the user named could not be opened or read.
    pub fn reading(path: &Path, source: &io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::NotFound => {
                Self::Input(format!("{}: no such file; check the path", path.display()))
            }
            _ => Self::Input(format!("{}: cannot be read: {source}", path.display())),
        }
    }

    /// A file of ours could not be written.
    pub fn writing(path: &Path, source: &io::Error) -> Self {
        Self::Run(format!("{}: cannot be written: {source}", path.display()))
    }

    /// The process exit code: 2 for bad input, 1 for a failed run, 0 for a closed pipe.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Input(_) => 2,
            Self::Run(_) => 1,
            Self::ClosedPipe => 0,
        }
    }
}

/// Errors while printing to standard output.
impl From<io::Error> for Error {
    fn from(source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::BrokenPipe => Self::ClosedPipe,
            _ => Self::Run(format!("input or output failed: {source}")),
        }
    }
}
