//! Results as tables for people.

mod morphology;
mod regression;
mod retrieval;

use comfy_table::{CellAlignment, Table, presets};

pub use morphology::render_morphology_table;
pub use regression::render_table;
pub use retrieval::render_retrieval_table;

fn new_table() -> Table {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_BORDERS_ONLY);
    table
}

fn align_right(table: &mut Table, columns: std::ops::Range<usize>) {
    for column in columns {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

/// A value with its bootstrap deviation, where there is one.
fn with_error(value: f64, deviation: Option<f64>, decimals: usize) -> String {
    match deviation {
        Some(deviation) => format!("{value:.decimals$} ± {deviation:.decimals$}"),
        None => format!("{value:.decimals$}"),
    }
}

/// What was left out and why, from counts and reasons.
fn reasons(counted: &[(usize, &str)]) -> String {
    let reasons: Vec<String> = counted
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, reason)| format!("{count} {reason}"))
        .collect();
    reasons.join(", ")
}
