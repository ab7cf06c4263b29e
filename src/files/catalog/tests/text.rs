//! Text tables as people write them.

use super::*;

/// The table that `text` holds.
fn table(text: &[u8]) -> Result<Table, String> {
    let folder = folder();
    let path = folder.path().join("t.csv");
    fs::write(&path, text).unwrap();
    Table::open(&path).map_err(|error| error.to_string())
}

/// Two rows: identifiers, numbers, and text.
fn assert_is_the_table(text: &[u8]) {
    let shown = String::from_utf8_lossy(text);
    let table = table(text).unwrap_or_else(|error| panic!("{error}\n{shown}"));
    assert_eq!(names(&table), ["targetid", "z", "note"], "{shown}");
    assert_eq!(
        values(&table, "targetid"),
        Values::Integers(vec![ID, ID + 1]),
        "{shown}"
    );
    assert_numbers(&table, "z", &[0.5, f64::NAN]);
    let notes = ["a b".to_owned(), String::new()];
    assert_eq!(
        values(&table, "note"),
        Values::Texts(notes.to_vec()),
        "{shown}"
    );
}

#[test]
fn one_table_however_it_is_written() {
    let rows = format!("{ID},0.5,a b\n{},,\n", ID + 1);
    let with = |head: &str, rows: &str| format!("{head}{rows}").into_bytes();
    let names = "targetid,z,note\n";
    assert_is_the_table(&with(names, &rows));
    assert_is_the_table(&with(&format!("\u{feff}{names}"), &rows));
    assert_is_the_table(with(names, &rows).replace_all("\n", "\r\n").as_bytes());
    assert_is_the_table(
        with(names, &rows)
            .replace_all("\n", ",\n")
            .replacen("note,", "note", 1)
            .as_bytes(),
    );
    // Blanks before quotes.
    let quoted = format!("{ID}, \"0.5\" , \"a b\"\n{}, nan, \"\"\n", ID + 1);
    assert_is_the_table(&with("targetid, \"z\", \"note\"\n", &quoted));
    assert_is_the_table(&with("targetid, \"z\", \"note\"\n\n# me\n", &quoted));
    // Headers in comments, as NumPy and TOPCAT write them; any comment before.
    assert_is_the_table(&with(&format!("# made by me\n# {names}"), &rows));
    assert_is_the_table(&with("# targetid z note\n", &rows));
    assert_is_the_table(&with("#Table1\n\ntargetid,z,note\n", &rows));
    let words = format!("{ID}  0.5 \"a b\"\n{} nan \"\"\n", ID + 1);
    assert_is_the_table(&with("# targetid z note\n", &words));
    assert_is_the_table(&with("targetid z  note\n", &words));
    // Decimal commas, Fortran's exponents, placeholders without digits.
    let commas = format!("{ID};0,5;a b\n{};--;n/a\n", ID + 1);
    assert_is_the_table(&with("targetid;z;note\n", &commas));
    let fortran = format!("{ID}\t5.0D-01\ta b\n{}\t...\t-\n", ID + 1);
    assert_is_the_table(&with("targetid\tz\tnote\n", &fortran));
    // VizieR: units and a rule under the names.
    let head = "#RESOURCE=x\ntargetid\tz\tnote\n \tkm/s\t \n------\t---\t---\n";
    assert_is_the_table(&with(head, &fortran));
    // ECSV: what looks like numbers is text where the header says so.
    let ecsv = "# %ECSV 1.0\n# ---\n# delimiter: ','\n# datatype:\n# - {name: targetid, datatype: int64}\n\
                # - {name: z, unit: deg, datatype: float64,\n#   description: of it}\n# - {name: note, datatype: string}\n";
    assert_is_the_table(&with(&format!("{ecsv}{names}"), &rows));
    let blanks = ecsv.replace("# delimiter: ','\n", "") + "targetid z note\n";
    let words = format!("{ID} 0.5 \"a b\"\n{} \"\" \"\"\n", ID + 1);
    assert_is_the_table(&with(&blanks, &words));
    let digits = table(&with(&format!("{ecsv}{names}"), "1,0.5,007\n")).unwrap();
    assert_eq!(
        values(&digits, "note"),
        Values::Texts(vec!["007".to_owned()])
    );
    // Latin-1.
    let latin = table(b"id,name\n1,caf\xe9\n").unwrap();
    assert_eq!(
        values(&latin, "name"),
        Values::Texts(vec!["caf\u{e9}".to_owned()])
    );
}

