//! Tables as HDF5: a group `catalog` with one dataset per column.

use std::path::Path;

use hdf5::types::VarLenUnicode;
use hdf5::{Dataset, Group, H5Type, Location};
use ndarray::s;
use serde_json::Value;

use super::Layout;
use super::stored::{Stored, Values};
use crate::files::container::hdf5_file;

/// Group of the columns.
pub(super) const GROUP: &str = "catalog";

/// Rows of which the texts are written at once.
const TEXTS: usize = 1 << 12;

/// Writes a table as HDF5.
pub(super) struct Hdf5Writer {
    // Declared before `file`: HDF5 lets go of them first.
    columns: Vec<Dataset>,
    file: hdf5::File,
    rows: usize,
    /// Texts that wait, of each column; none of numbers. Where texts lie in the file hangs on which are written at once,
    /// and that must not hang on how the rows come.
    texts: Vec<Vec<VarLenUnicode>>,
}

impl Hdf5Writer {
    pub fn create(path: &Path, layout: &Layout<'_>) -> hdf5::Result<Self> {
        let file = hdf5_file::create(path)?;
        let group = file.create_group(GROUP)?;
        let rows = layout.rows;
        let columns = layout.columns().map(|(column, stored)| {
            let name = column.name.as_str();
            let dataset = match stored {
                Stored::I64 => dataset::<i64>(&group, name, rows),
                Stored::U64 => dataset::<u64>(&group, name, rows),
                Stored::Text(_) => dataset::<VarLenUnicode>(&group, name, rows),
                Stored::F64 => dataset::<f64>(&group, name, rows),
                Stored::F32 => dataset::<f32>(&group, name, rows),
                Stored::I32 => dataset::<i32>(&group, name, rows),
                Stored::F32Array(width) => group
                    .new_dataset::<f32>()
                    .obj_track_times(false)
                    .shape((rows, width))
                    .create(name),
            }?;
            let texts = [
                ("units", column.unit.as_deref()),
                ("ucd", column.ucd.as_deref()),
                ("description", Some(column.description.as_str())),
            ];
            for (name, text) in texts {
                write_text(&dataset, name, text.unwrap_or_default())?;
            }
            Ok(dataset)
        });
        let columns: Vec<Dataset> = columns.collect::<hdf5::Result<_>>()?;
        describe(&group, layout)?;
        Ok(Self {
            texts: vec![Vec::new(); columns.len()],
            columns,
            file,
            rows: 0,
        })
    }

    pub fn append(&mut self, rows: usize, columns: &[Values<'_>]) -> hdf5::Result<()> {
        let place = s![self.rows..self.rows + rows];
        let all = self.columns.iter().zip(columns).zip(&mut self.texts);
        for ((dataset, values), waiting) in all {
            match values {
                Values::I64(values) => dataset.write_slice(&values[..], place)?,
                Values::U64(values) => dataset.write_slice(&values[..], place)?,
                Values::F64(values) => dataset.write_slice(*values, place)?,
                Values::F32(values) => dataset.write_slice(*values, place)?,
                Values::I32(values) => dataset.write_slice(*values, place)?,
                Values::F32Array(values) => {
                    let place = s![self.rows..self.rows + rows, ..];
                    dataset.write_slice(&values.as_standard_layout(), place)?;
                }
                Values::Texts(values) => {
                    for value in values.iter() {
                        waiting.push(text(value)?);
                    }
                }
            }
        }
        self.rows += rows;
        self.write_texts(TEXTS)
    }

    /// Writes the texts that wait, so many rows at once, as long as there are so many.
    fn write_texts(&mut self, rows: usize) -> hdf5::Result<()> {
        while self
            .texts
            .iter()
            .any(|waiting| waiting.len() >= rows.max(1))
        {
            let all = self.columns.iter().zip(&mut self.texts);
            for (dataset, waiting) in all.filter(|(_, waiting)| !waiting.is_empty()) {
                let start = self.rows - waiting.len();
                let texts: Vec<VarLenUnicode> = waiting.drain(..rows).collect();
                dataset.write_slice(&texts, s![start..start + rows])?;
            }
        }
        Ok(())
    }

    pub fn finish(mut self) -> hdf5::Result<()> {
        let rest = self.texts.iter().map(Vec::len).max();
        self.write_texts(rest.unwrap_or(0))?;
        let Self { columns, file, .. } = self;
        drop(columns);
        file.flush()?;
        file.close()
    }
}

fn dataset<T: H5Type>(group: &Group, name: &str, rows: usize) -> hdf5::Result<Dataset> {
    // Without the time of writing: the same table has the same bytes.
    let builder = group.new_dataset::<T>().obj_track_times(false);
    builder.shape((rows,)).create(name)
}

/// Writes what is known of all rows.
fn describe(group: &Group, layout: &Layout<'_>) -> hdf5::Result<()> {
    let head = layout.head;
    write_text(group, "name", &head.name)?;
    write_text(group, "description", &head.description)?;
    for keyword in &head.keywords {
        let key = keyword.key.as_str();
        match &keyword.value {
            Value::Bool(value) => write_number(group, key, *value)?,
            Value::Number(value) => match (value.as_i64(), value.as_f64()) {
                (Some(value), _) => write_number(group, key, value)?,
                (None, value) => write_number(group, key, value.unwrap_or(f64::NAN))?,
            },
            Value::String(value) => write_text(group, key, value)?,
            other => write_text(group, key, &other.to_string())?,
        }
        if !keyword.comment.is_empty() {
            write_text(group, &format!("{key} comment"), &keyword.comment)?;
        }
    }
    match &head.provenance {
        Value::Null => Ok(()),
        provenance => write_text(group, "provenance", &provenance.to_string()),
    }
}

fn write_number<T: H5Type>(location: &Location, name: &str, value: T) -> hdf5::Result<()> {
    let attribute = location.new_attr::<T>().create(name)?;
    attribute.write_scalar(&value)
}

/// An attribute; none where the text is empty.
fn write_text(location: &Location, name: &str, value: &str) -> hdf5::Result<()> {
    if value.is_empty() {
        return Ok(());
    }
    let attribute = location.new_attr::<VarLenUnicode>().create(name)?;
    attribute.write_scalar(&text(value)?)
}

/// A text without NUL, at which it would end.
fn text(value: &str) -> hdf5::Result<VarLenUnicode> {
    let text = value.replace('\0', "").parse();
    text.map_err(|_| hdf5::Error::from("text with a NUL"))
}
