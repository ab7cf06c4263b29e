//! Which galaxies train and which test.

use serde::{Deserialize, Serialize};

use super::ObjectId;
use crate::base::random::mixed;

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
    /// How many of a group's `rows` train: the first 80 %, as in the released AstroCLIP data set.
    pub fn train_rows(rows: usize) -> usize {
        rows * 4 / 5
    }

    /// The splits of a group of `rows` rows, in their order.
    pub fn of_group(rows: usize) -> impl Iterator<Item = Self> {
        let train = Self::train_rows(rows);
        (0..rows).map(move |row| match row < train {
            true => Self::Train,
            false => Self::Test,
        })
    }

    /// The split of a galaxy by its identifier alone: 80 % train, whatever the files and their order.
    pub fn of_id(id: ObjectId) -> Self {
        // Identifiers that follow one another must not fall alike.
        match mixed(id.bits().wrapping_add(0x9e37_79b9_7f4a_7c15)) % 5 {
            0 => Self::Test,
            _ => Self::Train,
        }
    }
}
