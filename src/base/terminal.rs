//! Tables for people, no wider than the terminal that shows them.

use comfy_table::{ContentArrangement, Table, presets};
use terminal_size::{Width, terminal_size_of};

/// Columns of a list where there is no terminal: a line that can be read.
const LIST_WIDTH: u16 = 100;

/// An empty table. On a terminal its cells break where they must; elsewhere a row is a line.
pub(crate) fn new_table() -> Table {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_BORDERS_ONLY);
    if let Some(width) = width() {
        fit(&mut table, width);
    }
    table
}

/// An empty table without lines, of names and what they mean, whose cells break.
pub(crate) fn new_list() -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    fit(
        &mut table,
        width().map_or(LIST_WIDTH, |width| width.min(LIST_WIDTH)),
    );
    table
}

fn fit(table: &mut Table, width: u16) {
    table
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(width);
}

/// Columns of the terminal that stdout is; `None` where it is none.
fn width() -> Option<u16> {
    terminal_size_of(std::io::stdout()).map(|(Width(columns), _)| columns)
}
