//! Attributes that hold text, however it is stored.

use hdf5::Location;
use hdf5::types::{TypeDescriptor, VarLenAscii, VarLenUnicode};

use super::heap;
use crate::files::container::decoded;

/// The bytes of an attribute of one text, without padding; `None` where there is none.
pub(crate) fn attribute(object: &Location, name: &str) -> Option<Vec<u8>> {
    let mut texts = bytes_of(object, name)?;
    match texts.len() {
        1 => texts.pop(),
        _ => None,
    }
}

/// The texts of an attribute, one or a list, without blanks around them; `None` where there are none.
pub(crate) fn attribute_texts(object: &Location, name: &str) -> Option<Vec<String>> {
    let texts = bytes_of(object, name)?;
    let text = |bytes: &Vec<u8>| decoded(bytes).trim().to_owned();
    (!texts.is_empty()).then(|| texts.iter().map(text).collect())
}

/// The texts of an attribute, without the zeros that pad them.
fn bytes_of(object: &Location, name: &str) -> Option<Vec<Vec<u8>>> {
    let attribute = object.attr(name).ok()?;
    let ty = attribute.dtype().ok()?;
    match ty.to_descriptor().ok()? {
        TypeDescriptor::FixedAscii(size) | TypeDescriptor::FixedUnicode(size) => {
            let mut bytes = vec![0_u8; size * attribute.space().ok()?.size()];
            // SAFETY: libhdf5 writes texts of the attribute's own type, as many bytes as there are; the lock is held.
            #[allow(unsafe_code)]
            let status = hdf5::sync::sync(|| unsafe {
                hdf5_sys::h5a::H5Aread(attribute.id(), ty.id(), bytes.as_mut_ptr().cast())
            });
            let unpadded = |text: &[u8]| {
                let end = text.iter().rposition(|&byte| byte != 0);
                text[..end.map_or(0, |end| end + 1)].to_vec()
            };
            (status >= 0).then(|| bytes.chunks_exact(size).map(unpadded).collect())
        }
        TypeDescriptor::VarLenUnicode => {
            heap::check_texts(object).ok()?;
            let texts = attribute.read_raw::<VarLenUnicode>().ok()?;
            Some(texts.iter().map(|text| text.as_bytes().to_vec()).collect())
        }
        TypeDescriptor::VarLenAscii => {
            heap::check_texts(object).ok()?;
            let texts = attribute.read_raw::<VarLenAscii>().ok()?;
            Some(texts.iter().map(|text| text.as_bytes().to_vec()).collect())
        }
        _ => None,
    }
}
