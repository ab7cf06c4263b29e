//! Headers: what HDUs there are, their keywords, and where their data lie.

use std::collections::HashMap;
use std::io::SeekFrom;
use std::path::Path;
use std::sync::OnceLock;

use fitsrs::card::{Card, Value};
use fitsrs::hdu::header::extension::XtensionType;

use super::tiles::Tiles;
use crate::base::error::{Error, Result};
use crate::files::container::bytes::ReadSeek;
use crate::files::container::guard::guarded;

/// Bytes of a header card.
const CARD: usize = 80;
/// Headers and data fill whole blocks of this many bytes.
const BLOCK: u64 = 2880;

/// What an HDU holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HduKind {
    /// An array of numbers of any number of axes; none for a header alone.
    Image,
    /// An image compressed in tiles, stored as a binary table.
    CompressedImage,
    /// A binary table.
    Table,
    /// A table in text (`XTENSION = 'TABLE'`).
    TextTable,
    /// An extension of another kind.
    Other,
}

/// One header and data unit (HDU).
#[derive(Debug)]
pub struct Hdu {
    /// `EXTNAME`; `PRIMARY` for the first HDU without one, empty for another.
    pub name: String,
    /// What the HDU holds.
    pub kind: HduKind,
    header: HashMap<String, Value>,
    /// First byte of the data in the file.
    pub(super) offset: u64,
    /// Bytes of data by the header.
    pub(super) size: u64,
    /// How a compressed image is stored, once it is asked for.
    pub(super) tiles: OnceLock<Tiles>,
}

impl Hdu {
    /// A keyword's number; `None` where it is absent or no number.
    pub fn number(&self, key: &str) -> Option<f64> {
        match self.header.get(key)? {
            Value::Integer { value, .. } => Some(*value as f64),
            Value::Float { value, .. } => Some(*value),
            _ => None,
        }
    }

    /// A keyword's integer; `None` where it is absent or none.
    pub fn integer(&self, key: &str) -> Option<i64> {
        match self.header.get(key)? {
            Value::Integer { value, .. } => Some(*value),
            _ => None,
        }
    }

    /// A keyword's text without trailing blanks; `None` where it is absent or no text.
    pub fn text(&self, key: &str) -> Option<&str> {
        match self.header.get(key)? {
            Value::String { value, .. } => Some(value.trim_end()),
            _ => None,
        }
    }

    pub(super) fn size_of(&self, key: &str) -> Option<usize> {
        usize::try_from(self.integer(key)?).ok()
    }
}

/// Walks from header to header.
pub(super) struct Headers<'a> {
    pub(super) path: &'a Path,
    /// Bytes of the file.
    pub(super) length: u64,
    pub(super) reader: Box<dyn ReadSeek + 'a>,
}

/// The cards of a header.
struct Cards {
    first: [u8; CARD],
    count: u64,
    values: HashMap<String, Value>,
}

