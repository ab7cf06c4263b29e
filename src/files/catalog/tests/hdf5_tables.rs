//! Tables in HDF5 as pandas, astropy and h5py leave them.

use hdf5::types::{FixedAscii, VarLenUnicode};
use hdf5::{File, Group, Location};

use super::*;

/// An attribute of text as PyTables writes it: a fixed number of bytes.
fn attribute(object: &Location, name: &str, text: &str) {
    let text = FixedAscii::<128>::from_ascii(text).unwrap();
    let attribute = object.new_attr::<FixedAscii<128>>().create(name);
    attribute.unwrap().write_scalar(&text).unwrap();
}

fn frame(file: &File, key: &str, kind: &str) -> Group {
    let group = file.create_group(key).unwrap();
    attribute(&group, "CLASS", "GROUP");
    attribute(&group, "pandas_type", kind);
    group
}

fn write_names(group: &Group, dataset: &str, names: &[&str]) {
    let names: Vec<FixedAscii<8>> = names
        .iter()
        .map(|name| FixedAscii::from_ascii(name).unwrap())
        .collect();
    group
        .new_dataset_builder()
        .with_data(&names)
        .create(dataset)
        .unwrap();
}

#[derive(hdf5::H5Type, Clone, Copy)]
#[repr(C)]
struct PandasRow {
    index: i64,
    values_block_0: [f64; 2],
    values_block_1: [FixedAscii<3>; 1],
    values_block_2: [i8; 1],
    values_block_3: [i64; 1],
    #[hdf5(rename = "N")]
    count: i64,
}

#[test]
fn a_frame_that_pandas_appended_to_a_table_has_its_columns() {
    let folder = folder();
    let path = folder.path().join("table.h5");
    let file = File::create(&path).unwrap();
    let group = frame(&file, "df", "frame_table");
    attribute(
        &group,
        "non_index_axes",
        "(lp0\n(I1\n(lp1\nVZ\np2\naVNAME\np3\naVKIND\np4\naVN\np5\naVM\\u00e9\np6\natp7\na.",
    );
    attribute(
        &group,
        "info",
        "(dp0\nVindex\np1\n(dp2\nVindex_name\np3\nVTARGETID\np4\nss.",
    );
    let rows: Vec<PandasRow> = (0..3)
        .map(|row| PandasRow {
            index: ID + row,
            values_block_0: [0.5 * row as f64, 7.0 + row as f64],
            values_block_1: [FixedAscii::from_ascii(["a", "nan", "b"][row as usize]).unwrap()],
            values_block_2: [[1, -1, 0][row as usize]],
            values_block_3: [row],
            count: 10 * row,
        })
        .collect();
    let table = group
        .new_dataset_builder()
        .with_data(&rows)
        .create("table")
        .unwrap();
    for (field, kind, dtype) in [
        (
            "values_block_0",
            "(lp0\nVM\\u00e9\np1\naVZ\np2\na.",
            "float64",
        ),
        ("values_block_1", "(lp0\nVNAME\np1\na.", "bytes24"),
        ("values_block_2", "(lp0\nVKIND\np1\na.", "int8"),
        ("values_block_3", "(lp0\nVTIME\np1\na.", "datetime64[ns]"),
        ("N", "(lp0\nVN\np1\na.", "int64"),
    ] {
        attribute(&table, &format!("{field}_kind"), kind);
        attribute(&table, &format!("{field}_dtype"), dtype);
    }
    attribute(&table, "values_block_1_nan_rep", "nan");
    attribute(&table, "values_block_2_meta", "category");
    let categories = frame(&file, "df/meta/values_block_2/meta", "series_table");
    let known = [(0_i64, "GALAXY"), (1, "QSO")].map(|(index, name)| Category {
        index,
        values: FixedAscii::from_ascii(name).unwrap(),
    });
    categories
        .new_dataset_builder()
        .with_data(&known)
        .create("table")
        .unwrap();
    drop(file);

    let table = Table::open(&path).unwrap();
    assert_eq!(names(&table), ["TARGETID", "Z", "NAME", "KIND", "N", "Mé"]);
    assert_eq!(values_of_integers(&table, "TARGETID"), [ID, ID + 1, ID + 2]);
    assert_numbers(&table, "Z", &[7.0, 8.0, 9.0]);
    assert_numbers(&table, "Mé", &[0.0, 0.5, 1.0]);
    assert_eq!(values(&table, "NAME"), texts(&["a", "", "b"]));
    assert_eq!(values(&table, "KIND"), texts(&["QSO", "", "GALAXY"]));
    assert_eq!(values_of_integers(&table, "N"), [0, 10, 20]);
}

#[derive(hdf5::H5Type, Clone, Copy)]
#[repr(C)]
struct Category {
    index: i64,
    values: FixedAscii<6>,
}

fn texts(texts: &[&str]) -> Values {
    Values::Texts(texts.iter().map(|&text| text.to_owned()).collect())
}

fn values_of_integers(table: &Table, name: &str) -> Vec<i64> {
    match values(table, name) {
        Values::Integers(values) => values,
        other => panic!("{name}: {other:?}"),
    }
}

