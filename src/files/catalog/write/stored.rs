//! From cells to what a file stores: of what type a column is, which only all of its cells can say.

use std::borrow::Cow;

use ndarray::ArrayView2;

use super::head::{Cells, ColumnKind, TableHead};
use crate::survey::{IdColumn, ObjectId};

/// Characters of the longest 64-bit integer.
const LONGEST_INTEGER: usize = 20;

/// Of what type the cells of a column are in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stored {
    I64,
    U64,
    Text(Longest),
    F64,
    F32,
    I32,
    F32Array(usize),
}

/// What texts are at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Longest {
    /// Bytes in UTF-8.
    pub bytes: usize,
    /// Whether all are ASCII.
    pub is_ascii: bool,
}

/// Values of a column in a block of rows, of the type that the file stores.
#[derive(Debug, Clone)]
pub(super) enum Values<'a> {
    I64(Cow<'a, [i64]>),
    U64(Cow<'a, [u64]>),
    Texts(Cow<'a, [String]>),
    F64(&'a [f64]),
    F32(&'a [f32]),
    I32(&'a [i32]),
    F32Array(ArrayView2<'a, f32>),
}

/// What has to be known of all cells before the first of them is written.
#[derive(Debug, Clone)]
pub(super) struct Tally {
    pub rows: usize,
    columns: Vec<Seen>,
}

/// What was seen in a column.
#[derive(Debug, Clone, Copy)]
struct Seen {
    kind: ColumnKind,
    has_negative: bool,
    /// An integer above `i64::MAX`.
    has_large: bool,
    has_name: bool,
    longest: Longest,
}

impl Longest {
    const NONE: Self = Self {
        bytes: 0,
        is_ascii: true,
    };

    pub fn of<'a>(texts: impl IntoIterator<Item = &'a String>) -> Self {
        let mut longest = Self::NONE;
        texts.into_iter().for_each(|text| longest.add(text));
        longest
    }

    fn add(&mut self, text: &str) {
        self.bytes = self.bytes.max(text.len());
        self.is_ascii &= text.is_ascii();
    }
}

impl Tally {
    /// Of the columns of a table that has no row yet.
    pub fn new(head: &TableHead) -> Self {
        let columns = head.columns.iter().map(|column| Seen {
            kind: column.kind,
            has_negative: false,
            has_large: false,
            has_name: false,
            longest: Longest::NONE,
        });
        Self {
            rows: 0,
            columns: columns.collect(),
        }
    }

    /// Adds rows.
    pub fn add(&mut self, cells: &[Cells]) {
        self.rows += cells.first().map_or(0, Cells::rows);
        for (seen, cells) in self.columns.iter_mut().zip(cells) {
            match cells {
                Cells::Ids(ids) => ids.iter().for_each(|id| seen.add_id(*id)),
                Cells::Texts(texts) => texts.iter().for_each(|text| seen.longest.add(text)),
                Cells::F64(_) | Cells::F32(_) | Cells::I32(_) | Cells::F32Array(_) => {}
            }
        }
    }

    /// Of what type each column is.
    pub fn stored(&self) -> Vec<Stored> {
        self.columns.iter().map(|seen| seen.stored()).collect()
    }
}

impl Seen {
    fn add_id(&mut self, id: ObjectId) {
        match id.integer() {
            Some(number) => self.has_negative |= number < 0,
            None if id.is_number() => self.has_large = true,
            None => {
                self.has_name = true;
                self.longest.add(&id.to_string());
            }
        }
    }

    fn stored(&self) -> Stored {
        match self.kind {
            ColumnKind::Id if self.has_name || (self.has_large && self.has_negative) => {
                Stored::Text(Longest {
                    bytes: self.longest.bytes.max(LONGEST_INTEGER),
                    ..self.longest
                })
            }
            ColumnKind::Id if self.has_large => Stored::U64,
            ColumnKind::Id => Stored::I64,
            ColumnKind::Text => Stored::Text(self.longest),
            ColumnKind::F64 => Stored::F64,
            ColumnKind::F32 => Stored::F32,
            ColumnKind::I32 => Stored::I32,
            ColumnKind::F32Array(width) => Stored::F32Array(width),
        }
    }
}

impl<'a> Values<'a> {
    /// Cells of a column that is `stored` so.
    pub fn of(cells: &'a Cells, stored: Stored) -> Self {
        match cells {
            Cells::Ids(ids) => match (ObjectId::column(ids), stored) {
                (IdColumn::Signed(ids), Stored::I64) => Self::I64(ids.into()),
                (IdColumn::Unsigned(ids), Stored::U64) => Self::U64(ids.into()),
                // Of the column, but not of these rows, one is large.
                (IdColumn::Signed(ids), Stored::U64) => {
                    Self::U64(ids.into_iter().map(i64::cast_unsigned).collect())
                }
                _ => Self::Texts(ids.iter().map(ObjectId::to_string).collect()),
            },
            Cells::Texts(texts) => Self::Texts(texts.into()),
            Cells::F64(values) => Self::F64(values),
            Cells::F32(values) => Self::F32(values),
            Cells::I32(values) => Self::I32(values),
            Cells::F32Array(values) => Self::F32Array(values.view()),
        }
    }
}
