//! The log on standard error, which never stops the work that it tells of.

use std::io::{self, Stderr, Write};
use std::sync::OnceLock;

use crate::base::ranks::Launched;

/// Standard error as a log: what cannot be written there (its reader has gone, its disk is full) is lost, and nothing
/// else is. Of several ranks all but the first say who they are.
#[derive(Debug)]
pub(crate) struct Log(Stderr);

/// A writer of log lines.
pub(crate) fn log() -> Log {
    Log(io::stderr())
}

/// What stands before a line.
fn speaker() -> &'static str {
    static SPEAKER: OnceLock<String> = OnceLock::new();
    SPEAKER.get_or_init(|| match Launched::here() {
        Some(launched) if launched.is_follower() => format!("rank {}: ", launched.rank),
        _ => String::new(),
    })
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let speaker = speaker();
        let _ = match speaker.is_empty() {
            true => self.0.write_all(bytes),
            // In one piece: ranks share a terminal.
            false => self.0.write_all(&[speaker.as_bytes(), bytes].concat()),
        };
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        let _ = self.0.flush();
        Ok(())
    }
}
