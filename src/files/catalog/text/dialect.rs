//! How a text table is written: what delimits its cells, what its columns are called, where its rows begin.

use std::io::Read;
use std::path::Path;

use super::cell::{Cell, is_missing};
use super::rows::{Delimiter, split};
use crate::base::error::{Error, Result};
use crate::base::input;
use crate::files::catalog::table::is_usual_name;
use crate::files::container::{BYTE_ORDER_MARK, decoded};

/// Bytes within which the header must end.
const HEAD: u64 = 4 << 20;
/// An integer up to here may be a name of a column, such as those of embeddings.
const LARGEST_NAME: i64 = 9999;
/// First line of an enhanced CSV file, as astropy writes it.
const ECSV: &str = "%ECSV";

/// How a text table is written.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Dialect {
    pub delimiter: Delimiter,
    /// Names of the columns.
    pub names: Vec<String>,
    /// Names of columns whose cells are text whatever they look like.
    pub texts: Vec<String>,
    /// Byte at which the rows begin, and the number of the line there, from 1.
    pub start: u64,
    pub line: u64,
}

/// A line of the head: where it begins and ends, and where the next one begins.
#[derive(Clone, Copy)]
struct Line {
    start: usize,
    end: usize,
    next: usize,
}

impl Dialect {
    /// Looks at the beginning of a file.
    ///
    /// # Errors
    /// Where it is not that of a table with a header.
    pub fn of(path: &Path) -> Result<Self> {
        let mut head = Vec::new();
        input::open(path)?
            .take(HEAD)
            .read_to_end(&mut head)
            .map_err(|source| Error::reading(path, source))?;
        if [&b"<?xml"[..], b"<VOTABLE"]
            .iter()
            .any(|start| head.trim_ascii_start().starts_with(start))
        {
            return Err(Error::input(
                "is XML; VOTables are written but not read: save it as FITS (TOPCAT, or stilts tpipe in=FILE out=NEW.fits)",
            )
            .in_file(path));
        }
        Head::of(&head)
            .dialect()
            .map_err(|error| error.in_file(path))
    }
}

/// The comments at the beginning of a file, and the lines behind them.
struct Head<'a> {
    bytes: &'a [u8],
    comments: Vec<String>,
    /// The first lines that are neither blank nor comments, with their numbers.
    lines: Vec<(u64, Line)>,
}

impl<'a> Head<'a> {
    fn of(bytes: &'a [u8]) -> Self {
        const LOOKED_AT: usize = 4;
        let mut head = Self {
            bytes,
            comments: Vec::new(),
            lines: Vec::new(),
        };
        let mut start = match bytes.starts_with(BYTE_ORDER_MARK) {
            true => BYTE_ORDER_MARK.len(),
            false => 0,
        };
        let mut number = 0;
        while start < bytes.len() && head.lines.len() < LOOKED_AT {
            let rest = &bytes[start..];
            let length = rest.iter().position(|byte| b"\r\n".contains(byte));
            let length = length.unwrap_or(rest.len());
            let ending = match &rest[length..] {
                [b'\r', b'\n', ..] => 2,
                [_, ..] => 1,
                [] => 0,
            };
            let line = Line {
                start,
                end: start + length,
                next: start + length + ending,
            };
            start = line.next;
            number += 1;
            let content = rest[..length].trim_ascii();
            match content.strip_prefix(b"#") {
                Some(comment) if head.lines.is_empty() => {
                    head.comments.push(decoded(comment).trim().to_owned());
                }
                Some(_) => {}
                None if content.is_empty() => {}
                None => head.lines.push((number, line)),
            }
        }
        head
    }

