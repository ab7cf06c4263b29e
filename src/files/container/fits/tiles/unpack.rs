//! The bytes of a tile, unpacked to numbers.

use std::io::Read;

use flate2::read::MultiGzDecoder;

use super::rice;
use crate::files::container::fits::{FieldType, Stored};

/// How the bytes of tiles become numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    Rice {
        bytes: usize,
        block: usize,
    },
    Gzip,
    /// The first bytes of all numbers come first.
    ShuffledGzip,
    None,
}

/// The numbers of a tile; `None` where they are damaged.
pub(super) fn unpack(
    data: &[u8],
    pixels: usize,
    compression: Compression,
    field_type: FieldType,
) -> Option<Vec<Stored>> {
    let shuffled = match compression {
        Compression::Rice { bytes, block } => {
            let values = rice::decode(data, pixels, bytes, block)?;
            return Some(values.into_iter().map(Stored::Integer).collect());
        }
        Compression::None => return numbers(data, pixels, field_type),
        Compression::Gzip => false,
        Compression::ShuffledGzip => true,
    };
    let most = pixels.checked_mul(size_of::<u64>())? as u64;
    let mut bytes = Vec::new();
    let mut unpacked = MultiGzDecoder::new(data).take(most + 1);
    unpacked.read_to_end(&mut bytes).ok()?;
    if bytes.len() as u64 > most {
        return None;
    }
    if shuffled {
        let width = bytes.len() / pixels.max(1);
        let at = |byte: usize| bytes.get(byte % width * pixels + byte / width).copied();
        bytes = (0..pixels * width).map(at).collect::<Option<_>>()?;
    }
    numbers(&bytes, pixels, field_type)
}

/// Numbers of this type, or integers of another width, which GZIP leaves open.
fn numbers(bytes: &[u8], pixels: usize, field_type: FieldType) -> Option<Vec<Stored>> {
    let is_real = matches!(field_type, FieldType::F32 | FieldType::F64);
    let field_type = match bytes.len() / pixels.max(1) {
        width if width == field_type.bytes() => field_type,
        _ if is_real => return None,
        1 => FieldType::U8,
        2 => FieldType::I16,
        4 => FieldType::I32,
        8 => FieldType::I64,
        _ => return None,
    };
    let width = field_type.bytes();
    if bytes.len() != pixels * width {
        return None;
    }
    bytes
        .chunks_exact(width)
        .map(|bytes| field_type.decode(bytes))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_is_told_from_data() {
        let rice = Compression::Rice {
            bytes: 4,
            block: 32,
        };
        assert!(unpack(&[0, 0], 10, rice, FieldType::I32).is_none());
        assert!(unpack(&[1, 2, 3], 10, Compression::Gzip, FieldType::I32).is_none());
        assert!(unpack(&[0; 39], 10, Compression::None, FieldType::I32).is_none());
        assert_eq!(
            unpack(&[0; 40], 10, Compression::None, FieldType::I32)
                .unwrap()
                .len(),
            10
        );
    }
}
