//! Values that are no weights: NaN and infinities.

use std::fmt;

use serde::Serialize;

use super::NamedTensor;

/// Values of a tensor that are NaN or infinite.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NotFinite {
    /// Name of the tensor.
    pub tensor: String,
    /// How many they are.
    pub count: usize,
    /// How many values the tensor has.
    pub of: usize,
}

impl fmt::Display for NotFinite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tensor, count, of } = self;
        write!(
            f,
            "tensor `{tensor}`: {count} of {of} values are NaN or infinite"
        )
    }
}

impl NamedTensor {
    /// What is not finite in this tensor, which is called `name`; none where all is well.
    pub fn not_finite(&self, name: &str) -> Option<NotFinite> {
        // By portions, each without a branch, for vector instructions.
        let mut portions = self.values.chunks(1 << 10);
        let is_finite = |values: &[f32]| values.iter().fold(true, |all, v| all & v.is_finite());
        if portions.all(is_finite) {
            return None;
        }
        Some(NotFinite {
            tensor: name.to_owned(),
            count: self.values.iter().filter(|v| !v.is_finite()).count(),
            of: self.values.len(),
        })
    }
}
