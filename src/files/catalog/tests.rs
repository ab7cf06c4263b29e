//! Tables of every format, their joins and labels.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hdf5::types::FixedAscii;
use parquet::data_type::{DoubleType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;

/// One identifier of DESI; it and its successors are not exact as floating point.
const ID: i64 = 39_627_000_000_000_001;

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn csv(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    path
}

fn values(table: &Table, name: &str) -> Values {
    table.column(name).unwrap().values.clone()
}

/// Same numbers, NaN being the same as NaN.
fn assert_numbers(table: &Table, name: &str, expected: &[f64]) {
    let found = table.numbers(name).unwrap();
    let bits = |values: &[f64]| {
        values
            .iter()
            .map(|value| value.to_bits())
            .collect::<Vec<_>>()
    };
    assert_eq!(bits(&found), bits(expected), "{name}: {found:?}");
}

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

fn padded(mut bytes: Vec<u8>, with: u8) -> Vec<u8> {
    bytes.resize(bytes.len().next_multiple_of(2880), with);
    bytes
}

fn header(cards: &[String]) -> Vec<u8> {
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
    // Unknown identifiers do not cost the digits of the known ones.
    let parquet = Table::open(&paths[2]).unwrap();
    let expected = vec![String::new(), ID.to_string()];
    assert_eq!(values(&parquet, "other"), Values::Texts(expected));

    // What is written is read back, whatever the format.
    for name in ["out.csv", "out.h5"] {
        let path = folder.path().join(name);
        write_table(&compound, &path, OutputFormat::of(&path).unwrap()).unwrap();
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
    contains(refused("u.csv", b"a,b\n1,\xff\n"), "UTF-8");
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

/// Great-circle distance in arcsec by Vincenty's formula, from degrees.
fn vincenty(one: (f64, f64), other: (f64, f64)) -> f64 {
    let (difference, one_dec, other_dec) = (
        (other.0 - one.0).to_radians(),
        one.1.to_radians(),
        other.1.to_radians(),
    );
    let across = other_dec.cos() * difference.sin();
    let along =
        one_dec.cos() * other_dec.sin() - one_dec.sin() * other_dec.cos() * difference.cos();
    let inward =
        one_dec.sin() * other_dec.sin() + one_dec.cos() * other_dec.cos() * difference.cos();
    across.hypot(along).atan2(inward).to_degrees() * 3600.0
}

/// Positions where matching goes wrong: a field, across ra = 0, and at both poles.
fn sky(rng: &mut ChaCha8Rng, count: usize) -> Vec<(f64, f64)> {
    const FIELD: f64 = 0.01;
    (0..count)
        .map(|_| {
            let mut near = |center: f64| center + FIELD * (rng.random::<f64>() - 0.5);
            let (offset_ra, offset_dec) = (near(0.0), near(0.0));
            match rng.random_range(0..5) {
                0 => (150.0 + offset_ra, 2.0 + offset_dec),
                1 => (offset_ra.rem_euclid(360.0), offset_dec),
                2 => (360.0 * rng.random::<f64>(), 90.0 - offset_dec.abs()),
                3 => (360.0 * rng.random::<f64>(), -90.0 + offset_dec.abs()),
                // Exact copies, in clumps.
                _ => (10.0 + 0.001 * f64::from(rng.random_range(0..9)), 60.0),
            }
        })
        .collect()
}

#[test]
fn matches_by_position_are_those_of_brute_force() {
    const RADIUS: f64 = 2.0;
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let left = sky(&mut rng, 1500);
    let mut right = sky(&mut rng, 1200);
    // Near copies of some.
    right.extend(
        left[..600]
            .iter()
            .map(|&(ra, dec)| (ra, (dec + 1e-4).min(90.0))),
    );
    let mut pairs = Vec::new();
    for (left_row, &one) in left.iter().enumerate() {
        for (right_row, &other) in right.iter().enumerate() {
            let distance = vincenty(one, other);
            if distance <= RADIUS {
                pairs.push((distance, left_row, right_row));
            }
        }
    }
    // Distances of exact copies are equal only as chords; ties go by row.
    let rounded = |distance: f64| (distance * 1e6).round() as i64;
    pairs.sort_by_key(|&(distance, left, right)| (rounded(distance), left, right));
    let mut expected = vec![None; left.len()];
    let mut taken = vec![false; right.len()];
    for (distance, left, right) in pairs {
        if expected[left].is_none() && !taken[right] {
            expected[left] = Some((right, distance));
            taken[right] = true;
        }
    }
    let positions = |sky: &[(f64, f64)]| -> Vec<_> {
        sky.iter()
            .map(|&(ra, dec)| Position::new(ra, dec))
            .collect()
    };
    let found = match_by_position(&positions(&left), &positions(&right), RADIUS).unwrap();
    let mut partners = vec![None; left.len()];
    let mut used = std::collections::HashSet::new();
    for pair in &found {
        partners[pair.left] = Some((pair.right, pair.separation));
        assert!(used.insert(pair.right), "row {} twice", pair.right);
    }
    assert!(found.len() > 900);
    let (mut total, mut expected_total) = (0.0, 0.0);
    for (row, (found, expected)) in partners.iter().zip(&expected).enumerate() {
        let distance = |partner: &Option<(usize, f64)>| partner.map(|(_, distance)| distance);
        match (distance(found), distance(expected)) {
            (Some(found), Some(expected)) => {
                assert!(
                    (found - expected).abs() < 1e-5,
                    "row {row}: {found} {expected}"
                );
                total += found;
                expected_total += expected;
            }
            (None, None) => {}
            other => panic!("row {row} of {:?}: {other:?}", left[row]),
        }
    }
    assert!((total - expected_total).abs() < 1e-3);
}

#[test]
fn positions_that_are_none_match_nothing() {
    for (ra, dec) in [
        (f64::NAN, 0.0),
        (0.0, f64::NAN),
        (10.0, -99.0),
        (-999.0, 0.0),
        (f64::INFINITY, 0.0),
    ] {
        assert_eq!(Position::new(ra, dec), None);
    }
    let at = |ra, dec| Position::new(ra, dec).unwrap();
    assert_eq!(at(359.5, 10.0), at(-0.5, 10.0));
    assert!((separation(at(0.0, 0.0), at(180.0, 0.0)) - 648_000.0).abs() < 1e-6);
    assert!((separation(at(0.0, 89.999), at(180.0, 89.999)) - 7.2).abs() < 1e-6);
    assert!(match_by_position(&[None], &[None], 1.0).unwrap().is_empty());
    let refused = match_by_position(&[None], &[None], 0.0).unwrap_err();
    assert!(refused.to_string().contains("radius 0"));
    // Everything at one position, as with (0, 0) for "unknown".
    let crowd = vec![Position::new(0.0, 0.0); 10_000];
    let refused = match_by_position(&crowd, &crowd, 1.0).unwrap_err();
    assert!(refused.to_string().contains("placeholders"), "{refused}");
}

fn options(key: Key) -> MatchOptions {
    MatchOptions {
        key,
        radius: 0.5,
        id_columns: [None, None],
        position_columns: None,
    }
}

#[test]
fn tables_join_by_id_and_by_position() {
    let folder = folder();
    let left = csv(
        folder.path(),
        "left.csv",
        "TARGETID,ra,dec,z,mass\n5,0.0001,10,0.1,1\n-1,50,10,0.2,2\n7,100,-20,0.3,3\n5,0,10,0.4,4\n9,,,0.5,5\n",
    );
    let right = csv(
        folder.path(),
        "right.csv",
        "object_id;RA;DEC;z;class\n7;100.00001;-20;1;a\n5;359.99999;10;2;b\n-1;1;1;3;c\n7;3;3;4;d\n",
    );
    let (left, right) = (Table::open(&left).unwrap(), Table::open(&right).unwrap());
    let joined = match_tables(&left, &right, &options(Key::Id)).unwrap();
    let names: Vec<&str> = joined
        .table
        .columns()
        .iter()
        .map(|column| column.name.as_str())
        .collect();
    let expected = [
        "TARGETID",
        "ra",
        "dec",
        "z_left",
        "mass",
        "object_id",
        "RA",
        "DEC",
        "z_right",
        "class",
    ];
    assert_eq!(names, expected);
    assert_eq!(
        values(&joined.table, "TARGETID"),
        Values::Integers(vec![5, 7])
    );
    assert_numbers(&joined.table, "mass", &[1.0, 3.0]);
    assert_eq!(
        values(&joined.table, "class"),
        Values::Texts(vec!["b".to_owned(), "a".to_owned()])
    );
    let counts = |counts: JoinCounts| {
        (
            counts.rows,
            counts.matched,
            counts.duplicates,
            counts.unmatched,
            counts.without_key,
        )
    };
    assert_eq!(counts(joined.left), (5, 2, 1, 2, 1));
    assert_eq!(counts(joined.right), (4, 2, 1, 1, 1));

    // The second left row 5 lies 0.035 arcsec from the right one across ra = 0, the first 0.39 arcsec.
    let joined = match_tables(&left, &right, &options(Key::Sky)).unwrap();
    assert_numbers(&joined.table, "mass", &[3.0, 4.0]);
    let separations = joined
        .table
        .numbers("separation_arcsec")
        .unwrap()
        .into_owned();
    let expected = [
        0.036 * 20f64.to_radians().cos(),
        0.036 * 10f64.to_radians().cos(),
    ];
    for (found, expected) in separations.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-6, "{separations:?}");
    }
    assert_eq!(counts(joined.left), (5, 2, 1, 2, 1));
    assert_eq!(counts(joined.right), (4, 2, 0, 2, 0));

    let unlike = MatchOptions {
        id_columns: [Some("mass".to_owned()), Some("RA".to_owned())],
        ..options(Key::Id)
    };
    let message = match_tables(&left, &right, &unlike)
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("`RA` row 0: 100.00001 is no identifier"),
        "{message}"
    );
    let far = MatchOptions {
        radius: 1e-3,
        ..options(Key::Sky)
    };
    let message = match_tables(&left, &right, &far).unwrap_err().to_string();
    assert!(message.contains("no row in common"), "{message}");
}

