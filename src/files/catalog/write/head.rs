//! What a table says of itself, and the cells of its rows.

use ndarray::Array2;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::survey::ObjectId;

/// A column, as the Virtual Observatory describes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ColumnHead {
    /// Its name.
    pub name: String,
    /// Unit of its values as VOUnits writes it, such as `deg`; none where they have none.
    pub unit: Option<String>,
    /// What it is, by the vocabulary UCD1+, such as `src.redshift.phot`.
    pub ucd: Option<String>,
    /// What it is, in words; may be empty.
    pub description: String,
    /// What its cells hold.
    pub kind: ColumnKind,
}

/// What the cells of a column hold. NaN is an unknown number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnKind {
    /// Identifiers; in the file signed or unsigned integers of 64 bits, or text, the first that holds all of them.
    Id,
    /// Text, empty where unknown.
    Text,
    /// Floating point of 64 bits.
    F64,
    /// Floating point of 32 bits.
    F32,
    /// Signed integers of 32 bits, such as flags.
    I32,
    /// So many numbers in floating point of 32 bits.
    F32Array(usize),
}

/// A table, as it is described.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TableHead {
    /// Its name: of the extension in FITS, of the table in VOTable.
    pub name: String,
    /// What it is, in words; may be empty.
    pub description: String,
    /// Its columns, in order.
    pub columns: Vec<ColumnHead>,
    /// What is true of all rows.
    pub keywords: Vec<Keyword>,
    /// What it was made from and how; null where nothing is known of that.
    pub provenance: Value,
}

/// One thing that is true of all rows of a table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Keyword {
    /// What it is called. FITS writes up to eight letters, digits, `-` and `_` as they are, in upper case, and longer names
    /// by the HIERARCH convention.
    pub key: String,
    /// A text, a number or a truth value.
    pub value: Value,
    /// What it is, in words; may be empty.
    pub comment: String,
}

/// Cells of one column, a value per row.
#[derive(Debug, Clone, PartialEq)]
pub enum Cells {
    /// Of [`ColumnKind::Id`].
    Ids(Vec<ObjectId>),
    /// Of [`ColumnKind::Text`].
    Texts(Vec<String>),
    /// Of [`ColumnKind::F64`].
    F64(Vec<f64>),
    /// Of [`ColumnKind::F32`].
    F32(Vec<f32>),
    /// Of [`ColumnKind::I32`].
    I32(Vec<i32>),
    /// Of [`ColumnKind::F32Array`]: (rows, elements).
    F32Array(Array2<f32>),
}

impl TableHead {
    /// A table of which is known what it is, and what `columns` say of some or all of its columns.
    pub fn new(
        name: impl Into<String>,
        description: impl Into<String>,
        columns: Vec<ColumnHead>,
    ) -> Self {
        Self {
            name: name.into(),
            description: description.into(),
            columns,
            keywords: Vec::new(),
            provenance: Value::Null,
        }
    }
}

impl ColumnHead {
    /// The identifiers of the galaxies, in the column `object_id`.
    pub fn object_id() -> Self {
        Self::plain("object_id", ColumnKind::Id)
            .of_ucd("meta.id;meta.main")
            .described("identifier of the galaxy in its survey")
    }

    /// The positions of the galaxies, in the columns `ra` and `dec`.
    pub fn position() -> [Self; 2] {
        let of = |name: &str, what: &str| {
            Self::plain(name, ColumnKind::F64)
                .in_unit("deg")
                .of_ucd(format!("pos.eq.{name};meta.main"))
                .described(format!("{what}, ICRS"))
        };
        [of("ra", "right ascension"), of("dec", "declination")]
    }

    /// A column without unit and UCD.
    pub fn plain(name: impl Into<String>, kind: ColumnKind) -> Self {
        Self {
            name: name.into(),
            unit: None,
            ucd: None,
            description: String::new(),
            kind,
        }
    }

    /// The same with what it is in words.
    pub fn described(self, description: impl Into<String>) -> Self {
        Self {
            description: description.into(),
            ..self
        }
    }

    /// The same with a unit, as VOUnits writes it.
    pub fn in_unit(self, unit: impl Into<String>) -> Self {
        Self {
            unit: Some(unit.into()),
            ..self
        }
    }

    /// The same with what it is by UCD1+.
    pub fn of_ucd(self, ucd: impl Into<String>) -> Self {
        Self {
            ucd: Some(ucd.into()),
            ..self
        }
    }

    /// Whether it is a right ascension or a declination.
    pub(super) fn is_position(&self) -> bool {
        let ucd = self.ucd.as_deref().unwrap_or_default();
        ["pos.eq.ra", "pos.eq.dec"].contains(&ucd.split(';').next().unwrap_or_default())
    }
}

impl ColumnKind {
    /// Bytes of a cell; of text a guess.
    pub(super) fn bytes(self) -> u64 {
        match self {
            Self::Id | Self::F64 => 8,
            Self::Text => 16,
            Self::F32 | Self::I32 => 4,
            Self::F32Array(width) => 4 * width as u64,
        }
    }
}

impl Cells {
    /// Number of rows.
    pub fn rows(&self) -> usize {
        match self {
            Self::Ids(values) => values.len(),
            Self::Texts(values) => values.len(),
            Self::F64(values) => values.len(),
            Self::F32(values) => values.len(),
            Self::I32(values) => values.len(),
            Self::F32Array(values) => values.nrows(),
        }
    }

    /// What column they are of.
    pub fn kind(&self) -> ColumnKind {
        match self {
            Self::Ids(_) => ColumnKind::Id,
            Self::Texts(_) => ColumnKind::Text,
            Self::F64(_) => ColumnKind::F64,
            Self::F32(_) => ColumnKind::F32,
            Self::I32(_) => ColumnKind::I32,
            Self::F32Array(values) => ColumnKind::F32Array(values.ncols()),
        }
    }
}
