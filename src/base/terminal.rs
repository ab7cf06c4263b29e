//! Tables for people, no wider than the terminal that shows them.

use comfy_table::{ContentArrangement, Table, presets};
use terminal_size::{Width, terminal_size_of};

/// An empty table. On a terminal its cells break where they must; elsewhere a row is a line.
pub(crate) fn new_table() -> Table {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_BORDERS_ONLY);
    if let Some(width) = width() {
        table
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(width);
    }
    table
}

/// Columns of the terminal that stdout is; `None` where it is none.
pub(crate) fn width() -> Option<u16> {
    terminal_size_of(std::io::stdout()).map(|(Width(columns), _)| columns)
}
