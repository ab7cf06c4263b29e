//! A table of named columns, and what is looked up in it.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use super::ids::of_texts;
use super::sky::{POSITION_NAMES, Position, position_columns};
use super::text;
use crate::base::error::{Error, Result};
use crate::survey::{EXACT_64, IdColumn, ObjectId};

/// Names of the identifier column, the best first; upper or lower case does not matter.
pub(super) const ID_NAMES: [&str; 6] = [
    "targetid",
    "object_id",
    "targetids",
    "objid",
    "id",
    "source_id",
];

/// Whether a column of this name is of identifiers.
pub(super) fn is_id_name(name: &str) -> bool {
    ID_NAMES
        .iter()
        .any(|known| known.eq_ignore_ascii_case(name))
}

/// Whether a column of this name is of identifiers or positions.
pub(super) fn is_usual_name(name: &str) -> bool {
    let mut positions = POSITION_NAMES.iter().flat_map(|(ra, dec)| [ra, dec]);
    is_id_name(name) || positions.any(|known| known.eq_ignore_ascii_case(name))
}

/// A fixed-width array column of up to this many elements becomes as many columns, `NAME_0`, `NAME_1`, …
/// Wider ones (images, spectra) are passed over.
pub(crate) const WIDEST: usize = 64;

/// A table: columns by name, one row per galaxy.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// The file, for messages.
    pub path: PathBuf,
    rows: usize,
    columns: Vec<Column>,
    /// Whether the file is text, whose cells say more than numbers.
    is_text: bool,
    /// Columns of integers whose cells in a file of text have more characters than they need.
    padded: Vec<String>,
}

/// A named column.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Its name, as the file has it.
    pub name: String,
    /// One value per row.
    pub values: Values,
}

/// The values of a column.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// Integers without a gap; logical values are 0 and 1.
    Integers(Vec<i64>),
    /// Integers without a gap and without a negative one, of which some are above `i64::MAX`.
    Unsigned(Vec<u64>),
    /// Floating point, NaN where unknown.
    Floats(Vec<f64>),
    /// Text, empty where unknown.
    Texts(Vec<String>),
}

impl Values {
    /// A column of identifiers, of the narrowest type that holds all of them.
    pub fn of_ids(ids: &[ObjectId]) -> Self {
        match ObjectId::column(ids) {
            IdColumn::Signed(ids) => Self::Integers(ids),
            IdColumn::Unsigned(ids) => Self::Unsigned(ids),
            IdColumn::Texts(ids) => Self::Texts(ids),
        }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        match self {
            Self::Integers(values) => values.len(),
            Self::Unsigned(values) => values.len(),
            Self::Floats(values) => values.len(),
            Self::Texts(values) => values.len(),
        }
    }

    /// The values as numbers; `None` for text.
    pub fn numbers(&self) -> Option<Cow<'_, [f64]>> {
        match self {
            Self::Integers(values) => Some(values.iter().map(|&value| value as f64).collect()),
            Self::Unsigned(values) => Some(values.iter().map(|&value| value as f64).collect()),
            Self::Floats(values) => Some(Cow::Borrowed(values)),
            Self::Texts(_) => None,
        }
    }

    /// Whether the values are the same, unknown ones being the same as unknown ones.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Floats(ours), Self::Floats(theirs)) => {
                let mut pairs = ours.iter().zip(theirs);
                ours.len() == theirs.len()
                    && pairs.all(|(a, b)| a == b || (a.is_nan() && b.is_nan()))
            }
            _ => self == other,
        }
    }

    /// The values of these rows.
    pub fn take(&self, rows: impl Iterator<Item = usize>) -> Self {
        match self {
            Self::Integers(values) => Self::Integers(rows.map(|row| values[row]).collect()),
            Self::Unsigned(values) => Self::Unsigned(rows.map(|row| values[row]).collect()),
            Self::Floats(values) => Self::Floats(rows.map(|row| values[row]).collect()),
            Self::Texts(values) => Self::Texts(rows.map(|row| values[row].clone()).collect()),
        }
    }
}

/// Integers as they come, signed or not, some unknown.
#[derive(Debug, Default)]
pub(super) struct IntegerBuilder {
    values: Vec<i128>,
    unknown: Vec<usize>,
}

impl IntegerBuilder {
    pub fn push(&mut self, value: Option<impl Into<i128>>) {
        if value.is_none() {
            self.unknown.push(self.values.len());
        }
        self.values.push(value.map_or(0, Into::into));
    }

    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Makes these rows, which have been pushed, unknown.
    pub fn forget(&mut self, rows: &[usize]) {
        rows.iter().for_each(|&row| self.values[row] = 0);
        self.unknown.extend(rows);
    }

