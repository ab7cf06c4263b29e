//! Tables in the making: a [`Journal`] whose frames are blocks of rows.
//!
//! A frame is the rows that it is made from, the number of those that are left of them, and their cells, column by column,
//! all in little-endian numbers.

use std::ops::Range;
use std::path::Path;

use ndarray::Array2;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::head::{Cells, ColumnHead, ColumnKind, TableHead};
use super::stored::{Tally, Values};
use super::{Layout, OutputFormat, TableWriter};
use crate::base::error::{Error, Result};
use crate::base::output::{Journal, Resumable};
use crate::survey::{IdColumn, ObjectId};

/// What makes a table what it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TablePlan {
    /// What it says of itself. A resumed table says what it was begun with.
    pub head: TableHead,
    /// Rows that it is made from; it may have fewer.
    pub rows: usize,
    /// All that must be the same where it is resumed: an object, whose keys tell people what is different.
    pub identity: Value,
}

impl Resumable for TablePlan {
    const MAGIC: &'static str = "unfinished table of astroclip\n";
    const WHAT: &'static str = "table";

    fn rows(&self) -> usize {
        self.rows
    }

    fn bytes(&self) -> u64 {
        let columns = self.head.columns.iter();
        let of_row: u64 = columns.map(|column| column.kind.bytes()).sum();
        of_row * self.rows as u64
    }

    fn check_same(&self, begun: &Self) -> Result<()> {
        let differs = |what: &str, former: &str| {
            Err(Error::input(format!(
                "was begun with other {what}{former}: go on with the former, or remove it to begin anew"
            )))
        };
        let empty = serde_json::Map::new();
        let of = |plan: &'_ Self| plan.identity.as_object().cloned();
        let (now, then) = (
            of(self).unwrap_or(empty.clone()),
            of(begun).unwrap_or(empty),
        );
        let mut keys = then.keys().chain(now.keys());
        if let Some(key) = keys.find(|key| now.get(*key) != then.get(*key)) {
            let former = match then.get(key) {
                Some(Value::String(text)) => format!(" ({text})"),
                Some(value @ (Value::Number(_) | Value::Bool(_))) => format!(" ({value})"),
                _ => String::new(),
            };
            return differs(key, &former);
        }
        let shape = |plan: &Self| -> Vec<(String, ColumnKind)> {
            let columns = plan.head.columns.iter();
            columns
                .map(|column| (column.name.clone(), column.kind))
                .collect()
        };
        match () {
            () if self.identity != begun.identity => differs("settings", ""),
            () if self.rows != begun.rows => differs("data", ""),
            () if shape(self) != shape(begun) => differs("columns", ""),
            () => Ok(()),
        }
    }
}

/// The first rows of a table, on their way to a file.
#[derive(Debug)]
pub struct UnfinishedTable {
    journal: Journal<TablePlan>,
    /// Rows of the input that are behind us.
    done: usize,
    tally: Tally,
}

impl UnfinishedTable {
    /// Begins a table that will be the file `out`, or with `resume` goes on with the one that a program left.
    ///
    /// # Errors
    /// As [`Journal::open`]; where the name of `out` says no format, or a column cannot be called so in it.
    pub fn open(out: &Path, plan: &TablePlan, resume: bool) -> Result<Self> {
        let format = OutputFormat::of(out)?;
        format
            .check(&plan.head)
            .map_err(|error| error.in_file(out))?;
        let mut done = 0;
        let mut tally = Tally::new(&plan.head);
        let journal = Journal::open(out, plan, resume, |begun, frame| {
            let block = Block::of(frame, &begun.head.columns)?;
            (block.rows.start == done).then(|| {
                done = block.rows.end;
                tally.add(&block.cells);
                done
            })
        })?;
        Ok(Self {
            journal,
            done,
            tally,
        })
    }

    /// Rows of the input that are behind us.
    pub fn done(&self) -> usize {
        self.done
    }

    /// Where it is kept.
    pub fn path(&self) -> &Path {
        self.journal.path()
    }

    /// Appends what the next `rows` of the input became: the cells of every column, of as many rows or fewer.
    ///
    /// # Errors
    /// [`Error::run`] where the cells are not those of the columns, or the disk refuses.
    pub fn append(&mut self, rows: Range<usize>, cells: &[Cells]) -> Result<()> {
        let plan = self.journal.plan();
        let count = cells.first().map_or(0, Cells::rows);
        let kinds = plan.head.columns.iter().map(|column| column.kind);
        let is_right = rows.start == self.done
            && rows.end <= plan.rows
            && count <= rows.len()
            && cells.iter().all(|cells| cells.rows() == count)
            && cells.iter().map(Cells::kind).eq(kinds);
        if !is_right {
            let kinds: Vec<_> = cells.iter().map(|of| (of.kind(), of.rows())).collect();
            return Err(Error::run(format!(
                "rows {rows:?} after {} of {} have the cells {kinds:?}, unlike the columns of the table",
                self.done, plan.rows
            ))
            .in_file(self.journal.out()));
        }
        let frame = encoded(&rows, count, cells);
        self.journal.append(rows.end, &frame)?;
        self.done = rows.end;
        self.tally.add(cells);
        Ok(())
    }

    /// The error that ends the work, as [`Journal::abandoned`].
    pub fn abandoned(self, error: Error) -> Error {
        self.journal.abandoned(error)
    }

