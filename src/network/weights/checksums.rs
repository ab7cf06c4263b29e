//! Checksums of our safetensors files: one for each tensor, and one of the header, which holds them.
//!
//! CRC-32 as in zip, gzip and PNG: every turned bit and every run of damage up to 32 bits long shows, other damage but
//! for one in 2^32, it is computed as fast as memory is read, and any language can check it.

/// Key of the metadata entry that holds the checksums of the tensors, JSON by name.
pub(super) const TENSORS_KEY: &str = "astroclip_crc32";
/// Key of the metadata entry that holds the checksum of the header, in which it counts as eight zeros.
pub(super) const HEADER_KEY: &str = "astroclip_header_crc32";
/// Stands where the header's checksum will.
const ZEROS: &str = "00000000";

/// A checksum as files hold it.
pub(super) fn checksum(bytes: &[u8]) -> String {
    format!("{:08x}", crc32fast::hash(bytes))
}

/// The text of a header whose metadata has [`ZEROS`] under [`HEADER_KEY`] with its checksum in their place.
pub(super) fn signed(mut header: Vec<u8>) -> Vec<u8> {
    let sum = checksum(&header);
    let place = place(&header, ZEROS).expect("the header was made with a place for it");
    header[place..place + ZEROS.len()].copy_from_slice(sum.as_bytes());
    header
}

/// What the entry of a header under [`HEADER_KEY`] is before its checksum is known.
pub(super) fn unsigned() -> String {
    ZEROS.to_owned()
}

/// Whether `stated`, the checksum that a header gives, is its own.
pub(super) fn is_signed(header: &mut [u8], stated: &str) -> bool {
    let Some(place) = place(header, stated).filter(|_| stated.len() == ZEROS.len()) else {
        return false;
    };
    header[place..place + ZEROS.len()].copy_from_slice(ZEROS.as_bytes());
    checksum(header) == stated
}

/// Where a header's checksum stands. Within texts quotes are escaped, so that only the entry itself is found.
fn place(header: &[u8], sum: &str) -> Option<usize> {
    let start = format!("\"{HEADER_KEY}\":\"");
    let whole = format!("{start}{sum}\"").into_bytes();
    let at = header
        .windows(whole.len())
        .position(|bytes| bytes == whole)?;
    Some(at + start.len())
}
