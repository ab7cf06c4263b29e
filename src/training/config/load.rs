//! From a name, files and overrides to a checked run file.

use std::fs;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::{StageConfig, preset};
use crate::base::error::{Error, Result};
use crate::base::input;
use crate::files::catalog::LabelOptions;
use crate::survey::{Survey, Target};

/// A run file: what is done, and to which files.
#[derive(Debug, Clone, PartialEq)]
pub struct RunFile<C> {
    /// Name of the file, or of the preset.
    pub origin: String,
    /// What is done.
    pub config: C,
    /// The files that it names; presets name none.
    pub data: DataSection,
}

/// The table `data` of a run file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DataSection {
    /// Survey files, folders and patterns; in a run file relative to it.
    pub files: Vec<PathBuf>,
    /// Table that pairs images and spectra of different files; in a run file relative to it.
    pub pairs: Option<PathBuf>,
    /// Tables of labels; in a run file relative to it.
    pub labels: Vec<PathBuf>,
    /// Their identifier column; one of the usual names without it.
    pub id_column: Option<String>,
    /// Which table is meant in files of labels that have several.
    pub table: Option<String>,
    /// Column of redshifts; without it, and those that follow, names and values say which.
    pub redshift_column: Option<String>,
    /// Column of stellar masses.
    pub log_mstar_column: Option<String>,
    /// Column of metallicities.
    pub log_z_mw_column: Option<String>,
    /// Column of ages.
    pub tage_mw_column: Option<String>,
    /// Column of specific star-formation rates.
    pub log_ssfr_column: Option<String>,
    /// Leave out galaxies that cannot be used.
    pub skip_bad: bool,
}

impl DataSection {
    /// What it says of the columns of the labels.
    pub fn label_options(&self) -> LabelOptions {
        let columns = Target::ALL.into_iter().filter_map(|target| {
            let name = match target {
                Target::Redshift => &self.redshift_column,
                Target::StellarMass => &self.log_mstar_column,
                Target::Metallicity => &self.log_z_mw_column,
                Target::Age => &self.tage_mw_column,
                Target::SpecificStarFormationRate => &self.log_ssfr_column,
            };
            Some((target, name.clone()?))
        });
        LabelOptions {
            id_column: self.id_column.clone(),
            table: self.table.clone(),
            columns: columns.collect(),
        }
    }
}

/// The configuration `name` (a file, else a preset; without one the stage's default preset) with
/// `overrides` of the form `key.path=value` applied.
///
/// A run file may start from another: `base = "tiny-vit"` takes all of that preset, or of that file, and changes
/// what the file itself says.
///
/// # Errors
///
/// [`Error::input`] that names the file and the path of an unknown, ill-typed or inconsistent key.
pub fn load_run<C: StageConfig>(name: Option<&str>, overrides: &[String]) -> Result<RunFile<C>> {
    let name = name.unwrap_or(C::DEFAULT);
    resolve(read(name)?, overrides)
}

/// What is done by [`load_run`] without the files.
///
/// # Errors
///
/// As [`load_run`].
pub fn load<C: StageConfig>(name: Option<&str>, overrides: &[String]) -> Result<C> {
    load_run(name, overrides).map(|file| file.config)
}

/// The run file at `path`, whatever presets are called.
///
/// # Errors
///
/// As [`load_run`].
pub fn load_file<C: StageConfig>(path: &Path, overrides: &[String]) -> Result<RunFile<C>> {
    resolve(read_file(path, &mut Vec::new())?, overrides)
}

/// A run file as it stands.
struct Source {
    /// Name of the file, or of the preset.
    origin: String,
    /// All settings, those that it is based on among them.
    table: Table,
    /// Those that the file states itself; none of a preset.
    stated: Table,
}

/// A file of that name, else a preset.
fn read(name: &str) -> Result<Source> {
    let path = Path::new(name);
    match read_preset(name) {
        _ if path.is_file() => read_file(path, &mut Vec::new()),
        // A folder or a pipe is called what it is.
        Err(_) if path.exists() => read_file(path, &mut Vec::new()),
        preset => preset,
    }
}

fn read_preset(name: &str) -> Result<Source> {
    let preset = preset::find(name)?;
    let origin = format!("preset {}", preset.name);
    Ok(Source {
        table: parse(&origin, preset.text)?,
        stated: Table::new(),
        origin,
    })
}

fn parse(origin: &str, text: &str) -> Result<Table> {
    text.parse()
        .map_err(|source: toml::de::Error| Error::input(&source).caused_by(source).in_file(origin))
}

/// A file with all that it is based on; `above` are the files that are based on it.
fn read_file(path: &Path, above: &mut Vec<PathBuf>) -> Result<Source> {
    let origin = path.display().to_string();
    let text = input::text(path)?;
    let mut table = parse(&origin, &text)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    if let Some(Value::Table(data)) = table.get_mut("data") {
        for key in ["files", "pairs", "labels"] {
            if let Some(paths) = data.get_mut(key) {
                place_in(folder, paths);
            }
        }
    }
    let base = match table.remove("base") {
        None => {
            let stated = table.clone();
            return Ok(Source {
                origin,
                table,
                stated,
            });
        }
        Some(Value::String(base)) => base,
        Some(other) => {
            return Err(Error::input(format!(
                "`base` is {other}; expected the name of a preset or of a run file, such as \"tiny-vit\""
            ))
            .in_file(origin));
        }
    };
    let real = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    above.push(real(path));
    let file = folder.join(&base);
    let mut base = match file.is_file() {
        true if above.contains(&real(&file)) => {
            return Err(Error::input(format!(
                "`base` = \"{base}\" leads back to {}; a preset of that name is called without .toml",
                file.display()
            ))
            .in_file(origin));
        }
        true => read_file(&file, above)?,
        false => read_preset(&base).map_err(|error| error.about("`base`").in_file(&origin))?,
    };
    overlay(&mut base.table, table.clone());
    Ok(Source {
        origin,
        table: base.table,
        stated: table,
    })
}

