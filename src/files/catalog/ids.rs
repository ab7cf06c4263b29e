//! Lists of identifiers.

use std::path::Path;

use super::table::{ID_NAMES, Table};
use crate::base::error::{Error, Result};
use crate::files::container::Container;
use crate::survey::ObjectId;

/// The identifiers of a list: text with one per line (blank lines, lines from `#` on and a header are passed
/// over), or a table of any format that [`Table::open`] knows, of which `id_column` or one of the usual names
/// counts.
///
/// # Errors
/// Where the file cannot be read, has no identifiers, or one is no integer where others are.
pub fn read_ids(path: &Path, id_column: Option<&str>) -> Result<Vec<ObjectId>> {
    if Container::of(path)? == Container::Text {
        let text = std::fs::read_to_string(path).map_err(|source| Error::reading(path, source))?;
        let lines: Vec<&str> = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .collect();
        if !lines.iter().any(|line| line.contains([',', ';', '\t'])) {
            return list(path, &lines);
        }
    }
    let table = Table::open(path)?;
    let ids = table.object_ids(table.id_column(id_column)?)?;
    Ok(ids.into_iter().flatten().collect())
}

fn list(path: &Path, lines: &[&str]) -> Result<Vec<ObjectId>> {
    let is_number = |line: &&str| ObjectId::of_text(line).is_some_and(ObjectId::is_number);
    let rest = lines.get(1..).unwrap_or_default();
    let all_numbers = !rest.is_empty() && rest.iter().all(is_number);
    // A list of numbers may have any header, one of names only a header that says so.
    let has_header = lines.first().is_some_and(|first| {
        !is_number(first)
            && (all_numbers || ID_NAMES.iter().any(|name| first.eq_ignore_ascii_case(name)))
    });
    let entries = &lines[usize::from(has_header)..];
    if entries.iter().any(is_number)
        && let Some(index) = entries.iter().position(|line| !is_number(line))
    {
        return Err(Error::input(format!(
            "entry {index} is `{}` where others are integers; expected one identifier per line",
            entries[index]
        ))
        .in_file(path));
    }
    let ids: Vec<ObjectId> = entries
        .iter()
        .filter_map(|line| ObjectId::of_text(line))
        .collect();
    match ids.is_empty() {
        true => Err(Error::input("no identifiers; expected one per line").in_file(path)),
        false => Ok(ids),
    }
}
