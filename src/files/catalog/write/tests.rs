//! What is written is what our own readers read back, in every format, also after a kill.

use std::path::Path;

use ndarray::Array2;
use serde_json::json;

use super::*;
use crate::files::catalog::Values as Read;
use crate::survey::ObjectId;

const FORMATS: [&str; 4] = ["t.fits", "t.parquet", "t.h5", "t.csv"];

fn head() -> TableHead {
    let column = ColumnHead::plain;
    TableHead {
        name: "catalogue".to_owned(),
        description: "Estimates of galaxies, which a test made up; with 'quotes' & <signs>"
            .to_owned(),
        columns: vec![
            column("object_id", ColumnKind::Id).of_ucd("meta.id;meta.main"),
            column("ra", ColumnKind::F64)
                .in_unit("deg")
                .of_ucd("pos.eq.ra;meta.main"),
            column("redshift", ColumnKind::F32)
                .of_ucd("src.redshift.phot")
                .described("it's a redshift, ".repeat(20)),
            column("flag", ColumnKind::I32).of_ucd("meta.code"),
            column("two words", ColumnKind::Text),
            column("nothing", ColumnKind::Text),
            column("pz", ColumnKind::F32Array(3)),
        ],
        keywords: vec![
            Keyword {
                key: "pz_grid_start".to_owned(),
                value: json!(0.5),
                comment: "first redshift of the grid".to_owned(),
            },
            Keyword {
                key: "VERSION".to_owned(),
                value: json!("1.2".repeat(40)),
                comment: "of the catalogue".to_owned(),
            },
        ],
        provenance: json!({"model": "µ'''", "files": vec!["survey.h5"; 40]}),
    }
}

/// Some rows: identifiers, and numbers and texts that are easily lost.
fn block(ids: &[ObjectId], first: usize) -> Vec<Cells> {
    let rows = first..first + ids.len();
    let odd = [
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        1e-300,
        0.1,
        -0.0,
    ];
    let texts = ["", "plain", "Größe, \"quoted\"", "it's", "𝛼 beyond 16 bits"];
    let numbers = rows.clone().map(|row| odd[row % odd.len()]);
    vec![
        Cells::Ids(ids.to_vec()),
        Cells::F64(numbers.clone().collect()),
        Cells::F32(numbers.map(|value| value as f32).collect()),
        Cells::I32(rows.clone().map(|row| i32::MIN + row as i32).collect()),
        Cells::Texts(
            rows.clone()
                .map(|row| texts[row % texts.len()].to_owned())
                .collect(),
        ),
        Cells::Texts(vec![String::new(); ids.len()]),
        Cells::F32Array(Array2::from_shape_fn((ids.len(), 3), |(row, column)| {
            odd[(first + row + column) % odd.len()] as f32
        })),
    ]
}

fn plan(rows: usize) -> TablePlan {
    TablePlan {
        head: head(),
        rows,
        identity: json!({"estimator": "abc", "samples": 1000}),
    }
}

fn ids(texts: &[&str]) -> Vec<ObjectId> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// Writes blocks of up to three identifiers, of which every block leaves out a further row.
fn write(path: &Path, all: &[ObjectId]) {
    let rows = all.len() + all.chunks(3).len();
    let mut table = UnfinishedTable::open(path, &plan(rows), false).unwrap();
    let mut written = 0;
    for ids in all.chunks(3) {
        let start = table.done();
        table
            .append(start..start + ids.len() + 1, &block(ids, written))
            .unwrap();
        written += ids.len();
    }
    assert_eq!(table.done(), rows);
    assert_eq!(table.finish().unwrap(), all.len());
}

#[test]
fn awkward_values_come_back_from_every_format() {
    let folder = tempfile::tempdir().unwrap();
    let large = u64::MAX.to_string();
    let signed = [
        "-9223372036854775808",
        "9223372036854775807",
        "-2",
        "0",
        "7",
        "8",
        "9",
    ];
    let unsigned = ["5", "0", "1", &large, "9223372036854775808"];
    let mixed = ["-5", "0", "1", &large];
    let names = ["7", "8", "9", "J0123+45", "Größe"];
    for name in FORMATS {
        let path = folder.path().join(name);
        for all in [&signed[..], &signed[..1], &unsigned, &mixed, &names] {
            let all = ids(all);
            write(&path, &all);
            let table = Table::open(&path).unwrap();
            assert_eq!(table.rows(), all.len(), "{name}");
            let found = table
                .object_ids(table.column("object_id").unwrap())
                .unwrap();
            let found: Vec<ObjectId> = found.into_iter().flatten().collect();
            assert_eq!(found, all, "{name}");
            let whole = block(&all, 0);
            let number = |column: &str| table.numbers(column).unwrap().into_owned();
            let [
                _,
                Cells::F64(ra),
                Cells::F32(redshift),
                Cells::I32(flag),
                Cells::Texts(words),
                _,
                Cells::F32Array(pz),
            ] = &whole[..]
            else {
                unreachable!("the block above");
            };
            let same = |found: &[f64], expected: &[f64]| {
                assert_eq!(found.len(), expected.len());
                for (found, expected) in found.iter().zip(expected) {
                    let same = found == expected;
                    assert!(
                        same || found.is_nan() && expected.is_nan(),
                        "{name}: {found} {expected}"
                    );
                }
            };
            // Text holds the digits of a number of 32 bits, not those of its rounding.
            let wide = |value: f32| match name {
                "t.csv" => value.to_string().parse::<f64>().unwrap(),
                _ => f64::from(value),
            };
            same(&number("ra"), ra);
            same(
                &number("redshift"),
                &redshift.iter().map(|z| wide(*z)).collect::<Vec<_>>(),
            );
            let flags: Vec<f64> = flag.iter().map(|value| f64::from(*value)).collect();
            same(&number("flag"), &flags);
            for (index, column) in pz.columns().into_iter().enumerate() {
                let column: Vec<f64> = column.iter().map(|value| wide(*value)).collect();
                same(&number(&format!("pz_{index}")), &column);
            }
            // A column without a text is one of unknown numbers in CSV.
            if all.len() > 1 {
                assert_eq!(
                    table.column("two words").unwrap().values,
                    Read::Texts(words.clone())
                );
            }
            if name != "t.csv" {
                let empty = Read::Texts(vec![String::new(); all.len()]);
                assert_eq!(table.column("nothing").unwrap().values, empty);
            }
        }
    }
}

