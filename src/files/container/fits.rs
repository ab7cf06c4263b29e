//! FITS files (FITS standard 4.0): headers, images, and the rows of binary tables.
//!
//! `fitsrs` reads the cards of the headers. (Its own walk from HDU to HDU refuses tables with columns of
//! bits.) The data are fixed-width big-endian numbers, read here in blocks of rows. Tile-compressed images,
//! columns of variable length and ASCII tables are refused by name.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

use fitsrs::card::{Card, Value};
use fitsrs::hdu::header::extension::XtensionType;
use ndarray::{ArrayD, IxDyn};

use crate::base::error::{Error, Result};

/// Bytes of a header card.
const CARD: usize = 80;
/// Headers and data fill whole blocks of this many bytes.
const BLOCK: u64 = 2880;
/// Bytes of rows in memory at once.
const BLOCK_BYTES: usize = 16 << 20;

/// An open FITS file.
#[derive(Debug)]
pub struct FitsFile {
    path: PathBuf,
    file: File,
    hdus: Vec<Hdu>,
}

/// What an HDU holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HduKind {
    /// An array of numbers of any number of axes; none for a header alone.
    Image,
    /// An image compressed in tiles, stored as a binary table.
    CompressedImage,
    /// A binary table.
    Table,
    /// A table in text, or an extension of another kind.
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
    offset: u64,
    /// Bytes of data by the header.
    size: u64,
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

    fn size_of(&self, key: &str) -> Option<usize> {
        usize::try_from(self.integer(key)?).ok()
    }
}

/// How the numbers of a table field are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldType {
    /// `L`: `T`, `F` or 0 for unknown.
    Logical,
    /// `B`.
    U8,
    /// `I`.
    I16,
    /// `J`.
    I32,
    /// `K`.
    I64,
    /// `E`.
    F32,
    /// `D`.
    F64,
    /// `A`: one text, however many bytes.
    Text,
    /// Bits, complex numbers, arrays of variable length: not read.
    Other,
}

/// One field of a table's rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// `TTYPEn`.
    pub name: String,
    /// Type of its elements.
    pub field_type: FieldType,
    /// Number of elements; bytes of a text.
    pub count: usize,
    /// First byte within the row.
    pub offset: usize,
    /// `TSCALn` and `TZEROn`: a stored number means `scale · stored + zero`.
    pub scaling: (f64, f64),
    /// `TNULLn`: the stored integer that means "unknown".
    pub null: Option<i64>,
}

/// A number as it is stored in an image or a table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Stored {
    Integer(i64),
    Real(f64),
}

impl FieldType {
    /// Bytes of an element.
    fn bytes(self) -> usize {
        match self {
            Self::Logical | Self::U8 | Self::Text | Self::Other => 1,
            Self::I16 => 2,
            Self::I32 | Self::F32 => 4,
            Self::I64 | Self::F64 => 8,
        }
    }

    /// The number in these bytes; `None` for a logical that is unknown, and for texts.
    pub(crate) fn decode(self, bytes: &[u8]) -> Option<Stored> {
        Some(match self {
            Self::Logical => match bytes[0] {
                b'T' => Stored::Integer(1),
                b'F' => Stored::Integer(0),
                _ => return None,
            },
            Self::U8 => Stored::Integer(i64::from(bytes[0])),
            Self::I16 => Stored::Integer(i64::from(i16::from_be_bytes(bytes.try_into().ok()?))),
            Self::I32 => Stored::Integer(i64::from(i32::from_be_bytes(bytes.try_into().ok()?))),
            Self::I64 => Stored::Integer(i64::from_be_bytes(bytes.try_into().ok()?)),
            Self::F32 => Stored::Real(f64::from(f32::from_be_bytes(bytes.try_into().ok()?))),
            Self::F64 => Stored::Real(f64::from_be_bytes(bytes.try_into().ok()?)),
            Self::Text | Self::Other => return None,
        })
    }
}

impl Field {
    /// Bytes of element `index` in a row.
    pub(crate) fn element<'a>(&self, row: &'a [u8], index: usize) -> &'a [u8] {
        let bytes = self.field_type.bytes();
        let start = self.offset + index * bytes;
        &row[start..start + bytes]
    }

    /// The text of a field in a row: up to the first NUL, without trailing blanks.
    pub(crate) fn text(&self, row: &[u8]) -> String {
        let bytes = &row[self.offset..self.offset + self.count];
        let end = bytes.iter().position(|&byte| byte == 0);
        String::from_utf8_lossy(&bytes[..end.unwrap_or(self.count)])
            .trim_end()
            .to_owned()
    }
}

