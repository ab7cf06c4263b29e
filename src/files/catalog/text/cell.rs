//! What a cell of a text table says.

use std::borrow::Cow;

/// What stands in a cell without a value, beside nothing at all and dashes or dots alone.
const MISSING: [&str; 16] = [
    "nan", "-nan", "null", "none", "na", "n/a", "masked", "<na>", "nil", "missing", "\\n", "#n/a",
    "#value!", "#ref!", "#num!", "#div/0!",
];

/// What a cell can be read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cell {
    /// No value.
    Missing,
    /// An integer of 64 bits, with or without a sign.
    Integer,
    /// Digits of an integer that has no room there.
    LongInteger,
    /// Another number.
    Float,
    /// A number with a decimal comma.
    Comma,
    /// Anything else.
    Text,
}

impl Cell {
    /// What a cell can be read as; with a decimal comma where no comma delimits.
    pub fn of(cell: &str, comma_delimits: bool) -> Self {
        let bytes = cell.as_bytes();
        let digits = match bytes.first() {
            Some(b'0'..=b'9') => bytes,
            Some(b'-' | b'+') => &bytes[1..],
            _ => &[],
        };
        // The commonest first: nine in ten cells of catalogues are numbers.
        if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) {
            match integer(cell) {
                Some(_) => Self::Integer,
                None => Self::LongInteger,
            }
        } else if matches!(bytes.first(), Some(b'0'..=b'9')) && cell.parse::<f64>().is_ok() {
            Self::Float
        } else if is_missing(cell) {
            Self::Missing
        } else if float(cell).is_some() {
            Self::Float
        } else if !comma_delimits && comma_float(cell).is_some() {
            Self::Comma
        } else {
            Self::Text
        }
    }
}

/// An integer of 64 bits, with or without a sign.
pub(super) fn integer(cell: &str) -> Option<i128> {
    let signed = cell.parse::<i64>().map(i128::from);
    signed.or_else(|_| cell.parse::<u64>().map(i128::from)).ok()
}

/// Whether a cell stands for no value.
pub(super) fn is_missing(cell: &str) -> bool {
    match cell.as_bytes().first() {
        None => true,
        Some(b'0'..=b'9') => false,
        Some(b'-' | b'.') if cell.bytes().all(|byte| byte == b'-') => true,
        Some(b'.') if cell.bytes().all(|byte| byte == b'.') => true,
        Some(_) => {
            cell.len() <= 8
                && MISSING
                    .iter()
                    .any(|missing| cell.eq_ignore_ascii_case(missing))
        }
    }
}

/// A number, also with a D before its exponent as Fortran writes it.
pub(super) fn float(cell: &str) -> Option<f64> {
    cell.parse().ok().or_else(|| {
        let is_number = |byte: u8| byte.is_ascii_digit() || b"+-.dD".contains(&byte);
        let is_fortran = || cell.bytes().all(is_number) && cell.contains(['d', 'D']);
        is_fortran().then(|| cell.replace(['d', 'D'], "e").parse().ok())?
    })
}

/// A number with a decimal comma.
pub(super) fn comma_float(cell: &str) -> Option<f64> {
    let (whole, rest) = cell.split_once(',')?;
    let is_one = !whole.contains('.') && rest.starts_with(|first: char| first.is_ascii_digit());
    match is_one && !rest.contains([',', '.']) {
        true => cell.replacen(',', ".", 1).parse().ok(),
        false => None,
    }
}

/// A cell as text: UTF-8, or else Latin-1, where every byte is a character.
pub(super) fn decoded(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(bytes.iter().map(|&byte| char::from(byte)).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_told_apart() {
        let of = |cell| Cell::of(cell, false);
        for cell in ["", "-", "---", "...", "NaN", "n/a", "<NA>", "#VALUE!", "--"] {
            assert_eq!(of(cell), Cell::Missing, "{cell}");
        }
        for cell in ["-9223372036854775808", "18446744073709551615", "+7"] {
            assert_eq!(of(cell), Cell::Integer, "{cell}");
        }
        assert_eq!(of("18446744073709551616"), Cell::LongInteger);
        for cell in ["-.5", "1.", "3.96E+16", "1.0D+05", "inf", "-1d-3"] {
            assert_eq!(of(cell), Cell::Float, "{cell}");
        }
        assert_eq!(float("-1.5D+02"), Some(-150.0));
        assert_eq!(comma_float("-0,5e1"), Some(-5.0));
        for cell in [
            "1,2,3", "1.234,5", "1,", ",5,", "abc", "0x1A", "1.5 Gyr", "d", "D2000", "-x",
        ] {
            assert_eq!(of(cell), Cell::Text, "{cell}");
        }
        assert_eq!(Cell::of("0,5", true), Cell::Text);
        assert_eq!(decoded(b"caf\xe9"), "café");
    }
}
