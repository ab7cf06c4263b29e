//! Tables of FITS files, those of the same galaxies as one.

use std::path::Path;

use super::table::{Column, ID_NAMES, IntegerBuilder, Values, WIDEST, element_name};
use crate::base::error::{Error, Result};
use crate::files::container::fits::{Field, FieldType, FitsFile, Hdu, HduKind, Scaling};

/// `TZERO` of a column of unsigned 16-bit integers, 2^15.
const LEAST_UNSIGNED_ZERO: i128 = 1 << 15;

enum Builder {
    Integers(Integers),
    Floats(Vec<f64>),
    Texts(Vec<String>),
}

/// Integers, and what is known of the unknown ones.
#[derive(Default)]
struct Integers {
    values: IntegerBuilder,
    /// Whether a stored integer is `TNULLn`: the file has it as the standard says.
    has_null: bool,
    /// Rows of which not the stored integer is `TNULLn` but what it means.
    null_by_meaning: Vec<usize>,
}

impl Integers {
    fn push(&mut self, meant: Option<i128>, scaling: &Scaling) {
        if let Some(null) = scaling.null {
            let is_unsigned = scaling.offset() >= Some(LEAST_UNSIGNED_ZERO);
            match meant {
                None => self.has_null = true,
                Some(meant) if is_unsigned && meant == i128::from(null) => {
                    self.null_by_meaning.push(self.values.len());
                }
                Some(_) => {}
            }
        }
        self.values.push(meant);
    }

    /// The standard compares `TNULLn` with what is stored. astropy writes there what unsigned integers mean.
    fn forget_null_by_meaning(&mut self) -> usize {
        self.values.forget(&self.null_by_meaning);
        self.null_by_meaning.len()
    }
}

/// One element of a field, to become a column.
struct Target<'a> {
    field: &'a Field,
    index: usize,
    builder: Builder,
}

impl Target<'_> {
    fn integers(&mut self) -> Option<&mut Integers> {
        match &mut self.builder {
            Builder::Integers(integers) => Some(integers),
            Builder::Floats(_) | Builder::Texts(_) => None,
        }
    }

    fn push(&mut self, row: &[u8]) {
        let Self {
            field,
            index,
            builder,
        } = self;
        match builder {
            Builder::Integers(values) => values.push(field.integer(row, *index), &field.scaling),
            Builder::Floats(values) => values.push(field.number(row, *index)),
            Builder::Texts(values) => values.push(field.text(row, *index)),
        }
    }
}

/// Reads the table called `name` (or that number, the first extension being 1). Without a name, the first one,
/// with the columns of all others that tell of the same galaxies row by row: as many rows, and the same identifiers.
pub(super) fn read(path: &Path, name: Option<&str>) -> Result<Vec<Column>> {
    let file = FitsFile::open(path)?;
    let tables: Vec<(usize, &Hdu)> = file
        .hdus()
        .iter()
        .enumerate()
        .filter(|(_, hdu)| matches!(hdu.kind, HduKind::Table | HduKind::TextTable))
        .collect();
    if let (Some(name), false) = (name, tables.is_empty()) {
        let numbered = name.parse::<usize>().ok();
        let mut all = tables.iter();
        return match all
            .find(|(number, hdu)| hdu.name.eq_ignore_ascii_case(name) || numbered == Some(*number))
        {
            Some((_, hdu)) => columns(&file, hdu),
            None => Err(Error::input(format!(
                "no table `{name}`; there are {}",
                listed(&file, &tables)?
            ))
            .in_file(path)),
        };
    }
    let Some(((number, first), others)) = tables.split_first() else {
        let what = match file.hdus().iter().find(|hdu| hdu.kind != HduKind::Image) {
            Some(hdu) if hdu.kind == HduKind::CompressedImage => "a tile-compressed image",
            Some(_) => "an extension of another kind",
            None => "images only",
        };
        return Err(
            Error::input(format!("FITS file without a table: it holds {what}")).in_file(path),
        );
    };
    let mut joined = columns(&file, first)?;
    let key = first_of(&joined, &ID_NAMES).map(|id| (id.name.clone(), id.values.clone()));
    let (mut together, mut apart) = (vec![called(*number, first)], Vec::new());
    for &(number, hdu) in others {
        match aligned(&file, hdu, joined[0].values.len(), key.as_ref())? {
            Some(more) => {
                join(&mut joined, more, &called(number, hdu));
                together.push(called(number, hdu));
            }
            None => apart.push((number, hdu)),
        }
    }
    if let (Some((key, _)), 2..) = (&key, together.len()) {
        tracing::info!(
            "{}: the tables {} are joined, which have the same {key} row by row",
            path.display(),
            together.join(", ")
        );
    }
    if !apart.is_empty() {
        tracing::warn!(
            "{}: {} is read, and not {}; name another table by --table NAME or FILE[NAME]",
            path.display(),
            together.join(", "),
            listed(&file, &apart)?
        );
    }
    Ok(joined)
}

