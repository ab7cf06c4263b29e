//! How large a pickle may be.

/// Largest pickle that is read, bytes. That of the released AstroCLIP model has less than one million.
pub(crate) const MOST_BYTES: usize = 16 << 20;
/// Largest number of values in a pickle, and of entries of the stack, of its marks and of the memo, which
/// one byte each can grow.
const MOST_VALUES: usize = 1 << 20;

/// Refuses one more than `count` where that is the limit.
pub(super) fn within_limit(count: usize, what: &str) -> Result<(), String> {
    match count < MOST_VALUES {
        true => Ok(()),
        false => Err(format!("more than {MOST_VALUES} {what}")),
    }
}
