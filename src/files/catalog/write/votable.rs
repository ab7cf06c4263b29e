//! Tables as VOTable 1.4, the XML of the Virtual Observatory, with their rows in BINARY2.
//!
//! BINARY2 holds every number bit by bit, and is half as long as text. Written by hand: the crate `votable` brings YAML,
//! a second TOML and an XML parser of its own, and turns on the order of keys in `serde_json` for the whole program.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;

use super::stored::{Stored, Values};
use super::{CREATOR, Layout, creator};

/// Bytes that become a line, in threes that make four characters without a rest.
const LINE: usize = 57;
/// Bytes that are encoded at once: whole lines.
const PORTION: usize = LINE << 10;

/// Writes a table as VOTable.
pub(super) struct VoTableWriter {
    file: BufWriter<File>,
    /// Which columns of text are in 16 bits a character.
    wide: Vec<bool>,
    /// Rows that are not encoded yet.
    bytes: Vec<u8>,
    line: String,
}

impl VoTableWriter {
    pub fn create(path: &Path, layout: &Layout<'_>) -> io::Result<Self> {
        let mut file = BufWriter::new(File::create(path)?);
        file.write_all(beginning(layout).as_bytes())?;
        file.write_all(b"<DATA>\n<BINARY2>\n<STREAM encoding=\"base64\">\n")?;
        Ok(Self {
            file,
            wide: layout
                .columns()
                .map(|(_, stored)| is_wide(stored))
                .collect(),
            bytes: Vec::new(),
            line: String::new(),
        })
    }

