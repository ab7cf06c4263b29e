//! Types of columns that a reader may take for others.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use parquet::data_type::{DoubleType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use super::*;

/// A field of a FITS table: `TFORM`, further cards without the number, and its bytes in every row.
struct Field<'a>(&'a str, &'a [(&'a str, &'a str)], Vec<Vec<u8>>);

/// Fields called `c1`, `c2`, …
fn write_fits(path: &Path, fields: &[Field<'_>]) {
    let rows = fields[0].2.len();
    let bytes = |row: usize| fields.iter().flat_map(move |field| field.2[row].clone());
    let data: Vec<u8> = (0..rows).flat_map(bytes).collect();
    let mut cards = vec![
        "SIMPLE  =                    T".to_owned(),
        "BITPIX  = 8".to_owned(),
        "NAXIS   = 0".to_owned(),
        "END".to_owned(),
    ];
    cards.resize(36, String::new());
    cards.extend([
        "XTENSION= 'BINTABLE'".to_owned(),
        "BITPIX  = 8".to_owned(),
        "NAXIS   = 2".to_owned(),
        format!("NAXIS1  = {}", data.len() / rows),
        format!("NAXIS2  = {rows}"),
        "PCOUNT  = 0".to_owned(),
        "GCOUNT  = 1".to_owned(),
        format!("TFIELDS = {}", fields.len()),
    ]);
    for (number, Field(form, more, _)) in (1..).zip(fields) {
        cards.push(format!("{:<8}= 'c{number}'", format!("TTYPE{number}")));
        cards.push(format!("{:<8}= '{form}'", format!("TFORM{number}")));
        for (card, value) in *more {
            cards.push(format!("{:<8}= {value}", format!("{card}{number}")));
        }
    }
    cards.push("END".to_owned());
    cards.resize(cards.len().next_multiple_of(36), String::new());
    let mut file: Vec<u8> = cards
        .iter()
        .flat_map(|card| format!("{card:<80}").into_bytes())
        .collect();
    file.extend(&data);
    file.resize(file.len().next_multiple_of(2880), 0);
    fs::write(path, file).unwrap();
}

fn texts(values: &[&str]) -> Values {
    Values::Texts(values.iter().map(|&text| text.to_owned()).collect())
}

#[test]
fn several_texts_in_a_field_of_fits_are_columns() {
    let folder = folder();
    let path = folder.path().join("a.fits");
    let rows = || vec![b"ab\0\0xyz ".to_vec(), b"\0\0\0\0q   ".to_vec()];
    let fields = [
        Field("8A", &[("TDIM", "'(4,2)'")], rows()),
        Field("8A4", &[], rows()),
        Field("8A:SSTR4/32", &[], rows()),
        Field("8A", &[("TDIM", "'(8)'")], rows()),
        Field(
            "4A",
            &[],
            vec![
                b"caf\xe9".to_vec(),
                "né".as_bytes().to_vec().into_iter().chain(*b" ").collect(),
            ],
        ),
    ];
    write_fits(&path, &fields);
    let table = Table::open(&path).unwrap();
    for name in ["c1", "c2", "c3"] {
        assert_eq!(values(&table, &format!("{name}_0")), texts(&["ab", ""]));
        assert_eq!(values(&table, &format!("{name}_1")), texts(&["xyz", "q"]));
    }
    assert_eq!(values(&table, "c4"), texts(&["ab", ""]));
    assert_eq!(values(&table, "c5"), texts(&["café", "né"]));
}

#[test]
fn unknown_integers_of_fits_are_those_of_the_standard_or_of_astropy() {
    let folder = folder();
    let path = folder.path().join("a.fits");
    // 100, 7 and 2^15 + 100.
    let stored = |values: [i16; 3]| values.map(|value| value.to_be_bytes().to_vec()).to_vec();
    let unsigned = [("TZERO", "32768"), ("TNULL", "100")];
    let large = |value: i64| value.to_be_bytes().to_vec();
    let fields = [
        // astropy writes what is meant.
        Field(
            "I",
            &unsigned,
            stored([100 - 32_767 - 1, 7 - 32_767 - 1, 99]),
        ),
        // The standard has it compared with what is stored; what is meant may be the same number.
        Field(
            "I",
            &unsigned,
            stored([100 - 32_767 - 1, 7 - 32_767 - 1, 100]),
        ),
        Field("I", &[("TNULL", "100")], stored([100, 7, 99])),
        // Elements of a vector have one TNULL.
        Field(
            "2I",
            &unsigned,
            vec![
                vec![0x80, 100, 0, 100],
                vec![0x80, 7, 0x80, 100],
                vec![0, 7, 0, 7],
            ],
        ),
        // An offset of integers that floating point cannot hold.
        Field(
            "K",
            &[("TZERO", "7")],
            vec![large(ID), large(ID + 1), large(i64::MAX)],
        ),
    ];
    write_fits(&path, &fields);
    let table = Table::open(&path).unwrap();
    assert_numbers(&table, "c1", &[f64::NAN, 7.0, 32_867.0]);
    assert_numbers(&table, "c2", &[100.0, 7.0, f64::NAN]);
    assert_numbers(&table, "c3", &[f64::NAN, 7.0, 99.0]);
    let expected = [ID + 7, ID + 8, i64::MAX].map(|value| value as u64);
    let expected = [expected[0], expected[1], expected[2] + 7].to_vec();
    assert_numbers(&table, "c4_0", &[100.0, 7.0, 32_775.0]);
    assert_numbers(&table, "c4_1", &[f64::NAN, 100.0, 32_775.0]);
    assert_eq!(values(&table, "c5"), Values::Unsigned(expected));
}

#[test]
fn complex_numbers_of_hdf5_are_no_table() {
    #[derive(hdf5::H5Type, Clone, Copy)]
    #[repr(C)]
    struct Complex {
        r: f64,
        i: f64,
    }
    let folder = folder();
    for group in ["/", "catalog"] {
        let path = folder.path().join("a.h5");
        let file = hdf5::File::create(&path).unwrap();
        let home = match group {
            "/" => file.as_group().unwrap(),
            name => file.create_group(name).unwrap(),
        };
        let complex = [Complex { r: 1.0, i: 2.0 }; 2];
        home.new_dataset_builder()
            .with_data(&complex)
            .create("fourier")
            .unwrap();
        home.new_dataset_builder()
            .with_data(&[ID, ID + 1])
            .create("id")
            .unwrap();
        file.close().unwrap();
        let table = Table::open(&path).unwrap();
        assert_eq!(table.column_names(), "id", "in {group}");
        assert_eq!(values(&table, "id"), Values::Integers(vec![ID, ID + 1]));
    }
}

#[test]
fn what_has_no_row_per_galaxy_in_hdf5_is_no_table() {
    #[derive(hdf5::H5Type, Clone, Copy)]
    #[repr(C)]
    struct Record {
        z: f64,
    }
    let folder = folder();
    let path = folder.path().join("a.h5");
    let file = hdf5::File::create(&path).unwrap();
    let build = || file.new_dataset_builder();
    let text: hdf5::types::VarLenUnicode = "of 2024".parse().unwrap();
    build()
        .with_data(&ndarray::arr0(text))
        .create("about")
        .unwrap();
    let pairs = ndarray::Array2::from_elem((2, 3), Record { z: 0.5 });
    build().with_data(&pairs).create("pairs").unwrap();
    build().with_data(&[ID, ID + 1]).create("id").unwrap();
    file.close().unwrap();
    assert_eq!(Table::open(&path).unwrap().column_names(), "id");
    for (name, shape) in [("about", "[]"), ("pairs", "[2, 3]")] {
        let said = Table::open_one(&path, Some(name)).unwrap_err().to_string();
        let wanted = format!("`{name}` has shape {shape}; expected a table");
        assert!(said.contains(&wanted), "{said}");
    }
    let column = |name: &str, rows| Column {
        name: name.to_owned(),
        values: Values::Floats(vec![0.5; rows]),
    };
    let said = Table::new(&path, vec![column("a", 2), column("b", 1)]).unwrap_err();
    assert!(
        said.to_string().contains("`b` has 1 rows, `a` has 2"),
        "{said}"
    );
}

/// A list of integers of two rows, the second of which is unknown, and a list of structs.
fn write_lists(path: &Path) {
    let schema = "message m { optional group ids (LIST) { repeated group list { optional int64 element; } } \
                  required group planes (LIST) { repeated group list { required group element { \
                  required double x; required double y; } } } }";
    let mut writer = SerializedFileWriter::new(
        fs::File::create(path).unwrap(),
        Arc::new(parse_message_type(schema).unwrap()),
        Arc::new(WriterProperties::default()),
    )
    .unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    let ids = column.typed::<Int64Type>();
    ids.write_batch(&[ID, ID + 1], Some(&[3, 3, 0]), Some(&[0, 1, 0]))
        .unwrap();
    column.close().unwrap();
    for value in [1.5, 2.5] {
        let mut column = group.next_column().unwrap().unwrap();
        let members = column.typed::<DoubleType>();
        members
            .write_batch(&[value, value], Some(&[1, 1]), Some(&[0, 0]))
            .unwrap();
        column.close().unwrap();
    }
    group.close().unwrap();
    writer.close().unwrap();
}

#[test]
fn lists_of_parquet_keep_digits_and_names() {
    let folder = folder();
    let path = folder.path().join("a.parquet");
    write_lists(&path);
    let table = Table::open(&path).unwrap();
    assert_eq!(table.column_names(), "ids_0, ids_1, planes.x, planes.y");
    assert_eq!(values(&table, "ids_0"), texts(&[&ID.to_string(), ""]));
    assert_eq!(values(&table, "ids_1"), texts(&[&(ID + 1).to_string(), ""]));
    assert_numbers(&table, "planes.x", &[1.5, 1.5]);
    assert_numbers(&table, "planes.y", &[2.5, 2.5]);
}
