//! Tables for people, no wider than the terminal that shows them.

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};

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
    terminal_size_of(io::stdout()).map(|(Width(columns), _)| columns)
}

/// A text without characters that command a terminal: names in files may hold any.
pub fn printable(text: &str) -> Cow<'_, str> {
    let commands = |c: char| c.is_control() && c != '\n' && c != '\t';
    match text.contains(commands) {
        true => text.replace(commands, "\u{fffd}").into(),
        false => text.into(),
    }
}

/// Clears the screen where stdout is a terminal.
///
/// # Errors
///
/// Where stdout cannot be written.
pub fn clear() -> io::Result<()> {
    let mut stdout = io::stdout();
    match stdout.is_terminal() {
        // Home, and erase all (ECMA-48).
        true => stdout.write_all(b"\x1b[H\x1b[2J"),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn names_cannot_command_the_terminal() {
        assert_eq!(printable("a\tb\nç★"), "a\tb\nç★");
        assert_eq!(printable("a\x1b[31mb\u{9b}2J"), "a\u{fffd}[31mb\u{fffd}2J");
    }
}