/// The shape of a binary table.
#[derive(Debug, Clone, PartialEq)]
pub struct TableLayout {
    /// Number of rows.
    pub rows: usize,
    /// Fields of a row.
    pub fields: Vec<Field>,
    row_bytes: usize,
}

impl FitsFile {
    /// Opens a file and reads its headers.
    ///
    /// # Errors
    /// Where the file cannot be read, or a header breaks the standard.
    pub fn open(path: &Path) -> Result<Self> {
        let reading = |source| Error::reading(path, source);
        let file = File::open(path).map_err(reading)?;
        let hdus = Headers {
            path,
            length: file.metadata().map_err(reading)?.len(),
            reader: BufReader::new(file.try_clone().map_err(reading)?),
        }
        .read()?;
        Ok(Self {
            path: path.to_owned(),
            file,
            hdus,
        })
    }

    /// The HDUs in the order of the file.
    pub fn hdus(&self) -> &[Hdu] {
        &self.hdus
    }

    /// The first HDU of this name, in whatever case.
    pub fn hdu(&self, name: &str) -> Option<&Hdu> {
        self.hdus
            .iter()
            .find(|hdu| hdu.name.eq_ignore_ascii_case(name))
    }

    /// An error about an HDU.
    pub fn error(&self, hdu: &Hdu, message: impl std::fmt::Display) -> Error {
        Error::input(format!("HDU `{}` {message}", hdu.name)).in_file(&self.path)
    }

    /// The shape of an image, the slowest axis first (the reverse of `NAXISn`, as NumPy has it).
    ///
    /// # Errors
    /// Where the HDU is no image or holds none, or is compressed.
    pub fn image_shape(&self, hdu: &Hdu) -> Result<Vec<usize>> {
        if hdu.kind == HduKind::CompressedImage {
            return Err(self.error(hdu, "is a tile-compressed image; unpack it first (funpack)"));
        }
        let axes = hdu.size_of("NAXIS").unwrap_or(0);
        if hdu.kind != HduKind::Image || axes == 0 {
            return Err(self.error(hdu, "holds no image"));
        }
        let mut shape = (1..=axes)
            .map(|axis| hdu.size_of(&format!("NAXIS{axis}")))
            .collect::<Option<Vec<usize>>>()
            .ok_or_else(|| self.error(hdu, "has an axis without a length"))?;
        shape.reverse();
        Ok(shape)
    }

    /// Reads an image of the shape of [`FitsFile::image_shape`]: scaled by `BSCALE` and `BZERO`, NaN where
    /// an integer is `BLANK`.
    ///
    /// # Errors
    /// Where the HDU is no image or holds none, is compressed, or the file is cut short.
    pub fn image(&self, hdu: &Hdu) -> Result<ArrayD<f64>> {
        let shape = self.image_shape(hdu)?;
        let values = self.image_rows(hdu, 0..shape[0])?;
        Ok(ArrayD::from_shape_vec(IxDyn(&shape), values).expect("as many values as pixels"))
    }

    /// Reads some rows of an image, those of its slowest axis, one after the other.
    ///
    /// # Errors
    /// As [`FitsFile::image`], and where there are no such rows.
    pub fn image_rows(&self, hdu: &Hdu, rows: Range<usize>) -> Result<Vec<f64>> {
        let shape = self.image_shape(hdu)?;
        if rows.end > shape[0] || rows.start > rows.end {
            return Err(self.error(
                hdu,
                format!("has {} rows, not {} to {}", shape[0], rows.start, rows.end),
            ));
        }
        let field_type = match hdu.integer("BITPIX") {
            Some(8) => FieldType::U8,
            Some(16) => FieldType::I16,
            Some(32) => FieldType::I32,
            Some(64) => FieldType::I64,
            Some(-32) => FieldType::F32,
            Some(-64) => FieldType::F64,
            other => return Err(self.error(hdu, format!("has BITPIX = {other:?}"))),
        };
        let scale = hdu.number("BSCALE").unwrap_or(1.0);
        let zero = hdu.number("BZERO").unwrap_or(0.0);
        let blank = hdu.integer("BLANK");
        let row = shape[1..]
            .iter()
            .try_fold(1usize, |product, &axis| product.checked_mul(axis));
        let (first, count) = row
            .and_then(|row| Some((row.checked_mul(rows.start)?, row.checked_mul(rows.len())?)))
            .ok_or_else(|| self.error(hdu, "is too large"))?;
        let mut values = Vec::new();
        self.blocks(hdu, field_type.bytes(), first, count, |bytes| {
            let value = match field_type.decode(bytes) {
                Some(Stored::Integer(stored)) if Some(stored) == blank => f64::NAN,
                Some(Stored::Integer(stored)) => scale * stored as f64 + zero,
                Some(Stored::Real(stored)) => scale * stored + zero,
                None => f64::NAN,
            };
            values.push(value);
        })?;
        Ok(values)
    }

