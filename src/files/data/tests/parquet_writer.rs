//! Small Parquet files of nested columns.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use half::f16;
use parquet::data_type::{
    BoolType, ByteArrayType, DataType, DoubleType, FixedLenByteArrayType, FloatType, Int32Type,
    Int64Type,
};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;

/// A value of a leaf column in a row, or lists of them.
#[derive(Debug, Clone)]
pub(super) enum Cell<T> {
    Missing,
    Value(T),
    List(Vec<Cell<T>>),
}

/// The rows of a leaf column.
pub(super) enum Leaf {
    Floats(Vec<Cell<f32>>),
    Doubles(Vec<Cell<f64>>),
    Halves(Vec<Cell<f32>>),
    Logicals(Vec<Cell<bool>>),
    Int32s(Vec<Cell<i32>>),
    Int64s(Vec<Cell<i64>>),
    Texts(Vec<Cell<&'static str>>),
}

/// A list of values.
pub(super) fn list<T: Copy>(values: &[T]) -> Cell<T> {
    Cell::List(values.iter().copied().map(Cell::Value).collect())
}

/// Values without lists.
pub(super) fn plain<T: Copy>(values: &[T]) -> Vec<Cell<T>> {
    values.iter().copied().map(Cell::Value).collect()
}

/// Lists of lists of lists, of this shape.
pub(super) fn cube<T: Copy>(shape: [usize; 3], value: impl Fn([usize; 3]) -> T) -> Cell<T> {
    let [outer, middle, inner] = shape;
    let line = |a: usize, b: usize| {
        Cell::List((0..inner).map(|c| Cell::Value(value([a, b, c]))).collect())
    };
    let plane = |a: usize| Cell::List((0..middle).map(|b| line(a, b)).collect());
    Cell::List((0..outer).map(plane).collect())
}

/// Values with their levels: what is not there in a list is a null element, else the outermost group is null.
fn flatten<T: Clone>(
    cell: &Cell<T>,
    [depth, lists]: [i16; 2],
    repetition: i16,
    most: i16,
    out: &mut (Vec<T>, Vec<i16>, Vec<i16>),
) {
    match cell {
        Cell::Value(value) => {
            out.0.push(value.clone());
            out.1.push(most);
            out.2.push(repetition);
        }
        Cell::List(items) if !items.is_empty() => {
            for (index, item) in items.iter().enumerate() {
                let repetition = if index == 0 { repetition } else { depth + 1 };
                flatten(item, [depth + 1, lists], repetition, most, out);
            }
        }
        Cell::Missing | Cell::List(_) => {
            out.1.push(if depth == lists && depth > 0 {
                most - 1
            } else {
                0
            });
            out.2.push(repetition);
        }
    }
}

/// Writes a file of one row group: `leaves` in the order of the schema.
pub(super) fn write(path: &Path, schema: &str, leaves: &[Leaf]) {
    let schema = Arc::new(parse_message_type(&format!("message schema {{ {schema} }}")).unwrap());
    let properties = Arc::new(WriterProperties::default());
    let file = File::create(path).unwrap();
    let mut file = SerializedFileWriter::new(file, schema, properties).unwrap();
    let levels: Vec<[i16; 2]> = file
        .schema_descr()
        .columns()
        .iter()
        .map(|column| [column.max_rep_level(), column.max_def_level()])
        .collect();
    let mut group = file.next_row_group().unwrap();
    assert_eq!(leaves.len(), levels.len());
    for (leaf, levels) in leaves.iter().zip(levels) {
        match leaf {
            Leaf::Floats(rows) => {
                write_leaf::<FloatType, _>(&mut group, rows, levels, |&value| value)
            }
            Leaf::Doubles(rows) => {
                write_leaf::<DoubleType, _>(&mut group, rows, levels, |&value| value)
            }
            Leaf::Halves(rows) => {
                write_leaf::<FixedLenByteArrayType, _>(&mut group, rows, levels, |&value| {
                    f16::from_f32(value).to_le_bytes().to_vec().into()
                })
            }
            Leaf::Logicals(rows) => {
                write_leaf::<BoolType, _>(&mut group, rows, levels, |&value| value)
            }
            Leaf::Int32s(rows) => {
                write_leaf::<Int32Type, _>(&mut group, rows, levels, |&value| value)
            }
            Leaf::Int64s(rows) => {
                write_leaf::<Int64Type, _>(&mut group, rows, levels, |&value| value)
            }
            Leaf::Texts(rows) => {
                write_leaf::<ByteArrayType, _>(&mut group, rows, levels, |&value| value.into())
            }
        }
    }
    group.close().unwrap();
    file.close().unwrap();
}

fn write_leaf<D: DataType, T: Clone>(
    group: &mut SerializedRowGroupWriter<'_, File>,
    rows: &[Cell<T>],
    [lists, most]: [i16; 2],
    convert: impl Fn(&T) -> D::T,
) {
    let mut flat = (Vec::new(), Vec::new(), Vec::new());
    for row in rows {
        flatten(row, [0, lists], 0, most, &mut flat);
    }
    let values: Vec<D::T> = flat.0.iter().map(convert).collect();
    let mut column = group.next_column().unwrap().unwrap();
    column
        .typed::<D>()
        .write_batch(&values, Some(&flat.1), Some(&flat.2))
        .unwrap();
    column.close().unwrap();
}