    /// Writes the file, and removes what was kept for it. Returns its number of rows.
    ///
    /// # Errors
    /// Where no row is left, and where the disk refuses; what was kept stays then.
    pub fn finish(self) -> Result<usize> {
        let tally = self.tally;
        self.journal.finish(|journal| {
            if tally.rows == 0 {
                return Err(Error::input(
                    "would have no rows: no galaxy can be used; `astroclip check` says why",
                )
                .in_file(journal.out()));
            }
            let head = &journal.plan().head;
            let layout = Layout {
                head,
                stored: tally.stored(),
                rows: tally.rows,
            };
            let mut writer = TableWriter::create(journal.out(), &layout)?;
            journal.each(|frame| {
                let Some(block) = Block::of(frame, &head.columns) else {
                    return Ok(None);
                };
                let columns = block.cells.iter().zip(&layout.stored);
                let columns: Vec<Values<'_>> = columns
                    .map(|(cells, stored)| Values::of(cells, *stored))
                    .collect();
                writer.append(block.count, &columns)?;
                Ok(Some(block.rows.end))
            })?;
            writer.finish()?;
            Ok(tally.rows)
        })
    }
}

/// A block of rows as it was appended.
struct Block {
    rows: Range<usize>,
    count: usize,
    cells: Vec<Cells>,
}

/// What the first byte of a column of identifiers says.
const SIGNED: u8 = 0;
const UNSIGNED: u8 = 1;
const TEXTS: u8 = 2;

fn encoded(rows: &Range<usize>, count: usize, cells: &[Cells]) -> Vec<u8> {
    let mut frame = Vec::new();
    let mut push = |bytes: &[u8]| frame.extend_from_slice(bytes);
    for number in [rows.start, rows.end, count] {
        push(&(number as u64).to_le_bytes());
    }
    let push_texts = |push: &mut dyn FnMut(&[u8]), texts: &[String]| {
        for text in texts {
            push(&(text.len() as u64).to_le_bytes());
            push(text.as_bytes());
        }
    };
    for cells in cells {
        match cells {
            Cells::Ids(ids) => match ObjectId::column(ids) {
                IdColumn::Signed(ids) => {
                    push(&[SIGNED]);
                    ids.iter().for_each(|id| push(&id.to_le_bytes()));
                }
                IdColumn::Unsigned(ids) => {
                    push(&[UNSIGNED]);
                    ids.iter().for_each(|id| push(&id.to_le_bytes()));
                }
                IdColumn::Texts(ids) => {
                    push(&[TEXTS]);
                    push_texts(&mut push, &ids);
                }
            },
            Cells::Texts(texts) => push_texts(&mut push, texts),
            Cells::F64(values) => values.iter().for_each(|value| push(&value.to_le_bytes())),
            Cells::F32(values) => values.iter().for_each(|value| push(&value.to_le_bytes())),
            Cells::I32(values) => values.iter().for_each(|value| push(&value.to_le_bytes())),
            Cells::F32Array(values) => values.iter().for_each(|value| push(&value.to_le_bytes())),
        }
    }
    frame
}

/// What is left of a frame.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (these, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(these)
    }

    fn numbers<const SIZE: usize, T>(
        &mut self,
        count: usize,
        number: impl Fn([u8; SIZE]) -> T,
    ) -> Option<Vec<T>> {
        let (chunks, _) = self.bytes(count.checked_mul(SIZE)?)?.as_chunks::<SIZE>();
        Some(chunks.iter().map(|&chunk| number(chunk)).collect())
    }

    fn count(&mut self) -> Option<usize> {
        usize::try_from(self.numbers(1, u64::from_le_bytes)?[0]).ok()
    }

    fn texts(&mut self, count: usize) -> Option<Vec<String>> {
        let text = |_| {
            let length = self.count()?;
            String::from_utf8(self.bytes(length)?.to_vec()).ok()
        };
        (0..count).map(text).collect()
    }

    fn ids(&mut self, count: usize) -> Option<Vec<ObjectId>> {
        match self.bytes(1)?[0] {
            SIGNED => self.numbers(count, |bytes| i64::from_le_bytes(bytes).into()),
            UNSIGNED => self.numbers(count, |bytes| u64::from_le_bytes(bytes).into()),
            TEXTS => {
                let texts = self.texts(count)?;
                texts.iter().map(|text| ObjectId::of_text(text)).collect()
            }
            _ => None,
        }
    }

    fn cells(&mut self, kind: ColumnKind, count: usize) -> Option<Cells> {
        Some(match kind {
            ColumnKind::Id => Cells::Ids(self.ids(count)?),
            ColumnKind::Text => Cells::Texts(self.texts(count)?),
            ColumnKind::F64 => Cells::F64(self.numbers(count, f64::from_le_bytes)?),
            ColumnKind::F32 => Cells::F32(self.numbers(count, f32::from_le_bytes)?),
            ColumnKind::I32 => Cells::I32(self.numbers(count, i32::from_le_bytes)?),
            ColumnKind::F32Array(width) => {
                let values = self.numbers(count.checked_mul(width)?, f32::from_le_bytes)?;
                Cells::F32Array(Array2::from_shape_vec((count, width), values).ok()?)
            }
        })
    }
}

impl Block {
    /// `None` where the frame holds something else.
    fn of(frame: &[u8], columns: &[ColumnHead]) -> Option<Self> {
        let mut rest = Rest(frame);
        let rows = rest.count()?..rest.count()?;
        let count = rest.count()?;
        let columns = columns.iter();
        let cells = columns.map(|column| rest.cells(column.kind, count));
        let cells = cells.collect::<Option<Vec<Cells>>>()?;
        (rest.0.is_empty() && count <= rows.len()).then_some(Self { rows, count, cells })
    }
}
