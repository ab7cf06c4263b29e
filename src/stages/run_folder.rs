use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use toml::{Table, Value};

use crate::config::{StageConfig, to_toml};
use crate::error::{Error, Result};
use crate::output::write_whole;
use crate::weights::{ModelFile, ModelKind, TensorFile};

/// Name of the exported model in a run folder.
pub const MODEL_FILE: &str = "model.safetensors";
/// Name of the resolved run file in a run folder.
const CONFIG_FILE: &str = "config.toml";
/// Settings that may change when a run goes on: they do not touch its result.
const FREE_KEYS: [&str; 3] = [
    "train.log_every",
    "train.checkpoint_every",
    "train.keep_checkpoints",
];

/// Makes the run folder and writes the resolved run file; with `resume` checks that it is the same run.
///
/// # Errors
///
/// [`Error::Input`] when the folder holds a run and `resume` is not given, when there is nothing to
/// resume, or when the configuration would make it another run.
pub fn prepare<C: StageConfig>(folder: &Path, config: &C, resume: bool) -> Result<()> {
    let path = folder.join(CONFIG_FILE);
    let text = to_toml(config);
    match (path.exists(), resume) {
        (true, false) => {
            return Err(Error::input(format!(
                "{}: holds a run already; go on with it by --resume, or choose another folder with --out",
                folder.display()
            )));
        }
        (false, true) => {
            return Err(Error::input(format!(
                "{}: holds no run to resume; leave --resume out to start one",
                folder.display()
            )));
        }
        (true, true) => check_same_run(&path, &text)?,
        (false, false) => {}
    }
    fs::create_dir_all(folder).map_err(|source| Error::writing(folder, &source))?;
    write_whole(&path, text.as_bytes())
}

fn check_same_run(path: &Path, text: &str) -> Result<()> {
    let old = fs::read_to_string(path).map_err(|source| Error::reading(path, &source))?;
    let flatten = |text: &str| {
        let table: Table = text.parse().map_err(|source: toml::de::Error| {
            Error::input(format!("{}: {source}", path.display()))
        })?;
        let mut keys = BTreeMap::new();
        flat(&Value::Table(table), String::new(), &mut keys);
        Ok::<_, Error>(keys)
    };
    let (old, new) = (flatten(&old)?, flatten(text)?);
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
        "{}: resuming with another configuration would make it another run: {}; undo the change or start a run in another folder",
        path.display(),
        shown.join("; ")
    )))
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

/// The newest model of `kind` among the runs in `folder`.
///
/// # Errors
///
/// [`Error::Input`] that says how to make one when there is none.
pub fn find_newest_model(folder: &Path, kind: ModelKind) -> Result<PathBuf> {
    let newest = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let path = entry.ok()?.path().join(MODEL_FILE);
            let modified = fs::metadata(&path).and_then(|data| data.modified()).ok()?;
            let file: ModelFile = TensorFile::open(&path).ok()?.header().ok()?;
            (file.kind == kind).then_some((modified, path))
        })
        .max_by_key(|(modified, _): &(SystemTime, PathBuf)| *modified);
    newest.map(|(_, path)| path).ok_or_else(|| {
        let (command, option) = match kind {
            ModelKind::SpectrumEncoder => ("pretrain-spectrum", "--spectrum-encoder"),
            _ => ("pretrain-image", "--image-encoder"),
        };
        Error::input(format!(
            "{}: no run there has a finished {}; make one with `astroclip {command} --data FILE`, or name one with {option}",
            folder.display(),
            kind.label()
        ))
    })
}