    /// The shape of a binary table.
    ///
    /// # Errors
    /// Where the HDU is none, or its header contradicts itself.
    pub fn table(&self, hdu: &Hdu) -> Result<TableLayout> {
        if hdu.kind != HduKind::Table {
            return Err(self.error(hdu, "is no binary table"));
        }
        let size = |key: &str| {
            hdu.size_of(key)
                .ok_or_else(|| self.error(hdu, format!("has no {key}")))
        };
        let (row_bytes, rows, count) = (size("NAXIS1")?, size("NAXIS2")?, size("TFIELDS")?);
        let mut fields = Vec::new();
        let mut offset: usize = 0;
        for number in 1..=count {
            let key = format!("TFORM{number}");
            let form = hdu
                .text(&key)
                .ok_or_else(|| self.error(hdu, format!("has no {key}")))?
                .trim_start();
            let (field_type, count, bytes) =
                parse_form(form).ok_or_else(|| self.error(hdu, format!("has {key} = '{form}'")))?;
            let name = hdu.text(&format!("TTYPE{number}")).unwrap_or("").trim();
            fields.push(Field {
                name: name.to_owned(),
                field_type,
                count,
                offset,
                scaling: (
                    hdu.number(&format!("TSCAL{number}")).unwrap_or(1.0),
                    hdu.number(&format!("TZERO{number}")).unwrap_or(0.0),
                ),
                null: hdu.integer(&format!("TNULL{number}")),
            });
            offset = offset.saturating_add(bytes);
        }
        if offset != row_bytes {
            return Err(self.error(
                hdu,
                format!("has rows of {row_bytes} bytes by NAXIS1 and of {offset} by its fields"),
            ));
        }
        Ok(TableLayout {
            rows,
            fields,
            row_bytes,
        })
    }

    /// Hands `take` the bytes of every row of a table, in order.
    ///
    /// # Errors
    /// Where the file cannot be read or is cut short.
    pub fn rows(&self, hdu: &Hdu, table: &TableLayout, take: impl FnMut(&[u8])) -> Result<()> {
        self.blocks(hdu, table.row_bytes, 0, table.rows, take)
    }

    /// The numbers of a table's field that has one of them, integers as they are stored; `None` where there
    /// is no such field.
    ///
    /// # Errors
    /// Where the file cannot be read, or the field holds no numbers.
    pub fn numbers(&self, hdu: &Hdu, name: &str) -> Result<Option<Vec<f64>>> {
        self.decoded(hdu, name, |field, row| {
            let (scale, zero) = field.scaling;
            match field.field_type.decode(field.element(row, 0)) {
                Some(Stored::Integer(value)) if Some(value) == field.null => f64::NAN,
                Some(Stored::Integer(value)) => scale * value as f64 + zero,
                Some(Stored::Real(value)) => scale * value + zero,
                None => f64::NAN,
            }
        })
    }

    /// The integers of a table's field, unscaled; `None` where there is no such field.
    ///
    /// # Errors
    /// Where the file cannot be read, or the field holds no numbers.
    pub fn integers(&self, hdu: &Hdu, name: &str) -> Result<Option<Vec<i64>>> {
        self.decoded(hdu, name, |field, row| {
            match field.field_type.decode(field.element(row, 0)) {
                Some(Stored::Integer(value)) => value,
                Some(Stored::Real(value)) => value as i64,
                None => 0,
            }
        })
    }

