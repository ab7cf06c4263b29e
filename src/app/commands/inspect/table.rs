//! What a table of labels holds.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::Serialize;

use crate::app::commands::contents::{Placeholders, in_words};
use crate::base::error::Result;
use crate::files::catalog::{Column, Table, Values};

/// What a table holds.
#[derive(Debug, Serialize)]
pub(super) struct Contents {
    rows: usize,
    columns: Vec<Summary>,
}

/// The values of a column.
#[derive(Debug, Serialize)]
struct Summary {
    name: String,
    holds: &'static str,
    /// Rows without a value.
    missing: usize,
    /// Numbers that stand for unknown in other catalogues, and how often they are here.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    placeholders: BTreeMap<String, usize>,
    least: Option<Number>,
    largest: Option<Number>,
    /// The first value of a column of text.
    example: Option<String>,
}

/// A value as the table has it: identifiers are no floating point.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Number {
    Integer(i64),
    Unsigned(u64),
    Float(f64),
}

impl Contents {
    /// Reads a table.
    ///
    /// # Errors
    /// Where the file is none.
    pub fn inspect(path: &Path) -> Result<Self> {
        let table = Table::open(path)?;
        Ok(Self {
            rows: table.rows(),
            columns: table.columns().iter().map(Summary::of).collect(),
        })
    }

    /// Lines of a table.
    pub fn rows(&self, row: &mut impl FnMut(&str, String)) {
        row("holds", "table".to_owned());
        row("rows", self.rows.to_string());
        for column in &self.columns {
            row(&column.name, column.line());
        }
    }
}

impl Summary {
    fn of(column: &Column) -> Self {
        let (holds, missing) = match &column.values {
            Values::Integers(_) | Values::Unsigned(_) => ("integers", 0),
            Values::Floats(values) => {
                let missing = values.iter().filter(|value| value.is_nan()).count();
                ("numbers", missing)
            }
            Values::Texts(texts) => {
                let missing = texts.iter().filter(|text| text.is_empty()).count();
                ("text", missing)
            }
        };
        let (least, largest) = ends(&column.values);
        let example = match &column.values {
            Values::Texts(texts) => texts.iter().find(|text| !text.is_empty()).cloned(),
            _ => None,
        };
        Self {
            name: column.name.clone(),
            holds,
            missing,
            placeholders: Placeholders::of(&column.values).counts(),
            least,
            largest,
            example,
        }
    }

    fn line(&self) -> String {
        let values = match (&self.least, &self.largest, &self.example) {
            (Some(least), Some(largest), _) => format!(", {least} … {largest}"),
            (_, _, Some(example)) => format!(" such as {example}"),
            _ => String::new(),
        };
        let missing = match self.missing {
            0 => String::new(),
            count => format!(", {count} missing"),
        };
        let placeholders = match in_words(&self.placeholders) {
            Some(words) => format!(", {words}"),
            None => String::new(),
        };
        format!("{}{values}{missing}{placeholders}", self.holds)
    }
}

/// The smallest and the largest value.
fn ends(values: &Values) -> (Option<Number>, Option<Number>) {
    match values {
        Values::Integers(values) => {
            let number = |value: Option<&i64>| value.copied().map(Number::Integer);
            (number(values.iter().min()), number(values.iter().max()))
        }
        Values::Unsigned(values) => {
            let number = |value: Option<&u64>| value.copied().map(Number::Unsigned);
            (number(values.iter().min()), number(values.iter().max()))
        }
        Values::Floats(values) => {
            let known = || values.iter().copied().filter(|value| !value.is_nan());
            (
                known().min_by(f64::total_cmp).map(Number::Float),
                known().max_by(f64::total_cmp).map(Number::Float),
            )
        }
        Values::Texts(_) => (None, None),
    }
}

impl fmt::Display for Number {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(value) => value.fmt(formatter),
            Self::Unsigned(value) => value.fmt(formatter),
            Self::Float(value) => value.fmt(formatter),
        }
    }
}
