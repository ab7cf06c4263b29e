//! The first binary table of a FITS file.

use std::path::Path;

use super::table::{Column, IntegerBuilder, Values, WIDEST, element_name};
use crate::base::error::{Error, Result};
use crate::files::container::fits::{Field, FieldType, FitsFile, HduKind, Stored};

/// `TZERO` of a column of unsigned 16-bit integers, 2^15.
const LEAST_UNSIGNED_ZERO: i128 = 1 << 15;
/// `TZERO` of a column of unsigned 64-bit integers, 2^63: no larger one is an offset of integers.
const LARGEST_ZERO: f64 = 9_223_372_036_854_775_808.0;

enum Builder {
    Integers(Integers),
    Floats(Vec<f64>),
    Texts(Vec<String>),
}

/// Integers with what is added to the stored ones.
#[derive(Default)]
struct Integers {
    values: IntegerBuilder,
    zero: i128,
    /// Whether a stored integer is `TNULLn`.
    has_null: bool,
    /// Rows of which not the stored integer is `TNULLn` but what it means.
    null_by_meaning: Vec<usize>,
}

impl Integers {
    fn push(&mut self, stored: Option<i64>, null: Option<i64>) {
        if stored.is_some() && stored == null {
            self.has_null = true;
            return self.values.push(None::<i64>);
        }
        let meant = stored.map(|stored| i128::from(stored) + self.zero);
        if self.zero >= LEAST_UNSIGNED_ZERO && meant.is_some() && meant == null.map(i128::from) {
            self.null_by_meaning.push(self.values.len());
        }
        self.values.push(meant);
    }

    /// The standard compares `TNULLn` with what is stored. astropy writes there what unsigned integers mean.
    fn finish(mut self, told: impl Fn(usize)) -> Values {
        if !self.has_null && !self.null_by_meaning.is_empty() {
            told(self.null_by_meaning.len());
            self.values.forget(&self.null_by_meaning);
        }
        self.values.finish()
    }
}

/// One element of a field, to become a column.
struct Target<'a> {
    field: &'a Field,
    index: usize,
    builder: Builder,
}

impl Target<'_> {
    fn push(&mut self, row: &[u8]) {
        let Self {
            field,
            index,
            builder,
        } = self;
        let stored = || field.field_type.decode(field.element(row, *index));
        let (scale, zero) = field.scaling;
        match builder {
            Builder::Integers(values) => {
                let stored = match stored() {
                    Some(Stored::Integer(value)) => Some(value),
                    _ => None,
                };
                values.push(stored, field.null);
            }
            Builder::Floats(values) => values.push(match stored() {
                Some(Stored::Integer(value)) if Some(value) == field.null => f64::NAN,
                Some(Stored::Integer(value)) => scale * value as f64 + zero,
                Some(Stored::Real(value)) => scale * value + zero,
                None => f64::NAN,
            }),
            Builder::Texts(values) => values.push(field.text(row, *index)),
        }
    }
}

pub(super) fn read(path: &Path) -> Result<Vec<Column>> {
    let file = FitsFile::open(path)?;
    let Some(hdu) = file.hdus().iter().find(|hdu| hdu.kind == HduKind::Table) else {
        let what = match file.hdus().iter().find(|hdu| hdu.kind != HduKind::Image) {
            Some(hdu) if hdu.kind == HduKind::CompressedImage => "a tile-compressed image",
            Some(_) => "a table in text, which is not read; save it as a binary table",
            None => "images only",
        };
        return Err(
            Error::input(format!("FITS file without a binary table: it holds {what}"))
                .in_file(path),
        );
    };
    let table = file.table(hdu)?;
    let mut passed_over = Vec::new();
    let mut targets: Vec<Target> = Vec::new();
    for (number, field) in table.fields.iter().enumerate() {
        let width = width(field);
        if width == 0 || width > WIDEST || field.field_type == FieldType::Other {
            passed_over.push(field.name.as_str());
            continue;
        }
        if field.name.is_empty() {
            return Err(file.error(hdu, format!("has no name for field {}", number + 1)));
        }
        targets.extend((0..width).map(|index| Target {
            field,
            index,
            builder: builder(field),
        }));
    }
    if !passed_over.is_empty() {
        tracing::debug!(
            "{}: passed over columns of bits, complex numbers, variable length or more than {WIDEST} \
             elements: {}",
            path.display(),
            passed_over.join(", ")
        );
    }
    file.rows(hdu, &table, |row| {
        targets.iter_mut().for_each(|target| target.push(row));
    })?;
    Ok(targets
        .into_iter()
        .map(|target| Column {
            name: element_name(&target.field.name, target.index, width(target.field)),
            values: match target.builder {
                Builder::Integers(values) => values.finish(|count| {
                    tracing::warn!(
                        "{}: column `{}`: {count} values are its TNULL and count as unknown, as astropy means it",
                        path.display(),
                        target.field.name
                    );
                }),
                Builder::Floats(values) => Values::Floats(values),
                Builder::Texts(values) => Values::Texts(values),
            },
        })
        .collect())
}

/// Elements of a field in a row.
fn width(field: &Field) -> usize {
    match field.field_type {
        FieldType::Text => field.texts(),
        _ => field.count,
    }
}

fn builder(field: &Field) -> Builder {
    let (scale, zero) = field.scaling;
    // Unsigned integers are stored with an offset (FITS standard 4.0, section 5.2.5).
    let is_integer = scale == 1.0 && zero.fract() == 0.0 && zero.abs() <= LARGEST_ZERO;
    match field.field_type {
        FieldType::Text => Builder::Texts(Vec::new()),
        FieldType::U8 | FieldType::I16 | FieldType::I32 | FieldType::I64 | FieldType::Logical
            if is_integer =>
        {
            Builder::Integers(Integers {
                zero: zero as i128,
                ..Integers::default()
            })
        }
        _ => Builder::Floats(Vec::new()),
    }
}
