//! Tables in text (`XTENSION = 'TABLE'`; FITS standard 4.0, section 7.2): where the fields of a row begin, and what their
//! characters mean.

use super::number::Scaling;
use super::table::{Field, TableLayout};
use super::{FieldType, FitsFile, Hdu};
use crate::base::error::Result;

impl FitsFile {
    /// The shape of a table in text.
    pub(super) fn text_layout(&self, hdu: &Hdu) -> Result<TableLayout> {
        let size = |key: &str| {
            hdu.size_of(key)
                .ok_or_else(|| self.error(hdu, format!("has no {key}")))
        };
        let (row_bytes, rows, count) = (size("NAXIS1")?, size("NAXIS2")?, size("TFIELDS")?);
        let mut fields = Vec::new();
        for number in 1..=count {
            let key = format!("TFORM{number}");
            let form = hdu
                .text(&key)
                .ok_or_else(|| self.error(hdu, format!("has no {key}")))?
                .trim();
            let (field_type, width) =
                parse_form(form).ok_or_else(|| self.error(hdu, format!("has {key} = '{form}'")))?;
            let column = size(&format!("TBCOL{number}"))?;
            let within = (1..=row_bytes).contains(&column) && width <= row_bytes - (column - 1);
            if !within {
                return Err(self.error(
                    hdu,
                    format!("has rows of {row_bytes} characters, and field {number} of {width} from {column} on"),
                ));
            }
            let name = hdu.text(&format!("TTYPE{number}")).unwrap_or("").trim();
            fields.push(Field {
                name: name.to_owned(),
                field_type,
                count: if field_type == FieldType::Text {
                    width
                } else {
                    1
                },
                text_bytes: width,
                offset: column - 1,
                scaling: Scaling::new(
                    hdu.number(&format!("TSCAL{number}")).unwrap_or(1.0),
                    hdu.number(&format!("TZERO{number}")).unwrap_or(0.0),
                    None,
                ),
                null_text: hdu.text(&format!("TNULL{number}")).map(str::to_owned),
            });
        }
        Ok(TableLayout {
            rows,
            fields,
            row_bytes,
        })
    }
}

/// Type and width of a field from its `TFORMn`: `Aw`, `Iw`, `Fw.d`, `Ew.d` or `Dw.d`; `None` where it breaks the standard.
fn parse_form(form: &str) -> Option<(FieldType, usize)> {
    let letter = form.chars().next()?.to_ascii_uppercase();
    let (width, decimals) = match form.get(1..)?.split_once('.') {
        Some((width, decimals)) => (width, decimals.trim().parse::<u8>().ok()?),
        None => (form.get(1..)?, 0),
    };
    let width = width
        .trim()
        .parse::<usize>()
        .ok()
        .filter(|width| *width > 0)?;
    let field_type = match letter {
        'A' => FieldType::Text,
        'I' => FieldType::Digits,
        'F' | 'E' | 'D' => FieldType::Decimals(decimals),
        _ => return None,
    };
    Some((field_type, width))
}

fn characters(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?.trim_matches([' ', '\0']);
    (!text.is_empty()).then_some(text)
}

/// An integer; `None` where the field is blank or holds none.
pub(super) fn integer(bytes: &[u8]) -> Option<i64> {
    characters(bytes)?.parse().ok()
}

/// A number; `None` where the field is blank or holds none. Without a point its last `decimals` digits lie behind it, and
/// an exponent may be marked by `E`, `D` or its sign alone.
pub(super) fn real(bytes: &[u8], decimals: u8) -> Option<f64> {
    let text = characters(bytes)?;
    let digits = |c: char| c.is_ascii_digit() || c == '.';
    let signed = text.strip_prefix(['+', '-']).unwrap_or(text);
    let end = signed.find(|c| !digits(c)).unwrap_or(signed.len());
    let (mantissa, exponent) = text.split_at(text.len() - signed.len() + end);
    let exponent = match exponent.trim_start_matches(['E', 'e', 'D', 'd']) {
        "" if exponent.is_empty() => 0,
        power => power.parse::<i32>().ok()?,
    };
    let shift = match mantissa.contains('.') {
        true => 0,
        false => i32::from(decimals),
    };
    // As one number, so that it is rounded once.
    format!("{mantissa}e{}", exponent.checked_sub(shift)?)
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::{integer, real};

    #[test]
    fn characters_mean_what_the_standard_says() {
        for (text, decimals, expected) in [
            ("  1.25 ", 2, Some(1.25)),
            ("-0.1D+02", 3, Some(-10.0)),
            ("1.5E3", 0, Some(1500.0)),
            ("1.5-3", 0, Some(0.0015)),
            ("  314", 2, Some(3.14)),
            ("314E1", 2, Some(31.4)),
            ("      ", 2, None),
            ("1.2.3", 1, None),
            ("nan", 1, None),
            ("E5", 0, None),
        ] {
            assert_eq!(real(text.as_bytes(), decimals), expected, "{text}");
        }
        assert_eq!(integer(b" 39627788403084375"), Some(39_627_788_403_084_375));
        assert_eq!((integer(b"   "), integer(b"1.5")), (None, None));
    }
}
