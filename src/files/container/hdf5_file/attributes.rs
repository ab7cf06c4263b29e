//! Attributes that hold text, however it is stored.

use hdf5::Location;
use hdf5::types::{TypeDescriptor, VarLenAscii, VarLenUnicode};

use super::types;

/// The bytes of an attribute of one text, without padding; `None` where there is none.
pub(crate) fn attribute(object: &Location, name: &str) -> Option<Vec<u8>> {
    let attribute = object.attr(name).ok()?;
    let ty = attribute.dtype().ok()?;
    match types::in_memory(&ty).ok()?.descriptor {
        TypeDescriptor::FixedAscii(_) | TypeDescriptor::FixedUnicode(_)
            if attribute.is_scalar() =>
        {
            let mut bytes = vec![0_u8; ty.size()];
            // SAFETY: libhdf5 writes one text of the attribute's own type, as many bytes as there are; the lock is held.
            #[allow(unsafe_code)]
            let status = hdf5::sync::sync(|| unsafe {
                hdf5_sys::h5a::H5Aread(attribute.id(), ty.id(), bytes.as_mut_ptr().cast())
            });
            let end = bytes.iter().rposition(|&byte| byte != 0);
            bytes.truncate(end.map_or(0, |end| end + 1));
            (status >= 0).then_some(bytes)
        }
        TypeDescriptor::VarLenUnicode => {
            let text = attribute.read_scalar::<VarLenUnicode>().ok()?;
            Some(text.as_bytes().to_vec())
        }
        TypeDescriptor::VarLenAscii => {
            let text = attribute.read_scalar::<VarLenAscii>().ok()?;
            Some(text.as_bytes().to_vec())
        }
        _ => None,
    }
}
