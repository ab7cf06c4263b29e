//! Numbers as images and tables store them.

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

/// A number as it is stored in an image or a table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Stored {
    Integer(i64),
    Real(f64),
}

impl FieldType {
    /// Bytes of an element.
    pub(super) fn bytes(self) -> usize {
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
