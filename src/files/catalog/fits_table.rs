//! The first binary table of a FITS file.

use std::path::Path;

use super::table::{Column, IntegerBuilder, Values, WIDEST, element_name};
use crate::base::error::{Error, Result};
use crate::files::container::fits::{Field, FieldType, FitsFile, HduKind, Stored};

/// `TZERO` of a column of unsigned 64-bit integers: 2^63.
const UNSIGNED_ZERO: f64 = 9_223_372_036_854_775_808.0;

enum Builder {
    Integers(IntegerBuilder),
    Unsigned(IntegerBuilder),
    Floats(Vec<f64>),
    Texts(Vec<String>),
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
        let stored = || match field.field_type.decode(field.element(row, *index)) {
            Some(Stored::Integer(value)) if Some(value) == field.null => None,
            stored => stored,
        };
        let (scale, zero) = field.scaling;
        match builder {
            Builder::Integers(values) => values.push(match stored() {
                Some(Stored::Integer(value)) => Some(value + zero as i64),
                _ => None,
            }),
            Builder::Unsigned(values) => values.push(match stored() {
                // Adding 2^63 flips the first bit.
                Some(Stored::Integer(value)) => Some(value as u64 ^ (1 << 63)),
                _ => None,
            }),
            Builder::Floats(values) => values.push(match stored() {
                Some(Stored::Integer(value)) => scale * value as f64 + zero,
                Some(Stored::Real(value)) => scale * value + zero,
                None => f64::NAN,
            }),
            Builder::Texts(values) => values.push(field.text(row)),
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
        let width = match field.field_type {
            FieldType::Text => usize::from(field.count > 0),
            _ => field.count,
        };
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
    let width = |field: &Field| match field.field_type {
        FieldType::Text => 1,
        _ => field.count,
    };
    Ok(targets
        .into_iter()
        .map(|target| Column {
            name: element_name(&target.field.name, target.index, width(target.field)),
            values: match target.builder {
                Builder::Integers(values) => values.finish(),
                Builder::Unsigned(values) => values.finish(),
                Builder::Floats(values) => Values::Floats(values),
                Builder::Texts(values) => Values::Texts(values),
            },
        })
        .collect())
}

fn builder(field: &Field) -> Builder {
    let (scale, zero) = field.scaling;
    match field.field_type {
        FieldType::Text => Builder::Texts(Vec::new()),
        FieldType::F32 | FieldType::F64 => Builder::Floats(Vec::new()),
        // Unsigned integers are stored with an offset (FITS standard 4.0, section 5.2.5).
        FieldType::U8 | FieldType::I16 | FieldType::I32
            if scale == 1.0 && zero.fract() == 0.0 && zero.abs() <= f64::from(u32::MAX) =>
        {
            Builder::Integers(IntegerBuilder::default())
        }
        FieldType::I64 if (scale, zero) == (1.0, UNSIGNED_ZERO) => {
            Builder::Unsigned(IntegerBuilder::default())
        }
        FieldType::Logical | FieldType::I64 if (scale, zero) == (1.0, 0.0) => {
            Builder::Integers(IntegerBuilder::default())
        }
        _ => Builder::Floats(Vec::new()),
    }
}
