//! Numbers as images and tables store them.

use super::text_table;

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
    /// Digits in a table in text.
    Digits,
    /// Digits with a point or an exponent in a table in text; without a point so many are behind it.
    Decimals(u8),
    /// Bits, complex numbers, arrays of variable length: not read.
    Other,
}

/// A number as it is stored in an image or a table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Stored {
    Integer(i64),
    Real(f64),
}

/// What stored numbers mean: `scale · stored + zero`, and nothing where an integer is `null`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Scaling {
    scale: f64,
    zero: f64,
    /// What is added to integers that stay integers.
    offset: Option<i128>,
    /// The stored integer that means "unknown".
    pub null: Option<i64>,
}

impl Scaling {
    /// Largest offset of integers, that of unsigned ones of 64 bits (FITS standard 4.0, section 5.2.5).
    const LARGEST_OFFSET: f64 = 9_223_372_036_854_775_808.0;

    /// Larger integers are not exact as floating point numbers.
    const EXACT: u64 = 1 << 53;

    pub(super) fn new(scale: f64, zero: f64, null: Option<i64>) -> Self {
        let stays = scale == 1.0 && zero.fract() == 0.0 && zero.abs() <= Self::LARGEST_OFFSET;
        Self {
            scale,
            zero,
            offset: stays.then_some(zero as i128),
            null,
        }
    }

    /// What is added to integers that stay integers; `None` where they become floating point numbers.
    pub(crate) fn offset(&self) -> Option<i128> {
        self.offset
    }

    /// What a number means; NaN where that is unknown.
    #[inline]
    pub(super) fn number(&self, stored: Option<Stored>) -> f64 {
        match stored {
            Some(Stored::Integer(stored)) if Some(stored) == self.null => f64::NAN,
            Some(Stored::Integer(stored)) => match self.offset {
                Some(offset) if stored.unsigned_abs() > Self::EXACT => {
                    (i128::from(stored) + offset) as f64
                }
                _ => self.scale * stored as f64 + self.zero,
            },
            Some(Stored::Real(stored)) => self.scale * stored + self.zero,
            None => f64::NAN,
        }
    }

    /// What a number means where that is an integer.
    pub(super) fn integer(&self, stored: Option<Stored>) -> Option<i128> {
        match (stored?, self.offset) {
            (Stored::Integer(stored), _) if Some(stored) == self.null => None,
            (Stored::Integer(stored), Some(offset)) => Some(i128::from(stored) + offset),
            (stored, _) => {
                let number = self.number(Some(stored));
                (number.fract() == 0.0).then_some(number as i128)
            }
        }
    }
}

impl FieldType {
    /// Bytes of an element.
    pub(super) fn bytes(self) -> usize {
        match self {
            // As wide as the field says.
            Self::Digits | Self::Decimals(_) => 0,
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
            Self::Digits => Stored::Integer(text_table::integer(bytes)?),
            Self::Decimals(decimals) => Stored::Real(text_table::real(bytes, decimals)?),
            Self::Text | Self::Other => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Scaling, Stored};

    #[test]
    fn integers_of_64_bits_keep_their_digits() {
        let meant = |zero: f64, stored: i64| {
            let scaling = Scaling::new(1.0, zero, Some(7));
            let stored = Some(Stored::Integer(stored));
            (scaling.integer(stored), scaling.number(stored))
        };
        let unsigned = 2_f64.powi(63);
        assert_eq!(meant(unsigned, i64::MIN + 5), (Some(5), 5.0));
        let largest = (Some(i128::from(u64::MAX)), 2_f64.powi(64));
        assert_eq!(meant(unsigned, i64::MAX), largest);
        assert_eq!(meant(-128.0, 130), (Some(2), 2.0));
        let (integer, number) = meant(0.0, 7);
        assert!(integer.is_none() && number.is_nan());
        // Numbers that are scaled are integers where they are whole.
        let half = Scaling::new(0.5, 0.0, None);
        assert_eq!(half.integer(Some(Stored::Integer(6))), Some(3));
        assert_eq!(half.integer(Some(Stored::Integer(7))), None);
    }
}