/// What to call a table.
fn called(number: usize, hdu: &Hdu) -> String {
    match hdu.name.as_str() {
        "" => number.to_string(),
        name => name.to_owned(),
    }
}

/// Names, rows and columns of tables, for messages.
fn listed(file: &FitsFile, tables: &[(usize, &Hdu)]) -> Result<String> {
    const SHOWN: usize = 8;
    let line = |(number, hdu): &(usize, &Hdu)| {
        let table = file.table(hdu)?;
        let names = table.fields.iter().map(|field| field.name.as_str());
        let mut names: Vec<&str> = names.collect();
        let more = match names.len() > SHOWN {
            true => ", …",
            false => "",
        };
        names.truncate(SHOWN);
        let (rows, names) = (table.rows, names.join(", "));
        Ok(format!(
            "{} ({rows} rows: {names}{more})",
            called(*number, hdu)
        ))
    };
    let lines: Vec<String> = tables.iter().map(line).collect::<Result<_>>()?;
    Ok(lines.join("; "))
}

fn first_of<'a>(columns: &'a [Column], names: &[&str]) -> Option<&'a Column> {
    names.iter().find_map(|name| {
        let mut columns = columns.iter();
        columns.find(|column| column.name.eq_ignore_ascii_case(name))
    })
}

/// The columns of a table with these identifiers row by row; `None` where it has others.
fn aligned(
    file: &FitsFile,
    hdu: &Hdu,
    rows: usize,
    key: Option<&(String, Values)>,
) -> Result<Option<Vec<Column>>> {
    let layout = file.table(hdu)?;
    let Some((name, ids)) =
        key.filter(|(name, _)| layout.rows == rows && layout.field(name).is_some())
    else {
        return Ok(None);
    };
    let columns = columns(file, hdu)?;
    let same = first_of(&columns, &[name]).is_some_and(|other| other.values == *ids);
    Ok(same.then_some(columns))
}

/// Adds the columns that are not there yet. One with a known name and other values gets the table's name too.
fn join(columns: &mut Vec<Column>, more: Vec<Column>, table: &str) {
    for column in more {
        match first_of(columns, &[&column.name]).map(|known| known.values.is_same(&column.values)) {
            Some(true) => {}
            Some(false) => columns.push(Column {
                name: format!("{table}.{}", column.name),
                values: column.values,
            }),
            None => columns.push(column),
        }
    }
}

/// The columns of a table.
fn columns(file: &FitsFile, hdu: &Hdu) -> Result<Vec<Column>> {
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
            file.path().display(),
            passed_over.join(", ")
        );
    }
    file.rows(hdu, &table, |row| {
        targets.iter_mut().for_each(|target| target.push(row));
    })?;
    for of_field in targets.chunk_by_mut(|one, other| std::ptr::eq(one.field, other.field)) {
        let mut integers: Vec<&mut Integers> =
            of_field.iter_mut().filter_map(Target::integers).collect();
        if integers.iter().any(|integers| integers.has_null) {
            continue;
        }
        let unknown: usize = integers
            .iter_mut()
            .map(|integers| integers.forget_null_by_meaning())
            .sum();
        if unknown > 0 {
            tracing::warn!(
                "{}: column `{}`: {unknown} values are its TNULL and count as unknown, as astropy means it",
                file.path().display(),
                of_field[0].field.name
            );
        }
    }
    Ok(targets
        .into_iter()
        .map(|target| Column {
            name: element_name(&target.field.name, target.index, width(target.field)),
            values: match target.builder {
                Builder::Integers(integers) => integers.values.finish(),
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
    match field.field_type {
        FieldType::Text => Builder::Texts(Vec::new()),
        FieldType::U8
        | FieldType::I16
        | FieldType::I32
        | FieldType::I64
        | FieldType::Logical
        | FieldType::Digits
            if field.scaling.offset().is_some() =>
        {
            Builder::Integers(Integers::default())
        }
        _ => Builder::Floats(Vec::new()),
    }
}
