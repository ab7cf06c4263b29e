//! Tables in text with a header line: CSV, tab-separated, blank-separated, ECSV.
//!
//! A column is of numbers where nine tenths of its known cells or more are; the others are named and count as unknown.
//! Identifiers keep their text where one is no integer.

mod cell;
mod dialect;
mod rows;

use std::path::Path;

use cell::{Cell, comma_float, float, integer, is_missing};
use dialect::Dialect;
use rows::{Delimiter, each_row};

use super::table::{Column, IntegerBuilder, Values, is_id_name};
use crate::base::error::{Error, Result};

/// Fraction of the known cells of a column of numbers that must be numbers.
const NUMBERS: f64 = 0.9;
/// Cells that are named in a message.
const NAMED: usize = 3;

/// What the cells of a column are, in numbers.
#[derive(Debug, Clone, Default)]
struct Tally {
    integers: usize,
    long_integers: usize,
    floats: usize,
    commas: usize,
    texts: usize,
    /// Whether an integer has more characters than it needs, as a name may.
    padded: bool,
    /// The first cells that are no numbers, with the lines that they are in.
    first_texts: Vec<(u64, String)>,
}

/// What a column becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Integers,
    Floats,
    CommaFloats,
    Texts,
}

enum Builder {
    Integers(IntegerBuilder),
    Floats(Vec<f64>, fn(&str) -> Option<f64>),
    Texts(Vec<String>),
}

impl Tally {
    fn add(&mut self, line: u64, cell: &str, comma_delimits: bool) {
        match Cell::of(cell, comma_delimits) {
            Cell::Missing => {}
            Cell::Integer => {
                self.integers += 1;
                let bytes = cell.as_bytes();
                self.padded |= bytes.len() > 1 && matches!(bytes[0], b'0' | b'+');
            }
            Cell::LongInteger => self.long_integers += 1,
            Cell::Float => self.floats += 1,
            Cell::Comma => self.commas += 1,
            Cell::Text => {
                self.texts += 1;
                if self.first_texts.len() < NAMED {
                    self.first_texts.push((line, cell.to_owned()));
                }
            }
        }
    }

    fn kind(&self, name: &str) -> Kind {
        let points = self.integers + self.long_integers + self.floats;
        let known = points + self.commas + self.texts;
        let are_numbers = |count: usize| count as f64 >= NUMBERS * known as f64;
        if (self.texts > 0 || self.padded) && is_id_name(name) {
            Kind::Texts
        } else if self.commas > 0 && self.floats == 0 && are_numbers(points + self.commas) {
            Kind::CommaFloats
        } else if !are_numbers(points) {
            Kind::Texts
        } else if self.long_integers > 0 && self.floats == 0 {
            // Floating point would cost digits.
            Kind::Texts
        } else if self.floats == 0 && self.integers > 0 {
            Kind::Integers
        } else {
            // A column without any value is one of unknown numbers.
            Kind::Floats
        }
    }

    /// Says which cells of a column of numbers are none.
    fn warn(&self, path: &Path, name: &str, kind: Kind) {
        if self.texts == 0 || kind == Kind::Texts {
            return;
        }
        let cells = self.first_texts.iter();
        let cells: Vec<String> = cells
            .map(|(line, cell)| format!("line {line} `{cell}`"))
            .collect();
        let more = match self.texts > cells.len() {
            true => ", …",
            false => "",
        };
        let known = self.integers + self.long_integers + self.floats + self.commas + self.texts;
        tracing::warn!(
            "{}: column `{name}`: {} of {known} cells are no numbers and count as unknown: {}{more}",
            path.display(),
            self.texts,
            cells.join(", ")
        );
    }
}

impl Builder {
    fn new(kind: Kind) -> Self {
        match kind {
            Kind::Integers => Self::Integers(IntegerBuilder::default()),
            Kind::Floats => Self::Floats(Vec::new(), float),
            Kind::CommaFloats => {
                Self::Floats(Vec::new(), |cell| comma_float(cell).or_else(|| float(cell)))
            }
            Kind::Texts => Self::Texts(Vec::new()),
        }
    }

    fn push(&mut self, cell: &str) {
        match self {
            Self::Integers(values) => values.push(integer(cell)),
            Self::Floats(values, parse) => values.push(parse(cell).unwrap_or(f64::NAN)),
            Self::Texts(values) => values.push(match is_missing(cell) {
                true => String::new(),
                false => cell.to_owned(),
            }),
        }
    }

    fn finish(self) -> Values {
        match self {
            Self::Integers(values) => values.finish(),
            Self::Floats(values, _) => Values::Floats(values),
            Self::Texts(values) => Values::Texts(values),
        }
    }
}

/// Reads the file twice: for the kinds of the columns, then for their values.
pub(super) fn read(path: &Path) -> Result<Vec<Column>> {
    let dialect = Dialect::of(path)?;
    let comma_delimits = dialect.delimiter == Delimiter::Byte(b',');
    let mut tallies = vec![Tally::default(); dialect.names.len()];
    let latin = each_row(path, &dialect, |line, row| {
        for (tally, cell) in tallies.iter_mut().zip(row) {
            tally.add(line, cell, comma_delimits);
        }
    })?;
    if let Some(line) = latin {
        tracing::info!(
            "{}: line {line} is not in UTF-8; the file is taken for Latin-1",
            path.display()
        );
    }
    let kind = |(tally, name): (&Tally, &String)| match dialect.texts.contains(name) {
        true => Kind::Texts,
        false => tally.kind(name),
    };
    let kinds: Vec<Kind> = tallies.iter().zip(&dialect.names).map(kind).collect();
    for ((tally, name), kind) in tallies.iter().zip(&dialect.names).zip(&kinds) {
        tally.warn(path, name, *kind);
    }
    let mut builders: Vec<Builder> = kinds.into_iter().map(Builder::new).collect();
    each_row(path, &dialect, |_, row| {
        for (builder, cell) in builders.iter_mut().zip(row) {
            builder.push(cell);
        }
    })?;
    let columns = dialect.names.into_iter().zip(builders);
    let columns = columns.map(|(name, builder)| Column {
        name,
        values: builder.finish(),
    });
    Ok(columns.collect())
}

/// The cells of a column as they stand in the file, empty where they stand for no value.
pub(super) fn cells(path: &Path, column: &str) -> Result<Vec<String>> {
    let dialect = Dialect::of(path)?;
    let at = dialect.names.iter().position(|name| name == column);
    let at = at.ok_or_else(|| Error::input(format!("no column `{column}`")).in_file(path))?;
    let mut cells = Vec::new();
    each_row(path, &dialect, |_, row| {
        cells.push(match is_missing(&row[at]) {
            true => String::new(),
            false => row[at].to_owned(),
        });
    })?;
    Ok(cells)
}
