//! `metrics.jsonl`.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::base::error::{Error, Result};
use crate::base::input;
use crate::base::output::write_whole;

/// One line of `metrics.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetricsRecord {
    /// Steps done, counted from 1.
    pub step: u64,
    /// The total loss.
    pub loss: f64,
    /// Learning rate of the step.
    pub learning_rate: f64,
    /// Gradient norm before clipping.
    pub grad_norm: f64,
    /// Gradient norms of the parts that are clipped apart.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub grad_norms: Map<String, Value>,
    /// Galaxies per second since the line before.
    pub samples_per_second: f64,
    /// Every loss term, as it enters the total, and further numbers of the stage.
    #[serde(flatten)]
    pub terms: Map<String, Value>,
}

/// The line of a step whose update was left out since a number of it is not finite.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SkippedStep {
    /// Steps done, this one among them.
    pub step: u64,
    /// The number that is not finite.
    pub skipped: String,
    /// Its value, as text: JSON has no NaN.
    pub value: String,
    /// What was measured all the same.
    #[serde(flatten)]
    pub measured: Map<String, Value>,
}

/// A line of `metrics.jsonl`.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Line {
    Skipped(SkippedStep),
    Record(MetricsRecord),
}

impl Line {
    fn step(&self) -> u64 {
        match self {
            Self::Skipped(skipped) => skipped.step,
            Self::Record(record) => record.step,
        }
    }
}

/// Appends records to `metrics.jsonl`.
#[derive(Debug)]
pub struct MetricsFile {
    path: PathBuf,
    writer: BufWriter<File>,
    skipped: u64,
}

impl MetricsFile {
    /// Opens the file for a run that continues after `step`: records of later steps, which a broken
    /// run left behind, are dropped.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or written.
    pub fn open(path: &Path, step: u64) -> Result<Self> {
        let (mut text, mut skipped) = (String::new(), 0);
        if path.exists() {
            let lines = whole_lines(path)?.into_iter();
            for (known, line) in lines.filter(|(known, _)| known.step() <= step) {
                skipped += u64::from(matches!(known, Line::Skipped(_)));
                text += &(line + "\n");
            }
        }
        write_whole(path, text.as_bytes())?;
        let file = OpenOptions::new()
            .append(true)
            .open(path)
            .map_err(|source| Error::writing(path, source))?;
        Ok(Self {
            path: path.to_owned(),
            writer: BufWriter::new(file),
            skipped,
        })
    }

    /// Steps of the run whose updates were left out so far.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Appends one record, visible to other programs at once.
    ///
    /// # Errors
    ///
    /// When the disk is full.
    pub fn append(&mut self, record: &MetricsRecord) -> Result<()> {
        self.append_line(record)
    }

    /// Appends the line of a step whose update was left out.
    ///
    /// # Errors
    ///
    /// When the disk is full.
    pub fn append_skipped(&mut self, skipped: &SkippedStep) -> Result<()> {
        self.skipped += 1;
        self.append_line(skipped)
    }

    fn append_line(&mut self, line: &impl Serialize) -> Result<()> {
        let line = serde_json::to_string(line).expect("records are plain JSON");
        writeln!(self.writer, "{line}")
            .and_then(|()| self.writer.flush())
            .map_err(|source| Error::writing(&self.path, source))
    }

    /// Makes sure that the records outlive a crash of the machine, before a checkpoint that follows them.
    ///
    /// # Errors
    ///
    /// When the disk is full.
    pub fn sync(&mut self) -> Result<()> {
        let file = self.writer.get_ref();
        file.sync_data()
            .map_err(|source| Error::writing(&self.path, source))
    }

    /// All whole records of a metrics file, without the lines of skipped steps; a last line that was cut off is left
    /// out.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn read(path: &Path) -> Result<Vec<MetricsRecord>> {
        let lines = whole_lines(path)?;
        let records = lines.into_iter().filter_map(|(line, _)| match line {
            Line::Record(record) => Some(record),
            Line::Skipped(_) => None,
        });
        Ok(records.collect())
    }
}

/// What the lines of a file say, each with the line.
fn whole_lines(path: &Path) -> Result<Vec<(Line, String)>> {
    // A power failure may leave anything at the end.
    let bytes = input::bytes(path)?;
    let text = String::from_utf8_lossy(&bytes);
    let whole = |line: &str| Some((serde_json::from_str(line).ok()?, line.to_owned()));
    Ok(text.lines().filter_map(whole).collect())
}