impl Headers<'_> {
    pub(super) fn read(&mut self) -> Result<Vec<Hdu>> {
        let mut hdus: Vec<Hdu> = Vec::new();
        let mut start = 0;
        // What is left at the end, short of a block, is padding.
        while start + BLOCK <= self.length {
            let number = hdus.len();
            let Some(cards) = self.cards(start, number)? else {
                return Ok(hdus);
            };
            let impossible = || self.damaged(number, "gives no sizes that can be");
            let offset = (start + cards.count * CARD as u64).next_multiple_of(BLOCK);
            let mut hdu = Hdu {
                name: String::new(),
                kind: kind(&cards.first, &cards.values),
                header: cards.values,
                offset,
                size: 0,
                tiles: OnceLock::new(),
            };
            hdu.name = match (hdu.text("EXTNAME"), number) {
                (Some(name), _) => name.to_owned(),
                (None, 0) => "PRIMARY".to_owned(),
                (None, _) => String::new(),
            };
            hdu.size = data_size(&hdu).ok_or_else(impossible)?;
            start = hdu
                .size
                .checked_next_multiple_of(BLOCK)
                .and_then(|size| offset.checked_add(size))
                .ok_or_else(impossible)?;
            hdus.push(hdu);
        }
        match hdus.is_empty() {
            true => Err(Error::input(format!(
                "FITS file without a whole header ({} bytes); it is cut short",
                self.length
            ))
            .in_file(self.path)),
            false => Ok(hdus),
        }
    }

    /// The cards of the header of HDU `number`, which begins at byte `start`; `None` where none begins there.
    fn cards(&mut self, start: u64, number: usize) -> Result<Option<Cards>> {
        self.reader
            .seek(SeekFrom::Start(start))
            .map_err(|source| Error::reading(self.path, source))?;
        let mut cards = Cards {
            first: [0; CARD],
            count: 0,
            values: HashMap::new(),
        };
        let mut continued: Option<String> = None;
        loop {
            let mut bytes = [0; CARD];
            self.reader
                .read_exact(&mut bytes)
                .map_err(|_| self.damaged(number, "does not end"))?;
            if cards.count == 0 {
                cards.first = bytes;
                if number > 0 && !bytes.starts_with(b"XTENSION") {
                    // Special records, which old files have at their end.
                    return Ok(None);
                }
            }
            cards.count += 1;
            if bytes.trim_ascii_end() == b"END" {
                return Ok(Some(cards));
            }
            match card(&bytes) {
                Card::Value { name, value } | Card::Hierarch { name, value } => {
                    continued = match &value {
                        Value::String { value, .. } if value.ends_with('&') => Some(name.clone()),
                        _ => None,
                    };
                    cards.values.insert(name, value);
                }
                Card::Continuation {
                    string: Some(more), ..
                } => {
                    let before = continued
                        .as_ref()
                        .and_then(|name| cards.values.get_mut(name));
                    if let Some(Value::String { value, .. }) = before {
                        value.truncate(value.trim_end_matches('&').len());
                        value.push_str(&more);
                    }
                }
                // Comments, and what breaks the standard: the keywords that matter are checked later.
                _ => {}
            }
        }
    }

    fn damaged(&self, number: usize, what: &str) -> Error {
        Error::input(format!(
            "the header of HDU {number} {what}; the file is damaged or cut short"
        ))
        .in_file(self.path)
    }
}

/// What a card says; nothing where it breaks the standard. (Of a value that is a lone quote the library makes a panic.)
fn card(bytes: &[u8; CARD]) -> Card {
    let read = guarded(|| Card::try_from(bytes));
    read.ok().and_then(Result::ok).unwrap_or(Card::Space)
}

fn kind(first: &[u8; CARD], header: &HashMap<String, Value>) -> HduKind {
    match card(first) {
        Card::Xtension { x, .. } => match (x, header.get("ZIMAGE")) {
            (XtensionType::Image, _) => HduKind::Image,
            (XtensionType::BinTable, Some(Value::Logical { value: true, .. })) => {
                HduKind::CompressedImage
            }
            (XtensionType::BinTable, _) => HduKind::Table,
            (XtensionType::AsciiTable, _) => HduKind::TextTable,
        },
        _ if first.starts_with(b"SIMPLE") => HduKind::Image,
        _ => HduKind::Other,
    }
}

/// Bytes of data: |BITPIX| / 8 · GCOUNT · (PCOUNT + NAXIS1 · NAXIS2 · …) (FITS standard 4.0, section 4.4.1).
fn data_size(hdu: &Hdu) -> Option<u64> {
    let axes = hdu.integer("NAXIS")?;
    if axes == 0 {
        return Some(0);
    }
    let count = |key: &str| u64::try_from(hdu.integer(key)?).ok();
    let mut elements: u64 = 1;
    for axis in 1..=axes {
        elements = elements.checked_mul(count(&format!("NAXIS{axis}"))?)?;
    }
    let bytes = hdu.integer("BITPIX")?.unsigned_abs() / 8;
    elements
        .checked_add(count("PCOUNT").unwrap_or(0))?
        .checked_mul(count("GCOUNT").unwrap_or(1))?
        .checked_mul(bytes)
}