#[test]
fn a_killed_table_goes_on_to_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let all = ids(&["3", "1", "4", "-1592", "65", "35", "8979"]);
    for name in ["t.fits", "t.parquet", "t.h5", "t.csv", "t.vot"] {
        let path = folder.path().join(name);
        let open = |resume| UnfinishedTable::open(&path, &plan(7), resume);
        let append = |table: &mut UnfinishedTable, rows: std::ops::Range<usize>| {
            let cells = block(&all[rows.clone()], rows.start);
            table.append(rows, &cells).unwrap();
        };
        let mut table = open(false).unwrap();
        append(&mut table, 0..5);
        append(&mut table, 5..7);
        assert_eq!(table.finish().unwrap(), 7);
        let whole = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();

        let mut table = open(true).unwrap();
        append(&mut table, 0..2);
        append(&mut table, 2..5);
        let part = table.path().to_owned();
        let busy = open(true).unwrap_err().to_string();
        assert!(busy.contains("another program"), "{busy}");
        // As a kill and half a frame leave it.
        drop(table);
        let frames = std::fs::read(&part).unwrap();
        std::fs::write(&part, &frames[..frames.len() - 1]).unwrap();
        let refused = open(false).unwrap_err().to_string();
        assert!(
            refused.contains("an unfinished table of 2 of 7 galaxies"),
            "{refused}"
        );
        let mut other = plan(7);
        other.identity["samples"] = json!(10);
        let refused = UnfinishedTable::open(&path, &other, true).unwrap_err();
        let expected = "was begun with other samples (1000)";
        assert!(
            refused.is_input() && refused.to_string().contains(expected),
            "{refused}"
        );

        let mut table = open(true).unwrap();
        assert_eq!(table.done(), 2);
        append(&mut table, 2..7);
        assert_eq!(table.finish().unwrap(), 7);
        assert!(std::fs::read(&path).unwrap() == whole, "{name}");
        assert!(!part.exists());
        // What we wrote may be replaced; what others wrote, and what is of another format, may not.
        if name == "t.vot" {
            let refused = Table::open(&path).unwrap_err().to_string();
            assert!(refused.contains("save it as FITS"), "{refused}");
        }
        for format in ["t.fits", "t.parquet", "t.h5", "t.csv", "t.vot"] {
            let format = OutputFormat::of(Path::new(format)).unwrap();
            let own = OutputFormat::of(&path).unwrap();
            assert_eq!(format.is_of(&path), format == own, "{name} {format:?}");
        }
    }
}

#[test]
fn cells_that_are_not_those_of_the_columns_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.fits");
    let mut table = UnfinishedTable::open(&path, &plan(2), false).unwrap();
    let cells = block(&ids(&["1", "2"]), 0);
    let mut narrow = cells.clone();
    narrow[6] = Cells::F32Array(Array2::zeros((2, 2)));
    for (rows, cells) in [
        (1..3, &cells),
        (0..1, &cells),
        (0..3, &cells),
        (0..2, &narrow),
    ] {
        assert!(table.append(rows, cells).is_err());
    }
    let error = table.finish().unwrap_err();
    assert!(
        error.is_input() && error.to_string().contains("no rows"),
        "{error}"
    );
    let mut twice = plan(1);
    twice.head.keywords[1].key = "pz_grid_start".to_owned();
    let error = UnfinishedTable::open(&path, &twice, false).unwrap_err();
    assert!(error.to_string().contains("`pz_grid_start`"), "{error}");
    let mut long = plan(1);
    long.head.columns = vec![ColumnHead::plain("Größe", ColumnKind::F32)];
    let error = UnfinishedTable::open(&path, &long, false)
        .unwrap_err()
        .to_string();
    assert!(error.contains("cannot be named so in FITS"), "{error}");
    assert!(std::fs::read_dir(folder.path()).unwrap().next().is_none());
}
