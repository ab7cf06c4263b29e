use std::fs;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::{StageConfig, preset};
use crate::error::{Error, Result};
use crate::survey::Survey;

/// The configuration `name` (a file, else a preset; without one the stage's default preset) with
/// `overrides` of the form `key.path=value` applied.
///
/// # Errors
///
/// [`Error::Input`] that names the file and the path of an unknown, ill-typed or inconsistent key.
pub fn load<C: StageConfig>(name: Option<&str>, overrides: &[String]) -> Result<C> {
    let name = name.unwrap_or(C::DEFAULT);
    let (origin, text) = read(name)?;
    resolve(&origin, &text, overrides)
}

/// The text of a file of that name, else of a preset.
fn read(name: &str) -> Result<(String, String)> {
    let path = Path::new(name);
    if path.is_file() {
        let text = fs::read_to_string(path).map_err(|source| Error::reading(path, &source))?;
        return Ok((name.to_owned(), text));
    }
    let preset = preset::find(name)?;
    Ok((format!("preset {}", preset.name), preset.text.to_owned()))
}

/// Parses a run file from `origin`, applies overrides, checks.
///
/// # Errors
///
/// As [`load`].
pub fn resolve<C: StageConfig>(origin: &str, text: &str, overrides: &[String]) -> Result<C> {
    let mut table: Table = text
        .parse()
        .map_err(|source: toml::de::Error| Error::input(format!("{origin}: {source}")))?;
    match table.remove("stage") {
        Some(Value::String(stage)) if stage == C::STAGE => {}
        Some(stage) => {
            return Err(Error::input(format!(
                "{origin}: it is a run file for {stage}, not for \"{}\"; `astroclip config list` shows which is for what",
                C::STAGE
            )));
        }
        None => {
            return Err(Error::input(format!(
                "{origin}: no key `stage`; a run file for this command starts with stage = \"{}\"",
                C::STAGE
            )));
        }
    }
    for assignment in overrides {
        set(&mut table, assignment)?;
    }
    let config: C = decode(origin, table)?;
    config
        .check()
        .map_err(|error| Error::input(format!("{origin}: {error}")))?;
    Ok(config)
}

fn decode<T: DeserializeOwned>(origin: &str, table: Table) -> Result<T> {
    serde_path_to_error::deserialize(Value::Table(table)).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner().to_string();
        // toml adds lines that repeat the path.
        let message = inner.lines().next().unwrap_or_default();
        match path.as_str() {
            "." => Error::input(format!("{origin}: {message}")),
            _ => Error::input(format!("{origin}: `{path}`: {message}")),
        }
    })
}

/// Applies one `key.path=value`; the value is TOML, or text where it is no TOML.
fn set(table: &mut Table, assignment: &str) -> Result<()> {
    let (path, value) = assignment.split_once('=').ok_or_else(|| {
        Error::input(format!(
            "--set {assignment}: expected key=value, such as --set optimizer.lr=1e-4"
        ))
    })?;
    let value = format!("value = {value}")
        .parse::<Table>()
        .ok()
        .and_then(|mut parsed| parsed.remove("value"))
        .unwrap_or_else(|| Value::String(value.to_owned()));
    let mut keys: Vec<&str> = path.trim().split('.').collect();
    let last = keys.pop().unwrap_or_default();
    let mut place = table;
    for key in keys {
        place = place
            .entry(key)
            .or_insert_with(|| Value::Table(Table::new()))
            .as_table_mut()
            .ok_or_else(|| {
                Error::input(format!(
                    "--set {assignment}: `{key}` is a value, not a table"
                ))
            })?;
    }
    place.insert(last.to_owned(), value);
    Ok(())
}

/// What a survey's galaxies are like: the table `survey` of a run file of any stage, with overrides; without
/// one, the Legacy Surveys and DESI.
///
/// # Errors
///
/// As [`load`].
pub fn load_survey(name: Option<&str>, overrides: &[String]) -> Result<Survey> {
    let (origin, text) = match name {
        Some(name) => read(name)?,
        None => ("--set".to_owned(), String::new()),
    };
    let mut table: Table = text
        .parse()
        .map_err(|source: toml::de::Error| Error::input(format!("{origin}: {source}")))?;
    for assignment in overrides {
        set(&mut table, assignment)?;
    }
    let survey = table.remove("survey");
    if let (None, Some(key)) = (name, table.keys().next()) {
        return Err(Error::input(format!(
            "--set: unknown key `{key}`; without --config only those of `survey` can be set"
        )));
    }
    let survey: Survey = match survey {
        Some(Value::Table(survey)) => decode(&origin, survey)?,
        Some(_) => return Err(Error::input(format!("{origin}: `survey` must be a table"))),
        None => Survey::default(),
    };
    survey
        .check()
        .map_err(|error| Error::input(format!("{origin}: {error}")))?;
    Ok(survey)
}

/// The configuration as a run file that gives the same run again.
pub fn to_toml<C: StageConfig + Serialize>(config: &C) -> String {
    let body = toml::to_string(config).expect("configurations are plain TOML");
    format!("stage = \"{}\"\n\n{body}", C::STAGE)
}
