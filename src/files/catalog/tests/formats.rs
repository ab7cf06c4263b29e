//! One table in every format, and what is no table.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use hdf5::types::FixedAscii;
use parquet::data_type::{ByteArray, DoubleType, FixedLenByteArrayType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;

#[derive(hdf5::H5Type, Clone, Copy)]
#[repr(C)]
struct Provabgs {
    #[hdf5(rename = "TARGETID")]
    id: i64,
    #[hdf5(rename = "Z_HP")]
    redshift: f32,
    #[hdf5(rename = "PROVABGS_THETA_BF")]
    theta: [f64; 3],
    name: FixedAscii<6>,
    photsys: bool,
    spectrum: [f32; 100],
}

fn write_compound(path: &Path) {
    let rows: Vec<Provabgs> = (0..2)
        .map(|row| Provabgs {
            id: ID + row,
            redshift: [0.5, f32::NAN][row as usize],
            theta: [1.0, 2.0, 3.0 + row as f64],
            name: FixedAscii::from_ascii(["abc", "d"][row as usize]).unwrap(),
            photsys: row == 1,
            spectrum: [0.0; 100],
        })
        .collect();
    let file = hdf5::File::create(path).unwrap();
    let builder = file.new_dataset_builder();
    builder.with_data(&rows).create("provabgs").unwrap();
}

fn write_parquet(path: &Path) {
    let schema = parse_message_type(
        "message m { required int64 TARGETID; optional double Z_HP; optional int64 other; \
         optional fixed_len_byte_array(2) half (FLOAT16); \
         required group PROVABGS_THETA_BF (LIST) { repeated group list { required double element; } } }",
    );
    let file = fs::File::create(path).unwrap();
    let properties = WriterProperties::builder()
        .set_compression(parquet::basic::Compression::ZSTD(Default::default()))
        .build();
    let mut writer =
        SerializedFileWriter::new(file, Arc::new(schema.unwrap()), Arc::new(properties)).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    let ids = column.typed::<Int64Type>();
    ids.write_batch(&[ID, ID + 1], None, None).unwrap();
    column.close().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    let redshifts = column.typed::<DoubleType>();
    redshifts.write_batch(&[0.5], Some(&[1, 0]), None).unwrap();
    column.close().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    let other = column.typed::<Int64Type>();
    other.write_batch(&[ID], Some(&[0, 1]), None).unwrap();
    column.close().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    let half = column.typed::<FixedLenByteArrayType>();
    let value = half::f16::from_f32(0.375).to_le_bytes().to_vec();
    let value = ByteArray::from(value).into();
    half.write_batch(&[value], Some(&[1, 0]), None).unwrap();
    column.close().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    let theta = column.typed::<DoubleType>();
    theta
        .write_batch(
            &[1.0, 2.0, 3.0, 1.0, 2.0, 4.0],
            Some(&[1; 6]),
            Some(&[0, 1, 1, 0, 1, 1]),
        )
        .unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
}

pub(super) fn padded(mut bytes: Vec<u8>, with: u8) -> Vec<u8> {
    bytes.resize(bytes.len().next_multiple_of(2880), with);
    bytes
}

pub(super) fn header(cards: &[String]) -> Vec<u8> {
    let cards = cards.iter().map(|card| format!("{card:<80}"));
    padded(cards.collect::<String>().into_bytes(), b' ')
}

/// A binary table with a vector, a text, an unsigned integer, bits and a column of variable length.
fn write_fits(path: &Path) {
    let forms = ["K", "E", "3D", "6A", "J", "9X", "1PE(5)", "I"];
    let names = [
        "TARGETID",
        "Z_HP",
        "PROVABGS_THETA_BF",
        "name",
        "unsigned",
        "bits",
        "list",
        "null",
    ];
    let row_bytes = 8 + 4 + 24 + 6 + 4 + 2 + 8 + 2;
    let mut cards = vec![
        "XTENSION= 'BINTABLE'".to_owned(),
        "BITPIX  = 8".to_owned(),
        "NAXIS   = 2".to_owned(),
        format!("NAXIS1  = {row_bytes}"),
        "NAXIS2  = 2".to_owned(),
        "PCOUNT  = 0".to_owned(),
        "GCOUNT  = 1".to_owned(),
        format!("TFIELDS = {}", forms.len()),
    ];
    for (number, (form, name)) in forms.iter().zip(names).enumerate() {
        cards.push(format!("{:<8}= '{form}'", format!("TFORM{}", number + 1)));
        cards.push(format!("{:<8}= '{name}'", format!("TTYPE{}", number + 1)));
    }
    cards.push("TZERO5  = 2147483648".to_owned());
    cards.push("TNULL8  = -99".to_owned());
    cards.push("END".to_owned());
    let mut bytes = header(
        &[
            "SIMPLE  =                    T",
            "BITPIX  = 8",
            "NAXIS   = 0",
            "END",
        ]
        .map(str::to_owned),
    );
    bytes.extend(header(&cards));
    let mut data = Vec::new();
    for row in 0..2 {
        data.extend((ID + row).to_be_bytes());
        data.extend([0.5f32, f32::NAN][row as usize].to_be_bytes());
        for value in [1.0, 2.0, 3.0 + row as f64] {
            data.extend(f64::to_be_bytes(value));
        }
        data.extend([b"abc   ", b"d\0\0\0\0\0"][row as usize]);
        data.extend([-2_147_483_648i32, 2_147_483_647][row as usize].to_be_bytes());
        data.extend([0; 10]);
        data.extend([-99i16, 7][row as usize].to_be_bytes());
    }
    assert_eq!(data.len(), 2 * row_bytes);
    bytes.extend(padded(data, 0));
    fs::write(path, bytes).unwrap();
}

#[test]
fn one_table_in_four_formats() {
    let folder = folder();
    let csv = csv(
        folder.path(),
        "a.txt",
        &format!(
            "# from somewhere\nTARGETID,Z_HP,PROVABGS_THETA_BF_0,PROVABGS_THETA_BF_1,PROVABGS_THETA_BF_2,name\n\
             {ID},0.5,1,2,3.0,abc\n{}, nan ,1,2,4e0,\"d\"\n",
            ID + 1
        ),
    );
    // Named against their formats: the content decides.
    let paths = ["b.fits", "c.parquet", "d.h5"].map(|name| folder.path().join(name));
    write_compound(&paths[0]);
    write_fits(&paths[1]);
    write_parquet(&paths[2]);
    for path in paths.iter().chain([&csv]) {
        let table = Table::open(path).unwrap();
        assert_eq!(table.rows(), 2, "{}", path.display());
        assert_eq!(
            values(&table, "TARGETID"),
            Values::Integers(vec![ID, ID + 1])
        );
        assert_numbers(&table, "z_hp", &[0.5, f64::NAN]);
        assert_numbers(&table, "PROVABGS_THETA_BF_1", &[2.0, 2.0]);
        assert_numbers(&table, "PROVABGS_THETA_BF_2", &[3.0, 4.0]);
        if let Some(name) = table.find(&["name"]) {
            let expected = ["abc", "d"].map(str::to_owned);
            assert_eq!(name.values, Values::Texts(expected.to_vec()));
        }
        assert!(table.find(&["spectrum", "bits", "list"]).is_none());
    }
    let compound = Table::open(&paths[0]).unwrap();
    assert_eq!(values(&compound, "photsys"), Values::Integers(vec![0, 1]));
    let fits = Table::open(&paths[1]).unwrap();
    assert_eq!(
        values(&fits, "unsigned"),
        Values::Integers(vec![0, u32::MAX.into()])
    );
    assert_numbers(&fits, "null", &[f64::NAN, 7.0]);
    assert_numbers(&Table::open(&paths[2]).unwrap(), "half", &[0.375, f64::NAN]);
    // Unknown identifiers do not cost the digits of the known ones.
    let parquet = Table::open(&paths[2]).unwrap();
    let expected = vec![String::new(), ID.to_string()];
    assert_eq!(values(&parquet, "other"), Values::Texts(expected));

    // What is written is read back, whatever the format.
    for name in ["out.csv", "out.h5", "out.fits", "out.parquet"] {
        let path = folder.path().join(name);
        write_table(&compound, TableHead::new("t", "", Vec::new()), &path).unwrap();
        let again = Table::open(&path).unwrap();
        for column in compound.columns() {
            let name = &column.name;
            match column.values.numbers() {
                Some(numbers) => assert_numbers(&again, name, &numbers),
                None => assert_eq!(values(&again, name), column.values),
            }
        }
        assert_eq!(values(&again, "TARGETID"), values(&compound, "TARGETID"));
    }
}

#[test]
fn what_is_no_table_is_refused_by_name() {
    let folder = folder();
    let refused = |name: &str, contents: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, contents).unwrap();
        let error = Table::open(&path).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        error.to_string()
    };
    let contains = |message: String, part: &str| assert!(message.contains(part), "{message}");
    contains(refused("e.csv", b""), "e.csv: is empty");
    contains(refused("z.csv", b"\x1f\x8b\x08\0"), "gunzip");
    contains(refused("b.csv", b"ab\0cd"), "is neither HDF5, FITS");
    contains(
        refused("w.csv", b"words\nwords\n"),
        "no comma, semicolon or tab",
    );
    contains(
        refused("r.csv", b"a,b\n1,2\n3\n"),
        "line 3 has 1 cells where the header has 2",
    );
    contains(
        refused("d.csv", b"a,a\n1,2\n"),
        "two columns are called `a`",
    );
    contains(refused("h.csv", b"a,b\n"), "no rows");
    contains(refused("u.csv", b"\xff\xfea\0,\0"), "UTF-16");
    contains(
        refused("p.parquet", b"PAR1 but no more"),
        "Parquet file cannot be read",
    );
    let fits = folder.path().join("t.fits");
    write_fits(&fits);
    let bytes = fs::read(&fits).unwrap();
    contains(
        refused("cut.fits", &bytes[..bytes.len() - 2800]),
        "cut short",
    );
    let table = Table::open(&fits).unwrap();
    contains(
        table.column("Z").unwrap_err().to_string(),
        "t.fits: no column `Z`; there are TARGETID, Z_HP,",
    );
    contains(
        table.positions(None).unwrap_err().to_string(),
        "no columns of positions (ra and dec;",
    );
    // Damaged headers may be refused or read, but not crash.
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for _ in 0..300 {
        let mut damaged = bytes.clone();
        for _ in 0..3 {
            let at = rng.random_range(0..bytes.len());
            damaged[at] = *b"09 '=ZP-\xff".get(rng.random_range(0..9)).unwrap();
        }
        fs::write(&fits, &damaged).unwrap();
        let _ = Table::open(&fits);
    }
}

#[test]
fn partitions_of_a_hats_folder_are_one_table() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("set");
    for pixel in [
        "dataset/Norder=1/Dir=0/Npix=44.parquet",
        "dataset/Norder=1/Dir=0/Npix=9.parquet",
    ] {
        let path = root.join(pixel);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        write_parquet(&path);
    }
    fs::write(root.join("dataset/data_thumbnail.parquet"), "no data").unwrap();
    let table = Table::open(&root).unwrap();
    assert_eq!(
        values(&table, "TARGETID"),
        Values::Integers(vec![ID, ID + 1, ID, ID + 1])
    );
    assert_numbers(&table, "Z_HP", &[0.5, f64::NAN, 0.5, f64::NAN]);
    assert_numbers(&table, "PROVABGS_THETA_BF_2", &[3.0, 4.0, 3.0, 4.0]);
    assert_eq!(Table::open(folder.path()).unwrap().rows(), 4);
    let said = Table::open(&root.join("dataset/Norder=1")).unwrap_err();
    assert!(said.to_string().contains("no HATS catalogue"), "{said}");
}
