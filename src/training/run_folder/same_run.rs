//! Whether a run that goes on is the one that began.

use std::collections::BTreeMap;
use std::path::Path;

use toml::{Table, Value};

use super::read_inputs;
use crate::base::error::{Error, Result};
use crate::base::input;
use crate::files::data::ReadOptions;
use crate::files::inputs::{InputFiles, Inputs, same_files};
use crate::training::config::{ImageRun, StageConfig};

/// Settings that may change when a run goes on: they do not touch what its steps do.
const FREE_KEYS: [&str; 10] = [
    "train.steps",
    "train.log_every",
    "train.checkpoint_every",
    "train.checkpoint_minutes",
    "train.keep_checkpoints",
    "train.stall_minutes",
    "train.tensorboard",
    "train.on_nonfinite",
    "train.max_skips",
    "train.ranks.shard_optimizer",
];
/// The number of steps, and that over which the schedules go where it is another.
const STEPS: (&str, &str) = ("train.steps", "train.schedule_steps");

/// Refuses to go on with another configuration, `text`, than the one in the run file at `path`.
///
/// # Errors
///
/// [`Error::input`] that names all settings which would make it another run.
pub fn check_config(path: &Path, text: &str) -> Result<()> {
    let old = input::text(path)?;
    let flatten = |text: &str| {
        let table: Table = text.parse().map_err(|source: toml::de::Error| {
            Error::input(&source).caused_by(source).in_file(path)
        })?;
        let mut keys = BTreeMap::new();
        flat(&Value::Table(table), String::new(), &mut keys);
        Ok::<_, Error>(keys)
    };
    let (mut old, mut new) = (flatten(&old)?, flatten(text)?);
    // Other steps of the same schedules are the same run, shorter or longer.
    for keys in [&mut old, &mut new] {
        if let Some(steps) = keys.get(STEPS.0).cloned() {
            keys.entry(STEPS.1.to_owned()).or_insert(steps);
        }
    }
    let mut changed: Vec<&String> = old
        .keys()
        .chain(new.keys())
        .filter(|key| old.get(*key) != new.get(*key))
        .collect();
    changed.sort();
    changed.dedup();
    let show = |key: &String| {
        let value = |keys: &BTreeMap<String, String>| {
            keys.get(key).cloned().unwrap_or_else(|| "nothing".into())
        };
        format!("`{key}` was {} and is {}", value(&old), value(&new))
    };
    let (free, fixed): (Vec<&String>, Vec<&String>) = changed
        .into_iter()
        .partition(|key| FREE_KEYS.contains(&key.as_str()));
    for key in free {
        tracing::info!("resuming with a change: {}", show(key));
    }
    if fixed.is_empty() {
        return Ok(());
    }
    let shown: Vec<String> = fixed.into_iter().map(show).collect();
    Err(Error::input(format!(
        "resuming with another configuration would make it another run: {}; \
         undo the change or start a run in another folder",
        shown.join("; ")
    ))
    .in_file(path))
}

fn flat(value: &Value, path: String, keys: &mut BTreeMap<String, String>) {
    match value {
        Value::Table(table) => {
            for (key, value) in table {
                let path = match path.is_empty() {
                    true => key.clone(),
                    false => format!("{path}.{key}"),
                };
                flat(value, path, keys);
            }
        }
        value => {
            keys.insert(path, value.to_string());
        }
    }
}

/// Refuses to go on with other data or models than those that the run was started with. Labels are compared by the
/// stage that uses them, value by value.
pub(super) fn check_inputs(stage: &str, folder: &Path, now: &Inputs) -> Result<()> {
    let Some(then) = read_inputs(folder)? else {
        return Ok(());
    };
    let kinds = [
        ("data", "--data", &then.data[..], &now.data[..]),
        (
            "pairs",
            "--pairs",
            then.pairs.as_slice(),
            now.pairs.as_slice(),
        ),
        match then.models.len() {
            _ if stage == ImageRun::STAGE => ("weights", "--init", &then.models, &now.models),
            1 => ("weights", "--weights", &then.models, &now.models),
            _ => (
                "encoders",
                "--image-encoder and --spectrum-encoder",
                &then.models,
                &now.models,
            ),
        },
    ];
    for (what, flag, then, now) in kinds {
        if !same_files(then, now) {
            let paths = |files: &[InputFiles]| {
                let paths: Vec<String> = files
                    .iter()
                    .map(|files| format!("{} ({} bytes)", files.path.display(), files.bytes))
                    .collect();
                match paths.is_empty() {
                    true => "nothing".to_owned(),
                    false => paths.join(", "),
                }
            };
            return Err(Error::input(format!(
                "resuming with other {what} would make it another run: \
                 it began with {} and would go on with {}; \
                 name the former by {flag}, or start a run in another folder",
                paths(then),
                paths(now)
            ))
            .in_file(folder));
        }
    }
    // A galaxy that cannot be used ends a run in which none is left out: it may be left out from now on.
    let read = |read: &ReadOptions| ReadOptions {
        skip_bad: false,
        missing_bands: false,
        pairs: None,
        ..read.clone()
    };
    match read(&then.read) == read(&now.read) {
        true => Ok(()),
        false => Err(Error::input(
            "resuming with other datasets of its files would make it another run; give the former --format and keys, leave \
             --data out to have them taken from the run folder, or start a run in another folder",
        )
        .in_file(folder)),
    }
}
