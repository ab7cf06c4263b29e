//! Readers of Parquet files.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use parquet::data_type::{DoubleType, FloatType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use super::{open_one, refusal};
use crate::survey::{DESI_GRID, Split};

/// What Hugging Face's `datasets` writes: lists of lists, each level with a definition of its own.
const SCHEMA: &str = "message schema {
    optional group image (LIST) { repeated group list { optional group element (LIST) { repeated group list {
        optional group element (LIST) { repeated group list { optional float element; } } } } } }
    optional group spectrum (LIST) { repeated group list { optional group element (LIST) { repeated group list {
        optional float element; } } } }
    optional double redshift;
    optional int64 targetid;
}";

/// Width, height and bands of the images.
const SHAPE: [usize; 3] = [4, 5, 3];

fn pixel(row: usize, x: usize, y: usize, band: usize) -> f32 {
    (1 + row * 1000 + x * 100 + y * 10 + band) as f32
}

/// Row groups of 3 and 2 rows.
fn write(path: &Path) {
    let schema = Arc::new(parse_message_type(SCHEMA).unwrap());
    let properties = Arc::new(WriterProperties::default());
    let mut file =
        SerializedFileWriter::new(File::create(path).unwrap(), schema, properties).unwrap();
    for rows in [0..3, 3..5] {
        let mut group = file.next_row_group().unwrap();
        let [width, height, bands] = SHAPE;
        let (mut values, mut repetition) = (Vec::new(), Vec::new());
        for row in rows.clone() {
            for x in 0..width {
                for y in 0..height {
                    for band in 0..bands {
                        values.push(pixel(row, x, y, band));
                        repetition.push(match (x, y, band) {
                            (0, 0, 0) => 0,
                            (_, 0, 0) => 1,
                            (_, _, 0) => 2,
                            _ => 3,
                        });
                    }
                }
            }
        }
        let mut column = group.next_column().unwrap().unwrap();
        let full = vec![7; values.len()];
        column
            .typed::<FloatType>()
            .write_batch(&values, Some(&full), Some(&repetition))
            .unwrap();
        column.close().unwrap();
        let (mut values, mut repetition) = (Vec::new(), Vec::new());
        for row in rows.clone() {
            for pixel in 0..DESI_GRID.len {
                values.push((row + 1) as f32 + 1e-4 * pixel as f32);
                repetition.push(i16::from(pixel > 0));
            }
        }
        let mut column = group.next_column().unwrap().unwrap();
        let full = vec![5; values.len()];
        column
            .typed::<FloatType>()
            .write_batch(&values, Some(&full), Some(&repetition))
            .unwrap();
        column.close().unwrap();
        // The redshift of row 1 is unknown.
        let known = rows.clone().filter(|&row| row != 1);
        let redshifts: Vec<f64> = known.map(|row| 0.1 * row as f64 + 0.05).collect();
        let levels: Vec<i16> = rows.clone().map(|row| i16::from(row != 1)).collect();
        let mut column = group.next_column().unwrap().unwrap();
        column
            .typed::<DoubleType>()
            .write_batch(&redshifts, Some(&levels), None)
            .unwrap();
        column.close().unwrap();
        let ids: Vec<i64> = rows.clone().map(|row| 500 + row as i64).collect();
        let mut column = group.next_column().unwrap().unwrap();
        column
            .typed::<Int64Type>()
            .write_batch(&ids, Some(&vec![1; ids.len()]), None)
            .unwrap();
        column.close().unwrap();
        group.close().unwrap();
    }
    file.close().unwrap();
}

#[test]
fn nested_lists_of_a_shard_are_read_in_any_order() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("train-00000.parquet");
    write(&path);
    let data = open_one(&path);
    // The name of the shard tells its split.
    assert_eq!(data.train_rows().len(), 5);
    std::fs::copy(&path, folder.path().join("test-00000.parquet")).unwrap();
    let both = open_one(folder.path());
    assert_eq!((both.len(), both.train_rows().len()), (10, 5));
    assert_eq!(both.split(0), Split::Test);
    let labels = data.labels(1..5).unwrap();
    assert_eq!(labels.object_id, [501, 502, 503, 504]);
    assert!(labels.redshift[0].is_nan());
    assert_eq!(labels.redshift[1..], [0.25, 0.35, 0.45]);
    let rows = [4, 0, 2, 1, 0, 3];
    let images = data.images(&rows).unwrap();
    // The smaller side of a picture stays whole, the larger loses its ends.
    let [width, height, bands] = SHAPE;
    assert_eq!(images.dim(), (rows.len(), bands, width, width));
    let top = ((height - width) as f64 / 2.0).round_ties_even() as usize;
    for ((place, band, y, x), value) in images.indexed_iter() {
        assert_eq!(*value, pixel(rows[place], x, y + top, band));
    }
    let spectra = data.spectra(&rows).unwrap();
    for (spectrum, &row) in spectra.outer_iter().zip(&rows) {
        assert_eq!(spectrum[0], (row + 1) as f32);
        assert_eq!(spectrum[7780], (row + 1) as f32 + 1e-4 * 7780.0);
    }

    let bytes = std::fs::read(&path).unwrap();
    let cut = folder.path().join("cut.parquet");
    std::fs::write(&cut, &bytes[..bytes.len() - 100]).unwrap();
    assert!(refusal(&cut).contains("damaged or cut short"));
}
