//! What lies in and around the current folder: surveys, runs, models, embedding files. Commands take from here what
//! nobody names, and say what they took.

mod data;
mod embeddings;
mod labels;
mod models;
mod overview;
mod runs;

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::Serialize;

pub use data::{Sources, Wanted, find_data, only_survey};
pub use embeddings::{Origin, newest_embeddings, origin_of};
pub use labels::labels_of;
pub use models::{Kinds, model_to_use, models_in, newest_model};
pub use overview::Overview;
pub use runs::{RUNS, RunRecord, unfinished_run};

use crate::base::error::{Error, Result};
use crate::files::inputs::shown;
use crate::survey::{Labels, TakenColumn, Target};

/// Paths that are named in one line; more are counted.
const NAMED: usize = 4;

/// Something that a command took although nobody named it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Taken {
    /// What it is, as users call it: data, labels, model, embeddings, run.
    pub what: &'static str,
    /// Files or folders.
    pub paths: Vec<PathBuf>,
    /// Why these.
    pub why: String,
}

impl Taken {
    /// Says what was taken and why, in one line of the log.
    pub fn say(&self) {
        tracing::info!("{}: {}, {}", self.what, listed(&self.paths), self.why);
    }
}

/// A column that was taken for a quantity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct ColumnOf {
    quantity: &'static str,
    #[serde(flatten)]
    column: TakenColumn,
}

/// All that a command took although nobody named it: two fields of a record for programs.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Takings {
    /// Files and folders.
    taken: Vec<Taken>,
    /// Columns of label tables.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    columns: Vec<ColumnOf>,
}

impl Takings {
    /// Says what was taken, keeps it in mind, and returns the paths.
    pub fn note(&mut self, taken: Taken) -> Vec<PathBuf> {
        taken.say();
        let paths = taken.paths.clone();
        self.taken.push(taken);
        paths
    }

    /// Says which columns tell quantities and what is unknown there, and keeps it in mind.
    pub fn note_columns(&mut self, labels: &Labels, targets: &[Target]) {
        for target in targets {
            let name = target.name();
            let Some(quantity) = labels.quantities.get(target) else {
                continue;
            };
            for column in &quantity.taken {
                tracing::info!("{name}: {}", column.in_words());
                self.columns.push(ColumnOf {
                    quantity: name,
                    column: column.clone(),
                });
            }
        }
    }
}

/// The first of some paths, and how many more there are.
fn listed(paths: &[PathBuf]) -> String {
    let names: Vec<String> = paths
        .iter()
        .take(NAMED)
        .map(|path| path.display().to_string())
        .collect();
    match paths.len().saturating_sub(NAMED) {
        0 => names.join(" "),
        more => format!("{} and {more} more", names.join(" ")),
    }
}

/// A file that may be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Candidate {
    path: PathBuf,
    modified: SystemTime,
}

impl Candidate {
    /// A file that is there.
    fn of(path: PathBuf) -> Option<Self> {
        let modified = std::fs::metadata(&path)
            .and_then(|data| data.modified())
            .ok()?;
        let path = shown(&path);
        Some(Self { path, modified })
    }
}

/// The newest of some files and how many there are; none where there are none.
///
/// # Errors
/// Where several are of the same age: the message lists them and says by which `flag` to name one.
fn newest(
    mut candidates: Vec<Candidate>,
    what: &str,
    flag: &str,
) -> Result<Option<(PathBuf, usize)>> {
    candidates.sort_by(|a, b| (b.modified, &a.path).cmp(&(a.modified, &b.path)));
    let Some(first) = candidates.first() else {
        return Ok(None);
    };
    // As well as the file system knows it: some keep full seconds, and copies and archives round.
    let mut same: Vec<PathBuf> = candidates
        .iter()
        .filter(|other| other.modified == first.modified)
        .map(|other| other.path.clone())
        .collect();
    same.sort();
    match same.len() {
        1 => Ok(Some((first.path.clone(), candidates.len()))),
        _ => Err(Error::input(format!(
            "{what}: {} are of the same age; name the one that is meant: {flag}",
            listed(&same)
        ))),
    }
}

/// "the only one", or "the newest of N".
fn the_newest(count: usize, place: &str) -> String {
    match count {
        1 => format!("the only one {place}"),
        count => format!("the newest of {count} {place}"),
    }
}

/// "in FOLDER", as people say it.
fn in_folder(folder: &Path) -> String {
    match folder.as_os_str().is_empty() || folder == Path::new(".") {
        true => "in the current folder".to_owned(),
        false => format!("in {}", folder.display()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn aged(path: &str, seconds: f64) -> Candidate {
        Candidate {
            path: path.into(),
            modified: SystemTime::UNIX_EPOCH + Duration::from_secs_f64(seconds),
        }
    }

    #[test]
    fn the_newest_is_taken_and_a_tie_is_refused() {
        let choose = |candidates| newest(candidates, "model", "--weights MODEL");
        assert_eq!(choose(Vec::new()).expect("no tie"), None);
        let three = vec![aged("old", 10.0), aged("new", 12.5), aged("older", 1.0)];
        assert_eq!(choose(three).expect("no tie"), Some(("new".into(), 3)));
        let tie = vec![aged("old", 10.0), aged("b", 12.5), aged("a", 12.5)];
        let message = choose(tie).expect_err("a tie").to_string();
        assert_eq!(
            message,
            "model: a b are of the same age; name the one that is meant: --weights MODEL"
        );
    }
}
