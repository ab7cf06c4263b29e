//! The metrics once more, as event files for TensorBoard.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use prost::Message;

use super::MetricsRecord;
use crate::base::clock::since_1970;
use crate::base::error::{Error, Result};
use crate::base::lock::host;

/// Name of the folder of event files in a run folder.
const FOLDER: &str = "tensorboard";

/// An event, of the fields of TensorFlow's `event.proto` those that are used.
#[derive(Clone, PartialEq, Message)]
struct Event {
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
    #[prost(message, optional, tag = "7")]
    session_log: Option<SessionLog>,
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Scalar>,
}

#[derive(Clone, PartialEq, Message)]
struct Scalar {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, tag = "2")]
    simple_value: f32,
}

#[derive(Clone, PartialEq, Message)]
struct SessionLog {
    /// 1: a start, before which TensorBoard drops what an earlier file says of this step and later ones.
    #[prost(int32, tag = "1")]
    status: i32,
}

/// Appends metrics to an event file of this process.
#[derive(Debug)]
pub struct EventFile {
    path: PathBuf,
    writer: BufWriter<File>,
}

impl EventFile {
    /// Begins a file for the run in a folder, which goes on after `step` steps. TensorBoard reads it after those of earlier
    /// processes.
    ///
    /// # Errors
    ///
    /// When the folder cannot be written.
    pub fn create(run: &Path, step: u64) -> Result<Self> {
        let folder = run.join(FOLDER);
        fs::create_dir_all(&folder).map_err(|source| Error::writing(&folder, source))?;
        let seconds = since_1970().as_secs_f64();
        let name = format!(
            "events.out.tfevents.{:010}.{}.{}",
            seconds as u64,
            host(),
            std::process::id()
        );
        let path = folder.join(name);
        let file = File::create(&path).map_err(|source| Error::writing(&path, source))?;
        let mut events = Self {
            path,
            writer: BufWriter::new(file),
        };
        let step = step as i64;
        events.append(&Event {
            wall_time: seconds,
            file_version: Some("brain.Event:2".to_owned()),
            ..Event::default()
        })?;
        events.append(&Event {
            wall_time: seconds,
            step: step + 1,
            session_log: Some(SessionLog { status: 1 }),
            ..Event::default()
        })?;
        Ok(events)
    }

    /// Appends all numbers of a record.
    ///
    /// # Errors
    ///
    /// When the disk is full.
    pub fn append_record(&mut self, record: &MetricsRecord) -> Result<()> {
        let named = [
            ("loss", record.loss),
            ("learning_rate", record.learning_rate),
            ("grad_norm", record.grad_norm),
            ("samples_per_second", record.samples_per_second),
        ];
        let named = named.map(|(name, value)| (name.to_owned(), value));
        let group = |prefix: &'static str, numbers: &serde_json::Map<_, serde_json::Value>| {
            let numbers = numbers.iter();
            let numbers = numbers.filter_map(move |(name, value): (&String, _)| {
                Some((format!("{prefix}/{name}"), value.as_f64()?))
            });
            numbers.collect::<Vec<_>>()
        };
        let values = named
            .into_iter()
            .chain(group("terms", &record.terms))
            .chain(group("grad_norms", &record.grad_norms))
            .map(|(tag, value)| Scalar {
                tag,
                simple_value: value as f32,
            });
        self.append(&Event {
            wall_time: since_1970().as_secs_f64(),
            step: record.step as i64,
            summary: Some(Summary {
                value: values.collect(),
            }),
            ..Event::default()
        })
    }

    /// Appends a record in TFRecord's frame: length, its checksum, bytes, their checksum.
    fn append(&mut self, event: &Event) -> Result<()> {
        let bytes = event.encode_to_vec();
        let length = (bytes.len() as u64).to_le_bytes();
        let parts = [
            &length[..],
            &masked_checksum(&length).to_le_bytes(),
            &bytes,
            &masked_checksum(&bytes).to_le_bytes(),
        ];
        self.writer
            .write_all(&parts.concat())
            .and_then(|()| self.writer.flush())
            .map_err(|source| Error::writing(&self.path, source))
    }
}

/// CRC-32C as TFRecord masks it (tensorflow/core/lib/hash/crc32c.h).
fn masked_checksum(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
        .rotate_right(15)
        .wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_and_fields_are_those_of_tensorflow() {
        // As TensorFlow 2 writes them: the checksum of the length 24, and the version's event at time 0.
        assert_eq!(
            masked_checksum(&24_u64.to_le_bytes()).to_le_bytes(),
            [0xa3, 0x7f, 0x4b, 0x22]
        );
        let version = Event {
            file_version: Some("brain.Event:2".to_owned()),
            ..Event::default()
        };
        assert_eq!(
            version.encode_to_vec(),
            [&[0x1a, 13][..], b"brain.Event:2"].concat()
        );
        let folder = tempfile::TempDir::new().expect("a folder");
        let mut events = EventFile::create(folder.path(), 7).expect("a file");
        let record = serde_json::from_str::<MetricsRecord>(
            r#"{"step":8,"loss":2.5,"learning_rate":0.001,"grad_norm":1.0,"samples_per_second":3.0,"dino":2.5}"#,
        );
        events
            .append_record(&record.expect("a record"))
            .expect("an event");
        let mut bytes = &fs::read(&events.path).expect("a file")[..];
        let mut read = Vec::new();
        while !bytes.is_empty() {
            let length = u64::from_le_bytes(bytes[..8].try_into().expect("8 bytes")) as usize;
            read.push(Event::decode(&bytes[12..12 + length]).expect("an event"));
            bytes = &bytes[16 + length..];
        }
        let steps: Vec<i64> = read.iter().map(|event| event.step).collect();
        assert_eq!(steps, [0, 8, 8]);
        let summary = read[2].summary.as_ref().expect("numbers");
        let numbers: Vec<(&str, f32)> = (summary.value.iter())
            .map(|scalar| (&*scalar.tag, scalar.simple_value))
            .collect();
        assert!(numbers.contains(&("loss", 2.5)) && numbers.contains(&("terms/dino", 2.5)));
    }
}
