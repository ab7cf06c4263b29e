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
    /// Empty, of the type of `dataset`.
    written: IdColumn,
    rows: usize,
}

impl IdWriter {
    pub fn new(file: &hdf5::File) -> hdf5::Result<Self> {
        Ok(Self {
            dataset: new_column::<i64>(file, OBJECT_ID)?,
            written: IdColumn::Signed(Vec::new()),
            rows: 0,
        })
    }

    /// Appends identifiers.
    pub fn extend(&mut self, file: &hdf5::File, ids: &[ObjectId]) -> hdf5::Result<()> {
        let batch = ObjectId::column(ids);
        let fits = match (&self.written, &batch) {
            (IdColumn::Texts(_), _) | (IdColumn::Signed(_), IdColumn::Signed(_)) => true,
            (IdColumn::Unsigned(_), IdColumn::Unsigned(_)) => true,
            (IdColumn::Unsigned(_), IdColumn::Signed(ids)) => ids.iter().all(|&id| id >= 0),
            _ => false,
        };
        if !fits {
            self.widen(file, ids)?;
        }
        self.append(ids)
    }

    fn append(&mut self, ids: &[ObjectId]) -> hdf5::Result<()> {
        match (&self.written, ObjectId::column(ids)) {
            (IdColumn::Signed(_), IdColumn::Signed(ids)) => extend(&self.dataset, self.rows, &ids)?,
            (IdColumn::Unsigned(_), IdColumn::Unsigned(ids)) => {
                extend(&self.dataset, self.rows, &ids)?;
            }
            (IdColumn::Unsigned(_), IdColumn::Signed(ids)) => {
                let ids: Vec<u64> = ids.into_iter().map(i64::cast_unsigned).collect();
                extend(&self.dataset, self.rows, &ids)?;
            }
            _ => {
                let texts = ids.iter().map(|id| id.to_string().parse());
                let texts: Vec<VarLenUnicode> = texts
                    .collect::<Result<_, _>>()
                    .map_err(|_| hdf5::Error::from("an identifier with a zero byte"))?;
                extend(&self.dataset, self.rows, &texts)?;
            }
        }
        self.rows += ids.len();
        Ok(())
    }

    /// Begins the dataset anew, of a type that also holds `more`.
    fn widen(&mut self, file: &hdf5::File, more: &[ObjectId]) -> hdf5::Result<()> {
        let before: Vec<ObjectId> = match self.written {
            IdColumn::Signed(_) => of(self.dataset.read_raw::<i64>()?),
            IdColumn::Unsigned(_) => of(self.dataset.read_raw::<u64>()?),
            IdColumn::Texts(_) => Vec::new(),
        };
        let all: Vec<ObjectId> = before.iter().chain(more).copied().collect();
        file.unlink(OBJECT_ID)?;
        (self.dataset, self.written) = match ObjectId::column(&all) {
            IdColumn::Signed(_) => (column::<i64>(file)?, IdColumn::Signed(Vec::new())),
            IdColumn::Unsigned(_) => (column::<u64>(file)?, IdColumn::Unsigned(Vec::new())),
            IdColumn::Texts(_) => (column::<VarLenUnicode>(file)?, IdColumn::Texts(Vec::new())),
        };
        self.rows = 0;
        self.append(&before)
    }
}

fn column<T: H5Type>(file: &hdf5::File) -> hdf5::Result<Dataset> {
    new_column::<T>(file, OBJECT_ID)
}

fn of<T: Into<ObjectId>>(ids: Vec<T>) -> Vec<ObjectId> {
    ids.into_iter().map(Into::into).collect()
}
