//! Types of values: as a file has them, and as they are read.

use std::ffi::CStr;

use hdf5::Datatype;
use hdf5::types::{FloatSize, IntSize, TypeDescriptor};
use hdf5_sys::h5i::hid_t;
use hdf5_sys::h5t::{self, H5T_class_t, H5T_cset_t};

/// A type of a file's values as they are read into memory.
pub(super) struct MemoryType {
    pub datatype: Datatype,
    /// What it is; an array of several axes counts as one of their product.
    pub descriptor: TypeDescriptor,
}

/// A field of a compound dataset.
pub(crate) struct Field {
    /// Its name.
    pub name: String,
    /// Its type in memory; else what it holds that is not read.
    pub ty: Result<TypeDescriptor, String>,
}

/// How numbers are read: whole datasets into floating point or integers.
pub(crate) enum Numbers {
    /// Integers and floating point of up to 64 bits.
    Plain,
    /// True and false, which libhdf5 does not convert.
    Logical,
}

/// An identifier that libhdf5 has just made, as a type.
#[allow(unsafe_code)]
fn datatype(id: hid_t) -> Result<Datatype, String> {
    // SAFETY: the caller hands over a new identifier, or a negative one, which is refused.
    unsafe { hdf5::from_id(id) }.map_err(|source| source.to_string())
}

#[allow(unsafe_code)]
pub(super) fn class(ty: &Datatype) -> H5T_class_t {
    // SAFETY: the type is open, and the lock is held.
    hdf5::sync::sync(|| unsafe { h5t::H5Tget_class(ty.id()) })
}

/// Whether values of a type are records.
pub(crate) fn is_compound(ty: &Datatype) -> bool {
    class(ty) == H5T_class_t::H5T_COMPOUND && !is_complex(ty)
}

/// Whether values of a type are complex numbers as h5py has them: records of `r` and `i` of one floating point.
fn is_complex(ty: &Datatype) -> bool {
    match ty.to_descriptor() {
        Ok(TypeDescriptor::Compound(records)) => match &records.fields[..] {
            [real, imaginary] => {
                (real.name.as_str(), imaginary.name.as_str()) == ("r", "i")
                    && real.ty == imaginary.ty
                    && matches!(real.ty, TypeDescriptor::Float(_))
            }
            _ => false,
        },
        _ => false,
    }
}

/// What values of a type are called.
pub(crate) fn described(ty: &Datatype) -> String {
    let bits = 8 * ty.size();
    match class(ty) {
        H5T_class_t::H5T_INTEGER => format!("integers of {bits} bits"),
        H5T_class_t::H5T_FLOAT if bits > 64 => {
            format!("floating point of {bits} bits (long double)")
        }
        H5T_class_t::H5T_FLOAT => format!("floating point of {bits} bits"),
        H5T_class_t::H5T_STRING => "text".to_owned(),
        H5T_class_t::H5T_TIME => "times".to_owned(),
        H5T_class_t::H5T_BITFIELD => format!("bit fields of {bits} bits"),
        H5T_class_t::H5T_OPAQUE => "opaque bytes".to_owned(),
        H5T_class_t::H5T_COMPOUND if is_complex(ty) => "complex numbers".to_owned(),
        H5T_class_t::H5T_COMPOUND => "records of several fields".to_owned(),
        H5T_class_t::H5T_REFERENCE => "references".to_owned(),
        H5T_class_t::H5T_ENUM => "names of an enumeration".to_owned(),
        H5T_class_t::H5T_VLEN => "lists of any length".to_owned(),
        H5T_class_t::H5T_ARRAY => "arrays".to_owned(),
        _ => "values of a type of another kind, such as complex numbers".to_owned(),
    }
}

/// How the values of a type are read as numbers.
///
/// # Errors
/// What they are instead.
pub(crate) fn numbers(ty: &Datatype) -> Result<Numbers, String> {
    match class(ty) {
        H5T_class_t::H5T_INTEGER | H5T_class_t::H5T_FLOAT if ty.size() <= 8 => Ok(Numbers::Plain),
        _ if ty.is::<bool>() => Ok(Numbers::Logical),
        _ => Err(described(ty)),
    }
}

/// The type that values of `ty` are read as: numbers of the next width that this machine has, text as it is.
///
/// # Errors
/// What it holds that is not read.
pub(super) fn in_memory(ty: &Datatype) -> Result<MemoryType, String> {
    let plain = |descriptor: TypeDescriptor| {
        Ok(MemoryType {
            datatype: Datatype::from_descriptor(&descriptor)
                .map_err(|source| source.to_string())?,
            descriptor,
        })
    };
    match class(ty) {
        H5T_class_t::H5T_INTEGER => {
            let size = match ty.size() {
                1 => IntSize::U1,
                2 => IntSize::U2,
                3 | 4 => IntSize::U4,
                5..=8 => IntSize::U8,
                _ => return Err(described(ty)),
            };
            plain(match is_signed(ty) {
                true => TypeDescriptor::Integer(size),
                false => TypeDescriptor::Unsigned(size),
            })
        }
        H5T_class_t::H5T_FLOAT => match ty.size() {
            1..=4 => plain(TypeDescriptor::Float(FloatSize::U4)),
            5..=8 => plain(TypeDescriptor::Float(FloatSize::U8)),
            _ => Err(described(ty)),
        },
        // True and false of PyTables.
        H5T_class_t::H5T_BITFIELD if ty.size() == 1 => Ok(MemoryType {
            datatype: byte()?,
            descriptor: TypeDescriptor::Unsigned(IntSize::U1),
        }),
        H5T_class_t::H5T_ARRAY => array(ty),
        _ => match ty.to_descriptor() {
            Ok(
                descriptor @ (TypeDescriptor::Boolean
                | TypeDescriptor::Enum(_)
                | TypeDescriptor::FixedAscii(_)
                | TypeDescriptor::FixedUnicode(_)),
            ) => plain(descriptor),
            // Read by `texts`; no memory is reserved for it in a record.
            Ok(descriptor @ (TypeDescriptor::VarLenAscii | TypeDescriptor::VarLenUnicode)) => {
                plain(descriptor)
            }
            _ => Err(described(ty)),
        },
    }
}

