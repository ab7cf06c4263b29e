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
        "no table `NONE`",
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

/// `TARGETID I18`, `Z F8.4`, `MAG D10.3` scaled by 2 after 1, `NAME A4`, in an order of its own and with a gap between.
#[test]
fn tables_in_text_are_read_and_blanks_are_unknown() {
    let folder = folder();
    let path = folder.path().join("old.fits");
    let rows = [
        " 0.2500 39627000000000001  1.500D+01 N1  ",
        "        39627000000000002       -1.0     ",
        "  12500 39627000000000003            n/a ",
    ];
    let cards = [
        "XTENSION= 'TABLE   '",
        "BITPIX  = 8",
        "NAXIS   = 2",
        "NAXIS1  = 41",
        "NAXIS2  = 3",
        "PCOUNT  = 0",
        "GCOUNT  = 1",
        "TFIELDS = 4",
        "TTYPE1  = 'TARGETID'",
        "TBCOL1  = 9",
        "TFORM1  = 'I17'",
        "TTYPE2  = 'Z'",
        "TBCOL2  = 1",
        "TFORM2  = 'F7.4'",
        "TTYPE3  = 'MAG'",
        "TBCOL3  = 26",
        "TFORM3  = 'D11.3'",
        "TSCAL3  = 2.0",
        "TZERO3  = 1.0",
        "TTYPE4  = 'NAME'",
        "TBCOL4  = 38",
        "TFORM4  = 'A4'",
        "TNULL4  = 'n/a'",
        "END",
    ];
    let cards = cards.map(str::to_owned);
    let primary = [
        "SIMPLE  =                    T",
        "BITPIX  = 8",
        "NAXIS   = 0",
        "END",
    ];
    let primary = header(&primary.map(str::to_owned));
    let data = padded(rows.concat().into_bytes(), b' ');
    fs::write(
        &path,
        [primary.clone(), header(&cards), data.clone()].concat(),
    )
    .unwrap();
    let table = Table::open(&path).unwrap();
    assert_eq!(names(&table), ["TARGETID", "Z", "MAG", "NAME"]);
    assert_eq!(
        values(&table, "TARGETID"),
        Values::Integers(vec![ID, ID + 1, ID + 2])
    );
    assert_numbers(&table, "Z", &[0.25, f64::NAN, 1.25]);
    assert_numbers(&table, "MAG", &[31.0, -1.0, f64::NAN]);
    assert_eq!(
        values(&table, "NAME"),
        Values::Texts(["N1", "", ""].map(str::to_owned).into())
    );

    let wide = cards.map(|card| card.replace("'A4'", "'A5'"));
    fs::write(&path, [primary, header(&wide), data].concat()).unwrap();
    let message = Table::open(&path).unwrap_err().to_string();
    assert!(
        message.contains("rows of 41 characters, and field 4 of 5 from 38 on"),
        "{message}"
    );
}
