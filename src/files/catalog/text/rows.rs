//! Rows of a text table, whatever delimits their cells.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use csv::{ByteRecord, ReaderBuilder, StringRecord, Trim};

use super::dialect::Dialect;
use crate::base::error::{Error, Result};
use crate::base::input;
use crate::files::container::decoded;

/// What stands between the cells of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delimiter {
    /// One byte.
    Byte(u8),
    /// Any number of blanks and tabs.
    Blanks,
}

impl Delimiter {
    /// All, those first that are the least often part of a cell.
    pub const ALL: [Self; 4] = [
        Self::Byte(b'\t'),
        Self::Byte(b';'),
        Self::Byte(b','),
        Self::Blanks,
    ];
}

/// The cells of one line.
pub(super) fn split(line: &str, delimiter: Delimiter) -> Vec<String> {
    let mut record = ByteRecord::new();
    match delimiter {
        Delimiter::Blanks => {
            // A quote that is not closed is found when the rows are read.
            let _ = push_words(line.as_bytes(), &mut record);
        }
        Delimiter::Byte(byte) => {
            let mut reader = ReaderBuilder::new()
                .delimiter(byte)
                .has_headers(false)
                .trim(Trim::All)
                .from_reader(line.as_bytes());
            let _ = reader.read_byte_record(&mut record);
            if is_quoted(&record) && has_quotes_behind_blanks(line.as_bytes(), byte) {
                record = unquoted(&record);
            }
        }
    }
    record
        .iter()
        .map(|cell| decoded(cell).into_owned())
        .collect()
}

/// Hands every row to `take`, with the number of its line; all have as many cells as the table has columns. Returns the
/// number of the first line that is not in UTF-8: it is taken for Latin-1.
pub(super) fn each_row(
    path: &Path,
    dialect: &Dialect,
    take: impl FnMut(u64, &StringRecord),
) -> Result<Option<u64>> {
    let mut file = input::open(path)?;
    file.seek(SeekFrom::Start(dialect.start))
        .map_err(|source| Error::reading(path, source))?;
    match dialect.delimiter {
        Delimiter::Byte(byte) => delimited(path, file, dialect, byte, take),
        Delimiter::Blanks => blank_delimited(path, file, dialect, take),
    }
}

fn delimited(
    path: &Path,
    file: File,
    dialect: &Dialect,
    delimiter: u8,
    mut take: impl FnMut(u64, &StringRecord),
) -> Result<Option<u64>> {
    let mut reader = ReaderBuilder::new()
        .delimiter(delimiter)
        .comment(Some(b'#'))
        .has_headers(false)
        .flexible(true)
        .trim(Trim::All)
        .buffer_capacity(1 << 20)
        .from_reader(file);
    let columns = dialect.names.len();
    let mut row = ByteRecord::new();
    // Known from the first row with a cell in quotes.
    let mut behind_blanks = None;
    let mut latin = None;
    // Where the last row begins, if a cell of it goes over several lines.
    let mut broken = None;
    while reader.read_byte_record(&mut row).map_err(|source| {
        Error::input(format!("cannot be read: {source}"))
            .caused_by(source)
            .in_file(path)
    })? {
        let position = row.position().expect("of a record that was read");
        let line = dialect.line - 1 + position.line();
        let cells = row.len();
        let trailing = cells == columns + 1 && row[columns].is_empty();
        broken = None;
        if row.as_slice().contains(&b'\n') {
            check_breaks(&row, delimiter, columns)
                .map_err(|breaks| open_quote(path, line, breaks))?;
            broken = Some((position.byte(), line));
        }
        if cells != columns && !trailing {
            if cells == 1 && row[0].is_empty() {
                continue;
            }
            return Err(unequal(path, line, cells, columns));
        }
        if row.as_slice().contains(&b'"') && is_quoted(&row) {
            let behind_blanks = match behind_blanks {
                Some(known) => known,
                None => {
                    let raw = line_at(path, dialect.start + position.byte())?;
                    *behind_blanks.insert(has_quotes_behind_blanks(&raw, delimiter))
                }
            };
            if behind_blanks {
                row = unquoted(&row);
            }
        }
        let text = as_text(std::mem::take(&mut row), line, &mut latin);
        take(line, &text);
        row = text.into_byte_record();
    }
    if let Some((start, line)) = broken {
        check_end(path, dialect.start + start, line)?;
    }
    Ok(latin)
}

/// A row as text; where it is not in UTF-8, as Latin-1, of which the first line is kept.
fn as_text(row: ByteRecord, line: u64, latin: &mut Option<u64>) -> StringRecord {
    StringRecord::from_byte_record(row).unwrap_or_else(|error| {
        latin.get_or_insert(line);
        let row = error.into_byte_record();
        row.iter().map(decoded).collect()
    })
}

/// Whether a cell begins and ends with a quote, which those that stand at its very edges never do.
fn is_quoted(row: &ByteRecord) -> bool {
    row.iter().any(|cell| inner(cell).is_some())
}

fn inner(cell: &[u8]) -> Option<&[u8]> {
    cell.strip_prefix(b"\"")?.strip_suffix(b"\"")
}

