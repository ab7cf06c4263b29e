//! What a survey calls a galaxy: a number, signed or unsigned, or a name.

use std::collections::HashSet;
use std::fmt::{self, Display};
use std::str::FromStr;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use serde::de::{Deserialize, Deserializer, Error as _, Visitor};
use serde::{Serialize, Serializer};

use crate::base::random::mixed;

/// Floating point of 32 bits holds integers without a gap up to this.
pub const EXACT_32: u64 = 1 << 24;

/// Floating point of 64 bits holds integers without a gap up to this.
pub const EXACT_64: u64 = 1 << 53;

/// Identifier of a galaxy within a survey, as its file has it: DESI's `TARGETID` (signed, 64 bits), SDSS's `specObjID`
/// (unsigned, above 2⁶³ from plate 8192 on), or a name such as `J112953.88-000427.4`.
///
/// A number is the same identifier whether a file holds it signed, unsigned or as the text that writes it so; `007` and
/// `+7` are names. Numbers come before names in order.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectId(Kind);

/// Each identifier has one kind, so that equality is that of the fields.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Kind {
    Integer(i64),
    /// Above `i64::MAX`.
    Large(u64),
    /// Not the digits of a number; lives as long as the program.
    Name(&'static str),
}

/// Identifiers as a column of one type, the narrowest that holds all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdColumn {
    /// All are signed 64-bit integers.
    Signed(Vec<i64>),
    /// None is negative, one or more are above `i64::MAX`.
    Unsigned(Vec<u64>),
    /// Names, and numbers as text.
    Texts(Vec<String>),
}

impl ObjectId {
    /// The identifier in a text, without the blanks around it and the `b'…'` that Python writes around bytes; `None`
    /// where nothing is left.
    pub fn of_text(text: &str) -> Option<Self> {
        Self::parse(text, |name| Some(kept(name)))
    }

    /// As [`ObjectId::of_text`], and `None` for a name that no file had so far. Others may ask for any number of such:
    /// memory does not grow.
    pub fn of_known_text(text: &str) -> Option<Self> {
        Self::parse(text, |name| names().get(name).copied())
    }

    fn parse(text: &str, name: impl FnOnce(&str) -> Option<&'static str>) -> Option<Self> {
        let text = text.trim_matches(|letter: char| letter.is_whitespace() || letter == '\0');
        let quoted = |quote: char| {
            let inner = text.strip_prefix('b')?.strip_prefix(quote)?;
            inner.strip_suffix(quote)
        };
        let text = quoted('\'').or_else(|| quoted('"')).unwrap_or(text).trim();
        if text.is_empty() {
            return None;
        }
        let leads = text.strip_prefix('-').unwrap_or(text);
        let is_written_so = text != "-0" && (leads == "0" || !leads.starts_with(['0', '+']));
        if is_written_so && !text.starts_with('+') {
            if let Ok(number) = text.parse::<i64>() {
                return Some(number.into());
            }
            if let Ok(number) = text.parse::<u64>() {
                return Some(number.into());
            }
        }
        name(text).map(|name| Self(Kind::Name(name)))
    }

    /// A number; `None` where it has more than 64 bits.
    pub(crate) fn of_integer(number: i128) -> Option<Self> {
        let unsigned = || u64::try_from(number).ok().map(Self::from);
        i64::try_from(number).ok().map(Self::from).or_else(unsigned)
    }

    /// The identifier that floating point holds, which is exact for integers up to `exact`; `None` for NaN.
    ///
    /// # Errors
    /// The number, where it is not whole or may have been rounded.
    pub fn of_float(number: f64, exact: u64) -> Result<Option<Self>, f64> {
        match number {
            _ if number.is_nan() => Ok(None),
            _ if number.fract() == 0.0 && number.abs() <= exact as f64 => {
                Ok(Some((number as i64).into()))
            }
            _ => Err(number),
        }
    }

    /// What stands for the identifier of a galaxy whose file has none: minus its row number, counted from 1.
    pub fn substitute(row: usize) -> Self {
        (-(row as i64) - 1).into()
    }

    /// The identifier as a signed integer, where it is one.
    pub fn integer(self) -> Option<i64> {
        match self.0 {
            Kind::Integer(number) => Some(number),
            Kind::Large(_) | Kind::Name(_) => None,
        }
    }

    /// Whether it is a number, signed or not.
    pub(crate) fn is_number(self) -> bool {
        !matches!(self.0, Kind::Name(_))
    }

    /// Its bytes, for a hash that other programs can repeat: 8 of a number, little-endian, or UTF-8 of a name.
    pub fn bytes(self) -> Vec<u8> {
        match self.0 {
            Kind::Integer(number) => number.to_le_bytes().to_vec(),
            Kind::Large(number) => number.to_le_bytes().to_vec(),
            Kind::Name(name) => name.as_bytes().to_vec(),
        }
    }

    /// `None` for −1, which stands for "no identifier" in DESI files.
    pub fn known(self) -> Option<Self> {
        (self.0 != Kind::Integer(-1)).then_some(self)
    }

    /// 64 bits that depend on the identifier alone: of a number its own.
    pub(crate) fn bits(self) -> u64 {
        match self.0 {
            Kind::Integer(number) => number.cast_unsigned(),
            Kind::Large(number) => number,
            Kind::Name(name) => name.bytes().fold(name.len() as u64, |bits, byte| {
                mixed(bits ^ u64::from(byte).rotate_left(32))
            }),
        }
    }