#[test]
fn what_a_mask_marks_is_unknown() {
    let masked = "id,z,z.mask,n,n.mask\n1,0.5,False,5,True\n2,0.6,True,6,False\n";
    let table = table(masked.as_bytes()).unwrap();
    assert_eq!(names(&table), ["id", "z", "n"]);
    assert_numbers(&table, "z", &[0.5, f64::NAN]);
    assert_numbers(&table, "n", &[f64::NAN, 6.0]);
}

/// As [`str::replace`], of bytes.
trait ReplaceAll {
    fn replace_all(&self, from: &str, to: &str) -> String;
}

impl ReplaceAll for Vec<u8> {
    fn replace_all(&self, from: &str, to: &str) -> String {
        String::from_utf8_lossy(self).replace(from, to)
    }
}

#[test]
fn what_cannot_be_told_is_refused_by_line() {
    let refused = |text: &str, parts: &[&str]| {
        let message = table(text.as_bytes()).unwrap_err();
        for part in parts {
            assert!(message.contains(part), "{part}: {message}");
        }
    };
    refused(
        "396,117.71,0.5\n397,118.71,0.6\n",
        &["looks like data: `396,117.71,0.5`"],
    );
    refused("# a,b\n396,117.71,0.5\n", &["it has 3 cells", "`a,b`"]);
    refused("396,117.71,GALAXY\n", &["looks like data"]);
    refused("1,2\n3,4\n", &["looks like data"]);
    assert!(
        table(b"object_id,0,1\n7,0.1,0.2\n").is_ok(),
        "columns by number"
    );
    // A quote that is open to the end, and one that another closes by chance.
    let rows: String = (4..120).map(|row| format!("{row},0.1,x\n")).collect();
    refused(
        &format!("id,z,note\n1,0.1,x\n2,0.1,\"x\n{rows}"),
        &["line 3", "quote", "116 further lines"],
    );
    refused(
        &format!("id,z,note\n1,0.1,\"x\n{rows}5,0.1,\"y\n"),
        &["line 2", "quote"],
    );
    refused("id,note\n1,\"x\n2,y\n", &["line 2", "quote"]);
    refused("id note\n1 \"x\n2 y\n", &["line 2", "quote"]);
    let good = table(b"id,z,note\n1,0.1,\"two\nlines, here\"\n2,0.2,\"5\"\"\"\n").unwrap();
    let notes = ["two\nlines, here", "5\""].map(str::to_owned);
    assert_eq!(values(&good, "note"), Values::Texts(notes.to_vec()));
    refused(
        "id z\n1 2 3\n",
        &["line 2 has 3 cells where the header has 2"],
    );
    refused("| id | z |\n| 1 | 2 |\n", &["IPAC"]);
}

#[test]
fn an_odd_cell_turns_no_column_of_numbers_into_text() {
    let rows = |odd: &str, count: usize| {
        let rows = (0..20).map(|row| match row < count {
            true => format!("{row},{odd}\n"),
            false => format!("{row},0.{row}\n"),
        });
        format!("id,z\n{}", rows.collect::<String>())
    };
    for count in 0..=20 {
        let table = table(rows("0.1?", count).as_bytes()).unwrap();
        match &table.column("z").unwrap().values {
            Values::Floats(values) => {
                assert!(count <= 2, "{count} of 20");
                assert_eq!(values.iter().filter(|value| value.is_nan()).count(), count);
            }
            Values::Texts(values) => {
                assert!(count > 2, "{count} of 20");
                assert_eq!(values[0], "0.1?");
            }
            Values::Integers(_) | Values::Unsigned(_) => panic!("integers"),
        }
    }
    // Identifiers keep their text.
    let odd = table(b"id,z\n39627000000000001,1\nabc,2\n").unwrap();
    assert_eq!(
        values(&odd, "id"),
        Values::Texts(vec![ID.to_string(), "abc".to_owned()])
    );
    let long = table(b"objid,z\n18446744073709551616,1\n7,2\n").unwrap();
    let digits = ["18446744073709551616", "7"].map(str::to_owned);
    assert_eq!(values(&long, "objid"), Values::Texts(digits.to_vec()));
    let padded = table(b"id,z\n007,1\n8,2\n").unwrap();
    assert_eq!(
        values(&padded, "id"),
        Values::Texts(["007", "8"].map(str::to_owned).to_vec())
    );
}

