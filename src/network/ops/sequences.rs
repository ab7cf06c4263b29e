//! How the rows of a tensor are cut into samples.

use std::ops::Range;

/// Samples of one length, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sequences {
    /// Number of samples.
    pub samples: usize,
    /// Tokens of each.
    pub tokens: usize,
}

impl Sequences {
    /// Tokens of all samples.
    pub fn rows(&self) -> usize {
        self.samples * self.tokens
    }

    /// The rows of each of `groups`, which lie one after the other.
    pub(super) fn ranges(groups: &[Self]) -> impl Iterator<Item = (Range<usize>, Self)> {
        groups.iter().scan(0, |next, group| {
            let first = *next;
            *next += group.rows();
            Some((first..*next, *group))
        })
    }
}
