//! FITS files with several tables.

use super::formats::{header, padded};
use super::*;

/// A binary table of 64-bit integers and 64-bit numbers.
fn extension(name: &str, columns: &[(&str, &[f64])], ids: &[i64]) -> Vec<u8> {
    let mut cards = vec![
        "XTENSION= 'BINTABLE'".to_owned(),
        "BITPIX  = 8".to_owned(),
        "NAXIS   = 2".to_owned(),
        format!("NAXIS1  = {}", 8 * (1 + columns.len())),
        format!("NAXIS2  = {}", ids.len()),
        "PCOUNT  = 0".to_owned(),
        "GCOUNT  = 1".to_owned(),
        format!("TFIELDS = {}", 1 + columns.len()),
        "TFORM1  = 'K'".to_owned(),
        "TTYPE1  = 'TARGETID'".to_owned(),
        format!("EXTNAME = '{name}'"),
    ];
    for (number, (column, _)) in columns.iter().enumerate() {
        cards.push(format!("TFORM{}  = 'D'", number + 2));
        cards.push(format!("TTYPE{}  = '{column}'", number + 2));
    }
    cards.push("END".to_owned());
    let mut data = Vec::new();
    for (row, id) in ids.iter().enumerate() {
        data.extend(id.to_be_bytes());
        for (_, values) in columns {
            data.extend(values[row].to_be_bytes());
        }
    }
    [header(&cards), padded(data, 0)].concat()
}

#[test]
fn tables_of_the_same_galaxies_are_one_and_others_have_names() {
    let folder = folder();
    let path = folder.path().join("fastspec.fits");
    let primary = header(
        &[
            "SIMPLE  =                    T",
            "BITPIX  = 8",
            "NAXIS   = 0",
            "END",
        ]
        .map(str::to_owned),
    );
    let ids = [ID, ID + 1];
    let parts = [
        primary,
        extension(
            "METADATA",
            &[("Z", &[0.1, 0.2]), ("RA", &[1.0, f64::NAN])],
            &ids,
        ),
        extension(
            "SPECPHOT",
            &[
                ("LOGMSTAR", &[9.0, 10.0]),
                ("Z", &[0.5, 0.6]),
                ("RA", &[1.0, f64::NAN]),
            ],
            &ids,
        ),
        extension("ELSEWHERE", &[("MASS", &[1.0, 2.0])], &[ID + 1, ID]),
        extension("SHORT", &[("X", &[1.0])], &[ID]),
    ];
    fs::write(&path, parts.concat()).unwrap();
    let whole = Table::open(&path).unwrap();
    assert_eq!(
        names(&whole),
        ["TARGETID", "Z", "RA", "LOGMSTAR", "SPECPHOT.Z"]
    );
    assert_numbers(&whole, "LOGMSTAR", &[9.0, 10.0]);
    assert_numbers(&whole, "Z", &[0.1, 0.2]);

    let named = |name: &str| Table::open(&folder.path().join(format!("fastspec.fits[{name}]")));
    for name in ["elsewhere", "3"] {
        assert_eq!(names(&named(name).unwrap()), ["TARGETID", "MASS"], "{name}");
    }
    assert_eq!(
        names(&Table::open_one(&path, Some("SHORT")).unwrap()),
        ["TARGETID", "X"]
    );
    let message = named("NONE").unwrap_err().to_string();
    for part in [
        "no binary table `NONE`",
        "SPECPHOT (2 rows: TARGETID, LOGMSTAR, Z, RA)",
        "SHORT (1 rows",
    ] {
        assert!(message.contains(part), "{message}");
    }
    let text = csv(folder.path(), "t.csv", "id,z\n1,2\n");
    let message = Table::open_one(&text, Some("SHORT"))
        .unwrap_err()
        .to_string();
    assert!(message.contains("holds one table"), "{message}");
    // A file that is called so is itself.
    let odd = csv(folder.path(), "t[1]", "id,z\n1,2\n");
    assert_eq!(names(&Table::open(&odd).unwrap()), ["id", "z"]);
}