#[test]
fn identifiers_that_a_spreadsheet_cut_are_refused_with_their_digits() {
    let folder = folder();
    let good = csv(
        folder.path(),
        "good.csv",
        "TARGETID,a\n39627788403084375,1\n",
    );
    let bad = [
        (
            "3.96E+16,1\n3.96E+16,2\n",
            "row 0: `3.96E+16` has not all digits",
        ),
        (
            "3.9627788403084375e+16,1\n,2\n",
            "row 0: `3.9627788403084375e+16`",
        ),
        ("39627788403084375.0,1\n", "row 0: `39627788403084375.0`"),
    ];
    let options = MatchOptions {
        key: Key::Id,
        radius: 1.0,
        id_columns: [None, None],
        position_columns: None,
    };
    for (rows, part) in bad {
        let bad = csv(folder.path(), "bad.csv", &format!("TARGETID,b\n{rows}"));
        let [left, right] = [&good, &bad].map(|path| Table::open(path).unwrap());
        let message = match_tables(&left, &right, &options)
            .unwrap_err()
            .to_string();
        assert!(message.contains(part), "{message}");
        let message = read_ids(&bad, None).unwrap_err().to_string();
        assert!(message.contains(part), "{message}");
    }
    // Whole numbers that floating point holds are identifiers, as pandas leaves them beside blanks.
    let merged = csv(
        folder.path(),
        "merged.csv",
        "TARGETID,b\n7.0,1\n,2\n8.0,3\n",
    );
    assert_eq!(
        read_ids(&merged, None).unwrap(),
        [7, 8_i64].map(ObjectId::from)
    );
    let bytes = csv(folder.path(), "bytes.csv", "object_id,b\nb'7 ',1\nb'8',2\n");
    assert_eq!(
        read_ids(&bytes, None).unwrap(),
        [7, 8_i64].map(ObjectId::from)
    );
}

#[test]
fn quotes_within_texts_stay() {
    let column = |text: &str| values(&table(text.as_bytes()).unwrap(), "b");
    let texts = |texts: [&str; 2]| Values::Texts(texts.map(str::to_owned).to_vec());
    let both = texts(["say \"M31\"", "\"M31\""]);
    assert_eq!(
        column("a,b\n1,\"say \"\"M31\"\"\"\n2,\"\"\"M31\"\"\"\n"),
        both
    );
    assert_eq!(
        column("a, b\n1, \"say \"\"M31\"\"\"\n2, \"\"\"M31\"\"\"\n"),
        both
    );
}

#[test]
fn padded_identifiers_are_names_whatever_the_column_is_called() {
    let folder = folder();
    let names = Table::open(&csv(folder.path(), "a.csv", "mine,x\n007,1\n7,2\n")).unwrap();
    let column = names.column("mine").unwrap();
    let ids = names.object_ids(column).unwrap();
    let ids: Vec<String> = ids.into_iter().flatten().map(|id| id.to_string()).collect();
    assert_eq!(ids, ["007", "7"]);
    assert_numbers(&names, "mine", &[7.0, 7.0]);
}

#[test]
fn a_name_of_a_word_and_a_number_is_no_row() {
    let table = table(b"# units, of a kind\nid,w 2\n1,0.5\n").unwrap();
    assert_numbers(&table, "w 2", &[0.5]);
}
