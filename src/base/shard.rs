//! Parts of a survey that jobs of their own work at: the i-th of n.

use std::env::var;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::error::{Error, Result};

/// A part of a survey: the i-th of n, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Shard {
    number: usize,
    of: usize,
}

impl Shard {
    /// The most parts that there may be.
    const MOST: usize = 1_000_000;

    /// The whole.
    pub const WHOLE: Self = Self { number: 1, of: 1 };

    /// The `number`th of `of`, at most a million; none where there is no such part.
    pub fn new(number: usize, of: usize) -> Option<Self> {
        (of <= Self::MOST && (1..=of).contains(&number)).then_some(Self { number, of })
    }

    /// Which it is, from 1.
    pub fn number(self) -> usize {
        self.number
    }

    /// How many there are.
    pub fn of(self) -> usize {
        self.of
    }

    /// Whether it is all that there is.
    pub fn is_whole(self) -> bool {
        self.of == 1
    }

    /// Its rows: all shards cover a survey once, and differ by at most one row.
    pub fn rows(self, all: usize) -> Range<usize> {
        let edge = |number: usize| (number as u128 * all as u128 / self.of as u128) as usize;
        edge(self.number - 1)..edge(self.number)
    }

    /// The same, where there are some.
    ///
    /// # Errors
    /// [`Error::input`] where there are more shards than rows, and none is left for this one.
    pub fn some_rows(self, all: usize) -> Result<Range<usize>> {
        let rows = self.rows(all);
        match rows.is_empty() {
            false => Ok(rows),
            true => Err(Error::input(format!(
                "shard {self} of {all} galaxies is empty; choose fewer shards"
            ))),
        }
    }

    /// Its name in a file's: `3-of-8`.
    pub fn label(self) -> String {
        format!("{}-of-{}", self.number, self.of)
    }

    /// Its file, where the whole would be `path`: `emb-3-of-8.h5` for `emb.h5`.
    pub fn file(self, path: &Path) -> PathBuf {
        match self.is_whole() {
            true => path.to_owned(),
            false => with_suffix(path, &format!("-{}", self.label())),
        }
    }

    /// The file of the whole, where `path` is that of this part; none where it is called otherwise.
    pub fn file_of_whole(self, path: &Path) -> Option<PathBuf> {
        let stem = path.file_stem()?.to_str()?;
        let stem = stem.strip_suffix(&format!("-{}", self.label()))?;
        Some(with_stem(path, stem))
    }

    /// The part that a task of a Slurm job array is meant to do; none outside an array.
    ///
    /// # Errors
    /// [`Error::input`] where the array's numbers do not say it: they leave some out, begin with none of 0 and 1, or are
    /// only one. A repeated task would take itself for another part.
    pub fn of_array() -> Result<Option<Self>> {
        Self::from(|name| var(name).ok())
    }

    fn from(value: impl Fn(&str) -> Option<String>) -> Result<Option<Self>> {
        let number = |what: &str| {
            let value = value(&format!("SLURM_ARRAY_TASK_{what}"))?;
            value.trim().parse::<usize>().ok()
        };
        let Some(task) = number("ID") else {
            return Ok(None);
        };
        let count = number("COUNT").unwrap_or(1);
        let first = number("MIN").unwrap_or(task);
        let last = number("MAX").unwrap_or(task);
        let is_regular = count > 1 && first <= 1 && last.checked_sub(first) == Some(count - 1);
        match is_regular
            .then(|| Self::new(task + 1 - first, count))
            .flatten()
        {
            Some(shard) => Ok(Some(shard)),
            None => Err(Error::input(format!(
                "task {task} of an array of {count}, {first} to {last}, does not say which part of how many it is (--array=1-8 \
                 would, and --array=0-7); say it: --shard I/N, or --shard 1/1 for the whole"
            ))),
        }
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    with_stem(path, &format!("{stem}{suffix}"))
}

fn with_stem(path: &Path, stem: &str) -> PathBuf {
    match path.extension() {
        Some(ending) => path.with_file_name(format!("{stem}.{}", ending.to_string_lossy())),
        None => path.with_file_name(stem),
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.number, self.of)
    }
}

impl From<Shard> for String {
    fn from(shard: Shard) -> Self {
        shard.to_string()
    }
}

impl TryFrom<String> for Shard {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text
            .split_once('/')
            .and_then(|(number, of)| Self::new(number.parse().ok()?, of.parse().ok()?));
        numbers.ok_or_else(|| format!("`{text}`: expected i/n with i from 1 to n, such as 1/8"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_cover_a_survey_once() {
        for (all, of) in [(10, 3), (7, 7), (5, 8), (1_000_003, 64)] {
            let mut next = 0;
            for number in 1..=of {
                let shard: Shard = format!("{number}/{of}").parse().unwrap();
                let rows = shard.rows(all);
                assert_eq!(rows.start, next);
                assert!(rows.len() <= all / of + 1);
                next = rows.end;
            }
            assert_eq!(next, all);
        }
        for wrong in ["0/3", "4/3", "1", "a/b", "1/0", "-1/2", "1/1000001"] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn files_are_called_by_their_shard() {
        let shard = Shard::new(3, 8).unwrap();
        for (whole, part) in [
            ("runs/emb.h5", "runs/emb-3-of-8.h5"),
            ("a.b.hdf5", "a.b-3-of-8.hdf5"),
            ("emb", "emb-3-of-8"),
        ] {
            assert_eq!(shard.file(Path::new(whole)), Path::new(part));
            let found = shard.file_of_whole(Path::new(part));
            assert_eq!(found.as_deref(), Some(Path::new(whole)));
        }
        assert_eq!(Shard::WHOLE.file(Path::new("emb.h5")), Path::new("emb.h5"));
        assert_eq!(shard.file_of_whole(Path::new("emb-4-of-8.h5")), None);
    }

    #[test]
    fn a_task_of_an_array_knows_its_part_or_asks() {
        let told = |[id, count, first, last]: [&str; 4]| {
            Shard::from(|name| {
                let value = match name.strip_prefix("SLURM_ARRAY_TASK_") {
                    Some("ID") => id,
                    Some("COUNT") => count,
                    Some("MIN") => first,
                    Some("MAX") => last,
                    _ => panic!("{name}"),
                };
                (!value.is_empty()).then(|| value.to_owned())
            })
        };
        assert_eq!(told(["", "", "", ""]).unwrap(), None);
        assert_eq!(told(["8", "8", "1", "8"]).unwrap(), Shard::new(8, 8));
        assert_eq!(told(["0", "4", "0", "3"]).unwrap(), Shard::new(1, 4));
        // A part of an earlier array once more, every other task, one alone.
        for numbers in [
            ["7", "2", "5", "7"],
            ["6", "2", "5", "6"],
            ["1", "4", "1", "7"],
            ["1", "1", "1", "1"],
            ["5", "1", "", ""],
        ] {
            let message = told(numbers).unwrap_err().to_string();
            assert!(message.contains("--shard I/N"), "{message}");
        }
    }
}
