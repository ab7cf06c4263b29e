//! Identifiers, written batch by batch: as integers while all are, else as text.

use hdf5::types::VarLenUnicode;
use hdf5::{Dataset, H5Type};

use super::OBJECT_ID;
use super::writer::{extend, new_column};
use crate::survey::{IdColumn, ObjectId};

/// The dataset of identifiers. A batch whose identifiers the type does not hold widens it: what is there is written
/// once more.
#[derive(Debug)]
pub(super) struct IdWriter {
    dataset: Dataset,
    kind: Kind,
    rows: usize,
}

/// Type of the dataset.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Signed,
    Unsigned,
    Text,
}

impl IdWriter {
    pub fn new(file: &hdf5::File) -> hdf5::Result<Self> {
        Ok(Self {
            dataset: new_column::<i64>(file, OBJECT_ID)?,
            kind: Kind::Signed,
            rows: 0,
        })
    }

    /// Appends identifiers.
    pub fn extend(&mut self, file: &hdf5::File, ids: &[ObjectId]) -> hdf5::Result<()> {
        match (self.kind, ObjectId::column(ids)) {
            (Kind::Text, _) => self.append(&texts(ids)?),
            (Kind::Signed, IdColumn::Signed(ids)) => self.append(&ids),
            (Kind::Unsigned, IdColumn::Unsigned(ids)) => self.append(&ids),
            (Kind::Unsigned, IdColumn::Signed(ids)) if ids.iter().all(|&id| id >= 0) => {
                let ids: Vec<u64> = ids.into_iter().map(i64::cast_unsigned).collect();
                self.append(&ids)
            }
            _ => self.widen(file, ids),
        }
    }

    fn append<T: H5Type>(&mut self, ids: &[T]) -> hdf5::Result<()> {
        extend(&self.dataset, self.rows, ids)?;
        self.rows += ids.len();
        Ok(())
    }

    /// Begins the dataset anew, of a type that also holds `more`, and appends them.
    fn widen(&mut self, file: &hdf5::File, more: &[ObjectId]) -> hdf5::Result<()> {
        let mut ids: Vec<ObjectId> = match self.kind {
            Kind::Signed => of(self.dataset.read_raw::<i64>()?),
            Kind::Unsigned => of(self.dataset.read_raw::<u64>()?),
            Kind::Text => unreachable!("text holds every identifier"),
        };
        ids.extend(more);
        file.unlink(OBJECT_ID)?;
        match ObjectId::column(&ids) {
            IdColumn::Signed(ids) => self.begin(file, Kind::Signed, &ids),
            IdColumn::Unsigned(ids) => self.begin(file, Kind::Unsigned, &ids),
            IdColumn::Texts(_) => self.begin(file, Kind::Text, &texts(&ids)?),
        }
    }

    fn begin<T: H5Type>(&mut self, file: &hdf5::File, kind: Kind, ids: &[T]) -> hdf5::Result<()> {
        *self = Self {
            dataset: new_column::<T>(file, OBJECT_ID)?,
            kind,
            rows: 0,
        };
        self.append(ids)
    }
}

fn texts(ids: &[ObjectId]) -> hdf5::Result<Vec<VarLenUnicode>> {
    let texts = ids.iter().map(|id| id.to_string().parse());
    texts
        .collect::<Result<_, _>>()
        .map_err(|_| "an identifier with a zero byte".into())
}

fn of<T: Into<ObjectId>>(ids: Vec<T>) -> Vec<ObjectId> {
    ids.into_iter().map(Into::into).collect()
}
