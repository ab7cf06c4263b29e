//! Tables of galaxy properties, joined to galaxies by identifier.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use super::hdf5_file::{self, Column, has_dataset, is_numeric, member_names};
use super::joint::CATALOG;
use crate::error::{Error, Result};
use crate::survey::ObjectId;

/// Names of the identifier column, the best first.
const ID_NAMES: [&str; 4] = ["TARGETID", "targetid", "object_id", "targetids"];

/// Properties of galaxies: one row per galaxy, one column per property.
#[derive(Debug, Clone)]
pub struct LabelTable {
    path: PathBuf,
    /// Identifier of every row.
    pub ids: Vec<ObjectId>,
    /// Every numeric column but the identifier, each as long as [`LabelTable::ids`].
    pub columns: BTreeMap<String, Vec<f64>>,
    row_of: HashMap<ObjectId, usize>,
}

impl LabelTable {
    /// Reads an HDF5 file with one dataset per column, in a group `catalog` or at the root.
    ///
    /// Datasets that are not one number per row are passed over.
    ///
    /// # Errors
    /// Where the file cannot be read, or has no identifiers or no column.
    pub fn open(path: &Path) -> Result<Self> {
        let file = hdf5_file::open(path)?;
        let catalog = file.link_exists(CATALOG).then(|| file.group(CATALOG));
        let group = match catalog {
            Some(Ok(group)) => group,
            _ => file.as_group().map_err(|source| {
                Error::input(format!("{}: cannot be read: {source}", path.display()))
            })?,
        };
        let names = member_names(&group);
        let id_name = ID_NAMES.iter().find(|name| has_dataset(&group, name));
        let Some(id_column) = id_name.map_or(Ok(None), |name| Column::open(path, &group, name))?
        else {
            return Err(Error::input(format!(
                "{}: no identifier column in `{}`; expected one of {}, found {}",
                path.display(),
                group.name(),
                ID_NAMES.join(", "),
                if names.is_empty() {
                    "nothing".to_owned()
                } else {
                    names.join(", ")
                }
            )));
        };
        let ids: Vec<ObjectId> = id_column.read_all()?;
        let mut columns = BTreeMap::new();
        for name in names
            .iter()
            .filter(|name| !ID_NAMES.contains(&name.as_str()))
        {
            let is_column = group
                .dataset(name)
                .is_ok_and(|dataset| dataset.shape() == [ids.len()] && is_numeric(&dataset));
            if !is_column {
                continue;
            }
            if let Some(column) = Column::open(path, &group, name)? {
                columns.insert(name.clone(), column.read_all()?);
            }
        }
        if columns.is_empty() {
            return Err(Error::input(format!(
                "{}: `{}` holds no column of {} numbers beside the identifiers",
                path.display(),
                group.name(),
                ids.len()
            )));
        }
        let mut row_of = HashMap::with_capacity(ids.len());
        for (row, &id) in ids.iter().enumerate() {
            row_of.entry(id).or_insert(row);
        }
        if row_of.len() < ids.len() {
            tracing::warn!(
                "{}: {} of {} rows repeat an earlier identifier and are not used",
                path.display(),
                ids.len() - row_of.len(),
                ids.len()
            );
        }
        Ok(Self {
            path: path.to_owned(),
            ids,
            columns,
            row_of,
        })
    }

    /// A column by its name.
    ///
    /// # Errors
    /// Where there is none; the message lists those that there are.
    pub fn column(&self, name: &str) -> Result<&[f64]> {
        self.columns.get(name).map(Vec::as_slice).ok_or_else(|| {
            let known: Vec<_> = self.columns.keys().map(String::as_str).collect();
            Error::input(format!(
                "{}: no column `{name}`; there are {}",
                self.path.display(),
                known.join(", ")
            ))
        })
    }

    /// The table's row of each galaxy; `None` for a galaxy that the table does not have.
    pub fn rows_for(&self, ids: &[ObjectId]) -> Vec<Option<usize>> {
        ids.iter().map(|id| self.row_of.get(id).copied()).collect()
    }
}
