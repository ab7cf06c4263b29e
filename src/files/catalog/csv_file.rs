//! Text tables with a header line, separated by commas, semicolons or tabs.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use csv::{Reader, ReaderBuilder, StringRecord, Trim};

use super::table::{Column, IntegerBuilder, Values};
use crate::base::error::{Error, Result};

/// What stands in a cell without a value, beside nothing at all.
const MISSING: [&str; 8] = ["nan", "null", "none", "na", "n/a", "--", "masked", "<na>"];

/// What all known cells of a column can be read as, the narrowest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Integer,
    Float,
    Text,
}

enum Builder {
    Integers(IntegerBuilder),
    Floats(Vec<f64>),
    Texts(Vec<String>),
}

/// Reads the file twice: for the kinds of the columns, then for their values.
pub(super) fn read(path: &Path) -> Result<Vec<Column>> {
    let delimiter = delimiter(path)?;
    let mut names: Vec<String> = Vec::new();
    let mut kinds: Vec<Option<Kind>> = Vec::new();
    each_row(path, delimiter, &mut names, |row| {
        kinds.resize(row.len(), None);
        for (kind, cell) in kinds.iter_mut().zip(row) {
            if *kind != Some(Kind::Text) && !is_missing(cell) {
                *kind = (*kind).max(Some(kind_of(cell)));
            }
        }
    })?;
    kinds.resize(names.len(), None);
    let mut builders: Vec<Builder> = kinds
        .into_iter()
        .map(|kind| match kind {
            Some(Kind::Integer) => Builder::Integers(IntegerBuilder::default()),
            // A column without any value is one of unknown numbers.
            None | Some(Kind::Float) => Builder::Floats(Vec::new()),
            Some(Kind::Text) => Builder::Texts(Vec::new()),
        })
        .collect();
    each_row(path, delimiter, &mut names, |row| {
        for (builder, cell) in builders.iter_mut().zip(row) {
            match builder {
                Builder::Integers(values) => values.push(cell.parse::<i128>().ok()),
                Builder::Floats(values) => values.push(cell.parse().unwrap_or(f64::NAN)),
                Builder::Texts(values) => values.push(match is_missing(cell) {
                    true => String::new(),
                    false => cell.to_owned(),
                }),
            }
        }
    })?;
    Ok(names
        .into_iter()
        .zip(builders)
        .map(|(name, builder)| Column {
            name,
            values: match builder {
                Builder::Integers(values) => values.finish(),
                Builder::Floats(values) => Values::Floats(values),
                Builder::Texts(values) => Values::Texts(values),
            },
        })
        .collect())
}

fn is_missing(cell: &str) -> bool {
    cell.is_empty()
        || (cell.len() <= 6
            && MISSING
                .iter()
                .any(|missing| cell.eq_ignore_ascii_case(missing)))
}

fn kind_of(cell: &str) -> Kind {
    if cell.parse::<i64>().is_ok() || cell.parse::<u64>().is_ok() {
        Kind::Integer
    } else if cell.parse::<f64>().is_ok() {
        Kind::Float
    } else {
        Kind::Text
    }
}

/// The commonest of the known delimiters in the header line.
fn delimiter(path: &Path) -> Result<u8> {
    let file = File::open(path).map_err(|source| Error::reading(path, source))?;
    for line in BufReader::new(file).split(b'\n') {
        let line = line.map_err(|source| Error::reading(path, source))?;
        if line.starts_with(b"#") || line.trim_ascii().is_empty() {
            continue;
        }
        let count = |delimiter: &u8| line.iter().filter(|byte| *byte == delimiter).count();
        let best = b",;\t"
            .iter()
            .rev()
            .max_by_key(|delimiter| count(delimiter));
        return match best {
            Some(&best) if count(&best) > 0 => Ok(best),
            _ => Err(Error::input(
                "text, but no table: the first line has no comma, semicolon or tab; expected a \
                 header line with the names of the columns",
            )
            .in_file(path)),
        };
    }
    Err(Error::input("text without a header line").in_file(path))
}

fn reader(path: &Path, delimiter: u8) -> Result<Reader<File>> {
    ReaderBuilder::new()
        .delimiter(delimiter)
        .comment(Some(b'#'))
        .trim(Trim::All)
        .buffer_capacity(1 << 20)
        .from_path(path)
        .map_err(|source| error(path, source))
}

/// Hands every row to `take`, and sets the names of the columns.
fn each_row(
    path: &Path,
    delimiter: u8,
    names: &mut Vec<String>,
    mut take: impl FnMut(&StringRecord),
) -> Result<()> {
    let mut reader = reader(path, delimiter)?;
    let header = reader.headers().map_err(|source| error(path, source))?;
    *names = header
        .iter()
        .enumerate()
        // As pandas writes its index.
        .map(|(index, name)| match name {
            "" => format!("column_{index}"),
            name => name.to_owned(),
        })
        .collect();
    let mut row = StringRecord::new();
    while reader
        .read_record(&mut row)
        .map_err(|source| error(path, source))?
    {
        take(&row);
    }
    Ok(())
}

fn error(path: &Path, source: csv::Error) -> Error {
    let line = source.position().map_or(0, csv::Position::line);
    Error::input(match source.kind() {
        csv::ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => format!("line {line} has {len} cells where the header has {expected_len}"),
        csv::ErrorKind::Utf8 { .. } => format!("line {line} is not in UTF-8"),
        _ => format!("cannot be read: {source}"),
    })
    .caused_by(source)
    .in_file(path)
}