#[test]
fn labels_gather_tables_by_id_and_position() {
    let folder = folder();
    let ids = csv(
        folder.path(),
        "ids.csv",
        "TARGETID,target_ra,target_dec,Z\n3,10,20,0.1\n4,30,40,\n3,10,20,0.9\n",
    );
    let more = csv(
        folder.path(),
        "more.csv",
        "object_id,Z,LOG_MSTAR\n4,0.2,11\n-1,0.7,9\n8,0.3,12\n",
    );
    let votes = csv(
        folder.path(),
        "votes.csv",
        "ra,dec,smooth_fraction\n30,40.0001,0.7\n99,9,0.1\n",
    );
    let labels = read_labels(&[votes.clone(), ids.clone(), more], None).unwrap();
    assert_eq!(labels.object_id, [3, 4, 8]);
    let column = |name: &str| format!("{:?}", labels.columns[name]);
    assert_eq!(column("Z"), "[0.1, 0.2, 0.3]");
    assert_eq!(column("LOG_MSTAR"), "[NaN, 11.0, 12.0]");
    assert_eq!(column("smooth_fraction"), "[NaN, 0.7, NaN]");
    let message = read_labels(&[votes], None).unwrap_err().to_string();
    assert!(message.contains("astroclip match"), "{message}");
    let message = read_labels(&[ids], Some("nsa_id")).unwrap_err().to_string();
    assert!(message.contains("nsa_id"), "{message}");
}