    /// Integers where all are known, else floating point with NaN; text where that would not be exact,
    /// as for identifiers of 17 digits.
    pub fn finish(self) -> Values {
        let Self { values, unknown } = self;
        let (least, most) = values.iter().fold((0, 0), |(least, most), &value| {
            (value.min(least), value.max(most))
        });
        if unknown.is_empty() && least >= i64::MIN.into() && most <= i64::MAX.into() {
            return Values::Integers(values.into_iter().map(|value| value as i64).collect());
        }
        if unknown.is_empty() && least >= 0 && most <= u64::MAX.into() {
            return Values::Unsigned(values.into_iter().map(|value| value as u64).collect());
        }
        if least.unsigned_abs().max(most.unsigned_abs()) <= EXACT_64.into() {
            let mut floats: Vec<f64> = values.into_iter().map(|value| value as f64).collect();
            unknown.into_iter().for_each(|row| floats[row] = f64::NAN);
            return Values::Floats(floats);
        }
        let mut texts: Vec<String> = values.iter().map(i128::to_string).collect();
        unknown.into_iter().for_each(|row| texts[row].clear());
        Values::Texts(texts)
    }
}

/// Name of element `index` of an array column of `width` elements.
pub(super) fn element_name(name: &str, index: usize, width: usize) -> String {
    match width {
        1 => name.to_owned(),
        _ => format!("{name}_{index}"),
    }
}

impl Table {
    /// A table of columns of one length.
    ///
    /// # Errors
    /// Where there is no column or no row, two columns have one name, or they differ in length.
    pub fn new(path: &Path, columns: Vec<Column>) -> Result<Self> {
        let table = Self {
            path: path.to_owned(),
            rows: columns.first().map_or(0, |column| column.values.len()),
            columns,
            is_text: false,
            padded: Vec::new(),
        };
        if table.columns.is_empty() {
            return Err(table.error("holds no table: no column of numbers or text"));
        }
        if table.rows == 0 {
            return Err(table.error("the table has no rows"));
        }
        let mut names = std::collections::HashSet::new();
        for column in &table.columns {
            if column.values.len() != table.rows {
                return Err(table.error(format!(
                    "column `{}` has {} rows, `{}` has {}; the file may be damaged",
                    column.name,
                    column.values.len(),
                    table.columns[0].name,
                    table.rows
                )));
            }
            if !names.insert(column.name.as_str()) {
                return Err(table.error(format!(
                    "two columns are called `{}`; rename one",
                    column.name
                )));
            }
        }
        Ok(table)
    }

    /// The same table, of which it is known that its file is text, and in which columns integers are padded.
    pub(super) fn of_text(self, padded: Vec<String>) -> Self {
        Self {
            is_text: true,
            padded,
            ..self
        }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The columns in the order of the file.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The columns by themselves.
    pub fn into_columns(self) -> Vec<Column> {
        self.columns
    }

    /// An error about this table.
    pub fn error(&self, message: impl std::fmt::Display) -> Error {
        Error::input(message).in_file(&self.path)
    }

    /// The column of the first of `names` that exists, preferably in this case.
    pub fn find(&self, names: &[&str]) -> Option<&Column> {
        names.iter().find_map(|name| {
            let exact = self.columns.iter().find(|column| column.name == *name);
            exact.or_else(|| {
                self.columns
                    .iter()
                    .find(|column| column.name.eq_ignore_ascii_case(name))
            })
        })
    }

    /// A column by its name.
    ///
    /// # Errors
    /// Where there is none; the message lists those that there are.
    pub fn column(&self, name: &str) -> Result<&Column> {
        self.find(&[name]).ok_or_else(|| {
            self.error(format!(
                "no column `{name}`; there are {}",
                self.column_names()
            ))
        })
    }

    /// A column of numbers by its name.
    ///
    /// # Errors
    /// Where there is none, or it holds text.
    pub fn numbers(&self, name: &str) -> Result<Cow<'_, [f64]>> {
        let column = self.column(name)?;
        match &column.values {
            Values::Texts(texts) => Err(self.error(format!(
                "column `{}` must hold numbers; row 0 is `{}`",
                column.name, texts[0]
            ))),
            values => Ok(values.numbers().expect("not text")),
        }
    }

    /// Names of all columns, for messages.
    pub fn column_names(&self) -> String {
        const SHOWN: usize = 60;
        let mut names: Vec<&str> = self
            .columns
            .iter()
            .map(|column| column.name.as_str())
            .collect();
        let more = names.len().saturating_sub(SHOWN);
        names.truncate(SHOWN);
        match more {
            0 => names.join(", "),
            _ => format!("{} and {more} more", names.join(", ")),
        }
    }