    fn text(&self, line: Line) -> std::borrow::Cow<'a, str> {
        decoded(&self.bytes[line.start..line.end])
    }

    fn dialect(&self) -> Result<Dialect> {
        let Some(&(number, first)) = self.lines.first() else {
            return Err(Error::input("text without a header line"));
        };
        let text = self.text(first);
        if text.starts_with(['|', '\\']) {
            return Err(Error::input(
                "an IPAC table or one drawn with lines, which is not read; save it as CSV",
            ));
        }
        if self
            .comments
            .first()
            .is_some_and(|comment| comment.starts_with(ECSV))
        {
            return Ok(self.ecsv(number, first));
        }
        let delimiters = Delimiter::ALL
            .into_iter()
            .filter(|delimiter| split(&text, *delimiter).len() > 1);
        let is_known = |names: &[String]| names.iter().any(|name| is_usual_name(name));
        // A name may have a blank and a number in it: `id,w 2` is no row.
        let is_header = delimiters
            .clone()
            .any(|delimiter| delimiter != Delimiter::Blanks && is_known(&split(&text, delimiter)));
        let by_names = delimiters.clone().find_map(|delimiter| {
            if is_header && delimiter == Delimiter::Blanks {
                return None;
            }
            let cells = split(&text, delimiter);
            let names = self
                .comments
                .iter()
                .rev()
                .find_map(|comment| names_in(comment, cells.len()))?;
            let is_data = cells.iter().any(|cell| is_number(cell))
                || cells.iter().all(|cell| is_missing(cell));
            (is_data || is_known(&names) && !is_known(&cells)).then_some((delimiter, names))
        });
        if let Some((delimiter, names)) = by_names {
            return Ok(Dialect {
                delimiter,
                names,
                texts: Vec::new(),
                start: first.start as u64,
                line: number,
            });
        }
        let commonest = delimiters.max_by_key(|delimiter| match delimiter {
            // Names may have blanks in them.
            Delimiter::Blanks => 0,
            _ => split(&text, *delimiter).len(),
        });
        let Some(delimiter) = commonest else {
            return Err(Error::input(
                "text, but no table: the first line has no comma, semicolon or tab, and no blank between words; \
                 expected a header line with the names of the columns",
            ));
        };
        let names = split(&text, delimiter);
        self.check_names(&text, &names)?;
        let (start, line) = self.behind_header(delimiter, number, first);
        Ok(Dialect {
            delimiter,
            names: named(names),
            texts: Vec::new(),
            start,
            line,
        })
    }

    /// Refuses a first line of data.
    fn check_names(&self, text: &str, names: &[String]) -> Result<()> {
        let is_data = |name: &String| {
            is_number(name)
                && !name
                    .parse::<i64>()
                    .is_ok_and(|n| (0..=LARGEST_NAME).contains(&n))
        };
        let all_numbers = names.iter().all(|name| is_number(name) || is_missing(name));
        if !all_numbers && !names.iter().any(is_data) {
            return Ok(());
        }
        const SHOWN: usize = 60;
        let shown: String = text.chars().take(SHOWN).collect();
        let comment = match self.comments.last() {
            Some(comment) if !comment.is_empty() => format!(
                " (it has {} cells, the comment before it not as many names: `{}`)",
                names.len(),
                comment.chars().take(SHOWN).collect::<String>()
            ),
            _ => String::new(),
        };
        Err(Error::input(format!(
            "the first line looks like data: `{shown}`{comment}; add a header line with the names of the columns"
        )))
    }

    /// Where the rows begin: behind the header, and behind units and a line of dashes, as VizieR writes them.
    fn behind_header(&self, delimiter: Delimiter, number: u64, first: Line) -> (u64, u64) {
        let is_rule = |line: Line| {
            let cells = split(&self.text(line), delimiter);
            cells
                .iter()
                .all(|cell| cell.len() > 1 && cell.bytes().all(|byte| byte == b'-'))
        };
        let rule = self
            .lines
            .iter()
            .skip(1)
            .take(2)
            .find(|(_, line)| is_rule(*line));
        let (number, line) = rule.copied().unwrap_or((number, first));
        (line.next as u64, number + 1)
    }

    /// An enhanced CSV file: the comments say what delimits, and which columns are text.
    fn ecsv(&self, number: u64, first: Line) -> Dialect {
        let says_comma = |comment: &String| {
            comment
                .strip_prefix("delimiter:")
                .is_some_and(|delimiter| delimiter.contains(','))
        };
        let delimiter = match self.comments.iter().any(says_comma) {
            true => Delimiter::Byte(b','),
            false => Delimiter::Blanks,
        };
        // One entry may go over several lines.
        let all = self.comments.join(" ");
        let texts = all.split("- {name:").skip(1).filter_map(|entry| {
            let name = entry.split(", ").next()?.trim().trim_matches(['\'', '"']);
            let kind = entry.split("datatype:").nth(1)?.trim_start();
            kind.starts_with("string").then(|| name.to_owned())
        });
        Dialect {
            delimiter,
            names: named(split(&self.text(first), delimiter)),
            texts: texts.collect(),
            start: first.next as u64,
            line: number + 1,
        }
    }
}

/// The names that a comment has, where there are so many, whatever stands between them.
fn names_in(comment: &str, count: usize) -> Option<Vec<String>> {
    Delimiter::ALL.into_iter().find_map(|delimiter| {
        let names = split(comment, delimiter);
        (names.len() == count && !names.iter().any(|name| is_number(name) || name.is_empty()))
            .then_some(names)
    })
}

fn is_number(cell: &str) -> bool {
    matches!(
        Cell::of(cell, true),
        Cell::Integer | Cell::LongInteger | Cell::Float
    )
}

/// Names of columns; one without a name, such as the index of pandas, gets its number.
fn named(names: Vec<String>) -> Vec<String> {
    let named = names
        .into_iter()
        .enumerate()
        .map(|(index, name)| match name.is_empty() {
            true => format!("column_{index}"),
            false => name,
        });
    named.collect()
}
