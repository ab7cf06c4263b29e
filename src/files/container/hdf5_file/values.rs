//! One value from the bytes of its type, in this machine's order.

use std::borrow::Cow;

use hdf5::types::{FloatSize, TypeDescriptor};

use crate::files::container::decoded;

/// A value of a type of fixed size.
pub(crate) enum Value<'a> {
    /// Signed or not; true and false are 1 and 0.
    Integer(i128),
    Float(f64),
    /// Up to the first zero, without blanks at its end.
    Text(Cow<'a, str>),
}

/// The value in the bytes of a type; `None` for arrays, records and text of any length.
pub(crate) fn value<'a>(descriptor: &TypeDescriptor, bytes: &'a [u8]) -> Option<Value<'a>> {
    Some(match descriptor {
        TypeDescriptor::Integer(_) => Value::Integer(signed(bytes)),
        TypeDescriptor::Enum(names) if names.signed => Value::Integer(signed(bytes)),
        TypeDescriptor::Unsigned(_) | TypeDescriptor::Boolean | TypeDescriptor::Enum(_) => {
            Value::Integer(unsigned(bytes))
        }
        TypeDescriptor::Float(FloatSize::U8) => Value::Float(f64::from_ne_bytes(fixed(bytes))),
        TypeDescriptor::Float(_) => Value::Float(f32::from_ne_bytes(fixed(bytes)).into()),
        TypeDescriptor::FixedAscii(_) | TypeDescriptor::FixedUnicode(_) => {
            let text = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
            Value::Text(match decoded(text) {
                Cow::Borrowed(text) => Cow::Borrowed(text.trim_end()),
                Cow::Owned(text) => Cow::Owned(text.trim_end().to_owned()),
            })
        }
        _ => return None,
    })
}

/// The bytes of a number whose size the type has told.
fn fixed<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().expect("the size of the type")
}

fn signed(bytes: &[u8]) -> i128 {
    match bytes.len() {
        1 => i8::from_ne_bytes(fixed(bytes)).into(),
        2 => i16::from_ne_bytes(fixed(bytes)).into(),
        4 => i32::from_ne_bytes(fixed(bytes)).into(),
        _ => i64::from_ne_bytes(fixed(bytes)).into(),
    }
}

fn unsigned(bytes: &[u8]) -> i128 {
    match bytes.len() {
        1 => u8::from_ne_bytes(fixed(bytes)).into(),
        2 => u16::from_ne_bytes(fixed(bytes)).into(),
        4 => u32::from_ne_bytes(fixed(bytes)).into(),
        _ => u64::from_ne_bytes(fixed(bytes)).into(),
    }
}