#[test]
fn a_frame_that_pandas_saved_as_arrays_has_its_columns() {
    let folder = folder();
    let path = folder.path().join("fixed.h5");
    let file = File::create(&path).unwrap();
    let group = frame(&file, "df", "frame");
    write_names(&group, "axis0", &["TARGETID", "Z", "N"]);
    let build = || group.new_dataset_builder();
    build().with_data(&[0_i64, 1]).create("axis1").unwrap();
    write_names(&group, "block0_items", &["Z"]);
    build()
        .with_data(&ndarray::array![[0.5], [0.25]])
        .create("block0_values")
        .unwrap();
    write_names(&group, "block1_items", &["TARGETID", "N"]);
    let integers = ndarray::array![[ID, 3], [ID + 1, 4]];
    let values = build()
        .with_data(&integers)
        .create("block1_values")
        .unwrap();
    let table = Table::open(&path).unwrap();
    assert_eq!(names(&table), ["TARGETID", "Z", "N"]);
    assert_eq!(values_of_integers(&table, "TARGETID"), [ID, ID + 1]);
    assert_numbers(&table, "Z", &[0.5, 0.25]);
    attribute(&values, "value_type", "datetime64[ns]");
    drop(file);
    assert_eq!(Table::open(&path).unwrap().columns().len(), 1);

    let other = folder.path().join("series.h5");
    let file = File::create(&other).unwrap();
    frame(&file, "z", "series");
    drop(file);
    let error = Table::open(&other).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    assert!(
        error
            .to_string()
            .contains("`z` is a pandas object of kind `series`"),
        "{error}"
    );
}

#[derive(hdf5::H5Type, Clone)]
#[repr(C)]
struct Masked {
    id: i64,
    #[hdf5(rename = "id.mask")]
    id_mask: bool,
    z: f32,
    #[hdf5(rename = "z.mask")]
    z_mask: bool,
    pair: [f64; 2],
    #[hdf5(rename = "pair.mask")]
    pair_mask: [bool; 2],
    name: VarLenUnicode,
    #[hdf5(rename = "name.mask")]
    name_mask: bool,
    long: FixedAscii<100>,
}

#[test]
fn masked_values_are_unknown_and_text_of_any_length_is_kept() {
    let folder = folder();
    let path = folder.path().join("astropy.h5");
    let rows: Vec<Masked> = (0..2)
        .map(|row| Masked {
            id: ID + row,
            id_mask: row == 0,
            z: 0.5,
            z_mask: row == 1,
            pair: [1.0, 2.0],
            pair_mask: [false, row == 1],
            name: ["größer", "b"][row as usize].parse().unwrap(),
            name_mask: row == 1,
            long: FixedAscii::from_ascii(&"x".repeat(90)).unwrap(),
        })
        .collect();
    let file = File::create(&path).unwrap();
    file.new_dataset_builder()
        .with_data(&rows)
        .create("table")
        .unwrap();
    drop(file);
    let table = Table::open(&path).unwrap();
    assert_eq!(
        names(&table),
        ["id", "z", "pair_0", "pair_1", "name", "long"]
    );
    assert_numbers(&table, "z", &[0.5, f64::NAN]);
    assert_numbers(&table, "pair_0", &[1.0, 1.0]);
    assert_numbers(&table, "pair_1", &[2.0, f64::NAN]);
    assert_eq!(values(&table, "id"), texts(&["", &(ID + 1).to_string()]));
    assert_eq!(values(&table, "name"), texts(&["größer", ""]));
    assert_eq!(values(&table, "long"), texts(&["x".repeat(90).as_str(); 2]));
}

#[test]
fn columns_of_half_precision_are_read() {
    let folder = folder();
    let path = folder.path().join("half.h5");
    let file = File::create(&path).unwrap();
    let build = || file.new_dataset_builder();
    build().with_data(&[1_i64, 2]).create("object_id").unwrap();
    let half = [0.5, 0.25].map(half::f16::from_f64);
    build().with_data(&half).create("z_spec").unwrap();
    let text: VarLenUnicode = "ein Text".parse().unwrap();
    build()
        .with_data(&[text.clone(), text])
        .create("note")
        .unwrap();
    drop(file);
    let table = Table::open(&path).unwrap();
    assert_numbers(&table, "z_spec", &[0.5, 0.25]);
    assert_eq!(values(&table, "note"), texts(&["ein Text", "ein Text"]));
}

#[test]
fn a_text_that_claims_to_be_longer_than_its_file_is_refused() {
    let folder = folder();
    let path = folder.path().join("table.h5");
    let file = File::create(&path).unwrap();
    let names = ["a", "bc"].map(|name| name.parse::<VarLenUnicode>().unwrap());
    let build = || file.new_dataset_builder();
    build().with_data(&[ID, ID + 1]).create("TARGETID").unwrap();
    let dataset = build().with_data(&names).create("NAME").unwrap();
    let offset = dataset.offset().unwrap() as usize;
    drop((dataset, file));
    assert!(Table::open(&path).is_ok());
    let mut bytes = fs::read(&path).unwrap();
    bytes[offset + 16..][..4].copy_from_slice(&u32::MAX.to_le_bytes());
    fs::write(&path, bytes).unwrap();
    let message = Table::open(&path).unwrap_err().to_string();
    assert!(
        message.contains("`NAME`") && message.contains("4294967295 bytes"),
        "{message}"
    );
}
