//! Tables as text with commas, and a header of names only: nothing else in CSV is read alike by all programs.

use std::fmt::{Display, LowerExp, Write};
use std::fs::File;
use std::path::Path;

use super::Layout;
use super::stored::{Stored, Values};
use crate::files::catalog::table::element_name;

/// Bytes that are written at once.
const BUFFER: usize = 1 << 20;

/// Writes a table as CSV. Unknown numbers are empty cells; an array is as many columns.
pub(super) struct CsvWriter {
    writer: csv::Writer<File>,
    cell: String,
}

impl CsvWriter {
    pub fn create(path: &Path, layout: &Layout<'_>) -> csv::Result<Self> {
        let mut writer = csv::WriterBuilder::new()
            .buffer_capacity(BUFFER)
            .from_path(path)?;
        for (column, stored) in layout.columns() {
            match stored {
                Stored::F32Array(width) => {
                    for index in 0..width {
                        writer.write_field(element_name(&column.name, index, width))?;
                    }
                }
                _ => writer.write_field(&column.name)?,
            }
        }
        writer.write_record(None::<&[u8]>)?;
        Ok(Self {
            writer,
            cell: String::new(),
        })
    }

    pub fn append(&mut self, rows: usize, columns: &[Values<'_>]) -> csv::Result<()> {
        for row in 0..rows {
            for values in columns {
                match values {
                    Values::I64(values) => self.field(|cell| push(cell, values[row]))?,
                    Values::U64(values) => self.field(|cell| push(cell, values[row]))?,
                    Values::I32(values) => self.field(|cell| push(cell, values[row]))?,
                    Values::Texts(values) => self.writer.write_field(&values[row])?,
                    Values::F64(values) => {
                        let value = values[row];
                        self.field(|cell| push_float(cell, value, value))?;
                    }
                    Values::F32(values) => {
                        let value = values[row];
                        self.field(|cell| push_float(cell, value, value.into()))?;
                    }
                    Values::F32Array(values) => {
                        for &value in values.row(row) {
                            self.field(|cell| push_float(cell, value, value.into()))?;
                        }
                    }
                }
            }
            self.writer.write_record(None::<&[u8]>)?;
        }
        Ok(())
    }

    fn field(&mut self, write: impl FnOnce(&mut String)) -> csv::Result<()> {
        self.cell.clear();
        write(&mut self.cell);
        self.writer.write_field(&self.cell)
    }

    pub fn finish(mut self) -> csv::Result<()> {
        Ok(self.writer.flush()?)
    }
}

fn push(cell: &mut String, value: impl Display) {
    write!(cell, "{value}").expect("a string takes everything");
}

/// The shortest digits that read back as the same number, which is `wide` in 64 bits.
fn push_float(cell: &mut String, value: impl Display + LowerExp, wide: f64) {
    let magnitude = wide.abs();
    if wide.is_nan() {
        // An empty cell.
    } else if magnitude == 0.0 || (1e-5..1e15).contains(&magnitude) || magnitude.is_infinite() {
        push(cell, value);
    } else {
        write!(cell, "{value:e}").expect("a string takes everything");
    }
}
