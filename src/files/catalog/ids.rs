//! Lists of identifiers.

use std::path::Path;

use super::table::{EXACT, Table};
use crate::base::error::{Error, Result};
use crate::files::container::Container;
use crate::survey::ObjectId;

/// The identifiers of a list: text with one integer per line (blank lines, lines from `#` on and a header are passed
/// over), or a table of any format that [`Table::open`] knows, of which `id_column` or one of the usual names
/// counts.
///
/// # Errors
/// Where the file cannot be read, has no identifiers, or one is no integer.
pub fn read_ids(path: &Path, id_column: Option<&str>) -> Result<Vec<ObjectId>> {
    if Container::of(path)? == Container::Text {
        let bytes = std::fs::read(path).map_err(|source| Error::reading(path, source))?;
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .collect();
        let words = lines
            .first()
            .map_or(0, |line| line.split_whitespace().count());
        if words < 2 && !lines.iter().any(|line| line.contains([',', ';', '\t'])) {
            return list(path, &lines);
        }
    }
    let table = Table::open(path)?;
    let ids = table.object_ids(table.id_column(id_column)?)?;
    Ok(ids.into_iter().flatten().collect())
}

fn list(path: &Path, lines: &[&str]) -> Result<Vec<ObjectId>> {
    let header = usize::from(
        lines
            .first()
            .is_some_and(|line| line.parse::<ObjectId>().is_err()),
    );
    let texts: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
    let texts = cleaned(&texts)
        .map_err(|(row, why)| Error::input(format!("entry {row}: {why}")).in_file(path))?;
    let ids = texts.iter().enumerate().skip(header).map(|(index, line)| {
        line.parse().map_err(|_| {
            Error::input(format!(
                "entry {index} is `{line}`; expected one integer identifier per line"
            ))
            .in_file(path)
        })
    });
    let ids: Vec<ObjectId> = ids.collect::<Result<_>>()?;
    match ids.is_empty() {
        true => Err(Error::input("no identifiers; expected one integer per line").in_file(path)),
        false => Ok(ids),
    }
}

/// Identifiers from text, whatever wrote it: without blanks around them, without the `b'…'` of Python's bytes, and whole
/// numbers without the point or exponent of floating point. Where most are numbers, one whose digits were cut or rounded
/// is refused: with its row and why.
pub(super) fn cleaned(texts: &[String]) -> Result<Vec<String>, (usize, String)> {
    let bare: Vec<&str> = texts.iter().map(|text| bare(text)).collect();
    let known = bare.iter().filter(|text| !text.is_empty()).count();
    let numbers = bare
        .iter()
        .filter(|text| text.parse::<f64>().is_ok())
        .count();
    if 2 * numbers <= known {
        return Ok(bare.into_iter().map(str::to_owned).collect());
    }
    let digits = bare
        .iter()
        .enumerate()
        .map(|(row, text)| whole(text).map_err(|why| (row, why)));
    digits.collect()
}

/// A text without blanks around it and without the `b'…'` of Python's bytes.
fn bare(text: &str) -> &str {
    let text = text.trim();
    let quoted = |quote: char| {
        text.strip_prefix('b')?
            .strip_prefix(quote)?
            .strip_suffix(quote)
    };
    quoted('\'').or_else(|| quoted('"')).unwrap_or(text).trim()
}

/// The digits of a whole number in whatever notation; any other text as it is.
fn whole(text: &str) -> Result<String, String> {
    let is_plain = |byte: u8| byte.is_ascii_digit() || byte == b'-' || byte == b'+';
    let value = match text.parse::<f64>() {
        Ok(value) if !text.bytes().all(is_plain) => value,
        _ => return Ok(text.to_owned()),
    };
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let fraction = mantissa
        .split_once('.')
        .map_or("", |(_, fraction)| fraction);
    let exponent: usize = exponent.parse().unwrap_or(0);
    if fraction.len() < exponent && exponent > 1 {
        return Err(format!(
            "`{text}` has not all digits of an identifier: a spreadsheet has cut them; export the column as text"
        ));
    }
    if value.fract() != 0.0 || !value.is_finite() {
        return Err(format!(
            "`{text}` is no identifier; expected integers or text"
        ));
    }
    if value.abs() > EXACT as f64 {
        return Err(format!(
            "`{text}` is an identifier that went through floating point, which holds integers up to 2^53 only; \
             export the column as integers or text"
        ));
    }
    Ok((value as i64).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_cleaned_in_one_place_and_cut_ones_are_refused() {
        let of = |texts: &[&str]| {
            let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
            cleaned(&texts)
        };
        let good = of(&[
            "b'123  '",
            " 39627788403084375 ",
            "7.0",
            "1.5e1",
            "",
            "b\"9\"",
        ])
        .unwrap();
        assert_eq!(good, ["123", "39627788403084375", "7", "15", "", "9"]);
        for (text, why) in [
            ("3.96E+16", "spreadsheet"),
            ("1.23457E+11", "spreadsheet"),
            ("39627788403084375.0", "2^53"),
            ("3.9627788403084375e+16", "2^53"),
            ("1.5", "no identifier"),
        ] {
            let (row, message) = of(&["1", text]).unwrap_err();
            assert!(
                row == 1 && message.contains(why) && message.contains(text),
                "{message}"
            );
        }
        // Names that look like numbers here and there are names.
        assert_eq!(
            of(&["J0012+1", "NGC 1", "5e10"]).unwrap(),
            ["J0012+1", "NGC 1", "5e10"]
        );
    }
}
