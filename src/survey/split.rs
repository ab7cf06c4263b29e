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
    /// The splits of a group of `rows` rows: the first 80 % train, the rest test, as in the released
    /// AstroCLIP data set.
    pub fn of_group(rows: usize) -> impl Iterator<Item = Self> {
        (0..rows).map(move |row| {
            if row < rows * 4 / 5 {
                Self::Train
            } else {
                Self::Test
            }
        })
    }
}