    /// Identifiers as a column of one type.
    pub fn column(ids: &[Self]) -> IdColumn {
        let signed: Option<Vec<i64>> = ids.iter().map(|id| id.integer()).collect();
        if let Some(signed) = signed {
            return IdColumn::Signed(signed);
        }
        let unsigned = |id: &Self| match id.0 {
            Kind::Integer(number) => u64::try_from(number).ok(),
            Kind::Large(number) => Some(number),
            Kind::Name(_) => None,
        };
        match ids.iter().map(unsigned).collect::<Option<Vec<u64>>>() {
            Some(unsigned) => IdColumn::Unsigned(unsigned),
            None => IdColumn::Texts(ids.iter().map(Self::to_string).collect()),
        }
    }
}

/// One copy of each name, for the life of the program: an identifier is copied many more times than it is read.
fn names() -> MutexGuard<'static, HashSet<&'static str>> {
    static NAMES: LazyLock<Mutex<HashSet<&'static str>>> = LazyLock::new(Mutex::default);
    NAMES.lock().unwrap_or_else(PoisonError::into_inner)
}

fn kept(name: &str) -> &'static str {
    let mut names = names();
    match names.get(name) {
        Some(known) => known,
        None => {
            let name: &'static str = Box::leak(name.into());
            names.insert(name);
            name
        }
    }
}

impl From<i64> for ObjectId {
    fn from(number: i64) -> Self {
        Self(Kind::Integer(number))
    }
}

impl PartialEq<i64> for ObjectId {
    fn eq(&self, number: &i64) -> bool {
        self.integer() == Some(*number)
    }
}

impl From<u64> for ObjectId {
    fn from(number: u64) -> Self {
        Self(i64::try_from(number).map_or(Kind::Large(number), Kind::Integer))
    }
}

impl FromStr for ObjectId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::of_text(text).ok_or_else(|| "an identifier is a number or a name, not blank".into())
    }
}

impl Display for ObjectId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Kind::Integer(number) => number.fmt(formatter),
            Kind::Large(number) => number.fmt(formatter),
            Kind::Name(name) => name.fmt(formatter),
        }
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(self, formatter)
    }
}

impl Serialize for ObjectId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Kind::Integer(number) => serializer.serialize_i64(number),
            Kind::Large(number) => serializer.serialize_u64(number),
            Kind::Name(name) => serializer.serialize_str(name),
        }
    }
}

impl<'de> Deserialize<'de> for ObjectId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct IdVisitor;
        impl Visitor<'_> for IdVisitor {
            type Value = ObjectId;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an integer or a text")
            }

            fn visit_i64<E>(self, number: i64) -> Result<ObjectId, E> {
                Ok(number.into())
            }

            fn visit_u64<E>(self, number: u64) -> Result<ObjectId, E> {
                Ok(number.into())
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<ObjectId, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer
            .deserialize_any(IdVisitor)
            .map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::{EXACT_32, EXACT_64, IdColumn, ObjectId};

    fn of(text: &str) -> ObjectId {
        text.parse().unwrap()
    }

    #[test]
    fn a_number_is_one_identifier_however_it_is_held() {
        for number in [0, 1, -7, i64::MAX, i64::MIN] {
            assert_eq!(of(&number.to_string()), ObjectId::from(number));
        }
        assert_eq!(of("9223372036854775808"), ObjectId::from(1_u64 << 63));
        assert_eq!(ObjectId::from(5_u64), 5);
        assert_eq!(of(" b'  123 ' "), 123);
        assert_eq!(of("b\"a b\"").to_string(), "a b");
        assert!(ObjectId::of_text(" \0").is_none() && ObjectId::of_text("b''").is_none());
    }

    #[test]
    fn floating_point_is_an_identifier_where_it_is_exact() {
        let large = 2.0_f64.powi(24) + 2.0;
        assert_eq!(ObjectId::of_float(7.0, EXACT_32), Ok(Some(of("7"))));
        assert_eq!(ObjectId::of_float(f64::NAN, EXACT_32), Ok(None));
        assert_eq!(ObjectId::of_float(large, EXACT_32), Err(large));
        assert!(ObjectId::of_float(large, EXACT_64).is_ok());
        for number in [0.5, 1e16, f64::NEG_INFINITY] {
            assert_eq!(ObjectId::of_float(number, EXACT_64), Err(number));
        }
    }

    #[test]
    fn other_digits_are_names_and_no_two_names_are_one() {
        let texts = [
            "7",
            "07",
            "+7",
            "7.0",
            "-0",
            "7e0",
            "18446744073709551616",
            "J7",
            "j7",
        ];
        let ids = texts.map(of);
        for (index, id) in ids.iter().enumerate() {
            assert_eq!(id.to_string(), texts[index]);
            assert!(
                ids[..index]
                    .iter()
                    .all(|other| other != id && other.bits() != id.bits())
            );
            let json = serde_json::to_string(id).unwrap();
            assert_eq!(serde_json::from_str::<ObjectId>(&json).unwrap(), *id);
        }
    }

    #[test]
    fn a_column_is_as_wide_as_it_must_be() {
        let small: [ObjectId; 2] = [(-1_i64).into(), 2_i64.into()];
        assert_eq!(ObjectId::column(&small), IdColumn::Signed(vec![-1, 2]));
        let large = [2_i64.into(), u64::MAX.into()];
        assert_eq!(
            ObjectId::column(&large),
            IdColumn::Unsigned(vec![2, u64::MAX])
        );
        let mixed = [small[0], large[1]];
        let texts = ["-1", "18446744073709551615"].map(str::to_owned).to_vec();
        assert_eq!(ObjectId::column(&mixed), IdColumn::Texts(texts));
    }
}
