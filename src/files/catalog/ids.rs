//! Lists of identifiers.

use std::borrow::Cow;
use std::path::Path;

use super::table::{ID_NAMES, Table};
use crate::base::error::{Error, Result};
use crate::files::container::{BYTE_ORDER_MARK, Container, decoded};
use crate::survey::{EXACT_64, ObjectId};

/// The identifiers of a list: text with one per line (blank lines, lines from `#` on and a header are passed
/// over), or a table of any format that [`Table::open`] knows, of which `id_column` or one of the usual names
/// counts.
///
/// # Errors
/// Where the file cannot be read, has no identifiers, or one is no integer where others are.
pub fn read_ids(path: &Path, id_column: Option<&str>) -> Result<Vec<ObjectId>> {
    if Container::of(path)? == Container::Text {
        let bytes = std::fs::read(path).map_err(|source| Error::reading(path, source))?;
        let text = decoded(bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&bytes));
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
    let is_number = |line: &&str| line.parse::<f64>().is_ok();
    let rest = lines.get(1..).unwrap_or_default();
    let all_numbers = !rest.is_empty() && rest.iter().all(is_number);
    // A list of numbers may have any header, one of names only a header that says so.
    let has_header = lines.first().is_some_and(|first| {
        !is_number(first)
            && (all_numbers || ID_NAMES.iter().any(|name| first.eq_ignore_ascii_case(name)))
    });
    let entries = &lines[usize::from(has_header)..];
    let texts: Vec<String> = entries.iter().map(|line| (*line).to_owned()).collect();
    let ids = of_texts(&texts)
        .map_err(|(row, why)| Error::input(format!("entry {row}: {why}")).in_file(path))?;
    let is_a_number = |id: &Option<ObjectId>| id.is_some_and(ObjectId::is_number);
    if ids.iter().any(is_a_number)
        && let Some(index) = ids.iter().position(|id| !is_a_number(id))
    {
        return Err(Error::input(format!(
            "entry {index} is `{}` where others are integers; expected one identifier per line",
            entries[index]
        ))
        .in_file(path));
    }
    let ids: Vec<ObjectId> = ids.into_iter().flatten().collect();
    match ids.is_empty() {
        true => Err(Error::input("no identifiers; expected one per line").in_file(path)),
        false => Ok(ids),
    }
}

/// Identifiers from text, `None` where unknown: whole numbers also with the point or exponent of floating point. Where
/// most are numbers, one whose digits were cut or rounded is refused: with its row and why.
pub(super) fn of_texts(texts: &[String]) -> Result<Vec<Option<ObjectId>>, (usize, String)> {
    let known = texts.iter().filter(|text| !text.trim().is_empty()).count();
    let is_number = |text: &&String| text.trim().parse::<f64>().is_ok();
    let numbers = texts.iter().filter(is_number).count();
    let id = |text: &str| ObjectId::of_text(text).and_then(ObjectId::known);
    if 2 * numbers <= known {
        return Ok(texts.iter().map(|text| id(text)).collect());
    }
    let ids = texts
        .iter()
        .enumerate()
        .map(|(row, text)| match whole(text.trim()) {
            Ok(digits) => Ok(id(&digits)),
            Err(why) => Err((row, why)),
        });
    ids.collect()
}

/// The digits of a whole number in whatever notation; any other text as it is.
fn whole(text: &str) -> Result<Cow<'_, str>, String> {
    let is_plain = |byte: u8| byte.is_ascii_digit() || byte == b'-' || byte == b'+';
    let value = match text.parse::<f64>() {
        Ok(value) if !text.bytes().all(is_plain) => value,
        _ => return Ok(Cow::Borrowed(text)),
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
    if value.abs() > EXACT_64 as f64 {
        return Err(format!(
            "`{text}` is an identifier that went through floating point, which holds integers up to 2^53 only; \
             export the column as integers or text"
        ));
    }
    Ok(Cow::Owned((value as i64).to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_identifiers_and_cut_ones_are_refused() {
        let of = |texts: &[&str]| {
            let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
            let ids = of_texts(&texts)?;
            Ok::<_, (usize, String)>(ids.into_iter().map(|id| id.map(|id| id.to_string())))
        };
        let good = of(&["b'123  '", " 39627788403084375 ", "7.0", "1.5e1", "", "-1"]).unwrap();
        let good: Vec<String> = good.map(Option::unwrap_or_default).collect();
        assert_eq!(good, ["123", "39627788403084375", "7", "15", "", ""]);
        for (text, why) in [
            ("3.96E+16", "spreadsheet"),
            ("1.23457E+11", "spreadsheet"),
            ("39627788403084375.0", "2^53"),
            ("3.9627788403084375e+16", "2^53"),
            ("1.5", "no identifier"),
        ] {
            let (row, message) = of(&["1", text]).err().unwrap();
            assert!(
                row == 1 && message.contains(why) && message.contains(text),
                "{message}"
            );
        }
        // Names that look like numbers here and there are names.
        let names = of(&["J0012+1", "NGC 1", "5e10"]).unwrap();
        assert_eq!(
            names.flatten().collect::<Vec<_>>(),
            ["J0012+1", "NGC 1", "5e10"]
        );
    }
}