#[allow(unsafe_code)]
fn is_signed(ty: &Datatype) -> bool {
    // SAFETY: the type is open, and the lock is held.
    let sign = hdf5::sync::sync(|| unsafe { h5t::H5Tget_sign(ty.id()) });
    sign != h5t::H5T_sign_t::H5T_SGN_NONE
}

#[allow(unsafe_code)]
fn byte() -> Result<Datatype, String> {
    // SAFETY: the lock is held, and libhdf5 is set up.
    hdf5::sync::sync(|| datatype(unsafe { h5t::H5Tcopy(*h5t::H5T_NATIVE_B8) }))
}

#[allow(unsafe_code)]
fn array(ty: &Datatype) -> Result<MemoryType, String> {
    // SAFETY: the type is an array and open, the lock is held; `extents` holds a number per axis.
    let (element, extents) = hdf5::sync::sync(|| unsafe {
        let axes = usize::try_from(h5t::H5Tget_array_ndims(ty.id())).unwrap_or(0);
        let mut extents = vec![0; axes];
        h5t::H5Tget_array_dims2(ty.id(), extents.as_mut_ptr());
        datatype(h5t::H5Tget_super(ty.id())).map(|element| (element, extents))
    })?;
    let element = in_memory(&element)?;
    if !is_fixed(&element.descriptor) {
        return Err(described(ty));
    }
    // SAFETY: as above.
    let datatype = hdf5::sync::sync(|| {
        datatype(unsafe {
            h5t::H5Tarray_create2(
                element.datatype.id(),
                extents.len() as u32,
                extents.as_ptr(),
            )
        })
    })?;
    let count = extents.iter().product::<u64>() as usize;
    Ok(MemoryType {
        datatype,
        descriptor: TypeDescriptor::FixedArray(Box::new(element.descriptor), count),
    })
}

/// Whether values of a type are all of one size, without pointers.
pub(super) fn is_fixed(descriptor: &TypeDescriptor) -> bool {
    match descriptor {
        TypeDescriptor::VarLenAscii | TypeDescriptor::VarLenUnicode => false,
        TypeDescriptor::FixedArray(element, _) => is_fixed(element),
        _ => true,
    }
}

/// The fields of a compound type, in order, each with its type in memory.
#[allow(unsafe_code)]
pub(super) fn fields(ty: &Datatype) -> Vec<(String, Result<MemoryType, String>)> {
    hdf5::sync::sync(|| {
        // SAFETY: the type is compound and open, the lock is held, and `index` is that of a field; libhdf5 frees the
        // name that it has made.
        let field = |index| unsafe {
            let name = h5t::H5Tget_member_name(ty.id(), index);
            let shown = match name.is_null() {
                true => String::new(),
                false => CStr::from_ptr(name).to_string_lossy().into_owned(),
            };
            hdf5_sys::h5::H5free_memory(name.cast());
            let ty = datatype(h5t::H5Tget_member_type(ty.id(), index));
            (shown, ty.and_then(|ty| in_memory(&ty)))
        };
        // SAFETY: as above.
        let count = unsafe { h5t::H5Tget_nmembers(ty.id()) };
        (0..u32::try_from(count).unwrap_or(0)).map(field).collect()
    })
}

/// The compound type of these fields, one behind the other.
#[allow(unsafe_code)]
pub(super) fn packed(fields: &[(&str, &Datatype)]) -> Result<Datatype, String> {
    let size: usize = fields.iter().map(|(_, ty)| ty.size()).sum();
    hdf5::sync::sync(|| {
        // SAFETY: the lock is held; every field lies within the size of the compound.
        let compound = datatype(unsafe { h5t::H5Tcreate(H5T_class_t::H5T_COMPOUND, size) })?;
        let mut offset = 0;
        for (name, ty) in fields {
            let name = std::ffi::CString::new(*name).map_err(|source| source.to_string())?;
            // SAFETY: as above.
            let status = unsafe { h5t::H5Tinsert(compound.id(), name.as_ptr(), offset, ty.id()) };
            if status < 0 {
                return Err(format!("field `{}` cannot be read", name.to_string_lossy()));
            }
            offset += ty.size();
        }
        Ok(compound)
    })
}

/// Text of any length, in the encoding that a file's type has.
#[allow(unsafe_code)]
pub(super) fn variable_text(descriptor: &TypeDescriptor) -> Result<Datatype, String> {
    let encoding = match descriptor {
        TypeDescriptor::VarLenAscii => H5T_cset_t::H5T_CSET_ASCII,
        _ => H5T_cset_t::H5T_CSET_UTF8,
    };
    hdf5::sync::sync(|| {
        // SAFETY: the lock is held, and the type is new.
        unsafe {
            let text = datatype(h5t::H5Tcopy(*h5t::H5T_C_S1))?;
            h5t::H5Tset_size(text.id(), h5t::H5T_VARIABLE);
            h5t::H5Tset_cset(text.id(), encoding);
            Ok(text)
        }
    })
}