/// Puts a path or several, as a run file has them, into its folder.
fn place_in(folder: &Path, paths: &mut Value) {
    match paths {
        Value::String(text) => *text = folder.join(&*text).display().to_string(),
        Value::Array(paths) => paths.iter_mut().for_each(|path| place_in(folder, path)),
        _ => {}
    }
}

/// Changes a table as another says: tables within it key by key, all else as a whole.
fn overlay(table: &mut Table, changes: Table) {
    for (key, change) in changes {
        match (table.get_mut(&key), change) {
            (Some(Value::Table(known)), Value::Table(change)) => overlay(known, change),
            (_, change) => {
                table.insert(key, change);
            }
        }
    }
}

/// A warm-up that a preset or base brings is for its own number of steps: in a shorter run it is as long as the run, or
/// as what follows the steps in which a part is frozen. One that is stated stays, to be checked.
fn shorten_warm_up(origin: &str, table: &mut Table, stated: &Table) {
    const KEY: (&str, &str) = ("optimizer", "warmup_steps");
    const FROZEN: (&str, &str) = ("optimizer", "frozen_steps");
    let number =
        |table: &Table, (section, key): (&str, &str)| table.get(section)?.get(key)?.as_integer();
    let (Some(steps), Some(warmup)) = (number(table, ("train", "steps")), number(table, KEY))
    else {
        return;
    };
    let steps = steps.saturating_sub(number(table, FROZEN).unwrap_or(0).max(0));
    if steps < 1 || warmup <= steps || number(stated, KEY).is_some() {
        return;
    }
    tracing::info!(
        "{origin}: optimizer.warmup_steps is {steps}, as many as the run has, and not {warmup}"
    );
    if let Some(Value::Table(optimizer)) = table.get_mut(KEY.0) {
        optimizer.insert(KEY.1.to_owned(), Value::Integer(steps));
    }
}

/// Applies overrides to a run file, and checks it.
fn resolve<C: StageConfig>(source: Source, overrides: &[String]) -> Result<RunFile<C>> {
    let Source {
        origin,
        mut table,
        mut stated,
    } = source;
    match table.remove("stage") {
        Some(Value::String(stage)) if stage == C::STAGE => {}
        Some(stage) => {
            return Err(Error::input(format!(
                "it is a run file for {stage}, not for \"{}\"; `astroclip config list` shows which is for what",
                C::STAGE
            ))
            .in_file(origin));
        }
        None => {
            return Err(Error::input(format!(
                "no key `stage`; a run file for this command starts with stage = \"{}\", or with base = \"{}\" \
                 and what it changes of that preset",
                C::STAGE,
                C::DEFAULT
            ))
            .in_file(origin));
        }
    }
    for assignment in overrides {
        set(&mut table, assignment)?;
        set(&mut stated, assignment)?;
    }
    shorten_warm_up(&origin, &mut table, &stated);
    let data = match table.remove("data") {
        Some(data) => decode(&origin, Table::from_iter([("data".to_owned(), data)]))
            .map(|Sections { data }| data)?,
        None => DataSection::default(),
    };
    let config: C = decode(&origin, table)?;
    config.check().map_err(|error| error.in_file(&origin))?;
    Ok(RunFile {
        origin,
        config,
        data,
    })
}

/// What stands in a run file beside the stage's own settings; a table of its own for the paths in messages.
#[derive(Deserialize)]
struct Sections {
    data: DataSection,
}

fn decode<T: DeserializeOwned>(origin: &str, table: Table) -> Result<T> {
    serde_path_to_error::deserialize(Value::Table(table)).map_err(|error| {
        let path = error.path().to_string();
        let source = error.into_inner();
        // toml adds lines that repeat the path.
        let text = source.to_string();
        let message = text.lines().next().unwrap_or_default();
        let wrong = Error::input(message).caused_by(source);
        match path.as_str() {
            "." => wrong,
            _ => wrong.about(format!("`{path}`")),
        }
        .in_file(origin)
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
/// As [`load_run`].
pub fn load_survey(name: Option<&str>, overrides: &[String]) -> Result<Survey> {
    let (origin, mut table) = match name {
        Some(name) => {
            let Source { origin, table, .. } = read(name)?;
            (origin, table)
        }
        None => ("--set".to_owned(), Table::new()),
    };
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
        Some(_) => return Err(Error::input("`survey` must be a table").in_file(origin)),
        None => Survey::default(),
    };
    survey
        .check("survey")
        .map_err(|error| error.in_file(&origin))?;
    Ok(survey)
}

/// The configuration as a run file that gives the same run again.
pub fn to_toml<C: StageConfig + Serialize>(config: &C) -> String {
    let body = toml::to_string(config).expect("configurations are plain TOML");
    format!("stage = \"{}\"\n\n{body}", C::STAGE)
}

/// Steps over which the schedules of a resolved run file go; none where its stage has none.
pub fn schedule_in(table: &Table) -> Option<u64> {
    let number = |key: &str| table.get("train")?.get(key)?.as_integer()?.try_into().ok();
    number("schedule_steps").or_else(|| number("steps"))
}