    pub fn append(&mut self, rows: usize, columns: &[Values<'_>]) -> io::Result<()> {
        let flags = columns.len().div_ceil(8);
        for index in 0..rows {
            let row = &mut self.bytes;
            // No cell is null: unknown numbers are NaN, unknown texts are empty.
            row.resize(row.len() + flags, 0);
            for (values, is_wide) in columns.iter().zip(&self.wide) {
                match values {
                    Values::I64(values) => row.extend(values[index].to_be_bytes()),
                    Values::U64(values) => push_text(row, &values[index].to_string(), false),
                    Values::F64(values) => row.extend(values[index].to_be_bytes()),
                    Values::F32(values) => row.extend(values[index].to_be_bytes()),
                    Values::I32(values) => row.extend(values[index].to_be_bytes()),
                    Values::F32Array(values) => {
                        let values = values.row(index);
                        row.extend(values.iter().flat_map(|value| value.to_be_bytes()));
                    }
                    Values::Texts(values) => push_text(row, &values[index], *is_wide),
                }
            }
            if self.bytes.len() >= PORTION {
                let whole = self.bytes.len() / LINE * LINE;
                self.encode(whole)?;
            }
        }
        Ok(())
    }

    /// Writes the first `count` bytes that wait, as lines.
    fn encode(&mut self, count: usize) -> io::Result<()> {
        for bytes in self.bytes[..count].chunks(LINE) {
            self.line.clear();
            STANDARD.encode_string(bytes, &mut self.line);
            self.line.push('\n');
            self.file.write_all(self.line.as_bytes())?;
        }
        self.bytes.drain(..count);
        Ok(())
    }

    pub fn finish(mut self) -> io::Result<()> {
        self.encode(self.bytes.len())?;
        self.file.write_all(b"</STREAM>\n</BINARY2>\n</DATA>\n")?;
        self.file.write_all(END.as_bytes())?;
        self.file.flush()
    }
}

/// Texts that are not ASCII have no other type before version 1.6.
fn is_wide(stored: Stored) -> bool {
    matches!(stored, Stored::Text(longest) if !longest.is_ascii)
}

/// A text with the number of its characters before it.
fn push_text(row: &mut Vec<u8>, text: &str, is_wide: bool) {
    let push_count = |row: &mut Vec<u8>, count: usize| row.extend((count as u32).to_be_bytes());
    match is_wide {
        true => {
            push_count(row, text.encode_utf16().count());
            row.extend(text.encode_utf16().flat_map(u16::to_be_bytes));
        }
        false => {
            push_count(row, text.len());
            row.extend(text.as_bytes());
        }
    }
}

/// What closes that which [`beginning`] opens.
const END: &str = "</TABLE>\n</RESOURCE>\n</VOTABLE>\n";

/// The whole of it without a row: what VOParquet keeps in a Parquet file.
pub(super) fn without_rows(layout: &Layout<'_>) -> String {
    beginning(layout) + END
}

/// All that stands before the rows.
fn beginning(layout: &Layout<'_>) -> String {
    let head = layout.head;
    let mut xml = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <VOTABLE version=\"1.4\" xmlns=\"http://www.ivoa.net/xml/VOTable/v1.3\">\n<RESOURCE>\n",
    );
    xml += &element("INFO", &[("name", CREATOR), ("value", &creator())], "");
    if !head.provenance.is_null() {
        let json = head.provenance.to_string();
        xml += &element("INFO", &[("name", "provenance"), ("value", &json)], "");
    }
    if layout.has_positions() {
        xml += &element("COOSYS", &[("ID", SYSTEM), ("system", "ICRS")], "");
    }
    let rows = layout.rows.to_string();
    writeln!(
        xml,
        "<TABLE{}>",
        attributes(&[("name", &head.name), ("nrows", &rows)])
    )
    .expect("a string takes everything");
    xml += &description(&head.description);
    for keyword in &head.keywords {
        let (datatype, value) = match &keyword.value {
            Value::Bool(value) => ("boolean", if *value { "T" } else { "F" }.to_owned()),
            Value::Number(value) if value.is_i64() => ("long", value.to_string()),
            Value::Number(value) => ("double", value.to_string()),
            Value::String(value) => (text_type(!value.is_ascii()), value.clone()),
            other => (text_type(!other.to_string().is_ascii()), other.to_string()),
        };
        let mut of = vec![("name", keyword.key.as_str()), ("datatype", datatype)];
        if datatype.ends_with("har") {
            of.push(("arraysize", "*"));
        }
        of.push(("value", &value));
        xml += &element("PARAM", &of, &description(&keyword.comment));
    }
    for (column, stored) in layout.columns() {
        let (datatype, size) = match stored {
            Stored::I64 => ("long", String::new()),
            // There are no unsigned integers of 64 bits.
            Stored::U64 => ("char", "*".to_owned()),
            Stored::F64 => ("double", String::new()),
            Stored::F32 => ("float", String::new()),
            Stored::I32 => ("int", String::new()),
            Stored::F32Array(width) => ("float", width.to_string()),
            Stored::Text(_) => (text_type(is_wide(stored)), "*".to_owned()),
        };
        let mut of = vec![("name", column.name.as_str()), ("datatype", datatype)];
        if !size.is_empty() {
            of.push(("arraysize", &size));
        }
        if let Some(unit) = &column.unit {
            of.push(("unit", unit));
        }
        if let Some(ucd) = &column.ucd {
            of.push(("ucd", ucd));
        }
        if column.is_position() {
            of.push(("ref", SYSTEM));
        }
        xml += &element("FIELD", &of, &description(&column.description));
    }
    xml
}

/// What the system of the positions is called within the file.
const SYSTEM: &str = "icrs";

fn text_type(is_wide: bool) -> &'static str {
    match is_wide {
        true => "unicodeChar",
        false => "char",
    }
}

fn description(text: &str) -> String {
    match text.is_empty() {
        true => String::new(),
        false => format!("<DESCRIPTION>{}</DESCRIPTION>\n", escaped(text)),
    }
}

fn element(name: &str, of: &[(&str, &str)], content: &str) -> String {
    let of = attributes(of);
    match content.is_empty() {
        true => format!("<{name}{of}/>\n"),
        false => format!("<{name}{of}>\n{content}</{name}>\n"),
    }
}

fn attributes(of: &[(&str, &str)]) -> String {
    let of = of.iter();
    of.map(|(name, value)| format!(" {name}=\"{}\"", escaped(value)))
        .collect()
}

/// A text in XML 1.0, which has no control characters.
fn escaped(text: &str) -> String {
    let mut xml = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => xml += "&amp;",
            '<' => xml += "&lt;",
            '>' => xml += "&gt;",
            '"' => xml += "&quot;",
            '\t' | '\n' | '\r' => {
                write!(xml, "&#{};", letter as u32).expect("a string takes everything");
            }
            letter if letter < ' ' || matches!(letter, '\u{fffe}' | '\u{ffff}') => {}
            letter => xml.push(letter),
        }
    }
    xml
}
