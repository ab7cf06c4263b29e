//! The folder of a run: its run file, what it is made from, and whether it may go on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use toml::{Table, Value};

use crate::base::error::{Error, Result};
use crate::base::output::write_whole;
use crate::files::inputs::{InputFiles, Inputs};
use crate::training::config::{StageConfig, to_toml};

/// Name of the exported model in a run folder.
pub const MODEL_FILE: &str = "model.safetensors";
/// Name of the resolved run file in a run folder.
const CONFIG_FILE: &str = "config.toml";
/// Name of the record of what a run is made from, in a run folder.
const INPUTS_FILE: &str = "inputs.json";
/// Settings that may change when a run goes on: they do not touch its result.
const FREE_KEYS: [&str; 5] = [
    "train.log_every",
    "train.checkpoint_every",
    "train.keep_checkpoints",
    "train.on_nonfinite",
    "train.max_skips",
];

/// Makes the run folder and writes the resolved run file and what the run is made from; with `resume` checks that it is
/// the same run on the same files.
///
/// # Errors
///
/// [`Error::input`] when the folder holds a run and `resume` is not given, when there is nothing to
/// resume, or when the configuration or the files would make it another run.
pub fn prepare<C: StageConfig>(
    folder: &Path,
    config: &C,
    inputs: &Inputs,
    resume: bool,
) -> Result<()> {
    let path = folder.join(CONFIG_FILE);
    let text = to_toml(config);
    match (path.exists(), resume) {
        (true, false) => {
            return Err(Error::input(
                "holds a run already; go on with it by --resume, \
                 or choose another folder with --out",
            )
            .in_file(folder));
        }
        (false, true) => {
            return Err(
                Error::input("holds no run to resume; leave --resume out to start one")
                    .in_file(folder),
            );
        }
        (true, true) => {
            check_same_run(&path, &text)?;
            check_same_inputs(folder, inputs)?;
        }
        (false, false) => {}
    }
    fs::create_dir_all(folder).map_err(|source| Error::writing(folder, source))?;
    let record = serde_json::to_string_pretty(inputs).expect("records are plain JSON");
    write_whole(&folder.join(INPUTS_FILE), record.as_bytes())?;
    write_whole(&path, text.as_bytes())
}

fn check_same_run(path: &Path, text: &str) -> Result<()> {
    let old = fs::read_to_string(path).map_err(|source| Error::reading(path, source))?;
    let flatten = |text: &str| {
        let table: Table = text.parse().map_err(|source: toml::de::Error| {
            Error::input(&source).caused_by(source).in_file(path)
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

/// What the run in a folder was started with; none where its folder does not say.
///
/// # Errors
///
/// [`Error::input`] where the record is damaged.
pub fn read_inputs(folder: &Path) -> Result<Option<Inputs>> {
    let path = folder.join(INPUTS_FILE);
    match fs::read_to_string(&path) {
        Ok(text) => serde_json::from_str(&text).map(Some).map_err(|source| {
            Error::input(format!(
                "is damaged ({source}); remove it, \
                 and name the files of the run on the command line"
            ))
            .caused_by(source)
            .in_file(&path)
        }),
        Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::reading(&path, source)),
    }
}

/// The stage of the run in a folder; none where it holds no run.
pub fn stage_of(folder: &Path) -> Option<String> {
    let text = fs::read_to_string(folder.join(CONFIG_FILE)).ok()?;
    let table: Table = text.parse().ok()?;
    table.get("stage")?.as_str().map(str::to_owned)
}

/// The resolved run file of the run in a folder.
pub fn config_file(folder: &Path) -> PathBuf {
    folder.join(CONFIG_FILE)
}

/// Refuses to go on with other data or models than those that the run was started with. Labels are compared by the
/// stage that uses them, value by value.
fn check_same_inputs(folder: &Path, now: &Inputs) -> Result<()> {
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
        (
            "encoders",
            "--image-encoder and --spectrum-encoder",
            &then.models,
            &now.models,
        ),
    ];
    for (what, flag, then, now) in kinds {
        let same = then.len() == now.len() && then.iter().zip(now).all(|(a, b)| a.same_content(b));
        if !same {
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
    Ok(())
}