#[test]
fn identifiers_come_as_a_list_or_in_a_table_and_splits_become_numbers() {
    let folder = folder();
    let file = |name: &str, text: &str| csv(folder.path(), name, text);
    let plain = file("plain.txt", "# held out\n39627000000000001\n\n -5 \n");
    assert_eq!(read_ids(&plain, None).unwrap(), [ID, -5]);
    let headed = file("headed.txt", "targetid\n7\n8\n");
    assert_eq!(read_ids(&headed, None).unwrap(), [7, 8]);
    let table = file("table.csv", "z,object_id,other\n0.1,7,70\n0.2,8,80\n");
    assert_eq!(read_ids(&table, None).unwrap(), [7, 8]);
    assert_eq!(read_ids(&table, Some("other")).unwrap(), [70, 80]);
    let wrong = file("wrong.txt", "7\nNGC 1\n");
    let message = read_ids(&wrong, None).unwrap_err().to_string();
    assert!(message.contains("entry 1 is `NGC 1`"), "{message}");
    let empty = file("empty.txt", "targetid\n");
    assert!(read_ids(&empty, None).is_err());

    let predictions = file(
        "predictions.csv",
        "object_id,split,redshift\n7,train,0.1\n8,test,0.2\n9,,0.3\n5,validation,0.4\n",
    );
    let labels = read_labels(&[predictions], None).unwrap();
    assert_eq!(
        format!("{:?}", labels.columns["split"]),
        "[0.0, 1.0, NaN, 2.0]"
    );
}
