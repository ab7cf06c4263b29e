//! Galaxies as tables, for programs: what was found, and what lies in a cone.

use std::path::Path;

use super::Archive;
use crate::base::error::{Error, Result};
use crate::files::catalog::{
    Column, ColumnHead, ColumnKind, OutputFormat, TableHead, Values, write_columns,
};
use crate::survey::ObjectId;

/// A table of some galaxies, and what its columns are.
pub struct FoundTable {
    columns: Vec<(ColumnHead, Values)>,
    description: String,
}

/// A table of the galaxies in `rows`: identifier, position where any is known, then all columns of the archive.
pub fn found_table(archive: &Archive, rows: &[usize], description: &str) -> FoundTable {
    let ids: Vec<ObjectId> = rows.iter().map(|&row| archive.id(row)).collect();
    let mut columns = vec![(ColumnHead::object_id(), Values::of_ids(&ids))];
    if archive.sky().known() > 0 {
        for (axis, head) in ColumnHead::position().into_iter().enumerate() {
            let at = |&row: &usize| archive.file().observed[row].position[axis];
            columns.push((head, Values::Floats(rows.iter().map(at).collect())));
        }
    }
    for column in archive.columns().iter() {
        let mut head = ColumnHead::plain(column.name.clone(), ColumnKind::F64);
        if let Some(target) = column.target {
            head = head.of_ucd(target.ucd()).described(target.meaning());
            head.unit = target.unit().map(str::to_owned);
        }
        let is_new = columns
            .iter()
            .all(|(known, _)| !known.name.eq_ignore_ascii_case(&head.name));
        if is_new {
            let values = rows.iter().map(|&row| column.values[row]).collect();
            columns.push((head, Values::Floats(values)));
        }
    }
    FoundTable {
        columns,
        description: description.to_owned(),
    }
}

impl FoundTable {
    /// The same with one more column of numbers behind identifier and position.
    pub fn with(mut self, head: ColumnHead, values: Vec<f64>) -> Self {
        let is_place = |name: &str| ["object_id", "ra", "dec"].contains(&name);
        let behind = self
            .columns
            .iter()
            .take_while(|(head, _)| is_place(&head.name))
            .count();
        self.columns.insert(behind, (head, Values::Floats(values)));
        self
    }

    /// The same with columns that a Simple Cone Search names by the UCDs of 2002 which its standard asks for.
    pub fn for_cone_search(mut self) -> Self {
        let names = [
            ("object_id", "ID_MAIN"),
            ("ra", "POS_EQ_RA_MAIN"),
            ("dec", "POS_EQ_DEC_MAIN"),
        ];
        for (head, _) in &mut self.columns {
            let old = names.iter().find(|(name, _)| *name == head.name);
            if let Some((_, ucd)) = old {
                head.ucd = Some((*ucd).to_owned());
            }
        }
        self
    }

    /// The table as a file of a format.
    ///
    /// # Errors
    /// Where the disk for temporary files refuses.
    pub fn bytes(self, format: OutputFormat) -> Result<Vec<u8>> {
        in_memory(format, |path| {
            let (heads, columns): (Vec<_>, Vec<_>) = (self.columns.into_iter())
                .map(|(head, values)| {
                    let name = head.name.clone();
                    (head, Column { name, values })
                })
                .unzip();
            let head = TableHead::new("galaxies", self.description, heads);
            write_columns(&columns, head, path)
        })
    }
}

/// What `write` writes into a file of a format.
fn in_memory(format: OutputFormat, write: impl FnOnce(&Path) -> Result<()>) -> Result<Vec<u8>> {
    let folder = tempfile::tempdir()
        .map_err(|source| Error::run(format!("no temporary folder can be made: {source}")))?;
    let path = folder.path().join(match format {
        OutputFormat::Csv => "table.csv",
        OutputFormat::Fits => "table.fits",
        OutputFormat::VoTable => "table.vot",
        OutputFormat::Hdf5 => "table.h5",
        OutputFormat::Parquet => "table.parquet",
    });
    write(&path)?;
    std::fs::read(&path).map_err(|source| Error::reading(&path, source))
}
