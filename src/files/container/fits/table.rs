//! Tables: their fields, their rows, and whole columns.

use super::number::{Scaling, Stored};
use super::{FieldType, FitsFile, Hdu, HduKind};
use crate::base::error::Result;
use crate::files::container::decoded;

/// One field of a table's rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// `TTYPEn`.
    pub name: String,
    /// Type of its elements.
    pub field_type: FieldType,
    /// Number of elements; bytes of all texts.
    pub count: usize,
    /// Bytes of one text, or of one number in text: all of them but where `TDIMn` or `TFORMn` says that there are several.
    pub text_bytes: usize,
    /// First byte within the row.
    pub offset: usize,
    /// `TSCALn`, `TZEROn` and `TNULLn`.
    pub(crate) scaling: Scaling,
    /// What stands for unknown in a table in text, `TNULLn`.
    pub(super) null_text: Option<String>,
}

impl Field {
    /// Whether its values are written in text, and so may be none.
    pub(crate) fn is_in_text(&self) -> bool {
        matches!(self.field_type, FieldType::Digits | FieldType::Decimals(_))
    }

    /// What is stored in element `index` of a row; `None` where that is nothing.
    fn stored(&self, row: &[u8], index: usize) -> Option<Stored> {
        let element = self.element(row, index);
        match self.is_null(element) {
            true => None,
            false => self.field_type.decode(element),
        }
    }

    /// Whether the bytes of an element are `TNULLn` of a table in text.
    fn is_null(&self, element: &[u8]) -> bool {
        let null = self.null_text.as_deref();
        null.is_some_and(|null| element.trim_ascii() == null.trim().as_bytes())
    }

    /// What element `index` means in a row; NaN where that is unknown.
    pub(crate) fn number(&self, row: &[u8], index: usize) -> f64 {
        self.scaling.number(self.stored(row, index))
    }

    /// The integer that element `index` means in a row; `None` where that is unknown or no integer.
    pub(crate) fn integer(&self, row: &[u8], index: usize) -> Option<i128> {
        self.scaling.integer(self.stored(row, index))
    }

    /// Bytes of element `index` in a row.
    pub(super) fn element<'a>(&self, row: &'a [u8], index: usize) -> &'a [u8] {
        let bytes = match self.is_in_text() {
            true => self.text_bytes,
            false => self.field_type.bytes(),
        };
        let start = self.offset + index * bytes;
        &row[start..start + bytes]
    }

    /// Number of texts in a row.
    pub(crate) fn texts(&self) -> usize {
        self.count.checked_div(self.text_bytes).unwrap_or(0)
    }

    /// Text `index` of a field in a row: up to the first NUL, without trailing blanks.
    pub(crate) fn text(&self, row: &[u8], index: usize) -> String {
        let start = self.offset + index * self.text_bytes;
        let bytes = &row[start..start + self.text_bytes];
        if self.is_null(bytes) {
            return String::new();
        }
        let end = bytes.iter().position(|&byte| byte == 0);
        decoded(&bytes[..end.unwrap_or(self.text_bytes)])
            .trim_end()
            .to_owned()
    }
}

/// The shape of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct TableLayout {
    /// Number of rows.
    pub rows: usize,
    /// Fields of a row.
    pub fields: Vec<Field>,
    pub(super) row_bytes: usize,
}

impl TableLayout {
    pub(super) fn row_bytes(&self) -> usize {
        self.row_bytes
    }

    /// The field of this name, in whatever case.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields
            .iter()
            .find(|field| field.name.eq_ignore_ascii_case(name))
    }
}

impl FitsFile {
    /// The shape of a table.
    ///
    /// # Errors
    /// Where the HDU is none, or its header contradicts itself.
    pub fn table(&self, hdu: &Hdu) -> Result<TableLayout> {
        match hdu.kind {
            HduKind::Table => self.layout(hdu),
            HduKind::TextTable => self.text_layout(hdu),
            _ => Err(self.error(hdu, "is no table")),
        }
    }

    /// The shape of a binary table, be it a compressed image.
    pub(super) fn layout(&self, hdu: &Hdu) -> Result<TableLayout> {
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
                text_bytes: text_bytes(form, hdu.text(&format!("TDIM{number}")), count),
                offset,
                scaling: Scaling::new(
                    hdu.number(&format!("TSCAL{number}")).unwrap_or(1.0),
                    hdu.number(&format!("TZERO{number}")).unwrap_or(0.0),
                    hdu.integer(&format!("TNULL{number}")),
                ),
                null_text: None,
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

    /// The numbers of a table's field, the first of each row, NaN where they are unknown; `None` where there is no such
    /// field.
    ///
    /// # Errors
    /// Where the file cannot be read, or the field holds no numbers.
    pub fn numbers(&self, hdu: &Hdu, name: &str) -> Result<Option<Vec<f64>>> {
        self.decoded(hdu, name, |field, row| field.number(row, 0))
    }

    /// The integers of a table's field, the first of each row, `None` where they are unknown or none; `None` where there
    /// is no such field.
    ///
    /// # Errors
    /// Where the file cannot be read, or the field holds no numbers.
    pub fn integers(&self, hdu: &Hdu, name: &str) -> Result<Option<Vec<Option<i128>>>> {
        self.decoded(hdu, name, |field, row| field.integer(row, 0))
    }

    /// The texts of a table's field; `None` where there is no such field of texts.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn texts(&self, hdu: &Hdu, name: &str) -> Result<Option<Vec<String>>> {
        let table = self.table(hdu)?;
        let Some(field) = table
            .field(name)
            .filter(|f| f.field_type == FieldType::Text && f.count > 0)
        else {
            return Ok(None);
        };
        let mut texts = Vec::new();
        self.rows(hdu, &table, |row| texts.push(field.text(row, 0)))?;
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
        let mut values = Vec::new();
        self.rows(hdu, &table, |row| values.push(decode(field, row)))?;
        Ok(Some(values))
    }
}

/// Bytes of one of the texts of a field of `count` bytes: the first axis of `TDIMn`, `(5,4)`, or what stands behind the
/// type, `20A5` or `20A:SSTR5/32`; all where neither divides them.
fn text_bytes(form: &str, axes: Option<&str>, count: usize) -> usize {
    let digits = |text: &str| {
        let text = text.trim_start();
        let end = text.find(|c: char| !c.is_ascii_digit());
        text[..end.unwrap_or(text.len())].parse::<usize>().ok()
    };
    let by_axes = axes.and_then(|axes| digits(axes.trim_start().strip_prefix('(')?));
    let by_form = || {
        let (_, rest) = form.split_once('A')?;
        digits(rest.strip_prefix(":SSTR").unwrap_or(rest))
    };
    let divides = |bytes: &usize| *bytes > 0 && count.is_multiple_of(*bytes);
    by_axes.or_else(by_form).filter(divides).unwrap_or(count)
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
