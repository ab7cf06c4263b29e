//! Values that are no weights: NaN and infinities.

use std::fmt;

use serde::Serialize;

use super::NamedTensor;

/// Values of a tensor that are NaN or infinite.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NotFinite {
    /// Name of the tensor.
    pub tensor: String,
    /// How many they are.
    pub count: usize,
    /// How many values the tensor has.
    pub of: usize,
    /// The first of them.
    #[serde(skip)]
    pub first: f32,
}

impl fmt::Display for NotFinite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            tensor, count, of, ..
        } = self;
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
        let faults = || self.values.iter().filter(|value| !value.is_finite());
        Some(NotFinite {
            tensor: name.to_owned(),
            count: faults().count(),
            of: self.values.len(),
            first: *faults().next()?,
        })
    }
}
