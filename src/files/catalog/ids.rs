//! Lists of identifiers.

use std::path::Path;

use super::table::Table;
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
    let header = usize::from(
        lines
            .first()
            .is_some_and(|line| line.parse::<ObjectId>().is_err()),
    );
    let ids = lines.iter().enumerate().skip(header).map(|(index, line)| {
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