    /// The texts of a table's field; `None` where there is no such field of texts.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn texts(&self, hdu: &Hdu, name: &str) -> Result<Option<Vec<String>>> {
        let table = self.table(hdu)?;
        let Some(field) = table
            .field(name)
            .filter(|f| f.field_type == FieldType::Text)
        else {
            return Ok(None);
        };
        let mut texts = Vec::with_capacity(table.rows);
        self.rows(hdu, &table, |row| texts.push(field.text(row)))?;
        Ok(Some(texts))
    }

    fn decoded<T>(
        &self,
        hdu: &Hdu,
        name: &str,
        decode: impl Fn(&Field, &[u8]) -> T,
    ) -> Result<Option<Vec<T>>> {
        let table = self.table(hdu)?;
        let Some(field) = table.field(name) else {
            return Ok(None);
        };
        if matches!(field.field_type, FieldType::Text | FieldType::Other) || field.count == 0 {
            return Err(self.error(hdu, format!("has no numbers in its column {name}")));
        }
        let mut values = Vec::with_capacity(table.rows);
        self.rows(hdu, &table, |row| values.push(decode(field, row)))?;
        Ok(Some(values))
    }

    /// Hands `take` `count` items of `bytes` bytes of an HDU's data, from the item `first` on.
    fn blocks(
        &self,
        hdu: &Hdu,
        bytes: usize,
        first: usize,
        count: usize,
        mut take: impl FnMut(&[u8]),
    ) -> Result<()> {
        let cut_short = || self.error(hdu, "is cut short; fetch the file again");
        let skipped = (bytes as u64).saturating_mul(first as u64);
        let needed = (bytes as u64)
            .checked_mul(count as u64)
            .and_then(|needed| needed.checked_add(skipped));
        if bytes == 0 || count == 0 {
            return Ok(());
        }
        let length = self
            .file
            .metadata()
            .map_err(|source| Error::reading(&self.path, source))?
            .len();
        match needed {
            Some(needed) if needed <= hdu.size && hdu.offset.saturating_add(needed) <= length => {}
            _ => return Err(cut_short()),
        }
        let mut reader = &self.file;
        reader
            .seek(SeekFrom::Start(hdu.offset + skipped))
            .map_err(|source| Error::reading(&self.path, source))?;
        let together = (BLOCK_BYTES / bytes).clamp(1, count);
        let mut block = vec![0; together * bytes];
        let mut done = 0;
        while done < count {
            let items = together.min(count - done);
            let part = &mut block[..items * bytes];
            reader.read_exact(part).map_err(|_| cut_short())?;
            part.chunks_exact(bytes).for_each(&mut take);
            done += items;
        }
        Ok(())
    }
}

impl TableLayout {
    /// The field of this name, in whatever case.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields
            .iter()
            .find(|field| field.name.eq_ignore_ascii_case(name))
    }
}

/// Walks from header to header.
struct Headers<'a> {
    path: &'a Path,
    length: u64,
    reader: BufReader<File>,
}

