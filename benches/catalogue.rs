//! Time and memory of writing a catalogue in every format: `cargo bench --bench catalogue [-- ROWS [FOLDER]]`.
//!
//! The files stay where a folder is named.

use std::path::Path;
use std::time::Instant;

use astroclip::files::catalog::{
    Cells, ColumnHead, ColumnKind, Keyword, TableHead, TablePlan, UnfinishedTable,
};
use ndarray::Array2;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;

/// Rows where none are named.
const ROWS: usize = 100_000;
/// Rows that are appended at once.
const BATCH: usize = 512;
/// Columns of numbers.
const NUMBERS: usize = 40;
/// Different numbers.
const POOL: usize = 4 << 20;
/// Points of p(z).
const GRID: usize = 100;

fn main() {
    // Cargo adds `--bench`.
    let mut arguments = std::env::args().skip(1).filter(|of| !of.starts_with("--"));
    let rows = (arguments.next()).map_or(ROWS, |rows| rows.parse().expect("a number of rows"));
    let temporary = tempfile::tempdir().expect("a folder");
    let folder = arguments.next();
    let folder = folder.map_or(temporary.path().to_owned(), Into::into);
    println!("{rows} galaxies, {NUMBERS} numbers and p(z) at {GRID} redshifts each");
    println!("format    append s   finish s      MB   peak MB");
    for ending in ["fits", "parquet", "h5", "vot", "csv"] {
        write(rows, &folder.join(format!("catalogue.{ending}")));
    }
}

fn write(rows: usize, path: &Path) {
    forget_peak();
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut table = UnfinishedTable::open(path, &plan(rows), false).expect("a table");
    // Drawing numbers is not what is measured; these come again too late to be compressed.
    let numbers: Vec<f32> = (0..POOL).map(|_| rng.random::<f32>()).collect();
    let start = Instant::now();
    while table.done() < rows {
        let batch = table.done()..rows.min(table.done() + BATCH);
        let count = batch.len();
        let ids = batch
            .clone()
            .map(|row| (39_627_000_000_000_000 + row as i64).into());
        let angle = |row: usize| row as f64 / rows as f64 * 90.0;
        let mut cells = vec![
            Cells::Ids(ids.collect()),
            Cells::F64(batch.clone().map(angle).collect()),
            Cells::F64(batch.clone().map(|row| -angle(row)).collect()),
        ];
        let start = batch.start;
        let some = |number: usize, count: usize| {
            let from = (start * GRID + number * 104_729) % (POOL - BATCH * GRID);
            numbers[from..from + count].to_vec()
        };
        cells.extend((0..NUMBERS).map(|column| Cells::F32(some(column, count))));
        cells.push(Cells::I32(vec![0; count]));
        cells.push(Cells::Texts(vec!["image".to_owned(); count]));
        let pz = some(NUMBERS, count * GRID);
        cells.push(Cells::F32Array(
            Array2::from_shape_vec((count, GRID), pz).expect("so many numbers"),
        ));
        table.append(batch, &cells).expect("rows");
    }
    let appended = start.elapsed().as_secs_f64();
    let start = Instant::now();
    table.finish().expect("a file");
    println!(
        "{:8} {appended:9.1}  {:9.1}  {:6.0}   {:7.0}",
        path.extension().unwrap_or_default().display(),
        start.elapsed().as_secs_f64(),
        std::fs::metadata(path).expect("the file").len() as f64 / 1e6,
        peak_megabytes(),
    );
}

fn plan(rows: usize) -> TablePlan {
    let [ra, dec] = ColumnHead::position();
    let mut columns = vec![ColumnHead::object_id(), ra, dec];
    let number = |index: usize| {
        ColumnHead::plain(format!("number {index}"), ColumnKind::F32)
            .in_unit("Gyr")
            .of_ucd("time.age;stat.median")
            .described("a number that means nothing, described at such length that it does not fit into one line")
    };
    columns.extend((0..NUMBERS).map(number));
    columns.push(ColumnHead::plain("flag", ColumnKind::I32).of_ucd("meta.code"));
    columns.push(ColumnHead::plain("source", ColumnKind::Text).of_ucd("meta.note"));
    columns.push(ColumnHead::plain("pz", ColumnKind::F32Array(GRID)).described("p(z)"));
    let mut head = TableHead::new("catalogue", "A catalogue that means nothing", columns);
    let keyword = |key: &str, value, comment: &str| Keyword {
        key: key.to_owned(),
        value,
        comment: comment.to_owned(),
    };
    head.keywords = vec![
        keyword("pz_grid_start", json!(0.0), "first redshift of p(z)"),
        keyword("pz_grid_step", json!(0.01), "step of the redshifts of p(z)"),
        keyword("VERSION", json!("it's one"), "of the catalogue"),
        keyword("long_words", json!("many words ".repeat(20)), "words"),
        keyword("ROWSREAD", json!(rows), ""),
        keyword("CALIB", json!(true), "whether it is calibrated"),
    ];
    head.provenance = json!({"model": "µ 'quoted'", "files": vec!["survey.h5"; 30]});
    TablePlan {
        head,
        rows,
        identity: json!({"rows": rows}),
    }
}

/// Lets the kernel count the most memory anew.
fn forget_peak() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// The most memory since; 0 where the system does not say.
fn peak_megabytes() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mut lines = status.lines();
    let peak = lines.find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next());
    peak.and_then(|peak| peak.parse::<f64>().ok())
        .unwrap_or(0.0)
        / 1024.0
}
