use serde::{Deserialize, Serialize};

/// The part of a survey that a galaxy belongs to. Nothing is ever fitted to test galaxies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// Models, k-NN and MLPs are fitted to these galaxies.
    Train,
    /// Held out: results are reported for these galaxies.
    Test,
}

impl Split {
    /// The split of row `row` of `rows` rows: the first 80 % train, the rest test, as in the released
    /// AstroCLIP data set (where it holds within each group of the joint file).
    pub fn first_80_percent(row: usize, rows: usize) -> Self {
        if row < rows * 4 / 5 {
            Self::Train
        } else {
            Self::Test
        }
    }
}
