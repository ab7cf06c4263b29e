//! `astroclip match`.

use std::path::PathBuf;

use comfy_table::{CellAlignment, Table as Printed, presets};
use serde::Serialize;

use super::output::{Originals, Output};
use super::{print, print_json, survey};
use crate::app::cli::Match;
use crate::base::error::Result;
use crate::files::catalog::{
    JoinCounts, Key, MatchOptions, Table, TableHead, match_tables, write_table,
};
use crate::files::data::open_table;

/// What became of both tables, for programs.
#[derive(Debug, Serialize)]
struct Summary<'a> {
    out: &'a PathBuf,
    matched: usize,
    left: JoinCounts,
    right: JoinCounts,
}

pub(super) fn run(args: &Match) -> Result<()> {
    // Before any work: the name says what can be written.
    Output::Table.check(&args.out)?;
    let tables = Originals::default().and([&args.left, &args.right]);
    tables.outlast(&args.out)?;
    let options = MatchOptions {
        key: args.on,
        radius: args.radius,
        id_columns: [
            args.id_column.clone(),
            args.right_id_column
                .clone()
                .or_else(|| args.id_column.clone()),
        ],
        position_columns: args.ra_column.clone().zip(args.dec_column.clone()),
    };
    let survey = survey(&args.survey)?;
    let [left, right] = [(&args.left, 0), (&args.right, 1)].map(|(path, side)| {
        open_table(path, None, |table| has_key(table, &options, side), &survey)
    });
    let (left, right) = (left?, right?);
    let joined = match_tables(&left, &right, &options)?;
    let head = TableHead::new(
        "catalog",
        "Rows of two tables that are of the same object",
        Vec::new(),
    );
    write_table(&joined.table, head, &args.out)?;
    let summary = Summary {
        out: &args.out,
        matched: joined.table.rows(),
        left: joined.left,
        right: joined.right,
    };
    match args.json {
        true => print_json(&summary),
        false => print(&render(args, &summary, joined.table.columns().len())),
    }
}

/// Whether a table has what its rows are matched by.
fn has_key(table: &Table, options: &MatchOptions, side: usize) -> bool {
    let has = |name: &String| table.find(&[name]).is_some();
    match options.key {
        Key::Id => match &options.id_columns[side] {
            Some(name) => has(name),
            None => table.has_ids(),
        },
        Key::Sky => match &options.position_columns {
            Some((ra, dec)) => has(ra) && has(dec),
            None => table.has_positions(),
        },
    }
}

fn render(args: &Match, summary: &Summary<'_>, columns: usize) -> String {
    let mut table = Printed::new();
    table.load_preset(presets::UTF8_BORDERS_ONLY).set_header([
        "table",
        "rows",
        "matched",
        "duplicates",
        "unmatched",
        "without key",
    ]);
    for (path, counts) in [(&args.left, summary.left), (&args.right, summary.right)] {
        table.add_row([
            path.display().to_string(),
            counts.rows.to_string(),
            counts.matched.to_string(),
            counts.duplicates.to_string(),
            counts.unmatched.to_string(),
            counts.without_key.to_string(),
        ]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!(
        "{table}\n{}: {} rows, {columns} columns\n",
        summary.out.display(),
        summary.matched
    )
}
