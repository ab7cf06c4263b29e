//! Tables that are joined, by identifier and by position.

use super::*;

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
    let names = names(&joined.table);
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
        message.contains("`RA` row 0: `100.00001` is no identifier"),
        "{message}"
    );
    let far = MatchOptions {
        radius: 1e-3,
        ..options(Key::Sky)
    };
    let message = match_tables(&left, &right, &far).unwrap_err().to_string();
    assert!(message.contains("no row in common"), "{message}");
}
