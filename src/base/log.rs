//! The log on standard error, which never stops the work that it tells of.

use std::io::{self, Stderr, Write};

/// Standard error as a log: what cannot be written there (its reader has gone, its disk is full) is lost, and nothing
/// else is.
#[derive(Debug)]
pub(crate) struct Log(Stderr);

/// A writer of log lines.
pub(crate) fn log() -> Log {
    Log(io::stderr())
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let _ = self.0.write_all(bytes);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        let _ = self.0.flush();
        Ok(())
    }
}
