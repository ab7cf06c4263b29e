//! Tables as FITS: a binary table extension (FITS standard 4.0, section 7.3) behind an empty primary HDU.
//!
//! Units, UCDs and descriptions of columns stand where STIL has them and astropy keeps them: `TUNITn`, `TUCDn`, `TCOMMn`.
//! Written by hand: the crates that write FITS tables want the whole table in memory and name no units.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use serde_json::Value;

use super::fits_header::Header;
use super::stored::{Stored, Values};
use super::{CREATOR, Layout, creator};

/// Headers and data fill whole blocks of this many bytes.
const BLOCK: u64 = 2880;
/// Bytes that are written at once.
const BUFFER: usize = 1 << 20;
/// Columns that the standard allows.
pub(super) const MOST_COLUMNS: usize = 999;

/// Writes a table as FITS.
pub(super) struct FitsWriter {
    file: BufWriter<File>,
    /// Bytes of a text, of the columns of text; 0 of others.
    widths: Vec<usize>,
    /// Bytes of data so far.
    written: u64,
    row: Vec<u8>,
}

impl FitsWriter {
    pub fn create(path: &Path, layout: &Layout<'_>) -> io::Result<Self> {
        let mut file = BufWriter::with_capacity(BUFFER, File::create(path)?);
        file.write_all(&primary())?;
        file.write_all(&extension(layout))?;
        let width = |(_, stored)| match stored {
            Stored::Text(longest) => text_width(longest.bytes),
            _ => 0,
        };
        Ok(Self {
            file,
            widths: layout.columns().map(width).collect(),
            written: 0,
            row: Vec::new(),
        })
    }

    pub fn append(&mut self, rows: usize, columns: &[Values<'_>]) -> io::Result<()> {
        let Self { row, widths, .. } = self;
        for index in 0..rows {
            row.clear();
            for (values, width) in columns.iter().zip(widths.iter()) {
                match values {
                    Values::I64(values) => row.extend(values[index].to_be_bytes()),
                    Values::U64(values) => row.extend((values[index] ^ (1 << 63)).to_be_bytes()),
                    Values::F64(values) => row.extend(values[index].to_be_bytes()),
                    Values::F32(values) => row.extend(values[index].to_be_bytes()),
                    Values::I32(values) => row.extend(values[index].to_be_bytes()),
                    Values::F32Array(values) => {
                        let values = values.row(index);
                        row.extend(values.iter().flat_map(|value| value.to_be_bytes()));
                    }
                    Values::Texts(values) => {
                        let text = without_nul(&values[index]);
                        row.extend(text.as_bytes());
                        row.resize(row.len() + width - text.len(), 0);
                    }
                }
            }
            self.file.write_all(row)?;
            self.written += row.len() as u64;
        }
        Ok(())
    }

    pub fn finish(mut self) -> io::Result<()> {
        let padding = self.written.next_multiple_of(BLOCK) - self.written;
        self.file.write_all(&vec![0; padding as usize])?;
        self.file.flush()
    }
}

/// A text ends at its first NUL.
fn without_nul(text: &str) -> Cow<'_, str> {
    match text.contains('\0') {
        true => Cow::Owned(text.replace('\0', "")),
        false => Cow::Borrowed(text),
    }
}

/// Programs stumble over texts of no bytes.
fn text_width(longest: usize) -> usize {
    longest.max(1)
}

fn primary() -> Vec<u8> {
    let mut header = Header::default();
    header.logical("SIMPLE", true, "conforms to FITS standard 4.0");
    header.integer("BITPIX", 8, "");
    header.integer("NAXIS", 0, "no image");
    header.logical("EXTEND", true, "the table is an extension");
    header.text(CREATOR, &creator(), "");
    header.finished()
}

/// The header of the table.
fn extension(layout: &Layout<'_>) -> Vec<u8> {
    let mut header = Header::default();
    let fields: Vec<(String, usize)> = layout.columns().map(|(_, stored)| form(stored)).collect();
    let row_bytes: usize = fields.iter().map(|(_, bytes)| bytes).sum();
    header.text("XTENSION", "BINTABLE", "binary table");
    header.integer("BITPIX", 8, "");
    header.integer("NAXIS", 2, "");
    header.integer("NAXIS1", row_bytes, "bytes of a row");
    header.integer("NAXIS2", layout.rows, "rows");
    header.integer("PCOUNT", 0, "");
    header.integer("GCOUNT", 1, "");
    header.integer("TFIELDS", fields.len(), "columns");
    header.text("EXTNAME", &layout.head.name, "");
    header.text("LONGSTRN", "OGIP 1.0", "long texts go on in CONTINUE");
    for (number, ((column, stored), (form, _))) in layout.columns().zip(&fields).enumerate() {
        let key = |key: &str| format!("{key}{}", number + 1);
        header.text(&key("TTYPE"), &column.name, "");
        header.text(&key("TFORM"), form, "");
        if stored == Stored::U64 {
            header.integer(&key("TZERO"), 1_u64 << 63, "unsigned");
        }
        let texts = [
            ("TUNIT", column.unit.as_deref()),
            ("TUCD", column.ucd.as_deref()),
            ("TCOMM", Some(column.description.as_str())),
        ];
        for (name, text) in texts {
            if let Some(text) = text.filter(|text| !text.is_empty()) {
                header.text(&key(name), text, "");
            }
        }
    }
    let has_positions = layout.has_positions();
    if has_positions {
        header.text("RADESYS", "ICRS", "system of the positions");
    }
    for keyword in &layout.head.keywords {
        let (key, comment) = (keyword.key.as_str(), keyword.comment.as_str());
        match &keyword.value {
            Value::Bool(value) => header.logical(key, *value, comment),
            Value::Number(value) => match (value.as_i64(), value.as_u64(), value.as_f64()) {
                (Some(value), ..) => header.integer(key, value, comment),
                (_, Some(value), _) => header.integer(key, value, comment),
                (.., value) => header.real(key, value.unwrap_or_default(), comment),
            },
            Value::String(value) => header.text(key, value, comment),
            other => header.text(key, &other.to_string(), comment),
        }
    }
    header.comment(&layout.head.description);
    if !layout.head.provenance.is_null() {
        let json = in_ascii(&layout.head.provenance.to_string());
        header.text("PROVENAN", &json, "what it was made from, as JSON");
    }
    header.finished()
}

/// `TFORMn` and the bytes of a field.
fn form(stored: Stored) -> (String, usize) {
    match stored {
        Stored::I64 | Stored::U64 => ("K".to_owned(), 8),
        Stored::F64 => ("D".to_owned(), 8),
        Stored::F32 => ("E".to_owned(), 4),
        Stored::I32 => ("J".to_owned(), 4),
        Stored::F32Array(width) => (format!("{width}E"), 4 * width),
        Stored::Text(longest) => {
            let width = text_width(longest.bytes);
            (format!("{width}A"), width)
        }
    }
}

/// The same JSON in ASCII: other characters stand in texts alone, where they can be written by their number.
fn in_ascii(json: &str) -> String {
    let mut ascii = String::with_capacity(json.len());
    for letter in json.chars() {
        match letter.is_ascii() {
            true => ascii.push(letter),
            false => {
                let mut units = [0; 2];
                for unit in letter.encode_utf16(&mut units) {
                    ascii += &format!("\\u{unit:04x}");
                }
            }
        }
    }
    ascii
}
