//! Who worked on a run, when, with what program and on what machine, and how that ended.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

use crate::base::error::Error;
use crate::base::input;
use crate::base::lock::host;
use crate::training::train::Watch;

/// Name of the record in a run folder: a line for each start of a process, a line for each end. A start without an end was
/// killed.
const SESSIONS_FILE: &str = "sessions.jsonl";

/// One process's work on a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// How it began.
    pub start: SessionStart,
    /// How it ended; none while it goes on, and where it was killed.
    pub end: Option<SessionEnd>,
}

/// How a process began to work on a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SessionStart {
    /// When, as RFC 3339 in UTC.
    pub time: String,
    /// Steps that were done.
    pub step: u64,
    /// Version of the program.
    pub version: String,
    /// The commit that it was built from, where that is known.
    pub commit: Option<String>,
    /// The command as it was typed.
    pub command: Vec<String>,
    /// Name of the machine.
    pub host: String,
    /// Number of the process there.
    pub process: u32,
    /// Processor that computes.
    pub device: String,
    /// Threads of the CPU.
    pub threads: usize,
}

/// How a process ended to work on a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SessionEnd {
    /// When, as RFC 3339 in UTC.
    pub time: String,
    /// Steps that were done.
    pub step: u64,
    /// How.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// Seconds from the start.
    pub seconds: f64,
    /// Seconds of these that were waited for batches.
    pub data_seconds: f64,
    /// Seconds of these in which steps were computed.
    pub device_seconds: f64,
    /// Seconds of these in which checkpoints, metrics and the model were written.
    pub writing_seconds: f64,
}

/// How a process's work on a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "outcome", content = "because")]
pub enum Outcome {
    /// All steps are done, and the model is written.
    Finished,
    /// As far as it was told to go.
    Stopped,
    /// A signal asked for the end: its name.
    Interrupted(String),
    /// What failed.
    Failed(String),
}

/// A line of the record.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Line {
    Start(SessionStart),
    End(SessionEnd),
}

/// The record of what this process does with a run. What the disk does not take is lost with a warning: the run counts for
/// more than its record.
#[derive(Debug)]
pub struct SessionRecord {
    folder: PathBuf,
    is_begun: bool,
}

impl SessionRecord {
    /// That of the run in a folder.
    pub fn of(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            is_begun: false,
        }
    }

    /// This process begins to work on the run, of which `step` steps are done.
    pub fn begin(&mut self, step: u64, device: String) {
        let command = std::env::args_os();
        self.is_begun = true;
        self.append(&Line::Start(SessionStart {
            time: now(),
            step,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            commit: option_env!("ASTROCLIP_COMMIT").map(str::to_owned),
            command: command
                .map(|word| word.to_string_lossy().into_owned())
                .collect(),
            host: host(),
            process: std::process::id(),
            device,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
        }));
    }

    /// This process's work on the run, which is watched, has ended; where it never began, nothing has.
    pub fn end(self, outcome: Outcome, watch: &Watch) {
        if !self.is_begun {
            return;
        }
        let times = watch.times();
        self.append(&Line::End(SessionEnd {
            time: now(),
            step: watch.step(),
            outcome,
            seconds: times.data + times.device + times.writing,
            data_seconds: times.data,
            device_seconds: times.device,
            writing_seconds: times.writing,
        }));
    }

    fn append(&self, line: &Line) {
        let path = self.folder.join(SESSIONS_FILE);
        if let Err(source) = append(&path, line) {
            let error = Error::writing(&path, source);
            tracing::warn!("{error}; the run goes on without this line of its record");
        }
    }
}

impl Session {
    /// All sessions of the run in a folder, the first first. Lines that a killed process left half written are passed over.
    pub fn read_all(folder: &Path) -> Vec<Self> {
        let bytes = input::bytes(&folder.join(SESSIONS_FILE)).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let mut sessions: Vec<Self> = Vec::new();
        for line in text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
        {
            match line {
                Line::Start(start) => sessions.push(Self { start, end: None }),
                Line::End(end) => {
                    if let Some(last) = sessions.last_mut() {
                        last.end = Some(end);
                    }
                }
            }
        }
        sessions
    }
}

/// This moment, as RFC 3339 in UTC.
fn now() -> String {
    DateTime::<Utc>::from(SystemTime::now()).to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Adds a line in one piece; it begins one of its own even where a killed process left half a line.
fn append(path: &Path, line: &Line) -> io::Result<()> {
    if path.exists() {
        input::metadata(path).map_err(io::Error::other)?;
    }
    let half = fs::read(path).is_ok_and(|text| text.last().is_some_and(|&last| last != b'\n'));
    let line = serde_json::to_string(line).expect("records are plain JSON");
    let line = format!("{}{line}\n", if half { "\n" } else { "" });
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    file.write_all(line.as_bytes())?;
    file.sync_data()
}
