//! Tables of labels: FITS, HDF5 and Parquet.

use std::path::Path;
use std::sync::Arc;

use astroclip::files::catalog::Table;
use hdf5::File;
use parquet::basic::Compression;
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use super::surveys::{block, header, primary};
use super::{check, fuzz, written};

/// Reads a table, and what commands ask of it.
pub(super) fn read_table(path: &Path) {
    if let Some(table) = check(Table::open(path)) {
        for column in table.columns() {
            check(table.numbers(&column.name));
        }
        check(table.positions(None));
    }
}

fn in_fits() -> Vec<u8> {
    let mut bytes = primary();
    bytes.extend(header(&[
        "XTENSION= 'BINTABLE'",
        "BITPIX  =                    8",
        "NAXIS   =                    2",
        "NAXIS1  =                   24",
        "NAXIS2  =                    3",
        "PCOUNT  =                    0",
        "GCOUNT  =                    1",
        "TFIELDS =                    4",
        "TTYPE1  = 'TARGETID'",
        "TFORM1  = '1K      '",
        "TTYPE2  = 'Z       '",
        "TFORM2  = 'D       '",
        "TTYPE3  = 'MAG     '",
        "TFORM3  = '2I      '",
        "TSCAL3  =                  0.5",
        "TNULL3  =                  -99",
        "TTYPE4  = 'NAME    '",
        "TFORM4  = '4A      '",
        "TDIM4   = '(2,2)   '",
        "END",
    ]));
    let row = |id: i64| {
        [
            &id.to_be_bytes()[..],
            &0.5_f64.to_be_bytes(),
            &[0, 7, 255, 157],
            b"ab c",
        ]
        .concat()
    };
    bytes.extend(block([row(5), row(6), row(7)].concat(), 0));
    bytes
}

#[test]
fn tables_in_fits() {
    fuzz("table.fits", &[in_fits()], read_table);
}

#[test]
fn tables_in_hdf5() {
    let seed = written(|path| {
        let file = File::create(path).expect("a file");
        let build = || file.new_dataset_builder();
        build()
            .with_data(&[1_i64, 2, 3])
            .create("TARGETID")
            .expect("identifiers");
        build()
            .with_data(&[0.1_f64, 0.2, 0.3])
            .create("Z")
            .expect("redshifts");
        let names =
            ["a", "b", "c"].map(|name| name.parse::<hdf5::types::VarLenUnicode>().expect("text"));
        build().with_data(&names).create("NAME").expect("names");
    });
    fuzz("table.h5", &[seed], read_table);
}

/// A table of three columns in two groups of rows.
fn in_parquet(path: &Path, compression: Compression) {
    let schema = "message table { required int64 targetid; optional double z; optional binary name (UTF8); }";
    let schema = Arc::new(parse_message_type(schema).expect("a schema"));
    let properties = WriterProperties::builder()
        .set_compression(compression)
        .build();
    let file = std::fs::File::create(path).expect("a file");
    let mut writer =
        SerializedFileWriter::new(file, schema, Arc::new(properties)).expect("a writer");
    for _ in 0..2 {
        let mut group = writer.next_row_group().expect("a group");
        while let Some(mut column) = group.next_column().expect("a column") {
            let known = Some(&[1_i16, 0, 1][..]);
            let count = match column.untyped() {
                ColumnWriter::Int64ColumnWriter(writer) => {
                    writer.write_batch(&[1, 2, 3], None, None)
                }
                ColumnWriter::DoubleColumnWriter(writer) => {
                    writer.write_batch(&[0.1, 0.3], known, None)
                }
                ColumnWriter::ByteArrayColumnWriter(writer) => {
                    writer.write_batch(&[ByteArray::from("a"), ByteArray::from("b")], known, None)
                }
                _ => unreachable!("no other column"),
            };
            count.expect("values");
            column.close().expect("a column");
        }
        group.close().expect("a group");
    }
    writer.close().expect("a file");
}

#[test]
fn tables_in_parquet() {
    let seeds = [Compression::UNCOMPRESSED, Compression::SNAPPY]
        .map(|how| written(|path| in_parquet(path, how)));
    fuzz("table.parquet", &seeds, read_table);
}