    /// The identifier column: the one named, or the first of the usual names.
    ///
    /// # Errors
    /// Where there is none.
    pub(super) fn id_column(&self, name: Option<&str>) -> Result<&Column> {
        match name {
            Some(name) => self.column(name),
            None => self.find(&ID_NAMES).ok_or_else(|| {
                self.error(format!(
                    "no identifier column ({}); name it with --id-column; there are {}",
                    ID_NAMES.join(", "),
                    self.column_names()
                ))
            }),
        }
    }

    /// The columns that may be identifiers: those of the usual names and those called `also`, each with or without what
    /// a join has added to the name (`object_id_left`, `object_id_mmu_desi`).
    pub(crate) fn id_columns(&self, also: &[&str]) -> Vec<(&str, Vec<Option<ObjectId>>)> {
        let is_id = |name: &str| {
            let mut known = ID_NAMES.iter().chain(also);
            known.any(|known| match name.split_at_checked(known.len()) {
                Some((start, rest)) => {
                    start.eq_ignore_ascii_case(known) && (rest.is_empty() || rest.starts_with('_'))
                }
                None => false,
            })
        };
        let named = self.columns.iter().filter(|column| is_id(&column.name));
        // One that is no identifier after all, such as a fraction, is another column of such a name.
        named
            .filter_map(|column| Some((column.name.as_str(), self.object_ids(column).ok()?)))
            .collect()
    }

    /// Whether there is a column with one of the usual names of an identifier.
    pub(crate) fn has_ids(&self) -> bool {
        self.find(&ID_NAMES).is_some()
    }

    /// Whether there is a pair of columns with the usual names of a position.
    pub(crate) fn has_positions(&self) -> bool {
        self.position_columns().is_some()
    }

    /// The identifiers of a column, `None` where unknown; floating point only where every number is whole.
    ///
    /// # Errors
    /// Where a number is not, or too large to be exact, or has lost digits.
    pub(super) fn object_ids(&self, column: &Column) -> Result<Vec<Option<ObjectId>>> {
        let of_texts = |texts: &[String]| {
            of_texts(texts).map_err(|(row, why)| {
                self.error(format!("column `{}` row {row}: {why}", column.name))
            })
        };
        match &column.values {
            // `007` is not 7.
            Values::Integers(_) if self.padded.contains(&column.name) => {
                of_texts(&text::cells(&self.path, &column.name)?)
            }
            Values::Integers(values) => {
                let ids = values.iter().map(|&value| ObjectId::from(value).known());
                Ok(ids.collect())
            }
            Values::Unsigned(values) => {
                Ok(values.iter().map(|&value| Some(value.into())).collect())
            }
            Values::Texts(values) => of_texts(values),
            // What the file says, and not what is left of it as a number.
            Values::Floats(_) if self.is_text => of_texts(&text::cells(&self.path, &column.name)?),
            Values::Floats(values) => {
                let ids = values.iter().enumerate().map(|(row, &value)| {
                    let id = ObjectId::of_float(value, EXACT_64);
                    id.map(|id| id.and_then(ObjectId::known)).map_err(|value| {
                        self.error(format!(
                            "column `{}` row {row}: {value} is no identifier; expected integers or text \
                             (floating point holds integers up to 2^53 only)",
                            column.name
                        ))
                    })
                });
                ids.collect()
            }
        }
    }

    fn position_columns(&self) -> Option<(&str, &str)> {
        let names: Vec<&str> = self
            .columns
            .iter()
            .map(|column| column.name.as_str())
            .collect();
        position_columns(&names).map(|[ra, dec]| (names[ra], names[dec]))
    }

    /// Positions in degrees, from the columns named or those of the usual names; `None` in a row without
    /// a position on the sphere.
    ///
    /// # Errors
    /// Where there are no such columns, or they hold text.
    pub fn positions(&self, named: Option<(&str, &str)>) -> Result<Vec<Option<Position>>> {
        let (ra, dec) = named.or_else(|| self.position_columns()).ok_or_else(|| {
            let known: Vec<String> = POSITION_NAMES
                .iter()
                .map(|(ra, dec)| format!("{ra} and {dec}"))
                .collect();
            self.error(format!(
                "no columns of positions ({}, in degrees); name them with --ra-column and \
                 --dec-column; there are {}",
                known.join("; "),
                self.column_names()
            ))
        })?;
        let (ra, dec) = (self.numbers(ra)?, self.numbers(dec)?);
        Ok(ra
            .iter()
            .zip(dec.iter())
            .map(|(&ra, &dec)| Position::new(ra, dec))
            .collect())
    }
}