/// Whether quotes stand behind blanks, `7, "a b"`: the standard has them for a part of the cell, those who write so do not.
fn has_quotes_behind_blanks(line: &[u8], delimiter: u8) -> bool {
    let mut cells = line.split(|&byte| byte == delimiter);
    cells.any(|cell| cell.starts_with(b" ") && cell.trim_ascii_start().starts_with(b"\""))
}

/// The cells without such quotes.
fn unquoted(row: &ByteRecord) -> ByteRecord {
    let cells = row.iter().map(|cell| match inner(cell) {
        None => cell.to_vec(),
        Some(inner) => {
            let mut cell = inner.to_vec();
            // Two quotes within are one.
            let mut last_is_quote = false;
            cell.retain(|&byte| {
                last_is_quote = byte == b'"' && !last_is_quote;
                byte != b'"' || last_is_quote
            });
            cell.trim_ascii().to_vec()
        }
    });
    cells.collect()
}

/// The first line from a byte on that is neither blank nor a comment.
fn line_at(path: &Path, start: u64) -> Result<Vec<u8>> {
    let failed = |source| Error::reading(path, source);
    let mut file = input::open(path)?;
    file.seek(SeekFrom::Start(start)).map_err(failed)?;
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line).map_err(failed)? > 0 {
        let content = line.trim_ascii_start();
        if !content.is_empty() && !content.starts_with(b"#") {
            break;
        }
        line.clear();
    }
    Ok(line)
}

/// Refuses a cell over several lines that are rows themselves: `Err` with their number.
fn check_breaks(row: &ByteRecord, delimiter: u8, columns: usize) -> Result<(), usize> {
    for cell in row {
        let lines: Vec<&[u8]> = cell.split(|&byte| byte == b'\n').collect();
        let is_row =
            |line: &&[u8]| line.iter().filter(|&&byte| byte == delimiter).count() + 1 == columns;
        // The first and the last line are parts of rows.
        let inner = lines
            .get(1..lines.len().saturating_sub(1))
            .unwrap_or_default();
        if columns > 2 && inner.iter().any(is_row) {
            return Err(lines.len() - 1);
        }
    }
    Ok(())
}

/// Refuses a last row with a quote that is not closed.
fn check_end(path: &Path, start: u64, line: u64) -> Result<()> {
    let mut raw = Vec::new();
    let mut file = input::open(path)?;
    file.seek(SeekFrom::Start(start))
        .and_then(|_| file.read_to_end(&mut raw))
        .map_err(|source| Error::reading(path, source))?;
    let quotes = raw.iter().filter(|&&byte| byte == b'"').count();
    match quotes % 2 {
        0 => Ok(()),
        _ => {
            let breaks = raw
                .trim_ascii_end()
                .iter()
                .filter(|&&byte| byte == b'\n')
                .count();
            Err(open_quote(path, line, breaks))
        }
    }
}

fn open_quote(path: &Path, line: u64, breaks: usize) -> Error {
    Error::input(format!(
        "line {line}: a quote is not closed and takes in {breaks} further lines; close it, or take it out"
    ))
    .in_file(path)
}

fn unequal(path: &Path, line: u64, cells: usize, columns: usize) -> Error {
    Error::input(format!(
        "line {line} has {cells} cells where the header has {columns}"
    ))
    .in_file(path)
}

fn blank_delimited(
    path: &Path,
    file: File,
    dialect: &Dialect,
    mut take: impl FnMut(u64, &StringRecord),
) -> Result<Option<u64>> {
    let mut reader = BufReader::with_capacity(1 << 20, file);
    let columns = dialect.names.len();
    let mut bytes = Vec::new();
    let mut row = ByteRecord::new();
    let mut latin = None;
    for line in dialect.line.. {
        bytes.clear();
        let read = reader.read_until(b'\n', &mut bytes);
        if read.map_err(|source| Error::reading(path, source))? == 0 {
            break;
        }
        let content = bytes.trim_ascii();
        if content.is_empty() || content.starts_with(b"#") {
            continue;
        }
        row.clear();
        push_words(content, &mut row).map_err(|()| open_quote(path, line, 0))?;
        if row.len() != columns {
            return Err(unequal(path, line, row.len(), columns));
        }
        let text = as_text(std::mem::take(&mut row), line, &mut latin);
        take(line, &text);
        row = text.into_byte_record();
    }
    Ok(latin)
}

/// Adds the words of a line; between quotes blanks are part of a word, and two quotes are one. `Err` where a quote is not
/// closed.
fn push_words(line: &[u8], row: &mut ByteRecord) -> Result<(), ()> {
    let mut rest = line.trim_ascii_start();
    while let Some(&first) = rest.first() {
        if first == b'"' || first == b'\'' {
            let mut word = Vec::new();
            rest = &rest[1..];
            loop {
                let end = rest.iter().position(|&byte| byte == first).ok_or(())?;
                word.extend_from_slice(&rest[..end]);
                rest = &rest[end + 1..];
                if rest.first() != Some(&first) {
                    break;
                }
                word.push(first);
                rest = &rest[1..];
            }
            row.push_field(&word);
        } else {
            let end = rest.iter().position(u8::is_ascii_whitespace);
            let (word, later) = rest.split_at(end.unwrap_or(rest.len()));
            row.push_field(word);
            rest = later;
        }
        rest = rest.trim_ascii_start();
    }
    Ok(())
}