impl Headers<'_> {
    fn read(&mut self) -> Result<Vec<Hdu>> {
        let mut hdus: Vec<Hdu> = Vec::new();
        let mut start = 0;
        // What is left at the end, short of a block, is padding.
        while start + BLOCK <= self.length {
            let number = hdus.len();
            let damaged = |what: &str| {
                Error::input(format!(
                    "the header of HDU {number} {what}; the file is damaged or cut short"
                ))
                .in_file(self.path)
            };
            self.reader
                .seek(SeekFrom::Start(start))
                .map_err(|source| Error::reading(self.path, source))?;
            let mut header = HashMap::new();
            let mut first = [0; CARD];
            let mut cards: u64 = 0;
            let mut continued: Option<String> = None;
            loop {
                let mut bytes = [0; CARD];
                self.reader
                    .read_exact(&mut bytes)
                    .map_err(|_| damaged("does not end"))?;
                if cards == 0 {
                    first = bytes;
                    if number > 0 && !first.starts_with(b"XTENSION") {
                        // Special records, which old files have at their end.
                        return Ok(hdus);
                    }
                }
                cards += 1;
                if bytes.trim_ascii_end() == b"END" {
                    break;
                }
                match Card::try_from(&bytes) {
                    Ok(Card::Value { name, value } | Card::Hierarch { name, value }) => {
                        continued = match &value {
                            Value::String { value, .. } if value.ends_with('&') => {
                                Some(name.clone())
                            }
                            _ => None,
                        };
                        header.insert(name, value);
                    }
                    Ok(Card::Continuation {
                        string: Some(more), ..
                    }) => {
                        let before = continued.as_ref().and_then(|name| header.get_mut(name));
                        if let Some(Value::String { value, .. }) = before {
                            value.truncate(value.trim_end_matches('&').len());
                            value.push_str(&more);
                        }
                    }
                    // Comments, and what breaks the standard: the keywords that matter are checked below.
                    _ => {}
                }
            }
            let offset = (start + cards * CARD as u64).next_multiple_of(BLOCK);
            let mut hdu = Hdu {
                name: String::new(),
                kind: kind(&first, &header),
                header,
                offset,
                size: 0,
            };
            hdu.name = match (hdu.text("EXTNAME"), number) {
                (Some(name), _) => name.to_owned(),
                (None, 0) => "PRIMARY".to_owned(),
                (None, _) => String::new(),
            };
            hdu.size = data_size(&hdu).ok_or_else(|| damaged("gives no sizes that can be"))?;
            start = hdu
                .size
                .checked_next_multiple_of(BLOCK)
                .and_then(|size| offset.checked_add(size))
                .ok_or_else(|| damaged("gives no sizes that can be"))?;
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
}

fn kind(first: &[u8; CARD], header: &HashMap<String, Value>) -> HduKind {
    match Card::try_from(first) {
        Ok(Card::Xtension { x, .. }) => match (x, header.get("ZIMAGE")) {
            (XtensionType::Image, _) => HduKind::Image,
            (XtensionType::BinTable, Some(Value::Logical { value: true, .. })) => {
                HduKind::CompressedImage
            }
            (XtensionType::BinTable, _) => HduKind::Table,
            _ => HduKind::Other,
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

/// Type, number of elements, and bytes of a field from its `TFORMn`; `None` where it breaks the standard.
fn parse_form(form: &str) -> Option<(FieldType, usize, usize)> {
    let digits = form.len() - form.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let count = match &form[..digits] {
        "" => 1,
        digits => digits.parse().ok()?,
    };
    let letter = form[digits..].chars().next()?;
    let field_type = match letter {
        'L' => FieldType::Logical,
        'B' => FieldType::U8,
        'I' => FieldType::I16,
        'J' => FieldType::I32,
        'K' => FieldType::I64,
        'E' => FieldType::F32,
        'D' => FieldType::F64,
        'A' => FieldType::Text,
        'X' => return Some((FieldType::Other, 0, usize::div_ceil(count, 8))),
        'C' | 'P' => return Some((FieldType::Other, 0, count.checked_mul(8)?)),
        'M' | 'Q' => return Some((FieldType::Other, 0, count.checked_mul(16)?)),
        _ => return None,
    };
    Some((field_type, count, count.checked_mul(field_type.bytes())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(mut bytes: Vec<u8>, with: u8) -> Vec<u8> {
        bytes.resize(bytes.len().next_multiple_of(2880), with);
        bytes
    }

    fn header(cards: &[&str]) -> Vec<u8> {
        let cards: String = cards.iter().map(|card| format!("{card:<80}")).collect();
        block(cards.into_bytes(), b' ')
    }

    #[test]
    fn images_are_scaled_with_the_slowest_axis_first() {
        let mut bytes = header(&[
            "SIMPLE  =                    T",
            "BITPIX  =                   16",
            "NAXIS   =                    2",
            "NAXIS1  =                    3",
            "NAXIS2  =                    2",
            "BSCALE  =                  0.5",
            "BZERO   =                 10.0",
            "BLANK   =                   -1",
            "OBJECT  = 'a long &'",
            "CONTINUE  'name'",
            "END",
        ]);
        let pixels = [0i16, 2, 4, -1, 8, 10];
        bytes.extend(block(
            pixels
                .iter()
                .flat_map(|pixel| pixel.to_be_bytes())
                .collect(),
            0,
        ));
        bytes.extend(header(&[
            "XTENSION= 'IMAGE   '",
            "BITPIX  =                  -64",
            "NAXIS   =                    1",
            "NAXIS1  =                    2",
            "PCOUNT  =                    0",
            "GCOUNT  =                    1",
            "EXTNAME = 'B_WAVELENGTH'",
            "END",
        ]));
        bytes.extend(3600.0f64.to_be_bytes());
        bytes.extend(3600.8f64.to_be_bytes());
        // Not padded to a whole block, as some programs leave it.
        let path = tempfile::NamedTempFile::new().unwrap().into_temp_path();
        std::fs::write(&path, &bytes).unwrap();

        let file = FitsFile::open(&path).unwrap();
        assert_eq!(file.hdus().len(), 2);
        let primary = &file.hdus()[0];
        assert_eq!(primary.text("OBJECT"), Some("a long name"));
        let image = file.image(primary).unwrap();
        assert_eq!(image.shape(), [2, 3]);
        assert_eq!((image[[0, 2]], image[[1, 1]]), (12.0, 14.0));
        assert!(image[[1, 0]].is_nan());
        let wavelengths = file.hdu("b_wavelength").unwrap();
        assert_eq!(
            file.image(wavelengths).unwrap().as_slice(),
            Some([3600.0, 3600.8].as_slice())
        );
        assert!(file.table(wavelengths).is_err());

        std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        let file = FitsFile::open(&path).unwrap();
        let message = file.image(&file.hdus()[1]).unwrap_err().to_string();
        assert!(
            message.contains("HDU `B_WAVELENGTH` is cut short"),
            "{message}"
        );
    }
}
